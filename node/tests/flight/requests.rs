//! What people ask for while work is under way.

use skein_node::scripted::{Call, Effect, Fault};
use skein_protocol::data_plane::Failure;
use skein_protocol::ledger::Phase;
use skein_protocol::problem::Code;

use crate::failures::problem;
use crate::site::{DAWN, Ground, Site, add_tables, policy, simulate, table};

#[test]
fn a_pause_ends_work_under_way_and_a_resume_begins_it_anew() {
    simulate(async {
        let site = Site::with_tables(&["a"], 4, 3).await;
        let mut hold = site.world.hold(Call::RunBatch, None);
        site.apply(&policy("")).await;
        hold.entered(2).await;
        site.act("pause", "a").await;
        assert_eq!((site.phase("a"), site.look("a", |one| one.running())), (Phase::Paused, 0));
        site.until("aborted", |_| site.node.stats().aborted == 2).await;
        assert_eq!(site.problem("a"), "BY_REQUEST");
        site.world.heal();
        hold.release();
        site.act("resume", "a").await;
        site.until_committed().await;
        site.assert_whole("a");
        assert_eq!(site.world.calls(Call::RunBatch), 2 + 4);
    });
}

#[test]
fn a_pause_reaches_every_phase_and_nothing_is_lost_by_it() {
    simulate(async {
        for (call, phase) in [
            (Call::Inspect, Phase::Preparation),
            (Call::Stage, Phase::Validation),
            (Call::ReadStaged, Phase::Validation),
            (Call::Register, Phase::Commit),
        ] {
            let site = Site::with_tables(&["a"], 2, 3).await;
            let mut hold = site.world.hold(call, None);
            site.apply(&policy("")).await;
            hold.entered(1).await;
            assert_eq!(site.phase("a"), phase);
            site.act("pause", "a").await;
            site.until("aborted", |_| site.node.stats().aborted == 1).await;
            site.world.heal();
            drop(hold);
            site.act("resume", "a").await;
            site.until_committed().await;
            site.assert_whole("a");
            site.node.stop().await.unwrap();
        }
    });
}

#[test]
fn a_cancellation_before_the_intent_leaves_nothing_but_recorded_files() {
    simulate(async {
        let site = Site::with_tables(&["a"], 4, 3).await;
        let mut hold = site.world.hold(Call::Stage, None);
        site.apply(&policy("")).await;
        hold.entered(1).await;
        site.act("cancel", "a").await;
        site.world.heal();
        hold.release();
        site.until_at_rest().await;
        assert_eq!(site.phase("a"), Phase::Cancelled);
        assert_eq!(site.world.points_at(&table("a")), None);
        assert_eq!(site.world.calls(Call::Register), 0);
        site.act("retry", "a").await;
        site.until_committed().await;
        site.assert_whole("a");
    });
}

#[test]
fn a_cancellation_with_an_open_intent_takes_the_name_first() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        let mut hold = site.world.hold(Call::Register, None);
        site.apply(&policy("")).await;
        hold.entered(1).await;
        site.act("cancel", "a").await;
        site.world.heal();
        hold.release();
        site.until_phase("a", Phase::Cancelled).await;
        assert_eq!(site.world.visible(&table("a")), None);
        assert!(site.world.points_at(&table("a")).unwrap().contains("tombstone"));
        site.until_at_rest().await;
        assert_eq!(site.world.points_at(&table("a")), None);
    });
}

#[test]
fn a_policy_that_changes_takes_the_place_of_what_it_had_begun() {
    simulate(async {
        let site = Site::with_tables(&["a"], 4, 3).await;
        let mut hold = site.world.hold(Call::RunBatch, None);
        site.apply(&policy("")).await;
        hold.entered(2).await;
        let answer = site.apply(&policy("  run: { priority: 60 }")).await;
        assert_eq!((answer["superseded"].as_u64(), answer["created"].as_u64()), (Some(1), Some(1)));
        site.world.heal();
        hold.release();
        site.until_phase("a", Phase::Committed).await;
        site.assert_whole("a");
        let list = site.get("/v1/migrations").await;
        assert_eq!(list["total"], 1, "what was superseded is not listed: {list}");
        let list = site.get("/v1/migrations?superseded=true").await;
        assert_eq!(list["total"], 2);
    });
}

#[test]
fn a_stop_waits_for_the_batch_under_way() {
    simulate(async {
        let ground = Ground::new(31);
        add_tables(&ground.world, &["a"], 3, 3);
        let site = ground.start(DAWN).await.unwrap();
        let mut hold = ground.world.hold(Call::RunBatch, None);
        site.apply(&policy("")).await;
        hold.entered(2).await;
        let wall = site.clock.wall_millis();
        ground.world.heal();
        let (stopped, ()) = tokio::join!(site.node.stop(), async { hold.release() });
        stopped.unwrap();
        ground.host.storage.restart();
        let site = ground.start(wall + 1000).await.unwrap();
        assert_eq!(
            site.look("a", |one| (one.batch_counts(), one.stages[0].iter().map(|b| b.deaths.len()).sum::<usize>())),
            ((2, 3), 0)
        );
        site.until_committed().await;
        site.assert_whole("a");
    });
}

#[test]
fn requests_that_do_not_fit_are_refused_with_what_to_do() {
    simulate(async {
        let site = Site::with_tables(&["a"], 1, 1).await;
        site.world.fault(Fault::always(Call::RunBatch, Effect::Fail(Failure::permanent(problem(Code::CastFailed)))));
        site.apply(&policy("")).await;
        site.until_phase("a", Phase::Quarantined).await;
        for action in ["pause", "resume", "rollback"] {
            let answer = site.try_to(action, "a").await;
            assert_eq!(answer["refused"][0]["problem"]["code"], "WRONG_PHASE", "{action}");
            assert_eq!(answer["done"], 0);
        }
    });
}
