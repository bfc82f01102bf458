//! What a policy says is what the table has: every kind of rule against the equivalent query in DuckDB.

use serde_json::json;
use skein_tests::{World, policy};

/// Rows with nulls, duplicates and several versions of each song.
const PLAYS: &str = "SELECT * FROM (
    SELECT i AS id, 'u' || (i % 50) AS usr, CAST(i % 100 - 50 AS TINYINT) AS stars, CAST(i * 3 AS SMALLINT) AS plays,
           CASE WHEN i % 11 = 0 THEN NULL ELSE CAST(i AS VARCHAR) END AS amount, i / 8.0 AS seconds,
           CAST(i * 1.25 AS DECIMAL(9,2)) AS price, TIMESTAMP '1969-12-28 23:00:00' + to_minutes(i * 17) AS ts,
           CASE WHEN i % 5 = 0 THEN NULL ELSE DATE '2024-02-27' + CAST(i % 4 AS INTEGER) END AS day,
           i % 2 = 0 AS live, 'debug' AS debug_info, [CAST(i AS INTEGER), NULL] AS tags
    FROM range(2000) t(i))";

fn plays(more: &str) -> String {
    format!("{PLAYS} UNION ALL {PLAYS} WHERE id % 10 = 3 {more}")
}

fn world() -> World {
    let sql = plays("");
    World::with(&[
        ("music.db/plays/country=de/part-0", &sql),
        ("music.db/plays/country=fr/part-0", PLAYS),
        ("music.db/plays/country=fr/part-1", &sql),
    ])
}

#[test]
fn columns_are_renamed_dropped_cast_added_and_rows_filtered() {
    let world = world();
    let node = world.start();
    node.cli.migrate(&policy(
        "plays",
        "music.plays",
        "filter: \"stars >= -20 and (amount is not null or live) and country <> 'it'\"
schema:
  rename: [{ from: usr, to: user_id }, { from: nowhere, to: anywhere, ifMissing: skip }]
  drop: [debug_info]
  cast: [{ column: amount, type: bigint }, { column: price, type: \"decimal(18,4)\" }, { column: id, type: string }]
  types: { tinyint: bigint, smallint: int, timestamp: timestamptz }
  add:
    - { name: description, type: string, default: \"it's new\" }
    - { name: rank, type: int, default: 7 }
    - { name: since, type: date, default: 2024-01-31 }
    - { name: ratio, type: \"decimal(6,3)\", default: 1.500 }
    - { name: nothing, type: bigint }
validate: { final: [count, checksum, nulls, minmax, spark64], checks: [{ sql: \"count_if(user_id is null) = 0 and max(stars) < 60\" }] }",
    ));
    node.cli.expect("music.plays", "committed", "");
    let sql = "SELECT CAST(id AS VARCHAR) AS id, usr AS user_id, stars, plays, CAST(amount AS BIGINT) AS amount, seconds,
        CAST(price AS DECIMAL(18,4)) AS price, ts AT TIME ZONE 'UTC' AS ts, day, live, tags, country, 'it''s new' AS description,
        CAST(7 AS INTEGER) AS rank, DATE '2024-01-31' AS since, CAST(1.5 AS DECIMAL(6,3)) AS ratio, CAST(NULL AS BIGINT) AS nothing
        FROM source WHERE stars >= -20 AND (amount IS NOT NULL OR live) AND country <> 'it'";
    world.agrees(&["music.plays"], &["--sql", sql]);
    let columns = world.tables()["music.plays"]["columns"].clone();
    for (name, kind) in
        [("stars", "long"), ("plays", "int"), ("ts", "timestamptz"), ("price", "decimal(18, 4)"), ("id", "string")]
    {
        assert_eq!(columns[name], kind, "{columns:#}");
    }
    let report = node.cli.document(&["report", "music.plays"]);
    let removed = &report["table"]["removed"][0]["rows"]["rows"];
    let total = report["table"]["kept"]["rows"].as_u64().expect("counted") + removed.as_u64().expect("counted");
    assert_eq!(report["table"]["source"]["rows"].as_u64(), Some(total), "{report:#}");
}

#[test]
fn exact_duplicates_go_and_one_row_of_each_key_stays() {
    let world = world();
    let node = world.start();
    node.cli.migrate(&policy("exact", "music.plays", "clean: [{ dropDuplicates: exact }]"));
    node.cli.expect("music.plays", "committed", "");
    world.agrees(&["music.plays"], &["--distinct"]);
    assert_eq!(world.tables()["music.plays"]["rows"], 4000);
    node.cli.act("rollback", "music.plays");

    let first = "filter: stars <> 0
clean:
  - keepOne: { key: [usr, day], orderBy: [{ column: amount, direction: desc, nulls: first }, { column: id }, { column: country, direction: desc }] }
target: { connection: lake, name: \"{database}.newest_{table}\" }";
    let keyed = policy("newest", "music.plays", first).replacen("  target: { connection: lake }\n", "", 1);
    node.cli.migrate(&keyed);
    let id = node.cli.document(&["list", "--policy", "newest"])["items"][0]["id"].as_str().expect("an id").to_owned();
    node.cli.expect(&id, "committed", "");
    let stages = node.cli.show(&id)["batches"].as_array().expect("a list").len();
    assert!(stages >= 3, "three stages have at least three batches");
    let sql = "SELECT * FROM source WHERE stars <> 0 QUALIFY row_number() OVER
        (PARTITION BY usr, day ORDER BY amount DESC NULLS FIRST, id ASC NULLS LAST, country DESC NULLS LAST) = 1";
    world.agrees(&["music.plays=music.newest_plays"], &["--sql", sql]);
}

#[test]
fn a_table_is_partitioned_anew_and_readers_prune_by_it() {
    let world = world();
    let node = world.start();
    let partitioning = "target: { connection: lake, partitioning: [{ column: ts, transform: day }, { column: id, transform: \"bucket[4]\" }, { column: usr, transform: \"truncate[2]\" }] }";
    node.cli.migrate(&policy("plays", "music.plays", partitioning).replacen("  target: { connection: lake }\n", "", 1));
    node.cli.expect("music.plays", "committed", "");
    world.agrees(&["music.plays"], &[]);
    let partitioning = world.tables()["music.plays"]["partitioning"].clone();
    assert_eq!(partitioning, json!({ "ts_day": "day", "id_bucket": "bucket[4]", "usr_trunc": "truncate[2]" }));
    for (filter, rows) in [
        ("id = 3", 5),
        ("id = 4", 3),
        ("ts < '1970-01-01T00:00:00'", 3 * 258 + 2 * 26),
        ("usr = 'u3'", 200),
        ("ts is null", 0),
    ] {
        assert_eq!(world.outside(&["count", "music.plays", filter]), rows, "{filter}");
    }
}

#[test]
fn a_sorted_table_of_format_version_3_with_properties_is_what_independent_readers_see() {
    let world = world();
    let node = world.start();
    let target = "target: { connection: lake, formatVersion: 3, fileSize: 1MiB, zstdLevel: 9, tableProperties: { domain: music, gc.enabled: \"false\" }, sortBy: [{ column: seconds, direction: desc }, { column: id, nulls: first }] }";
    node.cli.migrate(&policy("plays", "music.plays", target).replacen("  target: { connection: lake }\n", "", 1));
    node.cli.expect("music.plays", "committed", "");
    world.agrees(&["music.plays"], &[]);
    let table = world.tables()["music.plays"].clone();
    assert_eq!(table["format_version"], 3, "{table:#}");
    assert_eq!(table["sort"], json!(["seconds DESC NULLS LAST", "id ASC NULLS FIRST"]));
    for (name, value) in [
        ("domain", "music"),
        ("gc.enabled", "false"),
        ("write.parquet.compression-level", "9"),
        ("write.target-file-size-bytes", "1048576"),
    ] {
        assert_eq!(table["properties"][name], value, "{table:#}");
    }
    node.cli.act("rollback", "music.plays");
    node.cli.expect("music.plays", "rolled_back", "");
}

#[test]
fn partition_columns_become_ordinary_ones_when_there_is_to_be_no_partitioning() {
    let world = world();
    let node = world.start();
    node.cli.migrate(
        &policy("plays", "music.plays", "target: { connection: lake, partitioning: none, name: \"flat.{table}\" }")
            .replacen("  target: { connection: lake }\n", "", 1),
    );
    node.cli.expect("music.plays", "committed", "");
    world.agrees(&["music.plays=flat.plays"], &[]);
    assert_eq!(world.tables()["flat.plays"]["partitioning"], json!({}));
}

#[test]
fn described_types_are_kept_widened_or_trimmed_as_the_policy_says() {
    let codes = "SELECT i AS id, rpad('c' || i, 6, ' ') AS code, 'v' || i AS name FROM range(300) t(i)";
    let world = World::with(&[
        ("music.db/codes/hour=01/n=7/part-0", codes),
        ("music.db/codes/hour=00/n=__HIVE_DEFAULT_PARTITION__/part-0", codes),
    ]);
    world.describe(&json!({ "database": "music", "tables": { "codes": {
        "columns": { "id": "bigint", "code": "char(6)", "name": "varchar(12)", "added_later": "string" },
        "partition_columns": { "hour": "string", "n": "int" }, "location": "warehouse/music.db/codes",
        "partitions": ["hour=01/n=7", "hour=00/n=__HIVE_DEFAULT_PARTITION__"], "type": "MANAGED", "buckets": null,
        "serde": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe", "storage": "[serialization.format=1]",
        "input_format": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    } } }));
    let node = world.start();
    node.cli.migrate(&policy("padded", "music.codes", ""));
    node.cli.expect("music.codes", "committed", "");
    world.agrees(&["music.codes"], &[]);
    assert_eq!(world.tables()["music.codes"]["columns"]["n"], "int");
    let trimmed = policy(
        "trimmed",
        "music.codes",
        "schema: { types: { char: trim } }\ntarget: { connection: lake, name: \"trimmed.{table}\" }",
    );
    node.cli.migrate(&trimmed.replacen("  target: { connection: lake }\n", "", 1));
    world.agrees(&["music.codes=trimmed.codes"], &["--sql", "SELECT * REPLACE (rtrim(code, ' ') AS code) FROM source"]);
}

#[test]
fn what_does_not_hold_is_paused_with_its_code_and_never_visible() {
    let world = world();
    let sql = plays("");
    world.write(&[("music.db/good/part-0", &sql)]);
    let node = world.start();
    let named = |name: &str, more: &str| {
        let target = format!("target: {{ connection: lake, name: \"{}.{{table}}\" }}\n{more}", name.replace('-', "_"));
        policy(name, "music.plays", &target).replacen("  target: { connection: lake }\n", "", 1)
    };
    let cases = [
        (
            "check-false",
            "validate: { checks: [{ name: stars are positive, sql: min(stars) >= 0 }] }",
            "paused",
            "CHECK_FAILED",
        ),
        (
            "check-null",
            "validate: { checks: [{ sql: max(case when false then stars end) > 0 }] }",
            "paused",
            "CHECK_FAILED",
        ),
        (
            "removed",
            "clean: [{ dropDuplicates: exact }]\nvalidate: { tolerances: { removedRowsPercent: 1 } }",
            "paused",
            "TOLERANCE_EXCEEDED",
        ),
        (
            "filtered",
            "filter: id < 1000\nvalidate: { tolerances: { filteredRowsPercent: 49 } }",
            "paused",
            "TOLERANCE_EXCEEDED",
        ),
        ("cast", "schema: { cast: [{ column: usr, type: int }] }", "quarantined", "CAST_FAILED"),
        ("narrow", "schema: { cast: [{ column: price, type: \"decimal(4,2)\" }] }", "quarantined", "CAST_FAILED"),
        ("missing", "filter: nowhere > 3", "quarantined", "COLUMN_MISSING"),
        ("existing", "schema: { add: [{ name: stars, type: int }] }", "quarantined", "COLUMN_EXISTS"),
        ("division", "filter: 10 / (id - 1000) > 0", "quarantined", "EXPRESSION_FAILED"),
    ];
    for (name, more, ..) in cases {
        node.cli.run_with(&["apply", "-"], &named(name, more)).ended_with(0);
    }
    node.cli.run_with(&["apply", "-"], &policy("good", "music.good", "")).ended_with(0);
    node.cli.rest();
    node.cli.run(&["approve", "--label", "wave=3", "--yes"]).ended_with(0);
    node.cli.rest();
    for (name, _, phase, code) in cases {
        let id = node.cli.document(&["list", "--policy", name])["items"][0]["id"].as_str().expect("an id").to_owned();
        node.cli.expect(&id, phase, code);
    }
    node.cli.expect("music.good", "committed", "");
    assert_eq!(world.names(), ["music.good"], "nothing wrong is visible");
    let id =
        node.cli.document(&["list", "--policy", "check-false"])["items"][0]["id"].as_str().expect("an id").to_owned();
    let detail = node.cli.show(&id);
    assert!(detail["problem"].to_string().contains("stars are positive"), "{detail:#}");
    // A tolerance that holds lets it through.
    node.cli.migrate(&named(
        "tolerated",
        "clean: [{ dropDuplicates: exact }]\nvalidate: { tolerances: { removedRowsPercent: 37.5 } }",
    ));
    world.agrees(&["music.plays=tolerated.plays"], &["--distinct"]);
}
