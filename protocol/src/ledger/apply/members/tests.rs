//! Members, sessions and who owns what, through entries alone.

use super::*;
use crate::ids::{Epoch, MigrationId};
use crate::ledger::entry::{Entry, TransferReason};
use crate::ledger::migration::Phase;
use crate::ledger::scenario::{NODE, Scenario, batch_id, opened_by};

const A: NodeId = NODE;
const B: NodeId = NodeId(11);
const C: NodeId = NodeId(12);

fn token(text: &str) -> Hash256 {
    Hash256::of(text.as_bytes())
}

fn code(answer: &Answer) -> Option<Code> {
    match answer {
        Answer::Refused(problem) => Some(problem.code),
        _ => None,
    }
}

fn admit(scenario: &mut Scenario, node: NodeId) {
    let token = token(&format!("token of {node}"));
    scenario.fact(Entry::JoinTokenIssued { token, expires_at: u64::MAX });
    scenario.fact(Entry::MemberAdmitted { node, token, address: format!("10.0.0.{node}:7401") });
}

/// Three nodes with two slots each.
fn three() -> Scenario {
    let mut scenario = Scenario::default();
    scenario.fact(opened_by(A, 1, 2));
    for node in [B, C] {
        admit(&mut scenario, node);
        scenario.fact(opened_by(node, 1, 2));
    }
    scenario
}

fn owners(scenario: &Scenario, ids: &[MigrationId]) -> Vec<NodeId> {
    ids.iter().map(|id| scenario.migration(*id).owner).collect()
}

fn expired(scenario: &Scenario, nodes: &[NodeId], mass: bool) -> Entry {
    let session = |node: &NodeId| (*node, scenario.state.member(*node).unwrap().session);
    Entry::SessionsExpired { sessions: nodes.iter().map(session).collect(), mass }
}

fn standing(scenario: &Scenario, node: NodeId) -> Standing {
    scenario.state.member(node).unwrap().standing
}

#[test]
fn a_node_that_did_not_hear_of_its_admission_comes_in_with_another_token() {
    let mut scenario = Scenario::default();
    scenario.fact(opened_by(A, 1, 2));
    admit(&mut scenario, B);
    let other = token("another");
    scenario.fact(Entry::JoinTokenIssued { token: other, expires_at: u64::MAX });
    let again = Entry::MemberAdmitted { node: B, token: other, address: "x".to_owned() };
    scenario.fact(again.clone());
    assert_eq!((standing(&scenario, B), scenario.state.join_tokens()[&other].used_by), (Standing::Admitted, Some(B)));
    assert_eq!(scenario.apply(again), Answer::Unchanged);
    let third = token("a third");
    scenario.fact(Entry::JoinTokenIssued { token: third, expires_at: u64::MAX });
    scenario.fact(opened_by(B, 1, 2));
    let taken = scenario.apply(Entry::MemberAdmitted { node: B, token: third, address: "x".to_owned() });
    assert_eq!(code(&taken), Some(Code::JoinRefused), "it is somebody now");
}

#[test]
fn a_join_token_lets_one_node_in_once_and_only_in_time() {
    let mut scenario = Scenario::default();
    scenario.fact(opened_by(A, 1, 2));
    let join = |node, text| Entry::MemberAdmitted { node, token: token(text), address: "x".to_owned() };
    assert_eq!(code(&scenario.apply(join(B, "never issued"))), Some(Code::JoinRefused));
    scenario.fact(Entry::JoinTokenIssued { token: token("one"), expires_at: u64::MAX });
    scenario.fact(join(B, "one"));
    assert_eq!(scenario.apply(join(B, "one")), Answer::Unchanged, "an answer that was lost may be asked for again");
    assert_eq!(code(&scenario.apply(join(C, "one"))), Some(Code::JoinRefused), "it is used up");
    scenario.fact(Entry::JoinTokenIssued { token: token("old"), expires_at: 1 });
    assert_eq!(code(&scenario.apply(join(C, "old"))), Some(Code::JoinRefused), "it has expired");
    scenario.fact(Entry::JoinTokenIssued { token: token("back"), expires_at: u64::MAX });
    scenario.fact(Entry::JoinTokenRevoked { token: token("back") });
    assert_eq!(code(&scenario.apply(join(C, "back"))), Some(Code::JoinRefused), "it was revoked");
    assert!(scenario.state.member(C).is_none());
}

#[test]
fn nobody_but_the_founder_opens_a_session_unasked() {
    let mut scenario = Scenario::default();
    scenario.fact(opened_by(A, 1, 2));
    assert_eq!(code(&scenario.apply(opened_by(B, 1, 2))), Some(Code::NodeUnknown));
    admit(&mut scenario, B);
    assert_eq!(standing(&scenario, B), Standing::Admitted);
    scenario.fact(opened_by(B, 1, 2));
    assert_eq!(standing(&scenario, B), Standing::Active);
}

#[test]
fn new_migrations_are_spread_over_the_nodes_by_their_slots() {
    let mut scenario = three();
    let ids = scenario.policy("p", &["a", "b", "c", "d", "e", "f"], |_| {});
    let owners = owners(&scenario, &ids);
    for node in [A, B, C] {
        assert_eq!(owners.iter().filter(|owner| **owner == node).count(), 2, "{owners:?}");
    }
}

#[test]
fn a_silent_nodes_migrations_go_to_others_with_a_higher_epoch_and_its_late_entries_are_refused() {
    let mut scenario = three();
    let ids = scenario.policy("p", &["a", "b", "c"], |_| {});
    let lost = *ids.iter().find(|id| scenario.migration(**id).owner == B).unwrap();
    scenario.plan(lost, 2, 1);
    let (batch, attempt) = scenario.start(lost, 0);
    let old = scenario.fence(lost);
    scenario.fact(expired(&scenario, &[B], false));
    let migration = scenario.migration(lost);
    assert_ne!(migration.owner, B);
    assert_eq!((migration.epoch, migration.running()), (Epoch(2), 0));
    let late = Entry::BatchReturned { fence: old, batch, attempt };
    assert_eq!(code(&scenario.apply(late)), Some(Code::Stale));
    assert_eq!(scenario.apply(expired(&scenario, &[B], false)), Answer::Unchanged);
}

#[test]
fn a_batch_that_a_dead_node_ran_for_a_living_owner_is_over_at_once_and_counts_as_no_failure() {
    let mut scenario = three();
    let id = scenario.policy("p", &["a"], |_| {})[0];
    scenario.plan(id, 2, 1);
    let owner = scenario.migration(id).owner;
    let runner = [A, B, C].into_iter().find(|node| *node != owner).unwrap();
    let (fence, attempt) = (scenario.fence(id), scenario.migration(id).next_attempt);
    scenario.fact(Entry::BatchStarted { fence, batch: batch_id(0), attempt, runner });
    scenario.fact(expired(&scenario, &[runner], false));
    let batch = scenario.migration(id).batch(batch_id(0)).unwrap().clone();
    assert_eq!((batch.running, batch.failures, batch.deaths), (None, 0, vec![runner]));
    assert_eq!(scenario.fence(id), fence, "its owner goes on");
}

#[test]
fn a_batch_that_three_nodes_die_of_is_poison_and_a_mass_death_blames_nobody() {
    for (mass, phase) in [(false, Phase::Quarantined), (true, Phase::Execution)] {
        let mut scenario = three();
        let id = scenario.policy("p", &["a"], |_| {})[0];
        scenario.plan(id, 2, 1);
        for _ in 0..3 {
            scenario.start(id, 0);
            let owner = scenario.migration(id).owner;
            scenario.fact(expired(&scenario, &[owner], mass));
        }
        assert_eq!(scenario.migration(id).phase, phase, "mass: {mass}");
    }
}

#[test]
fn only_what_has_not_begun_is_stolen_and_only_a_node_with_a_session_gets_it() {
    let mut scenario = three();
    let id = scenario.policy("p", &["a"], |_| {})[0];
    scenario.plan(id, 2, 1);
    let to = [A, B, C].into_iter().find(|node| *node != scenario.migration(id).owner).unwrap();
    let transfer = |scenario: &Scenario, to, reason| Entry::Transferred { items: vec![scenario.fence(id)], to, reason };
    let stolen = transfer(&scenario, to, TransferReason::Steal);
    scenario.fact(stolen.clone());
    assert_eq!((scenario.migration(id).owner, scenario.migration(id).epoch), (to, Epoch(2)));
    assert!(matches!(scenario.apply(stolen), Answer::Partly(_)), "the fence is over");
    scenario.start(id, 0);
    let begun = transfer(&scenario, A, TransferReason::Steal);
    assert!(matches!(scenario.apply(begun), Answer::Partly(_)), "it has begun");
    let away = Entry::Transferred { items: Vec::new(), to: NodeId(99), reason: TransferReason::Steal };
    assert_eq!(code(&scenario.apply(away)), Some(Code::NoSession));
}

#[test]
fn a_goodbye_a_drain_and_a_removal_leave_nothing_behind() {
    let mut scenario = three();
    let tables: Vec<String> = (0..12).map(|number| format!("t{number}")).collect();
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    let ids = scenario.policy("p", &tables, |_| {});
    let session = scenario.state.member(B).unwrap().session;
    scenario.fact(Entry::SessionClosed { node: B, session });
    assert!(!owners(&scenario, &ids).contains(&B));
    scenario.fact(Entry::DrainRequested { node: A, drain: true, reason: "maintenance".to_owned() });
    let more = scenario.policy("q", &["u", "v"], |_| {});
    assert_eq!(owners(&scenario, &more), [C, C], "a drained node gets nothing new");
    scenario.fact(Entry::MemberRemoved { node: A, reason: "sold".to_owned() });
    assert!(owners(&scenario, &ids).iter().all(|owner| *owner == C));
    assert_eq!(code(&scenario.apply(opened_by(A, 9, 2))), Some(Code::NodeRemoved));
    scenario.fact(opened_by(B, 2, 2));
    assert_eq!(standing(&scenario, B), Standing::Active, "who left may come back");
}

#[test]
fn what_was_asked_for_while_nobody_took_work_is_taken_by_the_first_who_does_again() {
    let mut scenario = three();
    for node in [A, B, C] {
        scenario.fact(Entry::DrainRequested { node, drain: true, reason: String::new() });
    }
    let gone = expired(&scenario, &[A], false);
    scenario.fact(gone);
    let id = scenario.policy("p", &["t"], |_| {})[0];
    assert_eq!(scenario.migration(id).owner, A, "the node that was asked, and that has no session");
    let epoch = scenario.migration(id).epoch;
    scenario.fact(Entry::DrainRequested { node: B, drain: false, reason: String::new() });
    assert_eq!((scenario.migration(id).owner, scenario.migration(id).epoch), (B, epoch.next()));
}

#[test]
fn the_same_request_under_the_same_key_is_done_once() {
    use crate::ledger::entry::RequestKey;
    let mut scenario = three();
    scenario.policy("p", &["a"], |_| {});
    let mut policy = scenario.state.policies()[&"p".into()].policy.clone();
    policy.name = "q".into();
    policy.datasets = vec![("d.b".parse().unwrap(), "q.b".parse().unwrap())];
    let apply = |document: &str| Entry::PolicyApplied {
        policy: policy.clone(),
        owner: A,
        key: Some(RequestKey { key: "k".to_owned(), document: token(document) }),
    };
    let first = scenario.apply(apply("one"));
    assert!(matches!(first, Answer::PolicyApplied { .. }), "{first:?}");
    assert_eq!(scenario.apply(apply("one")), first, "the first answer again");
    assert_eq!(code(&scenario.apply(apply("another"))), Some(Code::RequestInvalid));
}

#[test]
fn a_node_that_lost_its_ledger_may_ask_for_a_new_name_until_it_has_come_back_under_one() {
    let mut scenario = three();
    let (first, second) = (NodeId(21), NodeId(22));
    let replaced = |old, new| Entry::MemberReplaced { old, new, address: "10.0.0.12:7401".to_owned() };
    scenario.fact(replaced(C, first));
    assert_eq!(scenario.state.member(C).unwrap().standing, Standing::Active, "it may have to ask again");
    // It died before it had its new certificate, and then once more after it had it.
    scenario.fact(replaced(C, second));
    let third = NodeId(23);
    scenario.fact(replaced(second, third));
    scenario.fact(opened_by(third, 1, 2));
    let standing = |node| scenario.state.member(node).unwrap().standing;
    assert_eq!(
        [C, first, second, third].map(standing),
        [Standing::Removed, Standing::Removed, Standing::Removed, Standing::Active]
    );
    assert_eq!(code(&scenario.apply(replaced(C, NodeId(24)))), Some(Code::NodeRemoved), "it is back already");
}
