//! Sources in an object store, read by a node as a process; the warehouse is the one that Hive's and Spark's writers made.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skein_tests::{Node, Options, World, policy};

use crate::place::store;

/// Tables of every format, with and without partitions.
const MIGRATED: [&str; 8] = [
    "radio.airings",
    "radio.airings_avro",
    "radio.airings_json",
    "radio.airings_opencsv",
    "radio.airings_orc",
    "radio.airings_text",
    "radio.buckets",
    "radio.towns",
];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/legacy")
}

/// A node whose source lies at `location`, with its description beside the warehouse.
fn node(world: &World, location: &str) -> Node {
    let mut source = store().source(&format!("{location}/warehouse"));
    source["description"] = json!(format!("{location}/metastore.json"));
    world.start_with(&Options { legacy: Some(format!("    {}\n", source)), ..Options::default() })
}

#[test]
fn a_warehouse_in_an_object_store_migrates_as_spark_counted_it() {
    let (world, location) = (World::empty(), store().plain("legacy"));
    store().put(&world.readers, &fixture(), &location);
    let node = node(&world, &location);
    node.cli.migrate(&policy("radio", "radio.*", ""));
    for name in MIGRATED {
        node.cli.expect(name, "committed", "");
    }
    node.cli.expect("radio.airings_rc", "quarantined", "FORMAT_UNSUPPORTED");
    node.cli.expect("radio.loud", "quarantined", "NOT_A_TABLE");
    let (catalog, facts) = (world.catalog(), fixture().join("facts.json"));
    let mut arguments =
        vec!["--catalog", catalog.to_str().expect("a text"), "--against", facts.to_str().expect("a text")];
    arguments.extend(MIGRATED.iter().flat_map(|name| ["--table", name]));
    let (code, report) = world.readers.run("read_table.py", &arguments, "");
    assert_eq!(code, 0, "{report}");
    let plan = node.cli.document(&["show", "radio.airings", "--plan"]);
    let planned = &plan["planned"]["ready"]["source"];
    assert_eq!(planned["location"], format!("{location}/warehouse/radio.db/airings"), "{planned:#}");
    assert!(!node.log().contains(store().secret()), "a secret is in the log");
}

#[test]
fn an_object_that_becomes_another_one_after_the_plan_pauses_its_migration() {
    let (world, location) = (World::empty(), store().plain("changing"));
    store().put(&world.readers, &fixture(), &location);
    let node = node(&world, &location);
    node.cli.apply(&policy("radio", "radio.towns", ""));
    node.cli.expect("radio.towns", "approval", "");
    let plan = node.cli.document(&["show", "radio.towns", "--plan"]);
    let files: &Vec<Value> = plan["planned"]["ready"]["source"]["files"].as_array().expect("a list");
    assert!(files.iter().all(|file| file["version"].as_str().is_some_and(|tag| !tag.is_empty())), "{files:#?}");
    // The same bytes, and one more, where the first file was.
    let path = format!("warehouse/radio.db/towns/{}", files[0]["path"].as_str().expect("a path"));
    let mut bytes = std::fs::read(fixture().join(&path)).expect("it is readable");
    bytes.push(b'x');
    let changed = world.root().join("changed").join(&path);
    std::fs::create_dir_all(changed.parent().expect("a folder")).expect("a folder can be made");
    std::fs::write(&changed, bytes).expect("it can be written");
    store().put(&world.readers, &world.root().join("changed"), &location);
    node.cli.approve("radio.towns");
    node.cli.expect("radio.towns", "paused", "SOURCE_CHANGED");
    assert_eq!(world.names(), Vec::<String>::new());
}

#[test]
fn tables_of_a_rest_catalog_on_s3_move_to_another_catalog_on_a_disk() {
    let world = World::empty();
    let catalog = world.root().join("rest.json");
    std::fs::write(&catalog, json!(store().rest_properties()).to_string()).expect("it can be written");
    let catalog = catalog.to_str().expect("a text");
    let python = |arguments: &[&str]| {
        let mut all = vec!["--catalog", catalog];
        all.extend(arguments);
        world.readers.document("iceberg_source.py", &all)
    };
    python(&["make", "s3://warehouse"]);
    let connection = format!("    {}\n", store().lake());
    let node = world.start_with(&Options { legacy: Some(connection), ..Options::default() });
    node.cli.migrate(&policy("albums", "music.*", ""));
    for table in ["plays", "silence", "songs"] {
        node.cli.expect(&format!("music.{table}"), "committed", "");
    }
    node.cli.expect("music.deleted", "quarantined", "LAYOUT_UNSUPPORTED");
    node.cli.expect("music.keys", "quarantined", "TYPE_UNSUPPORTED");
    let target = world.catalog().display().to_string();
    let report = python(&["compare", &target, "music.plays=music.plays", "music.songs=music.songs"]);
    assert_eq!(report["music.songs"]["rows"], json!([450, 450]), "{report:#}");
    assert_eq!(report["music.plays"]["rows"], json!([198, 198]));
    assert!(!node.log().contains(store().secret()), "a secret is in the log");
}
