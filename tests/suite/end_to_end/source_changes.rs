//! A source that changes between its plan and the moment before it is published.

use std::fs::FileTimes;
use std::path::Path;

use skein_tests::{World, policy};

const SONGS: &str = "SELECT i AS id, 'song ' || i AS title FROM range(2000) t(i)";
const OTHER_SONGS: &str = "SELECT i + 5000 AS id, 'another ' || i AS title FROM range(700) t(i)";

/// What happens to the dataset's second file, `part-1`.
const CASES: [&str; 6] = ["added", "removed", "replaced", "same_size", "same_size_and_time", "touched"];

fn change(world: &World, case: &str) {
    let folder = world.warehouse().join(format!("music.db/{case}"));
    let file = folder.join("part-1");
    match case {
        "added" => std::fs::rename(world.root().join("spare/added"), folder.join("part-2")).expect("it can be moved"),
        "removed" => std::fs::remove_file(file).expect("it can be removed"),
        "replaced" => std::fs::rename(world.root().join("spare/replaced"), file).expect("it can be moved"),
        "same_size" => swap_bytes(&file, false),
        "same_size_and_time" => swap_bytes(&file, true),
        "touched" => touch(&file),
        _ => panic!("no such case: {case}"),
    }
}

/// Replaces the file by another one of equal length (`song` becomes `gnos` somewhere in it), with the old time if wanted.
fn swap_bytes(file: &Path, keep_time: bool) {
    let times = std::fs::metadata(file).expect("it is there").modified().expect("it has a time");
    let mut bytes = std::fs::read(file).expect("it is readable");
    let at = bytes.windows(4).position(|window| window == b"song").expect("snappy keeps literals");
    bytes[at..at + 4].copy_from_slice(b"gnos");
    let new = file.with_file_name("_new");
    std::fs::write(&new, bytes).expect("it can be written");
    if keep_time {
        let opened = std::fs::File::options().write(true).open(&new).expect("it can be opened");
        opened.set_times(FileTimes::new().set_modified(times)).expect("times can be set");
    }
    std::fs::rename(new, file).expect("it can be moved");
}

fn touch(file: &Path) {
    let opened = std::fs::File::options().write(true).open(file).expect("it can be opened");
    let before = opened.metadata().expect("it is there").modified().expect("it has a time");
    let later = before + std::time::Duration::from_secs(7);
    opened.set_times(FileTimes::new().set_modified(later)).expect("times can be set");
}

fn prepared() -> World {
    let mut files: Vec<(String, &str)> = Vec::new();
    for case in CASES.iter().chain(&["untouched"]) {
        for part in ["part-0", "part-1"] {
            files.push((format!("music.db/{case}/{part}"), SONGS));
        }
    }
    files.push(("../../spare/added".to_owned(), OTHER_SONGS));
    files.push(("../../spare/replaced".to_owned(), OTHER_SONGS));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, sql)| (path.as_str(), *sql)).collect();
    World::with(&files)
}

fn name(case: &str) -> String {
    format!("music.{case}")
}

#[test]
fn a_source_that_changed_after_its_plan_is_paused_planned_anew_and_approved_anew() {
    let world = prepared();
    let node = world.start();
    node.cli.apply(&policy("music", "music.*", ""));
    let plans: Vec<String> = CASES.iter().map(|case| node.cli.show(&name(case))["row"]["plan"].to_string()).collect();
    for case in CASES {
        change(&world, case);
    }
    node.cli.run(&["approve", "--policy", "music", "--yes"]).ended_with(0);
    node.cli.rest();
    for case in CASES {
        node.cli.expect(&name(case), "paused", "SOURCE_CHANGED");
        let problem = node.cli.show(&name(case))["problem"].clone();
        let file = if case == "added" { "part-2" } else { "part-1" };
        let said = problem.to_string();
        assert!(said.contains(file) && !said.contains("part-0"), "{problem:#}");
    }
    node.cli.expect("music.untouched", "committed", "");
    assert_eq!(world.names(), ["music.untouched"], "nothing wrong is visible");

    for (case, plan) in CASES.iter().zip(plans) {
        node.cli.act("retry", &name(case));
        node.cli.expect(&name(case), "approval", "");
        let row = node.cli.show(&name(case))["row"].clone();
        assert_ne!(row["plan"].to_string(), plan, "another source is another plan");
        assert_eq!(row["run"], 2);
    }
    node.cli.run(&["approve", "--policy", "music", "--yes"]).ended_with(0);
    node.cli.rest();
    let names: Vec<String> = CASES.iter().map(|case| name(case)).collect();
    for name in &names {
        node.cli.expect(name, "committed", "");
    }
    world.agrees(&names.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let tables = world.tables();
    let rows: Vec<u64> = names.iter().map(|name| tables[name]["rows"].as_u64().expect("counted")).collect();
    assert_eq!(rows, [4700, 2000, 2700, 4000, 4000, 4000]);
    world.assert_collected(&node.cli);
}

#[test]
fn a_policy_of_another_generation_supersedes_what_was_not_published() {
    let world = World::with(&[("music.db/songs/part-0", SONGS), ("music.db/artists/part-0", SONGS)]);
    let node = world.start();
    let first = policy("music", "music.*", "");
    assert_eq!(node.cli.apply(&first)["created"], 2);
    node.cli.approve("music.songs");
    let second = policy("music", "music.*", "schema: { add: [{ name: note, type: string }] }");
    let applied = node.cli.apply(&second);
    assert_eq!([&applied["generation"], &applied["superseded"], &applied["kept"]], [2, 1, 1], "{applied:#}");
    node.cli.run(&["approve", "--policy", "music", "--yes"]).ended_with(0);
    node.cli.rest();
    world.agrees(&["music.songs"], &[]);
    world.agrees(&["music.artists"], &["--add", "note=CAST(NULL AS VARCHAR)"]);
    assert_eq!(node.cli.document(&["list"])["total"], 2);
    assert_eq!(node.cli.document(&["list", "--superseded"])["total"], 3);
}

#[test]
fn an_apply_with_a_key_is_carried_out_once() {
    let world = World::with(&[("music.db/songs/part-0", SONGS)]);
    let node = world.start();
    let songs = policy("songs", "music.songs", "");
    let apply = |policy: &str| node.cli.run_with(&["apply", "-", "--idempotency-key", "monday", "-o", "json"], policy);
    let first = apply(&songs).ended_with(0).json();
    assert_eq!(first["changed"], true);
    assert_eq!(apply(&songs).ended_with(0).json(), first, "the first answer again");
    let other = apply(&policy("songs", "music.songs", "filter: id > 3")).ended_with(1);
    assert!(other.stderr.contains("REQUEST_INVALID"), "{}", other.stderr);
}
