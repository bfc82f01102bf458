//! The one step that makes a target visible, and taking it back.

use skein_node::scripted::{Call, Effect, Fault};
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableUuid;
use skein_protocol::ledger::Phase;
use skein_protocol::machine::publishing::TOMBSTONE_MILLIS;
use skein_protocol::problem::Code;

use crate::failures::problem;
use crate::site::{DAWN, Site, policy, simulate, table};

fn unknown() -> Failure {
    Failure::unknown(problem(Code::CatalogUnavailable))
}

#[test]
fn an_answer_that_was_lost_is_looked_up_and_not_done_twice() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.world.fault(Fault::once(Call::Register, Effect::FailAfter(unknown())));
        site.apply(&policy("")).await;
        site.until_committed().await;
        site.assert_whole("a");
        assert_eq!(site.world.calls(Call::Register), 1);
    });
}

#[test]
fn a_registration_that_did_not_happen_is_repeated_with_the_same_location() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.world.fault(Fault::once(Call::Register, Effect::Fail(unknown())));
        site.apply(&policy("")).await;
        site.until_committed().await;
        site.assert_whole("a");
        assert_eq!((site.world.calls(Call::Register), site.world.calls(Call::Stage)), (2, 1));
    });
}

#[test]
fn a_registration_that_happens_late_does_no_harm() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.world.fault(Fault::once(Call::Register, Effect::Late(unknown())));
        site.apply(&policy("")).await;
        site.until_committed().await;
        assert_eq!(site.world.deliver(), 0, "the name is taken, by the same table");
        site.assert_whole("a");
    });
}

#[test]
fn a_strangers_table_under_the_name_stays_and_the_migration_waits() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        let mut hold = site.world.hold(Call::Register, None);
        site.apply(&policy("")).await;
        hold.entered(1).await;
        let stranger = TableUuid::tombstone(site.id("a"), skein_protocol::ids::Run(99));
        site.world.point(&table("a"), stranger, "/lake/stranger.json");
        site.world.heal();
        hold.release();
        site.until_phase("a", Phase::Paused).await;
        assert_eq!(site.problem("a"), "TARGET_TAKEN");
        assert_eq!(site.world.points_at(&table("a")).as_deref(), Some("/lake/stranger.json"));
        let refused = site.try_to("retry", "a").await;
        assert_eq!(
            refused["refused"][0]["problem"]["code"], "WRONG_PHASE",
            "an open intent must be fulfilled or taken back"
        );
        site.act("cancel", "a").await;
        site.until_phase("a", Phase::Cancelled).await;
        assert_eq!(site.world.points_at(&table("a")).as_deref(), Some("/lake/stranger.json"));
    });
}

#[test]
fn a_catalog_that_is_away_for_long_pauses_and_a_resume_goes_on() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.world
            .fault(Fault::always(Call::Load, Effect::Fail(Failure::transient(problem(Code::CatalogUnavailable)))));
        site.apply(&policy("  run: { attempts: 2 }")).await;
        site.until_phase("a", Phase::Paused).await;
        assert_eq!(site.problem("a"), "ATTEMPTS_EXHAUSTED");
        site.world.heal();
        site.act("resume", "a").await;
        site.until_committed().await;
        site.assert_whole("a");
        assert_eq!(site.world.calls(Call::Stage), 1, "the intent stands: no other table is staged");
    });
}

#[test]
fn a_rollback_takes_the_target_back_and_the_name_is_free_after_a_while() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        let published = site.world.points_at(&table("a")).unwrap();
        site.act("rollback", "a").await;
        site.until_phase("a", Phase::RolledBack).await;
        assert_eq!(site.world.visible(&table("a")), None);
        assert!(site.world.points_at(&table("a")).is_some_and(|location| location != published), "a tombstone stands");
        let placed = site.clock.wall_millis();
        site.until("released", |state| state.migrations().values().all(|one| one.tombstone.is_none())).await;
        assert_eq!(site.world.points_at(&table("a")), None);
        assert!(site.clock.wall_millis() >= placed + TOMBSTONE_MILLIS - 1000, "not before its time");
        site.act("retry", "a").await;
        site.until_committed().await;
        site.assert_whole("a");
        assert_eq!(site.look("a", |migration| migration.run.0), 2);
    });
}

#[test]
fn a_retry_right_after_a_rollback_replaces_the_tombstone_in_one_step() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        site.act("rollback", "a").await;
        site.until_phase("a", Phase::RolledBack).await;
        site.act("retry", "a").await;
        site.until_committed().await;
        site.assert_whole("a");
        assert!(site.clock.wall_millis() < DAWN + TOMBSTONE_MILLIS, "it did not wait for the tombstone's end");
        assert_eq!(site.look("a", |migration| migration.tombstone.clone()), None);
    });
}

#[test]
fn a_new_generation_after_a_rollback_may_replace_the_others_tombstone() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        site.act("rollback", "a").await;
        site.until_phase("a", Phase::RolledBack).await;
        site.apply(&policy("  run: { priority: 80 }")).await;
        site.until_phase("a", Phase::Committed).await;
        site.assert_whole("a");
        site.until_at_rest().await;
        site.assert_whole("a");
    });
}

#[test]
fn a_registration_that_comes_after_a_cancellation_is_refused() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.world.fault(Fault::once(Call::Register, Effect::Late(unknown())));
        // The second look, which would register again, waits.
        let mut hold = site.world.hold(Call::Load, None);
        site.apply(&policy("")).await;
        hold.entered(1).await;
        site.world.heal();
        site.world.fault(Fault::once(Call::Register, Effect::Late(unknown())));
        let mut second = site.world.hold(Call::Load, None);
        hold.release();
        second.entered(1).await;
        assert_eq!((site.phase("a"), site.world.calls(Call::Register)), (Phase::Commit, 1));
        site.act("cancel", "a").await;
        site.world.heal();
        second.release();
        site.until_phase("a", Phase::Cancelled).await;
        assert_eq!(site.world.deliver(), 0, "the tombstone keeps the name");
        assert_eq!(site.world.visible(&table("a")), None);
        assert_eq!(site.world.violations(), Vec::<String>::new());
    });
}

#[test]
fn a_registration_that_wins_against_a_cancellation_is_withdrawn() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.world.fault(Fault::once(Call::Register, Effect::Late(unknown())));
        let mut tombstone = site.world.hold(Call::StageTombstone, None);
        site.world.fault(
            Fault::always(Call::Load, Effect::Fail(Failure::transient(problem(Code::CatalogUnavailable)))).after(1),
        );
        site.apply(&policy("")).await;
        site.until("registered late", |_| site.world.calls(Call::Register) == 1 && site.world.calls(Call::Load) >= 2)
            .await;
        site.act("cancel", "a").await;
        tombstone.entered(1).await;
        assert_eq!(site.world.deliver(), 1, "the late registration wins");
        assert_eq!(site.world.visible(&table("a")), Some(site.world.source(&table("a"))));
        site.world.heal();
        tombstone.release();
        site.until_phase("a", Phase::Cancelled).await;
        assert_eq!(site.world.visible(&table("a")), None);
    });
}

#[test]
fn a_late_registration_after_a_rollback_is_refused() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        // The first request hangs about; the second one wins.
        site.world.fault(Fault::once(Call::Register, Effect::Late(unknown())));
        site.apply(&policy("")).await;
        site.until_committed().await;
        site.act("rollback", "a").await;
        site.until_phase("a", Phase::RolledBack).await;
        assert_eq!(site.world.deliver(), 0);
        assert_eq!(site.world.visible(&table("a")), None);
    });
}

#[test]
fn unknown_answers_while_taking_back_are_looked_up() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        site.world.fault(Fault::once(Call::Replace, Effect::FailAfter(unknown())));
        site.world.fault(Fault::once(Call::StageTombstone, Effect::FailAfter(unknown())));
        site.act("rollback", "a").await;
        site.until_phase("a", Phase::RolledBack).await;
        assert_eq!((site.world.calls(Call::Replace), site.world.calls(Call::StageTombstone)), (1, 2));
        assert_eq!(site.world.violations(), Vec::<String>::new());
    });
}

#[test]
fn a_tombstone_that_the_catalog_keeps_is_taken_away_later() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        site.act("rollback", "a").await;
        site.until_phase("a", Phase::RolledBack).await;
        site.world.fault(Fault::once(Call::Replace, Effect::Conflict));
        site.until("released", |state| state.migrations().values().all(|one| one.tombstone.is_none())).await;
        assert_eq!(site.world.points_at(&table("a")), None, "the name is free");
        assert_eq!(site.world.calls(Call::Replace), 3);
    });
}

#[test]
fn a_target_that_was_changed_since_is_not_withdrawn() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        site.apply(&policy("")).await;
        site.until_committed().await;
        let uuid = site.look("a", |migration| migration.intent.as_ref().unwrap().table.uuid);
        site.world.point(&table("a"), uuid, "/lake/db/a/metadata/later-commit.json");
        site.act("rollback", "a").await;
        site.until("refused", |state| state.migrations().values().any(|one| one.problem.is_some())).await;
        assert_eq!((site.phase("a"), site.problem("a").as_str()), (Phase::Committed, "TARGET_MODIFIED"));
        assert_eq!(site.world.points_at(&table("a")).as_deref(), Some("/lake/db/a/metadata/later-commit.json"));
        let report = site.get("/v1/migrations/db.a/report").await;
        assert!(report["verdict"].as_str().unwrap().contains("stays published"), "{}", report["verdict"]);
    });
}
