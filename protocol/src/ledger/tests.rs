use super::entry::{Answer, Entry, Request};
use super::migration::{HISTORY_LIMIT, Phase};
use super::scenario::{NODE, Scenario, batch_id, opened};
use crate::data_plane::Class;
use crate::hash::Hash256;
use crate::ids::{Attempt, Epoch, MigrationId, Run};
use crate::ledger::entry::{BatchTotals, Work};
use crate::problem::{Code, Problem};
use crate::wire::{self, Kind};

fn one() -> (Scenario, MigrationId) {
    let mut scenario = Scenario::default();
    let id = scenario.policy("p", &["t"], |_| ())[0];
    (scenario, id)
}

fn refused_with(answer: &Answer, code: Code) -> bool {
    matches!(answer, Answer::Refused(problem) if problem.code == code)
}

fn io() -> Problem {
    Problem::new(Code::Io, "reading", "the disk said no", "look at the disk")
}

#[test]
fn an_entry_of_an_old_epoch_changes_nothing() {
    let (mut scenario, id) = one();
    scenario.plan(id, 1, 1);
    let old = scenario.fence(id);
    let (batch, attempt) = scenario.start(id, 0);
    scenario.fact(opened(1));
    let before = scenario.migration(id).clone();
    assert_eq!(before.epoch, Epoch(2));
    let (result, totals) = (Hash256::default(), BatchTotals::default());
    let answer = scenario.apply(Entry::BatchDone { fence: old, batch, attempt, result, totals });
    assert!(refused_with(&answer, Code::Stale));
    let current = scenario.fence(id);
    let answer = scenario.apply(Entry::BatchDone { fence: current, batch, attempt, result, totals });
    assert!(refused_with(&answer, Code::Stale) || refused_with(&answer, Code::WrongPhase), "its hand-out is over");
    assert_eq!(*scenario.migration(id), before);
}

#[test]
fn a_start_that_is_recorded_twice_raises_the_epoch_once() {
    let (mut scenario, id) = one();
    scenario.fact(opened(3));
    assert_eq!(scenario.apply(opened(3)), Answer::Unchanged);
    assert_eq!(scenario.migration(id).epoch, Epoch(2));
}

#[test]
fn one_batch_done_is_taken_for_each_batch_and_only_from_its_open_attempt() {
    let (mut scenario, id) = one();
    scenario.plan(id, 2, 1);
    let (batch, attempt) = scenario.start(id, 0);
    let fence = scenario.fence(id);
    let done = |attempt| Entry::BatchDone {
        fence,
        batch,
        attempt,
        result: Hash256::default(),
        totals: BatchTotals::default(),
    };
    assert!(refused_with(&scenario.apply(done(attempt.next())), Code::Stale));
    scenario.fact(done(attempt));
    assert!(refused_with(&scenario.apply(done(attempt)), Code::Stale));
    let again = Entry::BatchStarted { fence, batch, attempt: scenario.migration(id).next_attempt, runner: NODE };
    assert!(refused_with(&scenario.apply(again), Code::Stale), "a done batch is not handed out again");
}

#[test]
fn an_attempt_number_is_used_once() {
    let (mut scenario, id) = one();
    scenario.plan(id, 3, 1);
    let mut seen = std::collections::BTreeSet::new();
    for batch in [0, 1, 2] {
        let (batch, attempt) = scenario.start(id, batch);
        assert!(seen.insert(attempt));
        let fence = scenario.fence(id);
        let class = Class::Transient;
        scenario.fact(Entry::BatchFailed { fence, batch, attempt, problem: io(), class, retry_at: 0 });
    }
    assert!(seen.insert(scenario.start(id, 0).1));
    let (fence, batch) = (scenario.fence(id), batch_id(1));
    assert!(refused_with(
        &scenario.apply(Entry::BatchStarted { fence, batch, attempt: Attempt(1), runner: NODE }),
        Code::Stale
    ));
}

#[test]
fn transient_failures_use_up_the_attempts_and_permanent_ones_do_not_wait() {
    let (mut scenario, id) = one();
    scenario.plan(id, 1, 1);
    for failure in 1..=3 {
        assert!(scenario.migration(id).phase.is_active(), "before failure {failure}");
        let (batch, attempt) = scenario.start(id, 0);
        let fence = scenario.fence(id);
        let class = Class::Transient;
        scenario.fact(Entry::BatchFailed { fence, batch, attempt, problem: io(), class, retry_at: 0 });
    }
    let migration = scenario.migration(id);
    assert_eq!((migration.phase, migration.from), (Phase::Quarantined, Some(Phase::Execution)));
    assert_eq!(migration.problem.as_ref().unwrap().code, Code::AttemptsExhausted);

    let (mut scenario, id) = one();
    scenario.plan(id, 1, 1);
    let (batch, attempt) = scenario.start(id, 0);
    let fence = scenario.fence(id);
    scenario.fact(Entry::BatchFailed { fence, batch, attempt, problem: io(), class: Class::Permanent, retry_at: 0 });
    assert_eq!(scenario.migration(id).phase, Phase::Quarantined);
}

#[test]
fn a_batch_that_its_node_never_survives_is_poison() {
    let (mut scenario, id) = one();
    scenario.plan(id, 1, 1);
    for boot in 1..=10 {
        assert_ne!(scenario.migration(id).phase, Phase::Quarantined, "before death {boot}");
        scenario.start(id, 0);
        scenario.fact(opened(boot));
    }
    assert_eq!(scenario.migration(id).problem.as_ref().unwrap().code, Code::Poison);
}

#[test]
fn kills_with_progress_in_between_never_count_as_poison() {
    let (mut scenario, id) = one();
    scenario.plan(id, 40, 1);
    for boot in 1..=30 {
        let started = scenario.start(id, boot);
        scenario.finish(id, started);
        scenario.start(id, 39);
        scenario.fact(opened(u64::from(boot)));
    }
    assert_eq!(scenario.migration(id).phase, Phase::Execution);
}

#[test]
fn an_approval_holds_for_the_plan_it_names_and_for_no_other() {
    let mut scenario = Scenario::default();
    let id = scenario.policy("p", &["t"], |policy| policy.approval_required = true)[0];
    scenario.plan(id, 1, 1);
    assert_eq!(scenario.migration(id).phase, Phase::Approval);
    let other = Hash256::of(b"another plan");
    assert!(refused_with(&scenario.apply(Entry::Approved(vec![(id, other)])), Code::PlanChanged));
    let hash = scenario.migration(id).plan.as_ref().unwrap().hash;
    scenario.fact(Entry::Approved(vec![(id, hash)]));
    assert_eq!(scenario.migration(id).phase, Phase::Ready);
    assert!(refused_with(&scenario.apply(Entry::Approved(vec![(id, hash)])), Code::WrongPhase));
}

#[test]
fn the_same_plan_needs_no_second_approval_and_another_one_does() {
    let mut scenario = Scenario::default();
    let id = scenario.policy("p", &["t"], |policy| policy.approval_required = true)[0];
    scenario.plan(id, 1, 1);
    let mut plan = scenario.migration(id).plan.clone().unwrap();
    scenario.fact(Entry::Approved(vec![(id, plan.hash)]));
    scenario.request(id, Request::Cancel);
    scenario.request(id, Request::Retry);
    assert_eq!(scenario.migration(id).run, Run(2));
    scenario.plan(id, 1, 1);
    assert_eq!(scenario.migration(id).phase, Phase::Ready, "the plan that was approved is the present one");
    scenario.request(id, Request::Cancel);
    scenario.request(id, Request::Retry);
    let fence = scenario.fence(id);
    scenario.fact(Entry::PreparationStarted(vec![fence]));
    plan.hash = Hash256::of(b"the source changed");
    scenario.fact(Entry::Planned { fence, plan: *plan });
    assert_eq!(scenario.migration(id).phase, Phase::Approval);
}

#[test]
fn an_intent_is_unique_and_only_its_own_table_commits() {
    let (mut scenario, id) = one();
    scenario.plan(id, 1, 1);
    let started = scenario.start(id, 0);
    scenario.finish(id, started);
    let table = scenario.intend(id);
    let (fence, plan) = (scenario.fence(id), scenario.migration(id).plan.as_ref().unwrap().hash);
    let again = Entry::PublishIntent { fence, plan, table, evidence: Hash256::default() };
    assert!(refused_with(&scenario.apply(again), Code::WrongPhase));
    let other = Entry::Committed { fence, metadata_location: "/elsewhere".to_owned() };
    assert!(refused_with(&scenario.apply(other), Code::Stale));
    // An adopter inherits the intent.
    scenario.fact(opened(1));
    let metadata_location = scenario.migration(id).intent.as_ref().unwrap().table.metadata_location.clone();
    scenario.fact(Entry::Committed { fence: scenario.fence(id), metadata_location });
    assert_eq!(scenario.migration(id).phase, Phase::Committed);
}

#[test]
fn after_an_intent_a_cancel_takes_the_name_first_and_a_retry_is_refused() {
    let (mut scenario, id) = one();
    scenario.plan(id, 1, 1);
    let started = scenario.start(id, 0);
    scenario.finish(id, started);
    scenario.intend(id);
    scenario.request(id, Request::Pause);
    let retry = Entry::Requested { migrations: vec![id], request: Request::Retry, reason: String::new() };
    assert!(refused_with(&scenario.apply(retry), Code::WrongPhase));
    scenario.request(id, Request::Cancel);
    assert_eq!(scenario.migration(id).phase, Phase::RollingBack);
    let fence = scenario.fence(id);
    scenario.fact(Entry::TombstoneStaged { fence, location: "/t".to_owned() });
    scenario.fact(Entry::Withdrawn { fence, tombstone: true, until: 5 });
    assert_eq!(scenario.migration(id).phase, Phase::Cancelled);
    assert!(scenario.migration(id).tombstone.as_ref().unwrap().placed);
}

#[test]
fn a_table_that_differs_after_its_intent_is_never_published_by_a_resume() {
    let (mut scenario, id) = one();
    scenario.plan(id, 1, 1);
    let started = scenario.start(id, 0);
    scenario.finish(id, started);
    scenario.intend(id);
    let problem = Problem::new(Code::Difference, "validation", "a row is another one", "look at it");
    let fence = scenario.fence(id);
    scenario.fact(Entry::Differs { fence, batch: None, problem, evidence: None });
    let resume = Entry::Requested { migrations: vec![id], request: Request::Resume, reason: String::new() };
    assert!(refused_with(&scenario.apply(resume), Code::WrongPhase));
    scenario.request(id, Request::Cancel);
    assert_eq!(scenario.migration(id).phase, Phase::RollingBack);
}

#[test]
fn failures_with_an_open_intent_pause_and_never_end_the_run() {
    let (mut scenario, id) = one();
    scenario.plan(id, 1, 1);
    let started = scenario.start(id, 0);
    scenario.finish(id, started);
    scenario.intend(id);
    for _ in 0..3 {
        let (fence, problem) = (scenario.fence(id), io());
        let entry = Entry::WorkFailed { fence, work: Work::Publish, problem, class: Class::Transient, retry_at: 0 };
        scenario.fact(entry);
    }
    assert_eq!((scenario.migration(id).phase, scenario.migration(id).from), (Phase::Paused, Some(Phase::Commit)));
    scenario.request(id, Request::Resume);
    assert_eq!(scenario.migration(id).phase, Phase::Commit);
}

#[test]
fn a_rolled_back_migration_can_run_again_and_two_never_share_a_target() {
    let (mut scenario, id) = one();
    scenario.commit(id);
    let same_target = |policy: &mut crate::ledger::entry::AppliedPolicy| {
        policy.datasets = vec![("d.u".parse().unwrap(), "p.t".parse().unwrap())];
    };
    let other = scenario.policy("q", &["u"], same_target)[0];
    assert_eq!(scenario.migration(other).problem.as_ref().unwrap().code, Code::TargetCollision);
    scenario.request(id, Request::Rollback);
    let fence = scenario.fence(id);
    scenario.fact(Entry::TombstoneStaged { fence, location: "/t".to_owned() });
    scenario.fact(Entry::Withdrawn { fence, tombstone: true, until: 5 });
    assert_eq!(scenario.migration(id).phase, Phase::RolledBack);
    scenario.request(other, Request::Retry);
    let retry = Entry::Requested { migrations: vec![id], request: Request::Retry, reason: String::new() };
    assert!(refused_with(&scenario.apply(retry), Code::TargetCollision), "the name went to the other one");
}

#[test]
fn ends_absorb_within_their_run() {
    let (mut scenario, id) = one();
    scenario.commit(id);
    let before = scenario.migration(id).clone();
    for request in [Request::Pause, Request::Resume, Request::Cancel, Request::Retry] {
        let entry = Entry::Requested { migrations: vec![id], request, reason: String::new() };
        assert!(refused_with(&scenario.apply(entry), Code::WrongPhase), "{request:?}");
    }
    assert_eq!(*scenario.migration(id), before);
}

#[test]
fn a_history_is_bounded() {
    let (mut scenario, id) = one();
    scenario.plan(id, 1, 1);
    for _ in 0..HISTORY_LIMIT {
        scenario.request(id, Request::Pause);
        scenario.request(id, Request::Resume);
    }
    assert_eq!(scenario.migration(id).history.len(), HISTORY_LIMIT);
}

#[test]
fn the_state_survives_its_stored_form() {
    let (mut scenario, id) = one();
    scenario.commit(id);
    scenario.request(id, Request::Rollback);
    let frame = wire::encode(Kind::Snapshot, &scenario.state).unwrap();
    let back: super::State = wire::decode(Kind::Snapshot, &frame).unwrap();
    assert_eq!(back, scenario.state);
}

#[test]
fn what_a_newer_generation_kept_is_listed_and_can_be_tried_again_after_its_rollback() {
    let (mut scenario, id) = one();
    scenario.commit(id);
    // The second generation finds the target published, and makes no migration of its own.
    scenario.policy("p", &["t"], |policy| policy.hash = Hash256::of(b"another document"));
    assert_eq!(scenario.state.migrations().len(), 1);
    scenario.request(id, Request::Rollback);
    let fence = scenario.fence(id);
    scenario.fact(Entry::TombstoneStaged { fence, location: "/lake/tombstone.json".to_owned() });
    scenario.fact(Entry::Withdrawn { fence, tombstone: true, until: 0 });
    assert_eq!(scenario.migration(id).phase, Phase::RolledBack);
    assert!(!scenario.state.is_superseded(scenario.migration(id)), "nothing has taken its place");
    scenario.request(id, Request::Retry);
    assert_eq!((scenario.migration(id).phase, scenario.migration(id).run), (Phase::Queued, Run(2)));
}

#[test]
fn what_is_counted_policy_by_policy_is_what_there_is() {
    let (mut scenario, id) = one();
    let recounted = |scenario: &Scenario| super::tally::Tally::of(scenario.state.migrations().values());
    let running = |scenario: &Scenario| scenario.state.running_batches().map(|(_, _, count)| count).sum::<u32>();
    let others = scenario.policy("q", &["a", "b"], |_| ());
    scenario.plan(id, 3, 3);
    scenario.start(id, 0);
    scenario.start(id, 1);
    scenario.commit(others[0]);
    assert_eq!((running(&scenario), scenario.state.committed_of(&"q".into())), (2, 1));
    assert_eq!(scenario.state.tally, recounted(&scenario));
    let frame = wire::encode(Kind::Snapshot, &scenario.state).unwrap();
    let back: super::State = wire::decode(Kind::Snapshot, &frame).unwrap();
    assert_eq!(back, scenario.state, "it is counted anew");
    scenario.request(id, Request::Pause);
    scenario.request(others[0], Request::Rollback);
    assert_eq!((running(&scenario), scenario.state.committed_of(&"q".into())), (0, 0));
    assert_eq!(scenario.state.tally, recounted(&scenario));
}

/// A migration whose plan waits for approvals as the policy wants them; `test` applied the policy.
fn waiting(approval: &str) -> (Scenario, MigrationId) {
    let mut scenario = Scenario::default();
    let id = scenario.policy("p", &["t"], |policy| {
        policy.approval_required = true;
        policy.document = format!(r#"{{"spec":{{"approval":{approval}}}}}"#);
    })[0];
    scenario.plan(id, 1, 1);
    (scenario, id)
}

#[test]
fn whoever_applied_a_policy_does_not_approve_its_plans_where_it_says_so() {
    let (mut scenario, id) = waiting(r#"{"notBySubmitter":true}"#);
    let approve = Entry::Approved(vec![(id, scenario.migration(id).plan.as_ref().unwrap().hash)]);
    assert!(refused_with(&scenario.apply(approve.clone()), Code::Forbidden));
    assert_eq!(scenario.migration(id).phase, Phase::Approval);
    assert_eq!(scenario.apply_as("other", approve), Answer::Applied);
    assert_eq!(scenario.migration(id).phase, Phase::Ready);
}

#[test]
fn a_plan_waits_until_as_many_different_people_as_the_policy_wants_have_approved_it() {
    let (mut scenario, id) = waiting(r#"{"count":3}"#);
    let hash = scenario.migration(id).plan.as_ref().unwrap().hash;
    let approve = Entry::Approved(vec![(id, hash)]);
    for who in ["anna", "bo"] {
        assert_eq!(scenario.apply_as(who, approve.clone()), Answer::Applied);
        assert!(refused_with(&scenario.apply_as(who, approve.clone()), Code::Forbidden), "{who} counts once");
        assert_eq!(scenario.migration(id).phase, Phase::Approval);
    }
    let actors: Vec<&str> = scenario.state.access().approvals(id).iter().map(|given| given.actor.as_str()).collect();
    assert_eq!(actors, ["anna", "bo"]);
    let history = &scenario.migration(id).history;
    assert!(history.last().unwrap().what.ends_with("(2 of 3)"), "{history:?}");
    assert_eq!(scenario.apply_as("cleo", approve), Answer::Applied);
    assert_eq!(scenario.migration(id).phase, Phase::Ready);
    assert!(scenario.state.access().approvals(id).is_empty());
}

#[test]
fn approvals_are_lost_with_a_rejection() {
    let (mut scenario, id) = waiting(r#"{"count":2}"#);
    let items = vec![(id, scenario.migration(id).plan.as_ref().unwrap().hash)];
    assert_eq!(scenario.apply_as("anna", Entry::Approved(items.clone())), Answer::Applied);
    scenario.fact(Entry::Rejected { items, reason: String::new() });
    assert!(scenario.state.access().approvals(id).is_empty());
}
