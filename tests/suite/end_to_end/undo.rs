//! Taking back, stopping, going on: the source stays as it is, and what is visible is always whole.

use skein_tests::{World, contents, policy};

const SONGS: &str = "SELECT i AS id, 'song ' || i AS title FROM range(3000) t(i)";

fn world() -> World {
    World::with(&[
        ("music.db/songs/dt=2024-01-01/part-0", SONGS),
        ("music.db/songs/dt=2024-01-02/part-0", SONGS),
        ("music.db/artists/part-0", SONGS),
    ])
}

/// Nobody sees rows of this table: its name is gone, or keeps an empty tombstone.
#[track_caller]
fn assert_withdrawn(world: &World, name: &str) {
    let tables = world.tables();
    if let Some(table) = tables.get(name) {
        assert_eq!(table["rows"], 0, "{table:#}");
    }
}

#[test]
fn a_rollback_withdraws_the_table_and_a_retry_publishes_it_again() {
    let world = world();
    let before = contents(&world.warehouse());
    let node = world.start();
    node.cli.migrate(&policy("music", "music.*", ""));
    let first = world.tables()["music.songs"].clone();
    assert_eq!(first["rows"], 6000);

    node.cli.act("rollback", "music.songs");
    node.cli.expect("music.songs", "rolled_back", "");
    assert_withdrawn(&world, "music.songs");
    assert_eq!(world.tables()["music.artists"]["rows"], 3000, "the other one stays");
    assert_eq!(contents(&world.warehouse()), before, "the source was never touched");
    let refused = node.cli.run(&["rollback", "music.songs", "--yes"]).ended_with(1);
    assert!(refused.stderr.contains("WRONG_PHASE"), "{}", refused.stderr);

    // The same plan was approved before: it goes through by itself.
    node.cli.act("retry", "music.songs");
    node.cli.expect("music.songs", "committed", "");
    world.agrees(&["music.songs", "music.artists"], &[]);
    let second = world.tables()["music.songs"].clone();
    assert_ne!(first["uuid"], second["uuid"], "it is another table");
    assert_eq!(second["snapshots"], 1);
    assert_eq!(contents(&world.warehouse()), before, "the source was never touched");
    world.assert_collected(&node.cli);
}

#[test]
fn a_withdrawn_name_is_free_again_when_its_tombstone_has_stood_long_enough() {
    let world = world();
    let options = skein_tests::Options { tombstone_seconds: Some(1), ..Default::default() };
    let node = world.start_with(&options);
    node.cli.migrate(&policy("music", "music.artists", ""));
    node.cli.act("rollback", "music.artists");
    skein_tests::until("the name is free", || world.names().is_empty().then_some(()));
    node.cli.act("retry", "music.artists");
    node.cli.expect("music.artists", "committed", "");
    world.agrees(&["music.artists"], &[]);
}

#[test]
fn a_table_that_somebody_changed_is_not_withdrawn() {
    let world = world();
    let node = world.start();
    node.cli.migrate(&policy("music", "music.*", ""));
    world.outside(&["append", "music.artists"]);
    node.cli.act("rollback", "music.artists");
    node.cli.expect("music.artists", "committed", "TARGET_MODIFIED");
    assert_eq!(world.tables()["music.artists"]["rows"], 3001, "what somebody wrote stays");
    node.cli.act("rollback", "music.songs");
    node.cli.expect("music.songs", "rolled_back", "");
}

#[test]
fn a_withdrawal_survives_the_end_of_its_node() {
    let world = world();
    let node = world.start();
    node.cli.migrate(&policy("music", "music.*", ""));
    let ids = ["music.songs", "music.artists"];
    node.cli.run(&[&["rollback", "--yes"], &ids[..]].concat()).ended_with(0);
    node.kill();
    let node = world.start();
    node.cli.rest();
    for id in ids {
        node.cli.expect(id, "rolled_back", "");
        assert_withdrawn(&world, id);
    }
}

#[test]
fn a_plan_is_approved_by_its_hash_and_by_no_other() {
    let world = world();
    let node = world.start();
    node.cli.apply(&policy("music", "music.*", ""));
    let wrong = "0".repeat(64);
    let refused = node.cli.run(&["approve", "music.songs", "--plan", &wrong]).ended_with(1);
    assert!(refused.stderr.contains("PLAN_CHANGED"), "{}", refused.stderr);
    node.cli.expect("music.songs", "approval", "");
    let hash = node.cli.show("music.songs")["row"]["plan"].as_str().expect("it is planned").to_owned();
    node.cli.run(&["approve", "music.songs", "--plan", &hash]).ended_with(0);
    node.cli.run(&["reject", "music.artists", "--yes", "--reason", "not yet"]).ended_with(0);
    node.cli.rest();
    node.cli.expect("music.songs", "committed", "");
    node.cli.expect("music.artists", "cancelled", "");
    assert_eq!(world.names(), ["music.songs"]);
    let detail = node.cli.show("music.artists");
    assert!(detail["history"].to_string().contains("not yet"), "{detail:#}");
    assert_eq!(node.cli.show("music.songs")["approved"][0].as_str(), Some(hash.as_str()));
    let twice = node.cli.run(&["approve", "music.songs", "--plan", &hash]).ended_with(1);
    assert!(twice.stderr.contains("WRONG_PHASE"), "{}", twice.stderr);
}

#[test]
fn pause_resume_cancel_and_retry_hold_at_every_moment() {
    let songs: Vec<String> = (0..12).map(|n| format!("music.db/songs_{n}/part-0")).collect();
    let files: Vec<(&str, &str)> = songs.iter().map(|path| (path.as_str(), SONGS)).collect();
    let world = World::with(&files);
    let before = contents(&world.warehouse());
    let node = world.start();
    let name = |n: usize| format!("music.songs_{n}");
    node.cli.run_with(&["apply", "-"], &policy("music", "music.*", "approval: { required: false }")).ended_with(0);
    // Whatever phase each of them is in just now: every answer is one of two, done or refused by phase.
    for n in 0..12 {
        let verb = ["pause", "cancel"][n % 2];
        let answer = node.cli.run(&[verb, &name(n), "--yes"]);
        assert!(answer.code == 0 || answer.stderr.contains("WRONG_PHASE"), "{}", answer.stderr);
    }
    node.cli.rest();
    for n in 0..12 {
        let phase = node.cli.phase(&name(n));
        assert!(["paused", "cancelled", "committed"].contains(&phase.as_str()), "{phase}");
        let visible = world_has(&world, &name(n));
        assert!(visible || phase != "committed", "{n} is committed and not visible");
        assert!(!visible || phase != "cancelled", "{n} is cancelled and visible");
    }
    for n in 0..12 {
        match node.cli.phase(&name(n)).as_str() {
            "paused" => node.cli.act("resume", &name(n)),
            "cancelled" => node.cli.act("retry", &name(n)),
            _ => {}
        }
    }
    node.cli.rest();
    let tables: Vec<String> = (0..12).map(name).collect();
    for table in &tables {
        node.cli.expect(table, "committed", "");
    }
    world.agrees(&tables.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    assert_eq!(contents(&world.warehouse()), before, "the source was never touched");
    world.assert_collected(&node.cli);
}

fn world_has(world: &World, name: &str) -> bool {
    world.tables().get(name).is_some_and(|table| table["rows"] != 0)
}

#[test]
fn a_paused_migration_stays_paused_over_a_restart_and_a_cancelled_plan_can_come_back() {
    let world = world();
    let node = world.start();
    node.cli.apply(&policy("music", "music.*", ""));
    node.cli.run(&["pause", "music.songs", "--reason", "over the weekend"]).ended_with(0);
    node.cli.run(&["cancel", "music.artists"]).ended_with(0);
    node.kill();
    let node = world.start();
    node.cli.rest();
    node.cli.expect("music.songs", "paused", "BY_REQUEST");
    node.cli.expect("music.artists", "cancelled", "");
    node.cli.act("resume", "music.songs");
    node.cli.expect("music.songs", "approval", "");
    node.cli.act("retry", "music.artists");
    node.cli.expect("music.artists", "approval", "");
    node.cli.run(&["approve", "--policy", "music", "--yes"]).ended_with(0);
    node.cli.rest();
    world.agrees(&["music.songs", "music.artists"], &[]);
    assert_eq!(node.cli.show("music.artists")["row"]["run"], 2);
}
