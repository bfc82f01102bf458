//! The invariants over one entry and one migration.

use super::{OTHER, Scene, first_batch, joined, totals};
use crate::data_plane::{Class, StagedTable};
use crate::hash::Hash256;
use crate::ids::{Attempt, Epoch, MigrationId, Run, TableUuid};
use crate::ledger::entry::{Answer, AppliedPolicy, Entry, PlanSummary, Request, TransferReason, Work};
use crate::ledger::migration::{Phase, WithdrawReason};
use crate::ledger::scenario::{NODE, Scenario, opened, opened_by};
use crate::problem::{Code, Problem};

fn begun(change: impl FnOnce(&mut AppliedPolicy)) -> (Scenario, MigrationId) {
    let mut scenario = Scenario::default();
    scenario.fact(opened(1));
    let id = scenario.policy("p", &["t"], change)[0];
    (scenario, id)
}

fn io() -> Problem {
    Problem::new(Code::Io, "reading", "the disk said no", "look at the disk")
}

fn planned(scenario: &mut Scenario, id: MigrationId) -> Scene {
    let fence = scenario.fence(id);
    scenario.fact(Entry::PreparationStarted(vec![fence]));
    let plan = PlanSummary {
        hash: Hash256::of(b"plan"),
        strategy: "copy".to_owned(),
        batches: vec![1],
        rows: Some(10),
        bytes: 100,
        seconds: 1,
        files: 1,
        notes: 0,
    };
    Scene::of(scenario, id, Entry::Planned { fence, plan }).holds()
}

fn started(scenario: &mut Scenario, id: MigrationId) -> Scene {
    let (fence, attempt, runner) =
        (scenario.fence(id), scenario.migration(id).next_attempt, scenario.migration(id).owner);
    Scene::of(scenario, id, Entry::BatchStarted { fence, batch: first_batch(), attempt, runner })
}

fn done(scenario: &mut Scenario, id: MigrationId) -> Scene {
    let (fence, attempt) = (scenario.fence(id), open_attempt(scenario, id));
    let (result, totals) = (Hash256::of(b"result"), totals(10, 2, 8));
    Scene::of(scenario, id, Entry::BatchDone { fence, batch: first_batch(), attempt, result, totals })
}

fn open_attempt(scenario: &Scenario, id: MigrationId) -> Attempt {
    scenario.migration(id).stages[0][0].running.unwrap_or_default()
}

fn failed(scenario: &mut Scenario, id: MigrationId, class: Class) -> Scene {
    let (fence, attempt) = (scenario.fence(id), open_attempt(scenario, id));
    let entry = Entry::BatchFailed { fence, batch: first_batch(), attempt, problem: io(), class, retry_at: 0 };
    Scene::of(scenario, id, entry)
}

fn intended(scenario: &mut Scenario, id: MigrationId) -> Scene {
    let plan = Hash256::of(b"plan");
    let run = scenario.migration(id).run;
    let table = StagedTable {
        metadata_location: format!("/lake/{id}/{run}.json"),
        metadata_hash: Hash256::of(b"metadata"),
        uuid: TableUuid::derive(id, run, &plan),
        files: 1,
        rows: 8,
        bytes: 8,
    };
    let fence = scenario.fence(id);
    Scene::of(scenario, id, Entry::PublishIntent { fence, plan, table, evidence: Hash256::of(b"evidence") })
}

fn committed(scenario: &mut Scenario, id: MigrationId) -> Scene {
    let (fence, run) = (scenario.fence(id), scenario.migration(id).run);
    Scene::of(scenario, id, Entry::Committed { fence, metadata_location: format!("/lake/{id}/{run}.json") })
}

fn asked(scenario: &mut Scenario, id: MigrationId, request: Request) -> Scene {
    let entry = Entry::Requested { migrations: vec![id], request, reason: "because".to_owned() };
    Scene::of(scenario, id, entry)
}

/// Takes a new migration to its staged and validated table.
fn to_commit(scenario: &mut Scenario, id: MigrationId) {
    planned(scenario, id);
    started(scenario, id).holds();
    done(scenario, id).holds();
    intended(scenario, id).holds();
}

fn withdrawn(scenario: &mut Scenario, id: MigrationId) -> Scene {
    let fence = scenario.fence(id);
    scenario.fact(Entry::TombstoneStaged { fence, location: "/lake/tombstone".to_owned() });
    Scene::of(scenario, id, Entry::Withdrawn { fence, tombstone: true, until: 1_000_000 })
}

#[test]
fn a_phase_that_does_not_follow_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id).breaks("legal-transitions", |scene| scene.after.phase = Phase::Commit);
    started(&mut scenario, id).holds().breaks("legal-transitions", |scene| {
        scene.before.as_mut().expect("it was there").phase = Phase::Approval;
    });
    let resumed = |from: Phase| {
        let (mut scenario, id) = begun(|_| ());
        planned(&mut scenario, id);
        asked(&mut scenario, id, Request::Pause).holds();
        asked(&mut scenario, id, Request::Resume).holds().breaks("legal-transitions", |scene| scene.after.phase = from);
    };
    resumed(Phase::Execution);
}

#[test]
fn a_refused_entry_that_changes_something_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    asked(&mut scenario, id, Request::Rollback)
        .holds()
        .breaks("legal-transitions", |scene| scene.after.changed_at += 1);
}

#[test]
fn an_end_that_is_left_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    to_commit(&mut scenario, id);
    committed(&mut scenario, id).holds();
    let collected = |scenario: &mut Scenario| {
        let fence = scenario.fence(id);
        Scene::of(scenario, id, Entry::Collected { fence, files: 1, bytes: 1 }).holds()
    };
    collected(&mut scenario).breaks("ends-absorb", |scene| scene.after.phase = Phase::Execution);
    collected(&mut scenario).breaks("ends-absorb", |scene| scene.after.stages[0][0].done = None);
    collected(&mut scenario).breaks("ends-absorb", |scene| scene.after.intent = None);
    collected(&mut scenario).breaks("ends-absorb", |scene| scene.after.run = Run(2));
}

#[test]
fn an_epoch_that_does_not_grow_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    joined(&mut scenario);
    let fence = scenario.fence(id);
    let entry = || Entry::Transferred { items: vec![fence], to: OTHER, reason: TransferReason::Steal };
    let scene = Scene::of(&mut scenario, id, entry()).holds();
    assert_eq!(scene.after.owner, OTHER);
    scene.breaks("epochs-grow", |scene| scene.after.epoch = Epoch(1));
    let again = Scene::of(&mut scenario, id, opened_by(OTHER, 2, 2)).holds();
    again.breaks("epochs-grow", |scene| scene.after.epoch = scene.before.as_ref().expect("it was there").epoch);
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds();
    let again = Scene::of(&mut scenario, id, opened(2)).holds();
    again.breaks("epochs-grow", |scene| scene.after.stages[0][0].running = Some(Attempt(2)));
}

#[test]
fn an_entry_of_an_old_epoch_that_is_taken_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds();
    done(&mut scenario, id).holds().breaks("stale-refused", |scene| {
        scene.before.as_mut().expect("it was there").epoch = Epoch(2);
        scene.after.epoch = Epoch(2);
    });
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds();
    done(&mut scenario, id).holds().breaks("stale-refused", |scene| {
        scene.before.as_mut().expect("it was there").stages[0][0].running = Some(Attempt(9));
    });
}

#[test]
fn an_attempt_that_is_used_twice_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds().breaks("attempts-fresh", |scene| scene.after.next_attempt = Attempt(1));
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).breaks("attempts-fresh", |scene| scene.after.stages[0][0].running = Some(Attempt(1)));
    done(&mut scenario, id).holds().breaks("attempts-fresh", |scene| scene.after.work_attempt = Attempt(1));
}

#[test]
fn work_for_a_node_without_a_session_or_a_drained_one_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    joined(&mut scenario);
    let fence = scenario.fence(id);
    let entry = Entry::Transferred { items: vec![fence], to: OTHER, reason: TransferReason::Steal };
    Scene::of(&mut scenario, id, entry).holds().breaks("owners-take-work", |scene| {
        scene.fleet.get_mut(&OTHER).expect("it has a session").draining = true;
    });
    let (mut scenario, id) = begun(|_| ());
    joined(&mut scenario);
    let session = scenario.state.member(NODE).expect("it founded the fleet").session;
    let gone = Entry::SessionsExpired { sessions: vec![(NODE, session)], mass: false };
    let scene = Scene::of(&mut scenario, id, gone).holds();
    assert_eq!(scene.after.owner, OTHER);
    scene.breaks("owners-take-work", |scene| {
        scene.before.as_mut().expect("it was there").owner = OTHER;
        scene.after.owner = NODE;
    });
}

#[test]
fn a_failure_that_is_not_counted_or_counted_twice_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds();
    failed(&mut scenario, id, Class::Transient).holds().breaks("failures-count", |scene| {
        scene.after.stages[0][0].failures = 0;
    });
    started(&mut scenario, id).holds().breaks("failures-count", |scene| scene.after.stages[0][0].failures += 1);
    done(&mut scenario, id).holds();
    let fence = scenario.fence(id);
    let entry = Entry::WorkFailed { fence, work: Work::Validate, problem: io(), class: Class::Transient, retry_at: 0 };
    Scene::of(&mut scenario, id, entry).holds().breaks("failures-count", |scene| scene.after.work_failures = 0);
}

#[test]
fn a_death_that_is_not_counted_or_counted_without_blame_is_seen() {
    for (mass, doctor) in [(false, Vec::new()), (true, vec![NODE])] {
        let (mut scenario, id) = begun(|_| ());
        planned(&mut scenario, id);
        started(&mut scenario, id).holds();
        joined(&mut scenario);
        let session = scenario.state.member(NODE).expect("it founded the fleet").session;
        let gone = Entry::SessionsExpired { sessions: vec![(NODE, session)], mass };
        let scene = Scene::of(&mut scenario, id, gone).holds();
        assert_eq!(scene.after.stages[0][0].deaths.is_empty(), mass);
        scene.breaks("deaths-count", |scene| scene.after.stages[0][0].deaths = doctor);
    }
}

#[test]
fn a_drained_node_that_starts_again_is_not_held_against_what_it_ran() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds();
    scenario.fact(Entry::DrainRequested { node: NODE, drain: true, reason: String::new() });
    let scene = Scene::of(&mut scenario, id, opened(2)).holds();
    assert_eq!(scene.after.stages[0][0].deaths, []);
}

#[test]
fn a_quarantine_without_reason_and_a_reason_without_quarantine_are_seen() {
    let (mut scenario, id) = begun(|policy| policy.attempts = 2);
    planned(&mut scenario, id);
    started(&mut scenario, id).holds();
    failed(&mut scenario, id, Class::Transient).holds().breaks("quarantine-exactly-when", |scene| {
        scene.after.phase = Phase::Quarantined;
    });
    started(&mut scenario, id).holds();
    let last = failed(&mut scenario, id, Class::Transient).holds();
    assert_eq!(last.after.phase, Phase::Quarantined);
    last.breaks("quarantine-exactly-when", |scene| scene.after.phase = Phase::Execution);
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds();
    failed(&mut scenario, id, Class::Permanent).holds().breaks("quarantine-exactly-when", |scene| {
        scene.after.phase = Phase::Execution;
    });
}

#[test]
fn a_poisonous_batch_that_goes_on_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    let mut scene = None;
    for session in 2..=11 {
        started(&mut scenario, id).holds();
        scene = Some(Scene::of(&mut scenario, id, opened(session)).holds());
    }
    let scene = scene.expect("there were some");
    assert_eq!(scene.after.phase, Phase::Quarantined);
    scene.breaks("quarantine-exactly-when", |scene| scene.after.phase = Phase::Execution);
}

#[test]
fn a_stop_without_a_word_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds();
    let fence = scenario.fence(id);
    let batch = Some((first_batch(), open_attempt(&scenario, id)));
    let entry = Entry::Differs { fence, batch, problem: io(), evidence: None };
    let scene = Scene::of(&mut scenario, id, entry).holds();
    scene.breaks("stops-explained", |scene| scene.after.problem = None);
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    asked(&mut scenario, id, Request::Pause).holds().breaks("stops-explained", |scene| scene.after.from = None);
}

#[test]
fn what_moves_without_the_approval_of_its_own_plan_is_seen() {
    let (mut scenario, id) = begun(|policy| policy.approval_required = true);
    planned(&mut scenario, id).breaks("approval-bound", |scene| scene.after.phase = Phase::Ready);
    let other = Entry::Approved(vec![(id, Hash256::of(b"another plan"))]);
    let refused = Scene::of(&mut scenario, id, other).holds();
    assert!(matches!(refused.answer, Answer::Refused(_)));
    let scene = Scene::of(&mut scenario, id, Entry::Approved(vec![(id, Hash256::of(b"plan"))])).holds();
    assert_eq!(scene.after.phase, Phase::Ready);
    scene.breaks("approval-bound", |scene| {
        scene.after.approved = Some((Hash256::of(b"another plan"), "test".to_owned()));
    });
    started(&mut scenario, id).holds().breaks("approval-bound", |scene| scene.after.approved = None);
}

#[test]
fn a_second_or_a_changed_intent_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds();
    done(&mut scenario, id).holds();
    intended(&mut scenario, id).holds().breaks("one-intent", |scene| {
        scene.after.intent.as_mut().expect("it was made").uuid = TableUuid::tombstone(id, Run(1));
    });
    committed(&mut scenario, id).holds().breaks("one-intent", |scene| {
        scene.after.intent.as_mut().expect("it was made").location.push('2');
    });
    let fence = scenario.fence(id);
    let scene = Scene::of(&mut scenario, id, Entry::Collected { fence, files: 1, bytes: 1 });
    scene.breaks("one-intent", |scene| scene.after.intent = None);
}

#[test]
fn what_is_published_before_it_is_validated_or_twice_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds();
    done(&mut scenario, id).breaks("validated-before-published", |scene| scene.after.stages[0][0].done = None);
    intended(&mut scenario, id).holds();
    committed(&mut scenario, id).holds().breaks("validated-before-published", |scene| {
        scene.before.as_mut().expect("it was there").committed_at = Some(1);
    });
    let (mut scenario, id) = begun(|_| ());
    to_commit(&mut scenario, id);
    committed(&mut scenario, id).holds().breaks("validated-before-published", |scene| {
        scene.entry = match scene.entry.clone() {
            Entry::Committed { fence, .. } => Entry::Committed { fence, metadata_location: "/else".to_owned() },
            entry => entry,
        };
    });
}

#[test]
fn a_result_that_is_taken_twice_or_changes_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds();
    done(&mut scenario, id).holds();
    intended(&mut scenario, id).holds().breaks("batches-count-once", |scene| {
        scene.after.stages[0][0].done = Some((Hash256::of(b"another"), totals(10, 2, 8)));
    });
    committed(&mut scenario, id).holds().breaks("batches-count-once", |scene| {
        scene.after.stages[0].push(super::super::BatchGlimpse::default());
    });
}

#[test]
fn a_batch_that_runs_before_the_stage_before_it_is_done_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    scenario.plan_stages(id, vec![1, 1]);
    started(&mut scenario, id).holds().breaks("batches-count-once", |scene| {
        scene.after.stages[1][0].running = Some(Attempt(2));
    });
}

#[test]
fn a_cancellation_past_the_intent_that_does_not_take_the_name_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    to_commit(&mut scenario, id);
    let scene = asked(&mut scenario, id, Request::Cancel).holds();
    assert_eq!(scene.after.phase, Phase::RollingBack);
    scene.breaks("withdrawals-keep-the-name", |scene| scene.after.phase = Phase::Cancelled);
    withdrawn(&mut scenario, id).holds().breaks("withdrawals-keep-the-name", |scene| {
        scene.after.tombstone = None;
    });
}

#[test]
fn a_tombstone_that_goes_too_early_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    to_commit(&mut scenario, id);
    asked(&mut scenario, id, Request::Cancel).holds();
    withdrawn(&mut scenario, id).holds();
    let fence = scenario.fence(id);
    let mut scene = Scene::of(&mut scenario, id, Entry::TombstoneReleased { fence });
    scene.at_millis = 1_000_000;
    scene.told.iter_mut().for_each(|line| line.at_millis = 1_000_000);
    scene.holds().breaks("withdrawals-keep-the-name", |scene| scene.at_millis = 600_000);
}

#[test]
fn a_rollback_that_does_nothing_or_something_twice_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    to_commit(&mut scenario, id);
    committed(&mut scenario, id).holds();
    let scene = asked(&mut scenario, id, Request::Rollback).holds();
    assert_eq!(scene.after.withdrawing, Some(WithdrawReason::Rollback));
    scene.breaks("rollback-idempotent", |scene| scene.after.withdrawing = None);
    asked(&mut scenario, id, Request::Rollback).holds().breaks("rollback-idempotent", |scene| {
        scene.answer = Answer::Applied;
    });
}

#[test]
fn a_change_without_its_line_actor_or_reason_is_seen() {
    let paused = || {
        let (mut scenario, id) = begun(|_| ());
        planned(&mut scenario, id);
        asked(&mut scenario, id, Request::Pause).holds()
    };
    paused().breaks("changes-told", |scene| scene.told.clear());
    paused().breaks("changes-told", |scene| scene.told[0].actor = "nobody".to_owned());
    paused().breaks("changes-told", |scene| scene.told[0].what = "paused by request".to_owned());
    paused().breaks("changes-told", |scene| scene.after.history -= 1);
    paused().breaks("changes-told", |scene| scene.told[0].phase = Phase::Ready);
}

#[test]
fn a_lost_row_is_seen() {
    let started_one = || {
        let (mut scenario, id) = begun(|_| ());
        planned(&mut scenario, id);
        started(&mut scenario, id).holds();
        (scenario, id)
    };
    let (mut scenario, id) = started_one();
    done(&mut scenario, id).holds().breaks("rows-conserved", |scene| {
        let Entry::BatchDone { totals, .. } = &mut scene.entry else { return };
        totals.rows_out = 7;
    });
    let (mut scenario, id) = started_one();
    done(&mut scenario, id).holds().breaks("rows-conserved", |scene| {
        scene.after.stages[0][0].done = Some((Hash256::of(b"result"), totals(9, 1, 8)));
    });
    let (mut scenario, id) = started_one();
    done(&mut scenario, id).holds();
    intended(&mut scenario, id).holds().breaks("rows-conserved", |scene| {
        scene.after.intent.as_mut().expect("it was made").rows = 9;
    });
}

#[test]
fn a_beginning_before_others_are_through_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds().breaks("dependencies-respected", |scene| scene.unmet = vec!["users".into()]);
}

#[test]
fn what_goes_before_more_urgent_ones_again_and_again_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds().breaks("priority-respected", |scene| scene.inverted = 6);
}

#[test]
fn who_is_passed_by_without_end_is_seen() {
    let (mut scenario, id) = begun(|_| ());
    planned(&mut scenario, id);
    started(&mut scenario, id).holds().breaks("bypass-bounded", |scene| scene.passed_by = 19);
}
