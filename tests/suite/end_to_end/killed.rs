//! SIGKILL, again and again, at ever other points of a run of several datasets.

use std::collections::BTreeSet;

use serde_json::Value;
use skein_tests::{Cli, Node, Options, World, contents, policy, until};

/// At least so many ends of the node.
const KILLS: usize = 24;
/// How far the ledger grows between the start of a node and its end, in turn: from "hardly begun" to several batches.
const GROWTH: [u64; 8] = [1, 2, 3, 5, 4, 7, 2, 9];

/// About 6 MB a file, so that batches take some time; every row of the last files stands in the first ones as well.
const PLAYS: &str = "SELECT i AS id, CAST(hash(i) >> 1 AS BIGINT) AS listener, 'song ' || (i % 1000) AS title, i / 7.0 AS seconds FROM range(400000) t(i)";
const AGAIN: &str = "SELECT i AS id, CAST(hash(i) >> 1 AS BIGINT) AS listener, 'song ' || (i % 1000) AS title, i / 7.0 AS seconds FROM range(60000) t(i)";
const VERSIONS: &str =
    "SELECT i % 30000 AS id, i AS version, CAST(hash(i) >> 1 AS BIGINT) AS content FROM range(100000) t(i)";
const MORE_VERSIONS: &str =
    "SELECT i % 30000 AS id, 100000 + i AS version, CAST(hash(i + 9) >> 1 AS BIGINT) AS content FROM range(50000) t(i)";

const POLICIES: [(&str, &str, &str); 3] = [
    ("deduplicated", "music.plays_*", "clean: [{ dropDuplicates: exact }]\napproval: { required: false }"),
    (
        "newest",
        "music.versions_*",
        "clean: [{ keepOne: { key: [id], orderBy: [{ column: version, direction: desc }] } }]\napproval: { required: false }",
    ),
    ("copied", "music.copied_*", "approval: { required: false }"),
];

fn world() -> World {
    let mut files: Vec<(String, &str)> = Vec::new();
    for n in 0..3 {
        for day in 1..=5 {
            files.push((format!("music.db/plays_{n}/dt=2024-01-0{day}/part-0"), PLAYS));
            files.push((format!("music.db/plays_{n}/dt=2024-01-0{day}/part-1"), AGAIN));
        }
    }
    for n in 0..3 {
        files.push((format!("music.db/versions_{n}/part-0"), VERSIONS));
        files.push((format!("music.db/versions_{n}/part-1"), MORE_VERSIONS));
        files.push((format!("music.db/copied_{n}/part-0"), VERSIONS));
        files.push((format!("music.db/copied_{n}/part-1"), VERSIONS));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, sql)| (path.as_str(), *sql)).collect();
    World::with(&files)
}

/// The ledger's index, asked of a node that may be gone the next moment.
fn applied(node: &Node) -> u64 {
    node.cli.status()["appliedIndex"].as_u64().expect("it is a number")
}

fn at_rest(cli: &Cli) -> bool {
    let status = cli.status();
    let phases = status["phases"].as_object().expect("phases are counted");
    phases.iter().all(|(phase, count)| count == 0 || ["committed", "quarantined"].contains(&phase.as_str()))
}

#[test]
fn a_node_that_is_killed_again_and_again_loses_no_row_and_doubles_none() {
    let world = world();
    let source = contents(&world.warehouse());
    let options = Options { slots: Some(2), ..Options::default() };
    let mut node = world.start_with(&options);
    for (name, include, rules) in POLICIES {
        node.cli.run_with(&["apply", "-"], &policy(name, include, rules)).ended_with(0);
    }
    let mut points = BTreeSet::new();
    let mut kills = 0;
    let mut retried = 0;
    while kills < KILLS {
        let begun = applied(&node);
        let wanted = begun + GROWTH[kills % GROWTH.len()];
        let seen = until("the ledger grows, or everything has come to rest", || {
            let now = applied(&node);
            (now >= wanted || at_rest(&node.cli)).then_some(now)
        });
        if at_rest(&node.cli) {
            retried += go_on(&world, &node.cli, kills);
            continue;
        }
        points.insert(seen);
        node.kill();
        kills += 1;
        node = world.start_with(&options);
        assert!(applied(&node) >= seen, "what was acknowledged is still there");
    }
    retried += finish(&node.cli);
    eprintln!("{kills} kills at {} different entries, {retried} migrations retried", points.len());
    assert!(points.len() >= 20, "only at {points:?}");

    assert_every_row_once(&world, &node.cli);
    assert_eq!(contents(&world.warehouse()), source, "the source was never touched");
    world.assert_collected(&node.cli);

    // And once more, with nothing left to do.
    node.kill();
    let node = world.start_with(&options);
    node.cli.rest();
    assert_every_row_once(&world, &node.cli);
    node.stop();
}

/// Everything has come to rest before there were enough kills: published tables are taken back and published again. A
/// batch that took its node down three times in a row is quarantined, and goes on when a person says so.
fn go_on(world: &World, cli: &Cli, round: usize) -> usize {
    let retried = retry_quarantined(cli);
    if retried > 0 {
        return retried;
    }
    assert_every_row_once(world, cli);
    let datasets = datasets(cli);
    let chosen: Vec<&str> = datasets.iter().map(String::as_str).skip(round % 3).step_by(3).collect();
    cli.run(&[&["rollback", "--yes"], &chosen[..]].concat()).ended_with(0);
    until("they are taken back", || chosen.iter().all(|name| cli.phase(name) == "rolled_back").then_some(()));
    cli.run(&[&["retry", "--yes"], &chosen[..]].concat()).ended_with(0);
    0
}

fn retry_quarantined(cli: &Cli) -> usize {
    let list = cli.document(&["list", "--phase", "quarantined"]);
    let items = list["items"].as_array().expect("a list");
    for row in items {
        assert_eq!(row["problem"], "POISON", "{row:#}");
        cli.run(&["retry", row["dataset"].as_str().expect("a name")]).ended_with(0);
    }
    items.len()
}

/// Lets everything that is left come to its end.
fn finish(cli: &Cli) -> usize {
    let mut retried = 0;
    loop {
        cli.rest();
        match retry_quarantined(cli) {
            0 => return retried,
            more => retried += more,
        }
    }
}

fn datasets(cli: &Cli) -> Vec<String> {
    let list = cli.document(&["list"]);
    let rows = list["items"].as_array().expect("a list");
    rows.iter().map(|row| row["dataset"].as_str().expect("a name").to_owned()).collect()
}

fn assert_every_row_once(world: &World, cli: &Cli) {
    let names = datasets(cli);
    assert_eq!(names.len(), 9);
    for name in &names {
        cli.expect(name, "committed", "");
        let detail = cli.show(name);
        let run = &detail["row"]["run"];
        let commits = |item: &&Value| {
            item["run"] == *run && item["what"].as_str().is_some_and(|what| what.starts_with("published as"))
        };
        let history = detail["history"].as_array().expect("a list");
        assert_eq!(history.iter().filter(commits).count(), 1, "{name} was published once in run {run}: {detail:#}");
    }
    let plays: Vec<&str> = names.iter().map(String::as_str).filter(|name| name.contains("plays")).collect();
    let versions: Vec<&str> = names.iter().map(String::as_str).filter(|name| name.contains("versions")).collect();
    let copied: Vec<&str> = names.iter().map(String::as_str).filter(|name| name.contains("copied")).collect();
    world.agrees(&plays, &["--distinct"]);
    world.agrees(
        &versions,
        &["--sql", "SELECT * FROM source QUALIFY row_number() OVER (PARTITION BY id ORDER BY version DESC) = 1"],
    );
    world.agrees(&copied, &[]);
    let tables = world.tables();
    let rows = |name: &&str| tables[*name]["rows"].as_u64().expect("counted");
    assert!(plays.iter().all(|name| rows(name) == 2_000_000), "{tables:#}");
    assert!(versions.iter().all(|name| rows(name) == 30_000));
    assert!(copied.iter().all(|name| rows(name) == 200_000));
    for name in &names {
        assert_eq!(tables[name]["snapshots"], 1, "{name}");
    }
}
