use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::fleet::load::load;
use crate::hash::Hash256;
use crate::ids::BatchNo;
use crate::ledger::entry::{Entry, TransferReason};
use crate::ledger::scenario::{NODE, Scenario, batch_id, opened_by};

const THIEF: NodeId = NodeId(8);

fn peer(node: u64, slots: u32, spare: u64) -> PeerLoad {
    PeerLoad { node: NodeId(node), slots, backlog_seconds: spare, ..PeerLoad::default() }
}

/// A fleet of two; the second takes no work when policies are applied.
fn two(tables: usize) -> (Scenario, Vec<MigrationId>) {
    let mut scenario = Scenario::default();
    scenario.fact(opened_by(NODE, 1, 1));
    let names: Vec<String> = (0..tables).map(|number| format!("t{number:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ids = scenario.policy("p", &names, |_| ());
    let token = Hash256::of(b"secret");
    scenario.fact(Entry::JoinTokenIssued { token, expires_at: u64::MAX });
    scenario.fact(Entry::MemberAdmitted { node: THIEF, token, address: String::new() });
    scenario.fact(opened_by(THIEF, 1, 1));
    (scenario, ids)
}

fn loads(scenario: &Scenario) -> (PeerLoad, PeerLoad) {
    let of = |node| load(&scenario.state, node, 1, &Running::default(), false);
    (of(NODE), of(THIEF))
}

fn give(scenario: &mut Scenario, ids: &[MigrationId], to: NodeId) {
    let items = ids.iter().map(|id| scenario.fence(*id)).collect();
    scenario.fact(Entry::Transferred { items, to, reason: TransferReason::Steal });
}

#[test]
fn a_node_wants_work_when_it_has_a_free_slot_and_nothing_to_put_there() {
    let idle = PeerLoad { free: 1, ..peer(1, 2, 0) };
    assert!(wants(&idle));
    assert!(!wants(&PeerLoad { draining: true, ..idle }));
    assert!(!wants(&PeerLoad { free: 0, ..idle }));
    assert!(!wants(&PeerLoad { backlog_seconds: 1, ..idle }));
    assert!(!wants(&PeerLoad { open_seconds: 1, ..idle }));
}

#[test]
fn of_two_random_peers_the_one_with_more_for_each_slot_is_asked() {
    let me = NodeId(1);
    assert_eq!(choose_victim(&[], me, 7), None);
    assert_eq!(choose_victim(&[peer(1, 1, 900), peer(2, 1, 0)], me, 7), None, "not itself, nobody who has nothing");
    assert_eq!(choose_victim(&[peer(2, 4, 3)], me, 7), None, "not worth it");
    assert_eq!(choose_victim(&[peer(2, 4, 4)], me, 7), Some(NodeId(2)));
    let two = [peer(2, 1, 100), peer(3, 10, 900)];
    let draining = PeerLoad { draining: true, ..peer(4, 10, 1) };
    for random in [0, 1, u64::MAX, 1 << 32, 12_345_678_901_234] {
        assert_eq!(choose_victim(&two, me, random), Some(NodeId(2)));
        assert_eq!(choose_victim(&[two[0], draining], me, random), Some(NodeId(4)), "it has no slots of its own");
    }
}

#[test]
fn the_choice_falls_on_all_but_the_least_loaded() {
    let peers: Vec<PeerLoad> = (2..12).map(|node| peer(node, 1, node * 10)).collect();
    let mut asked = BTreeMap::new();
    let mut random = 1_u64;
    for _ in 0..2_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *asked.entry(choose_victim(&peers, NodeId(1), random.rotate_left(23)).unwrap()).or_insert(0) += 1;
    }
    assert_eq!((asked.len(), asked.get(&NodeId(2))), (9, None));
    assert!(asked[&NodeId(11)] < 2 * 2_000 / 5 && asked[&NodeId(3)] > 10, "{asked:?}");
}

#[test]
fn half_of_the_seconds_are_given_also_of_what_is_not_planned_yet() {
    let (mut scenario, ids) = two(6);
    for (id, seconds) in ids.iter().zip([100, 40, 30, 20]) {
        scenario.plan(*id, 2, seconds);
    }
    let (victim, thief) = loads(&scenario);
    assert_eq!((victim.backlog_seconds, thief.backlog_seconds), (210, 0));
    let given = consent(&scenario.state, &victim, &Running::default(), &thief);
    assert_eq!(given.len(), 4, "the longest is for the victim's own slot; 100 seconds of 210 are given");
    assert!(!given.contains(&ids[0]));
    give(&mut scenario, &given, THIEF);
    let (victim, thief) = loads(&scenario);
    assert_eq!(consent(&scenario.state, &victim, &Running::default(), &thief), [], "it would not be better off");
    assert_eq!(consent(&scenario.state, &thief, &Running::default(), &victim), []);
}

#[test]
fn free_slots_of_the_victim_are_fed_first_and_what_it_has_begun_stays() {
    let (mut scenario, ids) = two(3);
    for id in &ids {
        scenario.plan(*id, 2, 50);
    }
    let (victim, thief) = loads(&scenario);
    let free = PeerLoad { free: 2, slots: 2, ..victim };
    assert_eq!(consent(&scenario.state, &free, &Running::default(), &thief).len(), 1);
    let running = Running { batches: vec![(ids[0], batch_id(0))], ..Running::default() };
    let busy = PeerLoad { free: 0, ..victim };
    let given = consent(&scenario.state, &busy, &running, &thief);
    assert!(!given.is_empty() && !given.contains(&ids[0]));
    assert_eq!(consent(&scenario.state, &busy, &running, &PeerLoad { draining: true, ..thief }), []);
    assert_eq!(consent(&scenario.state, &busy, &running, &busy), []);
}

#[test]
fn a_single_migration_behind_a_busy_slot_is_given() {
    let (mut scenario, ids) = two(1);
    scenario.plan(ids[0], 1, 1);
    let (victim, thief) = loads(&scenario);
    let busy = PeerLoad { free: 0, running_seconds: 30, ..victim };
    assert_eq!(consent(&scenario.state, &busy, &Running::default(), &thief), ids);
}

#[test]
fn who_drains_gives_everything() {
    let (scenario, ids) = two(5);
    let (victim, thief) = loads(&scenario);
    let draining = PeerLoad { draining: true, ..victim };
    let given = consent(&scenario.state, &draining, &Running::default(), &PeerLoad { running_seconds: 9_999, ..thief });
    assert_eq!(given.len(), ids.len());
}

#[test]
fn what_waits_for_another_policy_is_not_given() {
    let (mut scenario, ids) = two(2);
    let id = scenario.policy("later", &["x"], |policy| policy.after = vec!["p".into()])[0];
    for id in ids.iter().chain([&id]) {
        if scenario.migration(*id).owner != NODE {
            give(&mut scenario, &[*id], NODE);
        }
        scenario.plan(*id, 1, 10);
    }
    let (victim, thief) = loads(&scenario);
    assert_eq!(victim.backlog_seconds, 20);
    let draining = PeerLoad { draining: true, ..victim };
    assert!(!consent(&scenario.state, &draining, &Running::default(), &thief).contains(&id));
}

#[test]
fn no_more_than_a_bounded_number_is_given_at_once() {
    let (scenario, ids) = two(1_000);
    let (victim, thief) = loads(&scenario);
    assert_eq!(victim.backlog_seconds, ids.len() as u64 * UNPLANNED_SECONDS);
    assert_eq!(consent(&scenario.state, &victim, &Running::default(), &thief).len(), MOST_GIVEN);
}

#[test]
fn batches_are_lent_from_the_end_of_the_longest_and_own_slots_are_fed_first() {
    let (mut scenario, ids) = two(2);
    scenario.plan(ids[0], 6, 600);
    scenario.plan(ids[1], 3, 30);
    scenario.start(ids[0], 0);
    let running = Running { batches: vec![(ids[0], batch_id(0))], ..Running::default() };
    let owner = load(&scenario.state, NODE, 1, &running, false);
    assert_eq!((owner.free, owner.open_seconds, owner.running_seconds, owner.backlog_seconds), (0, 500, 100, 30));
    let lent = |owner: &PeerLoad, free| lend(&scenario.state, owner, &running, free, 0);
    assert_eq!(lent(&owner, 2), [(ids[0], batch_id(5)), (ids[0], batch_id(4))]);
    assert_eq!(lent(&owner, 100).len(), 8, "all that nobody runs");
    assert_eq!(lent(&PeerLoad { free: 7, ..owner }, 100).len(), 1);
    assert_eq!(lent(&PeerLoad { free: 8, ..owner }, 100).len(), 0);
    assert_eq!(lent(&PeerLoad { free: 8, draining: true, ..owner }, 100).len(), 8);
    let lent_already = Running { lent: vec![(ids[0], batch_id(5))], ..running.clone() };
    assert_eq!(lend(&scenario.state, &owner, &lent_already, 1, 0), [(ids[0], batch_id(4))]);
}

#[test]
fn the_longest_is_brought_to_its_end_before_another_is_lent_from() {
    let (mut scenario, ids) = two(2);
    scenario.plan(ids[0], 6, 600);
    scenario.plan(ids[1], 3, 300);
    for batch in 0..4 {
        let started = scenario.start(ids[0], batch);
        scenario.finish(ids[0], started);
    }
    let owner = load(&scenario.state, NODE, 1, &Running::default(), false);
    let lent = lend(&scenario.state, &PeerLoad { free: 0, ..owner }, &Running::default(), 3, 0);
    assert_eq!(lent, [(ids[0], batch_id(5)), (ids[0], batch_id(4)), (ids[1], batch_id(2))]);
}

#[test]
fn lending_keeps_to_the_limit_of_the_policy() {
    let mut scenario = Scenario::default();
    scenario.fact(opened_by(NODE, 1, 1));
    let id = scenario.policy("narrow", &["a"], |policy| policy.max_parallel = 3)[0];
    scenario.plan(id, 9, 90);
    scenario.start(id, 0);
    let running = Running { batches: vec![(id, batch_id(0))], ..Running::default() };
    let owner = load(&scenario.state, NODE, 1, &running, false);
    let lent = lend(&scenario.state, &owner, &running, 9, 0);
    assert_eq!(lent.iter().map(|(_, batch)| batch.batch).collect::<Vec<_>>(), [BatchNo(8), BatchNo(7)]);
}

proptest! {
    #[test]
    fn two_nodes_that_steal_from_each_other_come_to_rest(
        first in prop::collection::vec(1_u64..500, 0..60),
        second in prop::collection::vec(1_u64..500, 0..60),
        slots in (1_u32..9, 1_u32..9),
    ) {
        let mut number = 0;
        let mut list = |seconds: &[u64]| -> Vec<(MigrationId, u64)> {
            let mut items: Vec<_> = seconds.iter().map(|seconds| {
                number += 1;
                (MigrationId(Uuid::from_u128(number)), *seconds)
            }).collect();
            items.sort_by_key(|(_, seconds)| Reverse(*seconds));
            items
        };
        let mut sides = [(slots.0, list(&first)), (slots.1, list(&second))];
        let all = sides[0].1.len() + sides[1].1.len();
        let mut idle = 0;
        let mut moves = 0;
        for turn in 0.. {
            let (from, to) = (turn % 2, (turn + 1) % 2);
            let side = |(slots, items): &(u32, Vec<(MigrationId, u64)>)| Side {
                slots: *slots, free: 0, seconds: items.iter().map(|(_, seconds)| seconds).sum(), draining: false,
            };
            let given = divide(&side(&sides[from]), &side(&sides[to]), &sides[from].1);
            idle = if given.is_empty() { idle + 1 } else { 0 };
            if idle == 2 {
                break;
            }
            moves += given.len();
            prop_assert!(moves <= 4 * all + 4, "{moves} moves of {all} items");
            let (stay, go): (Vec<_>, Vec<_>) = sides[from].1.iter().partition(|(id, _)| !given.contains(id));
            sides[from].1 = stay;
            sides[to].1.extend(go);
            sides[to].1.sort_by_key(|(_, seconds)| Reverse(*seconds));
        }
        prop_assert_eq!(sides[0].1.len() + sides[1].1.len(), all);
        // At rest: nothing could move so that the later of the two would end earlier.
        let time = |side: &(u32, Vec<(MigrationId, u64)>), more: u64| {
            (side.1.iter().map(|(_, seconds)| seconds).sum::<u64>() + more) as f64 / f64::from(side.0)
        };
        for (from, to) in [(0, 1), (1, 0)] {
            if let Some((_, least)) = sides[from].1.last() {
                prop_assert!(time(&sides[to], *least) * 1.000_001 >= time(&sides[from], 0));
            }
        }
    }
}
