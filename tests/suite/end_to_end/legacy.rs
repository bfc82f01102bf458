//! A warehouse that Hive's and Spark's own writers made, against what Spark counted in it.
//!
//! The fixture lies in `tests/data/legacy`; `generate.py` there says how it was made.

use std::path::{Path, PathBuf};

use skein_tests::{World, contents, policy};

const DATABASE: &str = "radio";
const MIGRATED: [&str; 13] = [
    "airings",
    "airings_avro",
    "airings_bz2",
    "airings_json",
    "airings_opencsv",
    "airings_orc",
    "airings_pipe",
    "airings_text",
    "buckets",
    "codes",
    "later_orc",
    "silence",
    "towns",
];
const REFUSED: [(&str, &str); 3] =
    [("airings_rc", "FORMAT_UNSUPPORTED"), ("airings_seq", "FORMAT_UNSUPPORTED"), ("loud", "NOT_A_TABLE")];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/legacy")
}

fn copied() -> World {
    let world = World::empty();
    for (path, content) in contents(&fixture()) {
        let relative = path.strip_prefix(fixture()).expect("it lies in the fixture");
        let to = world.root().join("legacy").join(relative);
        std::fs::create_dir_all(to.parent().expect("it lies in a folder")).expect("a folder can be made");
        std::fs::write(to, content).expect("it can be written");
    }
    // An empty table is an empty folder, which a repository does not keep.
    std::fs::create_dir_all(world.warehouse().join(format!("{DATABASE}.db/silence"))).expect("a folder can be made");
    world
}

#[test]
fn tables_of_hive_and_spark_migrate_and_equal_what_spark_counted_and_others_are_refused_by_name() {
    let world = copied();
    let node = world.start();
    node.cli.migrate(&policy("radio", "radio.*", ""));
    for name in MIGRATED {
        node.cli.expect(&format!("{DATABASE}.{name}"), "committed", "");
    }
    for (name, code) in REFUSED {
        node.cli.expect(&format!("{DATABASE}.{name}"), "quarantined", code);
    }
    let visible = MIGRATED.map(|name| format!("{DATABASE}.{name}"));
    assert_eq!(world.names(), visible);

    let catalog = world.catalog();
    let facts = fixture().join("facts.json");
    let mut arguments =
        vec!["--catalog", catalog.to_str().expect("a text"), "--against", facts.to_str().expect("a text")];
    for name in &visible {
        arguments.extend(["--table", name]);
    }
    let (code, report) = world.readers.run("read_table.py", &arguments, "");
    assert_eq!(code, 0, "{report}");
    // Parquet tables are compared row by row as well; the readers have no parser for Hive's text.
    let parquet = ["airings", "buckets", "silence", "towns"].map(|name| format!("{DATABASE}.{name}"));
    world.agrees(&parquet.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    // Hive's writer leaves the padding of char(5) away, and every reader of Hive gives it back.
    world.agrees(&["radio.codes"], &["--sql", "SELECT * REPLACE (rpad(flag, 5, ' ') AS flag) FROM source"]);
}
