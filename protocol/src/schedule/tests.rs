use super::*;
use crate::ids::PolicyName;
use crate::ledger::entry::AppliedPolicy;
use crate::ledger::entry::{Entry, Request};
use crate::ledger::scenario::{NODE, Scenario, batch_id};

mod limits;
mod order;

fn slots(slots: usize) -> Limits {
    Limits { node: NODE, slots, ..Limits::default() }
}

/// With two slots, at a time at which nothing has waited for long.
fn decide_all(scenario: &Scenario, running: &Running) -> Decision {
    decide(&scenario.state, running, &slots(2), scenario.entries * 1000, |_| true)
}

fn batches(decision: &Decision) -> Vec<(MigrationId, BatchId)> {
    let batch = |dispatch: &Dispatch| match dispatch {
        Dispatch::Batch(id, batch) => Some((*id, *batch)),
        _ => None,
    };
    decision.dispatches.iter().filter_map(batch).collect()
}

#[test]
fn queued_migrations_are_prepared_by_priority_then_age() {
    let mut scenario = Scenario::default();
    let low = scenario.policy("low", &["a", "b", "c"], |policy| policy.priority = 10);
    let high = scenario.policy("high", &["a", "b"], |policy| policy.priority = 90);
    let decision = decide_all(&scenario, &Running::default());
    let [Dispatch::StartPreparations(chosen)] = decision.dispatches.as_slice() else { panic!("{decision:?}") };
    assert_eq!(chosen.len(), 4, "two for each slot");
    assert!(high.iter().all(|id| chosen[..2].contains(id)));
    assert!(chosen[2..].iter().all(|id| low.contains(id)));
}

#[test]
fn the_longest_plan_goes_first_and_running_batches_are_not_handed_out_twice() {
    let mut scenario = Scenario::default();
    let ids = scenario.policy("p", &["short", "long"], |_| ());
    scenario.plan(ids[0], 3, 5);
    scenario.plan(ids[1], 3, 500);
    let decision = decide_all(&scenario, &Running::default());
    let both = [Dispatch::Batch(ids[1], batch_id(0)), Dispatch::Batch(ids[1], batch_id(1))];
    assert_eq!(decision.dispatches, both);
    let running = Running { batches: vec![(ids[1], batch_id(0))], ..Running::default() };
    assert_eq!(decide_all(&scenario, &running).dispatches, [Dispatch::Batch(ids[1], batch_id(1))]);
    let full = Running { batches: vec![(ids[1], batch_id(0)), (ids[1], batch_id(1))], ..Running::default() };
    assert_eq!(decide_all(&scenario, &full).dispatches, []);
}

#[test]
fn a_policy_takes_no_more_slots_than_it_may_and_others_take_the_rest() {
    let mut scenario = Scenario::default();
    let narrow = scenario.policy("narrow", &["a"], |policy| (policy.max_parallel, policy.priority) = (1, 90))[0];
    let wide = scenario.policy("wide", &["a"], |_| ())[0];
    scenario.plan(narrow, 4, 9);
    scenario.plan(wide, 4, 1);
    let decision = decide_all(&scenario, &Running::default());
    let expected = [Dispatch::Batch(narrow, batch_id(0)), Dispatch::Batch(wide, batch_id(0))];
    assert_eq!(decision.dispatches, expected);
}

#[test]
fn what_ends_a_run_goes_before_what_begins_one() {
    let mut scenario = Scenario::default();
    let ids = scenario.policy("p", &["a", "b"], |_| ());
    scenario.plan(ids[0], 2, 900);
    scenario.plan(ids[1], 1, 1);
    let started = scenario.start(ids[1], 0);
    scenario.finish(ids[1], started);
    let decision = decide_all(&scenario, &Running::default());
    assert_eq!(decision.dispatches, [Dispatch::Work(ids[1], Step::Validate), Dispatch::Batch(ids[0], batch_id(0))]);
}

#[test]
fn a_pause_until_later_wakes_the_scheduler_then() {
    let mut scenario = Scenario::default();
    let id = scenario.policy("p", &["a"], |_| ())[0];
    scenario.plan(id, 1, 1);
    let handed_out = scenario.start(id, 0);
    scenario.fact(crate::machine::outcome::interrupted(scenario.fence(id), handed_out, 0, 70_000, 1_500));
    let at = |now| decide(&scenario.state, &Running::default(), &slots(2), now, |_| true);
    assert_eq!(at(70_000), Decision { wake_at: Some(71_500), ..Decision::default() });
    assert_eq!(at(71_500).dispatches, [Dispatch::Batch(id, batch_id(0))]);
}

#[test]
fn migrations_at_rest_are_not_even_looked_at() {
    let mut scenario = Scenario::default();
    let ids = scenario.policy("p", &["a", "b", "c"], |_| ());
    scenario.commit(ids[0]);
    scenario.request(ids[1], Request::Cancel);
    scenario.request(ids[2], Request::Pause);
    let looked_at = std::cell::Cell::new(0);
    let decision = decide(&scenario.state, &Running::default(), &slots(2), 0, |_| {
        looked_at.set(looked_at.get() + 1);
        true
    });
    assert_eq!((decision, looked_at.get()), (Decision::default(), 0));
}

#[test]
fn the_index_of_work_follows_every_change() {
    let mut scenario = Scenario::default();
    let id = scenario.policy("p", &["a"], |_| ())[0];
    let due = |scenario: &Scenario| {
        Phase::ALL.into_iter().filter(|phase| scenario.state.due(*phase).next().is_some()).collect::<Vec<_>>()
    };
    assert_eq!(due(&scenario), [Phase::Queued]);
    scenario.plan(id, 1, 1);
    assert_eq!(due(&scenario), [Phase::Ready]);
    let started = scenario.start(id, 0);
    scenario.request(id, Request::Cancel);
    assert_eq!(due(&scenario), [Phase::Cancelled], "the open batch may have left files");
    assert!(matches!(decide_all(&scenario, &Running::default()).dispatches[..], [Dispatch::Work(_, Step::Collect)]));
    scenario.fact(Entry::Collected { fence: scenario.fence(id), files: 1, bytes: 1 });
    assert_eq!(due(&scenario), []);
    scenario.request(id, Request::Retry);
    assert_eq!(due(&scenario), [Phase::Queued]);
    let _ = started;
}

#[test]
fn a_new_generation_leaves_published_targets_alone_and_takes_the_place_of_others() {
    let mut scenario = Scenario::default();
    let ids = scenario.policy("p", &["a", "b"], |_| ());
    scenario.commit(ids[0]);
    let name = PolicyName::from("p");
    assert_eq!(scenario.state.settled(&name).into_iter().map(|dataset| dataset.table).collect::<Vec<_>>(), ["a"]);
    let before = scenario.generation("p");
    scenario.policy("p", &["a", "b"], |policy| policy.hash = crate::hash::Hash256::of(b"changed"));
    assert_eq!(scenario.generation("p"), before.next());
    assert!(!scenario.state.is_superseded(scenario.migration(ids[0])));
    assert!(scenario.state.is_superseded(scenario.migration(ids[1])));
}
