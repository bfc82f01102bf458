//! The invariants at the end of a run.

use crate::hash::Hash256;
use crate::invariant::end::{drained_own_nothing, everything_ended, replicas_agree};
use crate::ledger::entry::{Entry, Request, TransferReason};
use crate::ledger::scenario::{NODE, Scenario, opened};

use super::{OTHER, joined};

#[test]
fn work_that_does_not_end_is_seen() {
    let mut scenario = Scenario::default();
    scenario.fact(opened(1));
    let id = scenario.policy("p", &["t"], |_| ())[0];
    assert!(everything_ended(&scenario.state).is_err());
    scenario.request(id, Request::Pause);
    assert_eq!(everything_ended(&scenario.state), Ok(()));
    scenario.request(id, Request::Resume);
    scenario.plan(id, 1, 1);
    assert!(everything_ended(&scenario.state).is_err());
    scenario.request(id, Request::Cancel);
    assert_eq!(everything_ended(&scenario.state), Ok(()));
}

#[test]
fn who_waits_for_a_policy_that_a_person_stopped_may_wait() {
    let mut scenario = Scenario::default();
    scenario.fact(opened(1));
    let users = scenario.policy("users", &["u"], |_| ())[0];
    let id = scenario.policy("p", &["t"], |policy| policy.after = vec!["users".into()])[0];
    scenario.plan(id, 1, 1);
    scenario.request(users, Request::Pause);
    assert_eq!(everything_ended(&scenario.state), Ok(()));
    scenario.request(users, Request::Resume);
    scenario.commit(users);
    assert!(everything_ended(&scenario.state).is_err());
}

#[test]
fn a_drained_node_that_owns_work_is_seen() {
    let mut scenario = Scenario::default();
    scenario.fact(opened(1));
    let id = scenario.policy("p", &["t"], |_| ())[0];
    scenario.fact(Entry::DrainRequested { node: NODE, drain: true, reason: String::new() });
    assert_eq!(drained_own_nothing(&scenario.state), Ok(()), "nobody else can have it");
    joined(&mut scenario);
    assert!(drained_own_nothing(&scenario.state).is_err());
    let items = vec![scenario.fence(id)];
    scenario.fact(Entry::Transferred { items, to: OTHER, reason: TransferReason::Drain });
    assert_eq!(drained_own_nothing(&scenario.state), Ok(()));
}

#[test]
fn replicas_that_differ_are_seen() {
    let (one, other) = (Hash256::of(b"one"), Hash256::of(b"other"));
    assert_eq!(replicas_agree(&[(3, one), (3, one)]), Ok(()));
    assert!(replicas_agree(&[(3, one), (3, other)]).is_err());
    assert!(replicas_agree(&[(3, one), (4, one)]).is_err());
}
