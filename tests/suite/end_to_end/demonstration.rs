//! The first command of the README, judged by DuckDB and pyiceberg.

use std::path::Path;

use serde_json::Value;
use skein_tests::{Answer, Cli, Readers};

const DATASETS: &str = "6";

fn demo(folder: &Path) -> Answer {
    let folder = folder.to_str().expect("paths of tests are texts");
    Cli::alone().run(&["demo", "--dir", folder, "--datasets", DATASETS, "--rows", "5000", "--exit"])
}

#[test]
fn the_demonstration_commits_every_dataset_and_two_pairs_of_readers_agree_with_its_source() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let first = demo(folder.path()).ended_with(0);
    assert!(first.stdout.contains("6 of 6 datasets are committed"), "{}", first.stdout);
    for part in [
        "led by node",
        "dropDuplicates: exact",
        "6 plans approved",
        "CREATE",
        "target read back",
        "xxhash64",
        "iceberg_scan",
        "pyiceberg",
    ] {
        assert!(first.stdout.contains(part), "{part}: {}", first.stdout);
    }
    assert_lake_equals_source(folder.path());

    // Again in the same folder: what is published is left alone.
    let before = skein_tests::contents(&folder.path().join("lake"));
    let second = demo(folder.path()).ended_with(0);
    assert!(second.stdout.contains("0 datasets to migrate"), "{}", second.stdout);
    assert!(second.stdout.contains("6 of 6 datasets are committed"), "{}", second.stdout);
    let after = skein_tests::contents(&folder.path().join("lake"));
    let changed: Vec<_> =
        after.iter().filter(|(path, content)| before.get(*path) != Some(*content)).map(|(path, _)| path).collect();
    let data: Vec<_> = changed.iter().filter(|path| path.extension().is_some_and(|e| e == "parquet")).collect();
    assert!(data.is_empty(), "{data:?}");
}

fn assert_lake_equals_source(folder: &Path) {
    let path = |relative: &str| folder.join(relative).to_str().expect("paths of tests are texts").to_owned();
    let arguments = [
        "--warehouse",
        &path("legacy/warehouse"),
        "--description",
        &path("legacy/metastore.json"),
        "--catalog",
        &path("lake/catalog.db"),
        "--all",
        "--add",
        "description=''",
        "--distinct",
    ];
    let (code, text) = Readers::default().run("compare.py", &arguments, "");
    let report: Value = serde_json::from_str(&text).expect("it prints JSON");
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["totals"]["agree"].to_string(), DATASETS, "{report:#}");
    let rows = |table: &Value| table["verdicts"][0]["rows"]["found"].as_u64().expect("it was counted");
    let tables = report["tables"].as_array().expect("a list");
    assert!(tables.iter().all(|table| rows(table) > 4000), "{report:#}");
    assert!(tables.iter().any(|table| rows(table) < 5000), "duplicates were there to be dropped: {report:#}");
}

#[test]
fn a_node_of_the_demonstration_is_killed_and_the_others_commit_what_it_had_begun() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().to_str().expect("paths of tests are texts");
    // Enough work that some of it is left whenever the kill comes.
    let arguments =
        ["demo", "--dir", path, "--datasets", "30", "--rows", "20000", "--nodes", "3", "--kill-one", "--exit"];
    let answer = Cli::alone().run(&arguments).ended_with(0);
    assert!(answer.stderr.contains("is killed while it holds"), "{}", answer.stderr);
    assert!(answer.stdout.contains("30 of 30 datasets are committed"), "{}", answer.stdout);
    assert!(answer.stdout.contains("adopted by node"), "{}", answer.stdout);
    assert!(answer.stdout.contains("migrations went on elsewhere"), "{}", answer.stdout);
}

#[test]
fn a_folder_that_was_not_made_by_a_demonstration_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    std::fs::write(folder.path().join("thesis.txt"), "mine").expect("it can be written");
    let answer = demo(folder.path()).ended_with(1);
    assert!(answer.stderr.contains("was not made by a demonstration"), "{}", answer.stderr);
    assert_eq!(skein_tests::contents(folder.path()).len(), 1);
}
