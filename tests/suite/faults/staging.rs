//! A store that goes wrong while files are written and read: every row arrives once, or the migration stops and says so.

use std::path::{Path, PathBuf};

use skein_node::scripted::{Call, Effect};
use skein_protocol::problem::Code;
use skein_tests::{World, contents, policy};

use crate::site::{Site, answer_lost, busy, half_way, request_lost, slow};

const ROWS: &str = "SELECT i AS id, CASE WHEN i % 7 = 0 THEN NULL ELSE 'song ' || i END AS title FROM range(500) t(i)";
/// Partitions of a table; each has what `ROWS` gives.
const PARTITIONS: u64 = 3;
/// Rows of a table.
const COUNT: u64 = 500 * PARTITIONS;
/// What a store that does not answer is reported as.
const CODE: Code = Code::Io;

fn world(tables: &[&str]) -> World {
    let mut paths = Vec::new();
    for name in tables {
        let folder = name.replace('.', ".db/");
        paths.extend((1..=PARTITIONS).map(|day| format!("{folder}/dt=2024-01-0{day}/part-0")));
    }
    World::with(&paths.iter().map(|path| (path.as_str(), ROWS)).collect::<Vec<_>>())
}

#[test]
fn rows_arrive_once_through_a_store_that_throttles_stops_half_way_and_loses_answers() {
    const CALLS: [Call; 5] = [Call::Inspect, Call::ListSource, Call::RunBatch, Call::Stage, Call::ReadStaged];
    let tables = ["music.throttled", "music.halfway", "music.answerlost", "music.requestlost", "music.slow"];
    let world = world(&tables);
    let site = Site::start(&world);
    for call in CALLS {
        site.fault("music.throttled", call, busy(CODE));
        site.fault("music.halfway", call, half_way(CODE));
        site.fault("music.answerlost", call, answer_lost(CODE));
        site.fault("music.requestlost", call, request_lost(CODE));
        site.fault("music.slow", call, slow());
    }
    site.cli.migrate(&policy("music", "music.*", ""));
    for table in tables {
        site.cli.expect(table, "committed", "");
    }
    site.assert_inflicted(&tables, CALLS.len() as u64);
    site.assert_published_once(&tables, COUNT);
    world.assert_collected(&site.cli);
}

#[test]
fn a_batch_whose_task_panics_is_done_again() {
    let world = world(&["music.songs"]);
    let site = Site::start(&world);
    site.fault("music.songs", Call::RunBatch, Effect::Panic);
    site.cli.migrate(&policy("music", "music.*", ""));
    site.cli.expect("music.songs", "committed", "");
    site.assert_inflicted(&["music.songs"], 1);
    site.assert_published_once(&["music.songs"], COUNT);
}

#[test]
fn a_read_back_that_differs_stops_the_migration_and_a_resume_publishes_it_whole() {
    let tables = ["music.batch", "music.whole"];
    let world = world(&tables);
    let site = Site::start(&world);
    site.fault("music.batch", Call::RunBatch, Effect::Misread);
    site.fault("music.whole", Call::ReadStaged, Effect::Misread);
    site.cli.migrate(&policy("music", "music.*", ""));
    for table in tables {
        site.cli.expect(table, "paused", "DIFFERENCE");
    }
    site.assert_inflicted(&tables, 1);
    assert_eq!(world.names(), Vec::<String>::new(), "nothing is visible");
    site.assert_sources_untouched();
    for table in tables {
        site.cli.act("resume", table);
        site.cli.expect(table, "committed", "");
    }
    site.assert_published_once(&tables, COUNT);
}

/// Damages one staged data file, and tells which.
fn damage(lake: &Path, harm: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let staged = contents(lake);
    let data = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "parquet");
    let path = staged.keys().find(data).expect("data files are staged").clone();
    let mut bytes = staged[&path].clone();
    harm(&mut bytes);
    assert_ne!(bytes, staged[&path], "it is damaged");
    std::fs::write(&path, bytes).expect("the file can be written");
    path
}

/// Migrates a table, one staged file of which is damaged after its batches were judged and before the table is read whole:
/// it ends in this phase with this code, nobody sees it, and once its batches have been done again it is published as it should be.
#[track_caller]
fn a_damaged_file_is_found(harm: impl FnOnce(&mut Vec<u8>), end: (&str, &str)) {
    let world = world(&["music.songs"]);
    let site = Site::start(&world);
    let begin = || {
        site.cli.run_with(&["apply", "-"], &policy("music", "music.*", "approval: { required: false }")).ended_with(0);
    };
    let mut damaged = PathBuf::new();
    site.before("music.songs", Call::ReadStaged, begin, || damaged = damage(&world.lake(), harm));
    site.cli.rest();
    let (phase, code) = end;
    site.cli.expect("music.songs", phase, code);
    assert_eq!(world.names(), Vec::<String>::new(), "nothing is visible");
    site.assert_sources_untouched();
    site.cli.act("retry", "music.songs");
    site.cli.expect("music.songs", "committed", "");
    site.assert_published_once(&["music.songs"], COUNT);
    let referred = world.tables()["music.songs"]["files"].to_string();
    assert!(!referred.contains(damaged.to_str().expect("a text")), "{referred}");
}

#[test]
fn a_staged_file_with_a_flipped_bit_is_never_published() {
    let flip = |bytes: &mut Vec<u8>| {
        // Behind the magic bytes lie the pages of the first column.
        let within = bytes.len() / 4;
        bytes[within] ^= 0x10;
    };
    a_damaged_file_is_found(flip, ("paused", "DIFFERENCE"));
}

#[test]
fn a_staged_file_that_was_cut_short_is_never_published() {
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    // Its length alone tells: it is not even read.
    a_damaged_file_is_found(cut, ("quarantined", "STAGED_FILE_CHANGED"));
}
