//! Rollbacks whose steps go wrong: nothing of the run stays visible, and nothing late becomes so.

use skein_node::scripted::{Call, Effect};
use skein_protocol::problem::Code;
use skein_tests::{Options, World, policy, until};

use crate::site::{Site, answer_lost, busy, late, request_lost, slow};

const ROWS: &str = "SELECT i AS id, 'song ' || i AS title FROM range(300) t(i)";
/// As many as `ROWS` gives.
const COUNT: u64 = 300;
/// What a catalog that does not answer is reported as.
const CODE: Code = Code::CatalogUnavailable;
/// A tombstone stands longer than anything late takes.
const TOMBSTONE_SECONDS: u64 = 3;

fn world(tables: &[&str]) -> World {
    let paths: Vec<String> = tables.iter().map(|name| format!("{}/part-0", name.replace('.', ".db/"))).collect();
    World::with(&paths.iter().map(|path| (path.as_str(), ROWS)).collect::<Vec<_>>())
}

/// Nobody sees rows of these tables: their names are gone, or keep an empty tombstone.
#[track_caller]
fn assert_withdrawn(world: &World, tables: &[&str]) {
    let visible = world.tables();
    for found in tables.iter().filter_map(|table| visible.get(table)) {
        assert_eq!(found["rows"], 0, "{found:#}");
    }
}

#[test]
fn a_rollback_takes_the_table_back_whatever_the_catalog_answers() {
    let faults = [
        ("music.busy", busy(CODE)),
        ("music.conflict", Effect::Conflict),
        ("music.answerlost", answer_lost(CODE)),
        ("music.requestlost", request_lost(CODE)),
        ("music.late", late(CODE)),
        ("music.slow", slow()),
    ];
    let tables = faults.each_ref().map(|(table, _)| *table);
    let world = world(&tables);
    let options = Options { tombstone_seconds: Some(TOMBSTONE_SECONDS), ..Options::default() };
    let site = Site::start_with(&world, &options);
    site.cli.migrate(&policy("music", "music.*", ""));
    site.assert_published_once(&tables, COUNT);
    for (table, effect) in faults {
        site.fault(table, Call::Replace, effect);
        site.fault(table, Call::StageTombstone, busy(Code::Io));
    }
    for table in tables {
        site.cli.act("rollback", table);
        site.cli.expect(table, "rolled_back", "");
    }
    assert_withdrawn(&world, &tables);
    until("all names are free", || world.names().is_empty().then_some(()));
    site.assert_inflicted(&tables, 2);
    site.assert_sources_untouched();
    for table in tables {
        site.cli.act("retry", table);
        site.cli.expect(table, "committed", "");
    }
    site.assert_published_once(&tables, COUNT);
}

#[test]
fn a_registration_that_comes_after_the_rollback_stays_without_effect() {
    let world = world(&["music.songs"]);
    let options = Options { tombstone_seconds: Some(TOMBSTONE_SECONDS), ..Options::default() };
    let site = Site::start_with(&world, &options);
    site.fault("music.songs", Call::Register, late(CODE));
    site.cli.migrate(&policy("music", "music.*", ""));
    site.cli.expect("music.songs", "committed", "");
    site.cli.act("rollback", "music.songs");
    site.cli.expect("music.songs", "rolled_back", "");
    until("the late registration has come", || site.plane.inflicted().contains_key("music.songs").then_some(()));
    assert_withdrawn(&world, &["music.songs"]);
    until("the name is free", || world.names().is_empty().then_some(()));
    site.cli.act("retry", "music.songs");
    site.cli.expect("music.songs", "committed", "");
    site.assert_published_once(&["music.songs"], COUNT);
}
