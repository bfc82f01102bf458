//! Data files that are damaged, odd or not data at all.

use serde_json::json;
use skein_tests::{World, contents, policy};

const SONGS: &str = "SELECT i AS id, 'song ' || i AS title FROM range(2000) t(i)";

fn file(world: &World, path: &str) -> std::path::PathBuf {
    world.warehouse().join(path)
}

#[test]
fn damaged_files_are_refused_with_their_codes_and_all_other_datasets_finish() {
    let world = World::with(&[
        ("music.db/truncated/part-0", SONGS),
        ("music.db/truncated/part-1", SONGS),
        ("music.db/garbled/part-0", SONGS),
        ("music.db/conflict/part-0", SONGS),
        ("music.db/conflict/part-1", "SELECT 'not a number ' || i AS id, i AS title FROM range(10) t(i)"),
        ("music.db/good/part-0", SONGS),
        ("music.db/partitioned/dt=2024-01-01/part-0", SONGS),
    ]);
    let truncated = file(&world, "music.db/truncated/part-1");
    let whole = std::fs::read(&truncated).expect("it is readable");
    std::fs::write(&truncated, &whole[..whole.len() / 2]).expect("it can be written");
    // The footer is whole, and the pages are not what it promises.
    let garbled = file(&world, "music.db/garbled/part-0");
    let mut bytes = std::fs::read(&garbled).expect("it is readable");
    let half = bytes.len() / 2;
    bytes[40..half].fill(0xFF);
    std::fs::write(&garbled, bytes).expect("it can be written");
    let empty = file(&world, "music.db/nothing/part-0");
    std::fs::create_dir_all(empty.parent().expect("it has one")).expect("it can be made");
    std::fs::write(empty, b"").expect("it can be written");

    let before = contents(&world.warehouse());
    let node = world.start();
    node.cli.migrate(&policy("music", "music.*", ""));
    node.cli.expect("music.truncated", "quarantined", "FILE_DAMAGED");
    node.cli.expect("music.garbled", "quarantined", "FILE_DAMAGED");
    node.cli.expect("music.conflict", "quarantined", "SCHEMA_CONFLICT");
    let (phase, code) = node.cli.outcome("music.nothing");
    assert_eq!(phase, "quarantined", "{code}: {:#}", node.cli.show("music.nothing"));
    for name in ["music.good", "music.partitioned"] {
        node.cli.expect(name, "committed", "");
    }
    // A problem says which file, why, and what to do.
    for (dataset, name) in [("music.truncated", "part-1"), ("music.garbled", "part-0"), ("music.conflict", "part-1")] {
        let problem = node.cli.show(dataset)["problem"].clone();
        assert!(problem.to_string().contains(name), "{problem:#}");
        assert_eq!(problem["dataset"], dataset, "{problem:#}");
        assert!(problem["next"].as_str().is_some_and(|next| next.len() > 5), "{problem:#}");
    }
    world.agrees(&["music.good", "music.partitioned"], &[]);
    assert_eq!(world.names(), ["music.good", "music.partitioned"], "nothing wrong is visible");
    world.assert_collected(&node.cli);
    assert_eq!(contents(&world.warehouse()), before, "the source was never touched");

    // Restored, it goes through.
    std::fs::write(&truncated, whole).expect("it can be written");
    node.cli.act("retry", "music.truncated");
    node.cli.approve("music.truncated");
    node.cli.expect("music.truncated", "committed", "");
    world.agrees(&["music.truncated"], &[]);
}

#[test]
fn files_without_rows_side_files_escaped_and_null_partitions_give_the_right_rows() {
    let world = World::with(&[
        ("music.db/songs/country=São%2FP%3D1 x/hour=01/part-0", SONGS),
        ("music.db/songs/country=São%2FP%3D1 x/hour=01/part-1", "SELECT i AS id, 'x' AS title FROM range(0) t(i)"),
        ("music.db/songs/country=__HIVE_DEFAULT_PARTITION__/hour=00/part-0", SONGS),
        ("music.db/songs/country=01/hour=__HIVE_DEFAULT_PARTITION__/part-0", SONGS),
        ("music.db/songs/country=empty/hour=02/part-0", "SELECT i AS id, 'x' AS title FROM range(0) t(i)"),
        ("music.db/rowless/part-0", "SELECT i AS id, 'x' AS title FROM range(0) t(i)"),
    ]);
    for (path, content) in [
        ("music.db/songs/_SUCCESS", ""),
        ("music.db/songs/country=01/.part-0.crc", "crc\0"),
        ("music.db/songs/country=01/hour=__HIVE_DEFAULT_PARTITION__/.part-0.crc", "crc\0"),
        ("music.db/songs/_temporary/0/part-9", "half a file"),
        ("music.db/songs/.hive-staging_1/part-9", "half a file"),
        ("music.db/rowless/_SUCCESS", ""),
    ] {
        let path = file(&world, path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        std::fs::write(path, content).expect("it can be written");
    }
    let node = world.start();
    node.cli.migrate(&policy("music", "music.*", ""));
    node.cli.expect("music.songs", "committed", "");
    node.cli.expect("music.rowless", "committed", "");
    world.agrees(&["music.songs", "music.rowless"], &[]);
    let tables = world.tables();
    assert_eq!([&tables["music.songs"]["rows"], &tables["music.rowless"]["rows"]], [6000, 0]);
    assert_eq!(tables["music.songs"]["partitioning"], json!({ "country": "identity", "hour": "identity" }));
    for (filter, rows) in [
        ("country = 'São/P=1 x'", 2000),
        ("country is null", 2000),
        ("country = '01' and hour is null", 2000),
        ("hour = '01'", 2000),
        ("country = 'empty'", 0),
    ] {
        assert_eq!(world.outside(&["count", "music.songs", filter]), rows, "{filter}");
    }
}

#[test]
fn a_table_without_files_is_published_empty_when_it_is_described_and_refused_when_not() {
    let world = World::with(&[("music.db/songs/dt=2024-01-01/part-0", SONGS)]);
    for name in ["empty", "unknown"] {
        std::fs::create_dir_all(file(&world, &format!("music.db/{name}"))).expect("it can be made");
    }
    let node = world.start();
    node.cli.apply(&policy("bare", "music.unknown", ""));
    node.cli.expect("music.unknown", "quarantined", "NO_SCHEMA");
    node.stop();

    let table = |columns, partitions, name: &str| {
        json!({
            "columns": columns, "partition_columns": partitions, "location": format!("warehouse/music.db/{name}"),
            "type": "MANAGED", "buckets": null, "storage": "[serialization.format=1]",
            "serde": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
            "input_format": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        })
    };
    world.describe(&json!({ "database": "music", "tables": {
        "songs": table(json!({ "id": "bigint", "title": "string" }), json!({ "dt": "date" }), "songs"),
        "empty": table(json!({ "id": "bigint", "title": "string" }), json!({ "dt": "date" }), "empty"),
    } }));
    let node = world.start();
    node.cli.migrate(
        &policy("described", "music.*", "clean: [{ dropDuplicates: exact }]")
            .replace("\"music.*\"", "\"music.songs\", \"music.empty\""),
    );
    node.cli.expect("music.empty", "committed", "");
    node.cli.expect("music.songs", "committed", "");
    world.agrees(&["music.songs", "music.empty"], &["--distinct"]);
    let tables = world.tables();
    assert_eq!(tables["music.empty"]["rows"], 0);
    assert_eq!(tables["music.empty"]["columns"], tables["music.songs"]["columns"]);
    assert_eq!(tables["music.songs"]["columns"]["dt"], "date");
}

#[test]
fn columns_that_differ_by_case_and_types_that_cannot_be_read_are_named() {
    let world = World::with(&[
        ("music.db/twins/part-0", "SELECT i AS id, i AS \"Id_\", i AS \"ID_ \" FROM range(3) t(i)"),
        ("music.db/odd/part-0", "SELECT i AS id, INTERVAL 1 DAY AS span FROM range(3) t(i)"),
        ("music.db/mixed/part-0", "SELECT i AS \"Id\", 'x' AS \"TITLE\" FROM range(30) t(i)"),
        ("music.db/good/part-0", SONGS),
    ]);
    let node = world.start();
    node.cli.migrate(&policy("music", "music.*", ""));
    let (phase, code) = node.cli.outcome("music.odd");
    assert_eq!(
        (phase.as_str(), code.as_str()),
        ("quarantined", "TYPE_UNSUPPORTED"),
        "{:#}",
        node.cli.show("music.odd")
    );
    node.cli.expect("music.good", "committed", "");
    node.cli.expect("music.mixed", "committed", "");
    world.agrees(&["music.good", "music.mixed"], &[]);
}
