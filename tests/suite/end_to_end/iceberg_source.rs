//! From one Iceberg catalog to another: tables that pyiceberg wrote, read by Skein, judged by pyiceberg and DuckDB.

use serde_json::{Value, json};
use skein_tests::{Node, Options, World, contents, policy};

/// Every table that can be migrated.
const TABLES: [&str; 5] = ["elder", "imported", "plays", "silence", "songs"];

struct Site {
    world: World,
    node: Node,
}

impl Site {
    /// A world whose source is an Iceberg catalog.
    fn new() -> Self {
        let world = World::empty();
        let (catalog, warehouse) = (world.root().join("source/catalog.db"), world.root().join("source/warehouse"));
        std::fs::create_dir_all(&warehouse).expect("a folder can be made");
        let place = warehouse.to_str().expect("a text");
        let connection = format!("    kind: iceberg\n    catalogFile: {}\n    warehouse: {place}\n", catalog.display());
        let site = Self { node: world.start_with(&Options { legacy: Some(connection), ..Options::default() }), world };
        assert_eq!(site.python(&["make", place]), json!("made"));
        site
    }

    fn python(&self, arguments: &[&str]) -> Value {
        let catalog = self.world.root().join("source/catalog.db").display().to_string();
        let mut all = vec!["--catalog", &catalog];
        all.extend(arguments);
        self.world.readers.document("iceberg_source.py", &all)
    }
}

#[test]
fn tables_move_from_one_iceberg_catalog_to_another_and_both_sides_are_equal() {
    let site = Site::new();
    let before = contents(&site.world.root().join("source"));
    site.node.cli.migrate(&policy("albums", "music.*", ""));
    for table in TABLES {
        site.node.cli.expect(&format!("music.{table}"), "committed", "");
    }
    site.node.cli.expect("music.deleted", "quarantined", "LAYOUT_UNSUPPORTED");
    site.node.cli.expect("music.keys", "quarantined", "TYPE_UNSUPPORTED");
    assert_eq!(contents(&site.world.root().join("source")), before, "the source is untouched");

    let target = site.world.catalog().display().to_string();
    let pairs = TABLES.map(|table| format!("music.{table}=music.{table}"));
    let mut arguments = vec!["compare", &target];
    arguments.extend(pairs.iter().map(String::as_str));
    let report = site.python(&arguments);
    assert_eq!(report["music.songs"]["rows"], json!([450, 450]), "{report:#}");
    assert_eq!(report["music.plays"]["rows"], json!([198, 198]));
    assert_eq!(report["music.imported"]["rows"], json!([50, 50]));
    assert_eq!(report["music.elder"]["rows"], json!([60, 60]));
    assert_eq!(report["music.elder"]["partitioning"], json!({ "kind": "identity" }));
    assert_eq!(report["music.silence"]["rows"], json!([0, 0]));
    let songs = &report["music.songs"];
    assert_eq!(songs["partitioning"], json!({ "country": "identity", "id_bucket": "bucket[4]" }));
    assert_eq!(songs["columns"]["price"], "decimal(14, 2)");
    assert_eq!((&songs["columns"]["id"], &songs["columns"]["hash"]), (&json!("long"), &json!("binary")));
    assert_eq!(
        (&songs["docs"]["id"], &songs["docs"]["note"]),
        (&json!("the song's number"), &json!("since the second year"))
    );
    assert_eq!(songs["properties"]["comment"], "songs of all countries");
    assert_eq!(songs["properties"]["owner"], "ada");
    let plays = &report["music.plays"];
    assert_eq!(plays["partitioning"], json!({ "at_day": "day", "kind": "identity" }));
    assert_eq!(plays["columns"]["at"], "timestamptz");
    assert_eq!(plays["columns"]["log"], "list<timestamptz>");

    let plan = site.node.cli.document(&["show", "music.plays", "--plan"]);
    let notes = plan["planned"]["ready"]["notes"].to_string();
    assert!(notes.contains("earlier partition spec"), "{notes}");
}

#[test]
fn another_snapshot_than_the_planned_one_pauses_the_migration() {
    let site = Site::new();
    site.node.cli.apply(&policy("albums", "music.*", ""));
    for table in ["music.plays", "music.songs"] {
        site.node.cli.expect(table, "approval", "");
    }
    site.python(&["append", "music.plays"]);
    site.node.cli.run(&["approve", "--policy", "albums", "--yes"]).ended_with(0);
    site.node.cli.rest();
    site.node.cli.expect("music.plays", "paused", "SOURCE_CHANGED");
    site.node.cli.expect("music.songs", "committed", "");
    assert_eq!(site.world.names(), ["music.elder", "music.imported", "music.silence", "music.songs"]);
}

#[test]
fn a_table_moves_to_another_name_of_its_own_catalog_and_never_to_its_own() {
    let site = Site::new();
    let of = |name: &str, target: &str| policy(name, "music.songs", "").replace("target: { connection: lake }", target);
    site.node.cli.apply(&of("same", "target: { connection: legacy }"));
    site.node.cli.expect("music.songs", "quarantined", "TARGET_EXISTS");
    let text = policy("copy", "music.plays", "")
        .replace("target: { connection: lake }", "target: { connection: legacy, name: \"copies.{table}\" }");
    site.node.cli.migrate(&text);
    site.node.cli.expect("music.plays", "committed", "");
    let target = site.world.root().join("source/catalog.db").display().to_string();
    let report = site.python(&["compare", &target, "music.plays=copies.plays"]);
    assert_eq!(report["music.plays"]["rows"], json!([198, 198]));
}
