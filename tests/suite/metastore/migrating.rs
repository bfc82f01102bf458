//! Every table of the metastore is migrated and equals what Spark counts, or is refused by name for a reason.

use serde_json::Value;
use skein_tests::{Node, World, policy};

use crate::site::Metastore;

const MIGRATED: [&str; 15] = [
    "camelcase",
    "drawers",
    "every_avro",
    "every_orc",
    "every_parquet",
    "every_text",
    "lined",
    "many",
    "notes",
    "outlying",
    "piped",
    "plays",
    "quoted",
    "silence",
    "widened",
];
const REFUSED: [(&str, &str); 8] = [
    ("drifting", "SCHEMA_CONFLICT"),
    ("forbidden", "LOCATION_FORBIDDEN"),
    ("loud", "NOT_A_TABLE"),
    ("merging", "LAYOUT_UNSUPPORTED"),
    ("mixed", "SCHEMA_CONFLICT"),
    ("rows_in_columns", "FORMAT_UNSUPPORTED"),
    ("sequence", "FORMAT_UNSUPPORTED"),
    ("spark_csv", "FORMAT_UNSUPPORTED"),
];

/// The notes of a migration's plan.
fn notes(node: &Node, dataset: &str) -> Vec<String> {
    let plan = node.cli.document(&["show", dataset, "--plan"]);
    let notes = plan["planned"]["ready"]["notes"].as_array().unwrap_or_else(|| panic!("a plan has notes: {plan:#}"));
    notes.iter().map(|note| note.as_str().expect("a text").to_owned()).collect()
}

#[track_caller]
fn told(notes: &[String], beginning: &str) {
    assert!(notes.iter().any(|note| note.starts_with(beginning)), "{beginning:?} in {notes:#?}");
}

#[test]
fn what_the_metastore_knows_migrates_as_spark_counts_it_and_the_rest_is_refused_by_name() {
    let (metastore, world) = (Metastore::shared(), World::empty());
    let node = metastore.node(&world);
    // The others are for tests that change them.
    let all = "include: [\"hub.*\"], exclude: [hub.moving, hub.wandering, hub.leaving]";
    node.cli.migrate(&policy("hub", "hub.*", "").replace("include: [\"hub.*\"]", all));
    for name in MIGRATED {
        node.cli.expect(&format!("hub.{name}"), "committed", "");
    }
    for (name, code) in REFUSED {
        node.cli.expect(&format!("hub.{name}"), "quarantined", code);
    }
    assert_eq!(world.names(), MIGRATED.map(|name| format!("hub.{name}")));
    metastore.agrees(&world, &MIGRATED);

    let plays = notes(&node, "hub.plays");
    told(&plays, "1 partitions of the metastore have no folder and hold no rows (\"gone/1\")");
    told(&plays, "1 partitions lie outside of the table's folder (\"else/7\")");
    told(&plays, "1 folders in the table's folder belong to no partition of the metastore");
    told(&plays, "1 files in the table's folder belong to no partition of the metastore");
    told(&notes(&node, "hub.notes"), "1 partitions have only the first of the table's columns");
    told(&notes(&node, "hub.many"), "1188 partitions of the metastore have no folder");
    let view = node.cli.show("hub.loud");
    let why = view["problem"]["why"].as_str().unwrap_or_default();
    assert!(why.contains("SELECT id FROM plays WHERE fee > 20"), "{view:#}");
}

#[test]
fn owner_and_comments_are_carried_over() {
    let (metastore, world) = (Metastore::shared(), World::empty());
    let node = metastore.node(&world);
    node.cli.migrate(&policy("words", "hub.plays", ""));
    let table = &world.tables()["hub.plays"];
    let metadata = table["metadata"].as_str().expect("a location");
    let metadata = std::fs::read(metadata.trim_start_matches("file://")).expect("it is readable");
    let metadata: Value = serde_json::from_slice(&metadata).expect("it is JSON");
    assert_eq!(metadata["properties"]["comment"], "What was played");
    assert!(metadata["properties"]["owner"].as_str().is_some_and(|owner| !owner.is_empty()), "{metadata:#}");
    let fields = metadata["schemas"][0]["fields"].as_array().expect("a list");
    let doc = |name: &str| fields.iter().find(|field| field["name"] == name).map(|field| field["doc"].clone());
    assert_eq!(doc("id"), Some(Value::from("the number")));
    assert_eq!(doc("country"), Some(Value::from("where")));
    assert_eq!(doc("big"), Some(Value::Null));
}
