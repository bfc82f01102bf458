//! Every class of failure, up to validation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use skein_node::env::{Entropy, Env};
use skein_node::scripted::{Call, Effect, Fault};
use skein_protocol::data_plane::Failure;
use skein_protocol::ledger::Phase;
use skein_protocol::problem::{Code, Problem};

use crate::site::{DAWN, Ground, Site, add_tables, policy, simulate, table};

pub(crate) fn problem(code: Code) -> Problem {
    Problem::new(code, "a scripted call", "the script says so", "nothing")
}

fn transient() -> Effect {
    Effect::Fail(Failure::transient(problem(Code::Io)))
}

fn permanent() -> Effect {
    Effect::Fail(Failure::permanent(problem(Code::CastFailed)))
}

#[test]
fn a_transient_failure_is_tried_again_with_another_attempt() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        for call in
            [Call::Inspect, Call::RunBatch, Call::Stage, Call::ReadStaged, Call::ListSource, Call::Register, Call::Load]
        {
            site.world.fault(Fault::once(call, transient()));
        }
        site.apply(&policy("")).await;
        site.until_committed().await;
        site.assert_whole("a");
        let (failures, attempt) = site.look("a", |migration| {
            (migration.stages[0].iter().map(|batch| batch.failures).sum::<u32>(), migration.next_attempt.0)
        });
        assert_eq!(failures, 1);
        assert!(attempt > 9, "every try had a number of its own: {attempt}");
        let stats = site.node.stats();
        assert_eq!((stats.batches_failed, stats.batch_retries, stats.migration_restarts), (1, 1, 0));
        assert_eq!(stats.work_failed, 6);
        assert_eq!(site.world.violations(), Vec::<String>::new());
    });
}

#[test]
fn attempts_come_to_an_end_and_one_bad_dataset_holds_up_no_other() {
    simulate(async {
        let site = Site::with_tables(&["a", "bad", "c"], 2, 3).await;
        site.world.fault(Fault::always(Call::RunBatch, transient()).of(&table("bad")));
        site.apply(&policy("  run: { attempts: 3 }")).await;
        site.until_phase("bad", Phase::Quarantined).await;
        assert_eq!(site.problem("bad"), "ATTEMPTS_EXHAUSTED");
        site.until_phase("a", Phase::Committed).await;
        site.until_phase("c", Phase::Committed).await;
        site.assert_whole("a");
        assert_eq!(site.world.visible(&table("bad")), None);
        site.world.heal();
        site.act("retry", "bad").await;
        site.until_committed().await;
        site.assert_whole("bad");
        assert_eq!(site.look("bad", |migration| migration.run.0), 2);
    });
}

#[test]
fn a_permanent_failure_ends_the_run_at_once_in_every_phase() {
    simulate(async {
        for (call, name) in [(Call::Inspect, "a"), (Call::RunBatch, "b"), (Call::Stage, "c"), (Call::ReadStaged, "d")] {
            let site = Site::with_tables(&[name], 1, 3).await;
            site.world.fault(Fault::once(call, permanent()));
            site.apply(&policy("")).await;
            site.until_phase(name, Phase::Quarantined).await;
            assert_eq!(site.problem(name), "CAST_FAILED", "{call:?}");
            assert_eq!(site.world.visible(&table(name)), None);
            site.until_at_rest().await;
            site.node.stop().await.unwrap();
        }
    });
}

#[test]
fn a_panic_of_the_data_plane_is_a_failure_like_others() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 3).await;
        for call in [Call::Inspect, Call::RunBatch, Call::Stage, Call::Register] {
            site.world.fault(Fault::once(call, Effect::Panic));
        }
        site.apply(&policy("")).await;
        site.until_committed().await;
        site.assert_whole("a");
        assert!(site.history("a").iter().any(|line| line.contains("INTERNAL")), "{:?}", site.history("a"));
    });
}

#[test]
fn a_lost_row_pauses_with_the_batch_and_nothing_becomes_visible() {
    simulate(async {
        let site = Site::with_tables(&["a"], 3, 5).await;
        site.world.fault(Fault::once(Call::RunBatch, Effect::LoseRow).after(1));
        site.apply(&policy("")).await;
        site.until_phase("a", Phase::Paused).await;
        assert_eq!(site.problem("a"), "DIFFERENCE");
        assert_eq!(site.world.visible(&table("a")), None);
        let report = site.get("/v1/migrations/db.a/report").await;
        assert_eq!(report["difference"]["expected"], json!("5"), "{report:#}");
        assert_eq!(report["difference"]["found"], json!("4"));
        assert!(report["difference"]["batch"].is_object());
        assert!(report["verdict"].as_str().unwrap().starts_with("Paused: DIFFERENCE"), "{}", report["verdict"]);
        site.act("resume", "a").await;
        site.until_committed().await;
        site.assert_whole("a");
        site.until_at_rest().await;
        let kept = site.world.objects().iter().filter(|location| location.contains("/data/")).count();
        assert_eq!(kept, 3, "the file of the bad attempt was removed");
    });
}

#[test]
fn a_staged_file_that_changes_is_found_before_anything_is_published() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 5).await;
        site.world.fault(Fault::once(Call::Stage, Effect::DamageFile));
        site.apply(&policy("")).await;
        site.until_phase("a", Phase::Paused).await;
        assert_eq!(site.problem("a"), "DIFFERENCE");
        let report = site.get("/v1/migrations/db.a/report").await;
        assert_eq!(report["difference"]["batch"], json!(null));
        assert!(report["table"]["fileDifferences"][0].as_str().is_some(), "{:#}", report["table"]);
        assert_eq!(site.world.visible(&table("a")), None);
        site.act("cancel", "a").await;
        assert_eq!(site.phase("a"), Phase::Cancelled);
    });
}

#[test]
fn a_source_that_grows_before_the_intent_pauses_and_a_retry_plans_anew() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 5).await;
        site.world.fault(Fault::once(Call::ReadStaged, Effect::GrowSource));
        site.apply(&policy("")).await;
        site.until_phase("a", Phase::Paused).await;
        assert_eq!(site.problem("a"), "SOURCE_CHANGED");
        assert!(site.look("a", |migration| migration.problem.as_ref().unwrap().why.contains("added: part-00002")));
        assert_eq!(site.world.visible(&table("a")), None);
        let before = site.look("a", |migration| migration.plan.as_ref().unwrap().hash);
        site.act("retry", "a").await;
        site.until_committed().await;
        site.assert_whole("a");
        assert_ne!(site.look("a", |migration| migration.plan.as_ref().unwrap().hash), before);
    });
}

#[test]
fn a_source_that_changes_under_a_batch_pauses_the_migration() {
    simulate(async {
        let site = Site::with_tables(&["a"], 3, 5).await;
        site.world.fault(Fault::once(Call::RunBatch, Effect::GrowSource));
        site.apply(&policy("")).await;
        site.until_phase("a", Phase::Paused).await;
        assert_eq!(site.problem("a"), "SOURCE_CHANGED");
        assert_eq!(site.look("a", |migration| migration.running()), 0);
    });
}

#[test]
fn a_collection_that_fails_is_done_later() {
    simulate(async {
        let site = Site::with_tables(&["a"], 2, 5).await;
        site.world.fault(Fault::once(Call::RunBatch, Effect::FailAfter(Failure::transient(problem(Code::Io)))));
        for _ in 0..3 {
            site.world.fault(Fault::once(Call::Collect, transient()));
        }
        site.apply(&policy("")).await;
        site.until_committed().await;
        site.until_at_rest().await;
        assert_eq!(site.world.calls(Call::Collect), 2, "three faults strike one call");
        let kept = site.world.objects().iter().filter(|location| location.contains("/data/")).count();
        assert_eq!(kept, 2);
        site.assert_whole("a");
    });
}

/// Panics once when it is told to.
#[derive(Debug)]
struct Treacherous {
    inner: Arc<dyn Entropy>,
    panics: Arc<AtomicBool>,
}

impl Entropy for Treacherous {
    fn fill(&self, bytes: &mut [u8]) {
        assert!(!self.panics.swap(false, Ordering::Relaxed), "a scripted panic inside of the node");
        self.inner.fill(bytes);
    }
}

#[test]
fn an_actor_that_dies_is_built_again_from_the_ledger() {
    simulate(async {
        let ground = Ground::new(21);
        add_tables(&ground.world, &["a", "b"], 3, 4);
        let env = ground.env(DAWN);
        let panics = Arc::new(AtomicBool::new(false));
        let entropy = Treacherous { inner: env.entropy.clone(), panics: panics.clone() };
        let site = ground.start_in(Env { entropy: Arc::new(entropy), ..env }).await.unwrap();
        // The pause after the failed batch is drawn by its actor, which dies of that.
        site.world.fault(Fault::once(Call::RunBatch, transient()).of(&table("a")));
        panics.store(true, Ordering::Relaxed);
        site.apply(&policy("")).await;
        site.until_committed().await;
        site.assert_whole("a");
        site.assert_whole("b");
        assert_eq!(site.node.stats().migration_restarts, 1);
        assert!(site.history("a").iter().any(|line| line.contains("INTERRUPTED")), "{:?}", site.history("a"));
    });
}

#[test]
fn a_node_whose_ledger_fails_says_so() {
    simulate(async {
        let ground = Ground::new(22);
        add_tables(&ground.world, &["a"], 3, 4);
        let site = ground.start(DAWN).await.unwrap();
        ground.host.storage.crash_at(10);
        // Whether the call is answered depends on where the disk fails.
        let (_, _) = site.call(axum::http::Method::POST, "/v1/policies", policy("")).await;
        let error = site.node.failed().await;
        assert!(error.to_string().contains("storage"), "{error}");
        let (status, _) = site.call(axum::http::Method::GET, "/readyz", "").await;
        assert_eq!(status, axum::http::StatusCode::SERVICE_UNAVAILABLE);
    });
}
