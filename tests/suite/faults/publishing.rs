//! Registrations that go wrong in every way: each table is published once, whole.

use skein_node::scripted::{Call, Effect};
use skein_protocol::problem::Code;
use skein_tests::{World, policy, until};

use crate::site::{Site, answer_lost, busy, late, request_lost, slow};

const ROWS: &str = "SELECT i AS id, CASE WHEN i % 7 = 0 THEN NULL ELSE 'song ' || i END AS title FROM range(500) t(i)";
/// As many as `ROWS` gives.
const COUNT: u64 = 500;
/// What a catalog that does not answer is reported as.
const CODE: Code = Code::CatalogUnavailable;

fn world(tables: &[&str]) -> World {
    let paths: Vec<String> = tables.iter().map(|name| format!("{}/part-0", name.replace('.', ".db/"))).collect();
    World::with(&paths.iter().map(|path| (path.as_str(), ROWS)).collect::<Vec<_>>())
}

/// Migrates tables whose calls of this kind go wrong, each in its way.
fn publish_through(call: Call, faults: Vec<(&'static str, Effect)>) {
    let tables: Vec<&'static str> = faults.iter().map(|(table, _)| *table).collect();
    let world = world(&tables);
    let site = Site::start(&world);
    for (table, effect) in faults {
        site.fault(table, call, effect);
    }
    site.cli.migrate(&policy("music", "music.*", ""));
    for table in &tables {
        site.cli.expect(table, "committed", "");
    }
    until("what is late has come", || (site.plane.inflicted().len() == tables.len()).then_some(()));
    site.assert_inflicted(&tables, 1);
    site.assert_published_once(&tables, COUNT);
    world.assert_collected(&site.cli);
}

#[test]
fn a_table_is_published_once_whatever_becomes_of_its_registration() {
    let faults = vec![
        ("music.busy", busy(CODE)),
        ("music.conflict", Effect::Conflict),
        ("music.answerlost", answer_lost(CODE)),
        ("music.late", late(CODE)),
        ("music.requestlost", request_lost(CODE)),
        ("music.slow", slow()),
    ];
    publish_through(Call::Register, faults);
}

#[test]
fn a_table_is_published_once_although_its_name_cannot_be_looked_at_when_asked() {
    let faults = vec![
        ("music.busy", busy(CODE)),
        ("music.answerlost", answer_lost(CODE)),
        ("music.requestlost", request_lost(CODE)),
        ("music.slow", slow()),
    ];
    publish_through(Call::Load, faults);
}

#[test]
fn whoever_takes_the_name_first_keeps_it() {
    let world = world(&["music.songs"]);
    let site = Site::start(&world);
    let lake = world.lake();
    let begin = || {
        site.cli.run_with(&["apply", "-"], &policy("music", "music.*", "approval: { required: false }")).ended_with(0);
    };
    site.before("music.songs", Call::Register, begin, || {
        world.outside(&["create", "music.songs", lake.to_str().expect("a text")]);
    });
    site.cli.rest();
    let (phase, code) = site.cli.outcome("music.songs");
    assert_ne!(phase, "committed");
    assert_eq!(code, "TARGET_TAKEN");
    assert_eq!(world.tables()["music.songs"]["columns"].as_object().map(serde_json::Map::len), Some(1));
    site.assert_sources_untouched();
}
