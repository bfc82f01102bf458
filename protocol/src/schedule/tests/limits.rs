//! What limits hold back: policies, connections, breakers, retries, dependencies, a node that is being left.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::*;
use crate::data_plane::Class;
use crate::ids::NodeId;
use crate::problem::{Code, Problem};

const OTHER: NodeId = NodeId(8);

fn at_rest(scenario: &Scenario, limits: &Limits) -> Vec<(MigrationId, BatchId)> {
    batches(&decide(&scenario.state, &Running::default(), limits, scenario.entries * 1000, |_| true))
}

#[test]
fn batches_on_other_nodes_count_for_a_policys_limit_and_borrowed_ones_for_the_slots() {
    let mut scenario = Scenario::default();
    let ids = scenario.policy("narrow", &["a"], |policy| policy.max_parallel = 2);
    scenario.plan(ids[0], 6, 60);
    let (fence, attempt) = (scenario.fence(ids[0]), scenario.migration(ids[0]).next_attempt);
    scenario.fact(Entry::BatchStarted { fence, batch: batch_id(5), attempt, runner: OTHER });
    assert_eq!(at_rest(&scenario, &slots(4)), [(ids[0], batch_id(0))]);
    let lent = Running { lent: vec![(ids[0], batch_id(4))], ..Running::default() };
    assert_eq!(batches(&decide_all(&scenario, &lent)), []);
    let wide = scenario.policy("wide", &["a"], |_| ())[0];
    scenario.plan(wide, 2, 1);
    let borrowed = Running { borrowed: vec![(ids[0], batch_id(3))], ..Running::default() };
    assert_eq!(batches(&decide_all(&scenario, &borrowed)).len(), 1);
}

#[test]
fn a_connection_takes_no_more_batches_than_it_may_whatever_policies_they_are_of() {
    let mut scenario = Scenario::default();
    let from =
        |connection: &'static str| move |policy: &mut AppliedPolicy| policy.source_connection = connection.into();
    let a = scenario.policy("a", &["t"], from("old"))[0];
    let b = scenario.policy("b", &["t"], from("old"))[0];
    let c = scenario.policy("c", &["t"], from("new"))[0];
    for (id, seconds) in [(a, 30), (b, 20), (c, 10)] {
        scenario.plan(id, 3, seconds);
    }
    let limits = Limits { connections: BTreeMap::from([("old".into(), 2)]), ..slots(4) };
    let taken = at_rest(&scenario, &limits);
    assert_eq!(taken, [(a, batch_id(0)), (a, batch_id(1)), (c, batch_id(0)), (c, batch_id(1))]);
    let limits = Limits { connections: BTreeMap::from([("lake".into(), 1)]), ..slots(4) };
    assert_eq!(at_rest(&scenario, &limits), [(a, batch_id(0))], "the target is a connection too");
}

#[test]
fn an_open_breaker_lets_nothing_begin_and_a_half_open_one_a_single_batch() {
    let mut scenario = Scenario::default();
    let id = scenario.policy("p", &["a"], |_| ())[0];
    scenario.plan(id, 5, 5);
    let limits = |most| Limits { begin: BTreeMap::from([("legacy".into(), most)]), ..slots(4) };
    assert_eq!(at_rest(&scenario, &limits(0)), []);
    assert_eq!(at_rest(&scenario, &limits(1)), [(id, batch_id(0))]);
}

#[test]
fn retries_are_rationed_and_first_tries_are_not() {
    let mut scenario = Scenario::default();
    let id = scenario.policy("p", &["a"], |_| ())[0];
    scenario.plan(id, 4, 4);
    for number in 0..2 {
        let (batch, attempt) = scenario.start(id, number);
        let problem = Problem::new(Code::Io, "a file", "no answer", "wait");
        let fence = scenario.fence(id);
        scenario.fact(Entry::BatchFailed { fence, batch, attempt, problem, class: Class::Transient, retry_at: 0 });
    }
    let numbers = |limits: &Limits| -> Vec<u32> {
        at_rest(&scenario, limits).into_iter().map(|(_, batch)| batch.batch.0).collect()
    };
    assert_eq!(numbers(&slots(4)), [0, 1, 2, 3]);
    assert_eq!(numbers(&Limits { retries: Some(1), ..slots(4) }), [0, 2, 3]);
    assert_eq!(numbers(&Limits { retries: Some(0), ..slots(4) }), [2, 3]);
}

#[test]
fn a_policy_waits_with_its_batches_but_not_with_its_plans() {
    let mut scenario = Scenario::default();
    let first = scenario.policy("first", &["a"], |policy| policy.priority = 1)[0];
    let ids = scenario.policy("second", &["a", "b"], |policy| policy.after = vec!["first".into()]);
    scenario.plan(ids[0], 2, 900);
    let decision = decide_all(&scenario, &Running::default());
    assert_eq!(decision.dispatches, [Dispatch::StartPreparations(vec![first, ids[1]])]);
    scenario.commit(first);
    assert_eq!(batches(&decide_all(&scenario, &Running::default())), [(ids[0], batch_id(0)), (ids[0], batch_id(1))]);
}

#[test]
fn a_node_that_is_left_begins_nothing_and_ends_what_it_has_promised() {
    let mut scenario = Scenario::default();
    let ids = scenario.policy("p", &["a", "b", "c"], |_| ());
    scenario.plan(ids[0], 1, 1);
    scenario.plan(ids[1], 1, 1);
    let started = scenario.start(ids[1], 0);
    scenario.finish(ids[1], started);
    let limits = Limits { draining: true, ..slots(4) };
    let decide = |scenario: &Scenario| decide(&scenario.state, &Running::default(), &limits, 0, |_| true).dispatches;
    assert_eq!(decide(&scenario), []);
    scenario.intend(ids[1]);
    assert_eq!(decide(&scenario), [Dispatch::Work(ids[1], Step::Publish)]);
}

#[test]
fn what_waits_or_is_full_is_skipped_as_a_whole() {
    let mut scenario = Scenario::default();
    let tables: Vec<String> = (0..2_000).map(|number| format!("t{number}")).collect();
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    let waiting = scenario.policy("waiting", &tables, |policy| {
        (policy.priority, policy.after) = (90, vec!["nobody".into()]);
    });
    let narrow = scenario.policy("narrow", &tables, |policy| (policy.priority, policy.max_parallel) = (80, 1));
    for id in waiting.iter().chain(&narrow) {
        scenario.plan(*id, 1, 50);
    }
    let wide = scenario.policy("wide", &tables, |_| ());
    scenario.plan(wide[7], 1, 1);
    let looked_at = Cell::new(0);
    let decision = decide(&scenario.state, &Running::default(), &slots(4), scenario.entries * 1000, |_| {
        looked_at.set(looked_at.get() + 1);
        true
    });
    let taken: Vec<MigrationId> = batches(&decision).into_iter().map(|(id, _)| id).collect();
    assert_eq!((taken.len(), taken[1]), (2, wide[7]));
    assert!(narrow.contains(&taken[0]));
    assert!(looked_at.get() < 40, "{} of 6,000 were looked at", looked_at.get());
}
