//! What a metastore's objects mean, without a metastore; `tests/suite/metastore` asks a real one.

use std::fs;
use std::path::Path;

use skein_protocol::types::DataType;

use super::super::listing::{self, Listing, Partitions};
use super::super::location::Roots;
use super::super::places::Places;
use super::*;

const LAZY: &str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";
const TEXT: &str = "org.apache.hadoop.mapred.TextInputFormat";
const PARQUET: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";
const PARQUET_INPUT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat";

fn storage(serde: &str, input_format: &str, columns: &[(&str, &str)]) -> Storage {
    let column =
        |(name, kind): &(&str, &str)| Column { name: (*name).to_owned(), type_text: (*kind).to_owned(), comment: None };
    Storage {
        columns: columns.iter().map(column).collect(),
        location: Some("file:/wh/t".to_owned()),
        input_format: Some(input_format.to_owned()),
        serde: Some(serde.to_owned()),
        ..Storage::default()
    }
}

fn differs(table: &Storage, partition: Storage) -> Differs {
    let own = Own::of(table, &Properties::new());
    own.place(Partition { storage: partition, ..Partition::default() }).differs
}

fn meaning(differs: &Differs) -> &str {
    match differs {
        Differs::Meaning(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_partition_may_lack_columns_that_were_added_later() {
    let both = [("a", "int"), ("b", "string")];
    for (serde, input) in [(LAZY, TEXT), (PARQUET, PARQUET_INPUT)] {
        let table = storage(serde, input, &both);
        assert_eq!(differs(&table, table.clone()), Differs::No);
        assert_eq!(differs(&table, storage(serde, input, &both[..1])), Differs::FewerColumns);
        assert_eq!(differs(&storage(serde, input, &both[..1]), table), Differs::No);
    }
}

#[test]
fn a_partition_of_another_meaning_is_told_with_the_reason() {
    let text = storage(LAZY, TEXT, &[("a", "int"), ("b", "decimal(9, 2)")]);
    let parquet = storage(PARQUET, PARQUET_INPUT, &[("a", "int"), ("b", "string")]);
    assert!(meaning(&differs(&text, parquet.clone())).contains("ParquetHiveSerDe"));
    // Text has positions alone, Parquet has types of its own.
    assert_eq!(differs(&text, storage(LAZY, TEXT, &[("x", "int"), ("b", "decimal(9,2)")])), Differs::No);
    assert!(meaning(&differs(&text, storage(LAZY, TEXT, &[("a", "string")]))).contains("\"a\" is string"));
    assert_eq!(differs(&parquet, storage(PARQUET, PARQUET_INPUT, &[("A", "bigint"), ("b", "string")])), Differs::No);
    assert!(meaning(&differs(&parquet, storage(PARQUET, PARQUET_INPUT, &[("b", "string")]))).contains("column 1"));
    let mut comma = text.clone();
    comma.serde_properties.insert("field.delim".to_owned(), ",".to_owned());
    assert!(meaning(&differs(&text, comma)).contains("separators"));
}

#[test]
fn the_hash_is_of_what_matters_for_rows_and_of_nothing_else() {
    let table = || Table {
        storage: storage(PARQUET, PARQUET_INPUT, &[("a", "int")]),
        partition_columns: vec![Column { name: "dt".to_owned(), type_text: "string".to_owned(), comment: None }],
        kind: "MANAGED_TABLE".to_owned(),
        ..Table::default()
    };
    let partition = |value: &str, location: &str| PlacedPartition {
        values: vec![Some(value.to_owned())],
        location: location.to_owned(),
        differs: Differs::No,
        rows: None,
    };
    let one = [partition("1", "/a")];
    let planned = hash(&table(), &one);
    assert_ne!(planned, hash(&table(), &[]));
    assert_ne!(planned, hash(&table(), &[partition("1", "/b")]));
    assert_ne!(planned, hash(&table(), &[partition("1", "/a"), partition("2", "/b")]));
    let mut other = table();
    other.properties.insert("numRows".to_owned(), "5".to_owned());
    other.properties.insert("spark.sql.statistics.totalSize".to_owned(), "5".to_owned());
    other.owner = Some("ann".to_owned());
    assert_eq!(planned, hash(&other, &one));
    other.properties.insert("skip.header.line.count".to_owned(), "1".to_owned());
    assert_ne!(planned, hash(&other, &one));
    let mut wider = table();
    wider.storage.columns[0].type_text = "bigint".to_owned();
    assert_ne!(planned, hash(&wider, &one));
}

/// Lists a table at `root` whose partitions have these values and locations, the latter below `root`.
fn listed(root: &Path, partitions: &[(Option<&str>, &str)]) -> (Listing, Vec<Code>, Vec<String>) {
    let dataset: TableName = "m.t".parse().unwrap();
    let mut findings = Findings::new(&dataset);
    let placed = partitions.iter().map(|(value, location)| PlacedPartition {
        values: vec![value.map(str::to_owned)],
        location: format!("file:{}", root.join(location).display()),
        differs: Differs::No,
        rows: None,
    });
    let columns = vec![("n".to_owned(), DataType::Int)];
    let roots = Roots::under(&[root.display().to_string()], &Places::local());
    let located = roots.resolve(&root.join("t")).unwrap();
    let partitions = Partitions::Placed { columns, placed: placed.collect() };
    let listing = listing::list(&located, &roots, &partitions, &mut findings);
    let (problems, notes) = findings.finish();
    (listing, problems.into_iter().map(|problem| problem.code).collect(), notes)
}

fn write(root: &Path, files: &[&str]) {
    for file in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
}

#[test]
fn the_metastore_decides_which_folders_are_partitions_and_of_which_values() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    write(&root, &["t/n=1/a", "t/n=2/a", "t/odd name/a", "t/loose", "t/_tmp/a", "elsewhere/x=9/a", "t/n=1/.a.crc"]);
    let partitions = [(Some("1"), "t/n=1"), (Some("5"), "t/odd name"), (None, "elsewhere/x=9"), (Some("7"), "t/n=7")];
    let (listing, problems, notes) = listed(&root, &partitions);
    assert_eq!(problems, []);
    let found: Vec<(String, Option<String>)> =
        listing.files.iter().map(|file| (file.relative.clone(), file.partition[0].clone())).collect();
    let outside = root.join("elsewhere/x=9/a").display().to_string();
    let expected =
        [(outside, None), ("n=1/a".to_owned(), Some("1".to_owned())), ("odd name/a".to_owned(), Some("5".to_owned()))];
    assert_eq!(found, expected);
    let told = |what: &str| assert!(notes.iter().any(|note| note.starts_with(what)), "{what} in {notes:#?}");
    told("1 partitions of the metastore have no folder");
    told("1 partitions lie outside of the table's folder");
    told("1 folders in the table's folder belong to no partition");
    told("1 files in the table's folder belong to no partition");
    assert_eq!(notes.len(), 4);
}

#[test]
fn partitions_that_cannot_be_told_apart_or_read_are_problems() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    write(&root, &["t/n=1/a", "t/n=1/below/a"]);
    assert_eq!(listed(&root, &[(Some("1"), "t/n=1")]).1, [Code::PartitionLayout], "a folder within a partition");
    fs::remove_dir_all(root.join("t/n=1/below")).unwrap();
    let shared = listed(&root, &[(Some("1"), "t/n=1"), (Some("2"), "t/n=1/")]).1;
    assert_eq!(shared, [Code::LayoutUnsupported], "one folder for two");
    assert_eq!(listed(&root, &[(Some("one"), "t/n=1")]).1, [Code::PartitionLayout], "no number");
    let outside = tempfile::tempdir().unwrap();
    let location = outside.path().canonicalize().unwrap();
    assert_eq!(listed(&root, &[(Some("1"), location.to_str().unwrap())]).1, [Code::LocationForbidden]);
    assert_eq!(listed(&root, &[(Some("1"), "t/n=1/a")]).1, [Code::PartitionLayout], "a file");
}

#[test]
fn a_table_of_which_nothing_is_there_is_not_taken_as_empty() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    assert_eq!(listed(&root, &[(Some("1"), "t/n=1")]).1, [Code::SourceUnreadable]);
    assert_eq!(listed(&root, &[]).1, []);
}

#[test]
fn statistics_that_differ_from_the_files_are_told_and_others_are_not() {
    let dataset: TableName = "m.t".parse().unwrap();
    let told = |table: &TableDescription, files: &[Option<u64>]| {
        let mut findings = Findings::new(&dataset);
        compare_statistics(table, files.iter().copied(), &mut findings);
        findings.finish().1
    };
    let counted = |name: &str, rows: &str| [(name.to_owned(), rows.to_owned())].into();
    let whole = |name, rows| TableDescription { properties: counted(name, rows), ..Default::default() };
    let seven = whole("numRows", "7");
    assert!(told(&seven, &[Some(3), Some(2)])[0].contains("say 7 rows (numRows), the files' footers 5."));
    assert_eq!(told(&seven, &[Some(3), Some(4)]), [""; 0]);
    assert_eq!(told(&seven, &[Some(3), None]), [""; 0], "text has no footers");
    assert_eq!(told(&whole("numRows", "-1"), &[Some(3)]), [""; 0], "nobody counted");
    assert_eq!(told(&whole("spark.sql.statistics.numRows", "2"), &[Some(3)]).len(), 1);
    let mut untrue = whole("numRows", "0");
    assert_eq!(told(&untrue, &[Some(3)]).len(), 1);
    untrue.properties.insert("totalSize".to_owned(), "831".to_owned());
    assert_eq!(told(&untrue, &[Some(3)]), [""; 0], "Spark did not count");
    let table = storage(PARQUET, PARQUET_INPUT, &[("a", "int")]);
    let own = Own::of(&table, &Properties::new());
    let partition = |rows: &str| own.place(Partition { properties: counted("numRows", rows), ..Partition::default() });
    let placed = |rows: &[&str]| TableDescription {
        placed: Some(rows.iter().map(|rows| partition(rows)).collect()),
        ..Default::default()
    };
    assert_eq!(told(&placed(&["3", "4"]), &[Some(6)]).len(), 1);
    assert_eq!(told(&placed(&["3", "4"]), &[Some(7)]), [""; 0]);
    assert_eq!(told(&placed(&["3", "-1"]), &[Some(7)]), [""; 0]);
}
