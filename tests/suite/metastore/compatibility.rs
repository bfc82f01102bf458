//! Which types migrate in which formats and into which catalogs: tried, and held against `docs/compatibility.md`.
//!
//! `SKEIN_WRITE_DOCS=1` writes the page anew from what was seen.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::json;
use skein_tests::{Options, Store, World, policy};

use crate::site::Metastore;

/// Hive's types, with the name of the column's table and an expression for a value.
const TYPES: [(&str, &str); 20] = [
    ("boolean", "true"),
    ("tinyint", "CAST(7 AS TINYINT)"),
    ("smallint", "CAST(7 AS SMALLINT)"),
    ("int", "7"),
    ("bigint", "7000000000L"),
    ("float", "CAST(0.5 AS FLOAT)"),
    ("double", "0.1D"),
    ("decimal(20,4)", "CAST('1234567890123456.7891' AS DECIMAL(20,4))"),
    ("decimal(38,10)", "CAST('-0.0000000001' AS DECIMAL(38,10))"),
    ("date", "DATE'1999-12-31'"),
    ("timestamp", "TIMESTAMP'1999-12-31 23:59:59.123'"),
    ("string", "'größe'"),
    ("char(5)", "'ab'"),
    ("varchar(9)", "'ab'"),
    ("binary", "CAST('ab' AS BINARY)"),
    ("array<int>", "ARRAY(1, NULL)"),
    ("map<string,int>", "MAP('a', 1)"),
    ("struct<a:int,b:string>", "NAMED_STRUCT('a', 1, 'b', 'x')"),
    ("array<struct<a:array<int>>>", "ARRAY(NAMED_STRUCT('a', ARRAY(1)))"),
    ("map<int,map<string,date>>", "MAP(1, MAP('a', DATE'1999-12-31'))"),
];
/// Formats, and how a table of Hive says so.
const FORMATS: [(&str, &str); 7] = [
    ("Parquet", "STORED AS PARQUET"),
    ("ORC", "STORED AS ORC"),
    ("Avro", "STORED AS AVRO"),
    ("text", "STORED AS TEXTFILE"),
    ("OpenCSVSerde", "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde' STORED AS TEXTFILE"),
    ("RCFile", "STORED AS RCFILE"),
    ("SequenceFile", "STORED AS SEQUENCEFILE"),
];
/// Tables of other kinds that the metastore of the tests has, and what they are called on the page.
const KINDS: [(&str, &str); 14] = [
    ("plays", "partitions with null, escaped and zero-padded values, and at places of their own"),
    ("notes", "text with columns that were added later"),
    ("widened", "Parquet with a column that has become wider"),
    ("drawers", "bucketed"),
    ("lined", "JSON lines (JsonSerDe)"),
    ("camelcase", "names in upper and lower case"),
    ("outlying", "external, at a location of its own"),
    ("silence", "empty"),
    ("many", "1,200 partitions"),
    ("drifting", "text, with a partition of another type"),
    ("mixed", "a partition in another format"),
    ("merging", "transactional (ACID)"),
    ("loud", "a view"),
    ("spark_csv", "a data source of Spark's own"),
];
const DATABASE: &str = "matrix";
/// The kinds of catalog, by the connections' names.
const CATALOGS: [(&str, &str); 3] =
    [("lake", "SQLite, on disk"), ("metastore", "Hive Metastore, on disk"), ("rest", "REST, on S3")];

/// What became of each table, by connection and dataset.
type Seen = BTreeMap<(&'static str, String), String>;

#[test]
fn the_page_on_compatibility_says_what_was_seen() {
    let (metastore, world, store) = (Metastore::shared(), World::empty(), Store::start());
    let written = write_tables(metastore);
    let further = json!({
        "rest": store.lake(),
        "metastore": { "kind": "iceberg", "hive": { "uris": [metastore.uri()] }, "warehouse": world.root().join("hive") },
    });
    let options = Options { legacy: Some(metastore.source()), ..Options::default() };
    let node = world.start_with(&Options { further: Some(further), ..options });
    for (connection, _) in CATALOGS {
        let include =
            format!("include: [\"{DATABASE}.*\", \"hub.*\"], exclude: [hub.moving, hub.wandering, hub.leaving]");
        let target = format!("target: {{ connection: {connection}, name: \"{connection}_{{database}}.{{table}}\" }}");
        let text = policy(connection, "-", "approval: { required: false }")
            .replace("include: [\"-\"]", &include)
            .replace("target: { connection: lake }", &target);
        node.cli.apply(&text);
    }
    let mut seen = Seen::new();
    for (connection, _) in CATALOGS {
        let page = node.cli.document(&["list", "--policy", connection, "--limit", "1000"]);
        for row in page["items"].as_array().expect("a list") {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let outcome =
                if text("phase") == "committed" { "works".to_owned() } else { format!("`{}`", text("problem")) };
            seen.insert((connection, text("dataset")), outcome);
        }
    }
    let page = page(&written, &seen);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md");
    if std::env::var_os("SKEIN_WRITE_DOCS").is_some() {
        std::fs::write(&file, &page).expect("it can be written");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == page, "docs/compatibility.md shall be this (SKEIN_WRITE_DOCS=1 writes it):\n{page}");
}

fn table(format: usize, kind: usize) -> String {
    format!("f{format}_t{kind:02}")
}

/// Makes a table of two rows for each format and type; which of them Hive's and Spark's writers can make.
fn write_tables(metastore: &Metastore) -> BTreeMap<(usize, usize), bool> {
    metastore.run(&format!("CREATE DATABASE {DATABASE} LOCATION 'file:{{folder}}/warehouse/{DATABASE}.db'"));
    let mut written = BTreeMap::new();
    for (format, (_, clause)) in FORMATS.iter().enumerate() {
        for (kind, (name, value)) in TYPES.iter().enumerate() {
            let table = format!("{DATABASE}.{}", table(format, kind));
            let made = metastore.try_run(&format!("CREATE TABLE {table} (id INT, v {name}) {clause}")).is_null()
                && metastore
                    .try_run(&format!("INSERT INTO {table} SELECT 1, {value} UNION ALL SELECT 2, NULL"))
                    .is_null();
            if !made {
                metastore.try_run(&format!("DROP TABLE IF EXISTS {table}"));
            }
            written.insert((format, kind), made);
        }
    }
    written
}

/// One word for all catalogs, or one for each.
fn cell(seen: &Seen, dataset: &str) -> String {
    let of = |connection: &'static str| seen.get(&(connection, dataset.to_owned())).cloned().unwrap_or_default();
    let all: Vec<String> = CATALOGS.iter().map(|(connection, _)| of(connection)).collect();
    if all.iter().all(|one| *one == all[0]) {
        return all[0].clone();
    }
    CATALOGS.iter().zip(all).map(|((_, name), outcome)| format!("{name}: {outcome}")).collect::<Vec<_>>().join("; ")
}

fn page(written: &BTreeMap<(usize, usize), bool>, seen: &Seen) -> String {
    let mut page = String::from(
        "# What migrates\n\nThis page is made by a test (`tests/suite/metastore/compatibility.rs`), from what it saw: Spark writes a table of each type in \
         each format into a\nreal Hive Metastore, and a node migrates all of them into each catalog. A code is why a table is refused by name; its page is in \
         [errors](errors/README.md).\n\nCatalogs: ",
    );
    let names: Vec<&str> = CATALOGS.iter().map(|(_, name)| *name).collect();
    writeln!(page, "{}. A cell without a catalog's name holds for all of them.\n", names.join("; "))
        .expect("text grows");
    let formats: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
    writeln!(page, "## Types\n\n| type | {} |\n|---|{}", formats.join(" | "), "---|".repeat(formats.len()))
        .expect("text grows");
    for (kind, (name, _)) in TYPES.iter().enumerate() {
        let cells = (0..FORMATS.len()).map(|format| match written.get(&(format, kind)) {
            Some(true) => cell(seen, &format!("{DATABASE}.{}", table(format, kind))),
            _ => "not written by Spark".to_owned(),
        });
        writeln!(page, "| `{name}` | {} |", cells.collect::<Vec<_>>().join(" | ")).expect("text grows");
    }
    page.push_str("\nOpenCSVSerde shows every column as a string, and so it is migrated.\n\n## Kinds of table\n\n| table | |\n|---|---|\n");
    for (table, name) in KINDS {
        writeln!(page, "| {name} | {} |", cell(seen, &format!("hub.{table}"))).expect("text grows");
    }
    page
}
