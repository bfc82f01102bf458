//! Real nodes whose files, or whose neighbours, end the processes that decode them: the node itself goes on.

mod poison;

use std::io::Write;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use skein_tests::{World, contents, policy, until};

/// Rows of the large table: some seconds of decoding.
const ROWS: usize = 1_500_000;

fn write(world: &World, path: &str, content: &[u8]) {
    let path = world.warehouse().join(path);
    std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder can be made");
    std::fs::write(path, content).expect("it can be written");
}

/// A healthy file that Spark's writer made.
fn healthy() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/legacy/warehouse/radio.db/airings/station=s1");
    let files = contents(&folder);
    let file = files.into_iter().find(|(path, _)| path.extension().is_some_and(|ending| ending == "c000"));
    file.expect("the fixture has it").1
}

/// An ORC file of eight strings, the first of which claims to be 2 GB long.
fn claiming_2_gb() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mutated/titles.MEMORY_EXCEEDED.1");
    std::fs::read(path).expect("it is there")
}

fn kill(worker: i32) {
    let _ = kill_process(Pid::from_raw(worker).expect("it is a process"), Signal::KILL);
}

#[test]
fn files_that_end_their_decoder_end_their_own_migration_and_nothing_else() {
    let world = World::empty();
    write(&world, "music.db/deep/part-0", &healthy());
    write(&world, "music.db/deep/part-1", &poison::nested(200_000));
    write(&world, "music.db/boundless/part-0", &poison::claiming(i32::MAX as u32));
    write(&world, "music.db/titles/part-0", &claiming_2_gb());
    write(&world, "music.db/good/part-0", &healthy());
    let before = contents(&world.warehouse());
    let node = world.start();
    node.cli.migrate(&policy("music", "music.*", ""));
    node.cli.expect("music.deep", "quarantined", "WORKER_DIED");
    let problem = node.cli.show("music.deep")["problem"].clone();
    assert!(problem["what"].as_str().is_some_and(|what| what.contains("deep/part-1")), "{problem:#}");
    assert!(problem["why"].as_str().is_some_and(|why| why.contains("overflowed its stack")), "{problem:#}");
    // Two thousand million columns are 206 GB before the first of them is read.
    node.cli.expect("music.boundless", "quarantined", "MEMORY_EXCEEDED");
    // Its footer is whole: it gets as far as its batch.
    node.cli.expect("music.titles", "quarantined", "MEMORY_EXCEEDED");
    let problem = node.cli.show("music.titles")["problem"].clone();
    assert!(problem["what"].as_str().is_some_and(|what| what.contains("part-0")), "{problem:#}");
    assert!(problem["why"].as_str().is_some_and(|why| why.contains("2000000000")), "{problem:#}");
    node.cli.expect("music.good", "committed", "");
    assert_eq!(world.names(), ["music.good"]);
    assert_eq!(contents(&world.warehouse()), before, "the source was never touched");

    // Without the file it goes through.
    std::fs::remove_file(world.warehouse().join("music.db/deep/part-1")).expect("it is there");
    node.cli.act("retry", "music.deep");
    node.cli.approve("music.deep");
    node.cli.expect("music.deep", "committed", "");
    node.stop();
}

#[test]
fn a_worker_that_is_killed_in_the_middle_of_a_batch_costs_one_try_and_no_row() {
    let world = World::empty();
    let mut text = Vec::new();
    for n in 0..ROWS {
        writeln!(text, "{n},the {n}th song,{}.25", n % 1000).expect("memory takes it");
    }
    write(&world, "music.db/songs/part-0", &text);
    world.describe(&json!({ "database": "music", "tables": { "songs": {
        "columns": [{ "name": "id", "type": "bigint" }, { "name": "title", "type": "string" }, { "name": "seconds", "type": "double" }],
        "partition_columns": {}, "location": "warehouse/music.db/songs", "type": "MANAGED", "buckets": null,
        "storage": "[field.delim=,, serialization.format=,]",
        "serde": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
        "input_format": "org.apache.hadoop.mapred.TextInputFormat",
    } } }));
    let node = world.start();
    let rules = "approval: { required: false }";
    node.cli.run_with(&["apply", "-"], &policy("music", "music.*", rules)).ended_with(0);
    until("the batch writes", || (!contents(&world.lake()).is_empty()).then_some(()));
    let busy = node.workers();
    assert!(!busy.is_empty());
    busy.into_iter().for_each(kill);
    node.cli.rest();
    node.cli.expect("music.songs", "committed", "");
    let history = node.cli.show("music.songs")["history"].to_string();
    assert!(history.contains("WORKER_DIED") || history.contains("was ended from outside"), "{history}");
    assert_eq!(world.tables()["music.songs"]["rows"], ROWS);
    world.assert_collected(&node.cli);
    node.stop();
}

#[test]
fn workers_end_with_their_node_however_it_ends() {
    let world = World::empty();
    write(&world, "music.db/good/part-0", &healthy());
    let node = world.start();
    node.cli.migrate(&policy("music", "music.*", ""));
    node.cli.expect("music.good", "committed", "");
    let idle = node.workers();
    assert!(!idle.is_empty(), "a worker that has just worked is kept");
    node.kill();
    let gone = |pid: &i32| !Path::new(&format!("/proc/{pid}")).exists();
    until("the workers end", || idle.iter().all(gone).then_some(()));
}
