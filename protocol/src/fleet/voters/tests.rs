use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules { most: 5, stable_millis: 30_000 };

fn voter(node: u64) -> Candidate {
    Candidate { is_voter: true, ..learner(node) }
}

fn learner(node: u64) -> Candidate {
    Candidate {
        node: NodeId(node),
        alive: true,
        stable_millis: 60_000,
        is_learner: true,
        caught_up: true,
        ..Candidate::default()
    }
}

fn dead(candidate: Candidate, silent_millis: u64) -> Candidate {
    Candidate { alive: false, stable_millis: 0, silent_millis, caught_up: false, ..candidate }
}

fn voters(nodes: &[u64]) -> Option<Change> {
    Some(Change::Voters(nodes.iter().copied().map(NodeId).collect()))
}

fn ask(fleet: &[Candidate]) -> Option<Change> {
    next(fleet, NodeId(1), RULES)
}

/// Makes changes until there is none; what a change says becomes true at once.
fn settle(fleet: &mut Vec<Candidate>, leader: NodeId, rules: Rules) -> usize {
    for round in 0..200 {
        match next(fleet, leader, rules) {
            None => return round,
            Some(Change::AddLearner(node)) => {
                let one = fleet.iter_mut().find(|one| one.node == node).unwrap();
                assert!(!one.is_learner);
                (one.is_learner, one.caught_up) = (true, true);
            }
            Some(Change::RemoveLearner(node)) => {
                let one = fleet.iter_mut().find(|one| one.node == node).unwrap();
                assert!(one.is_learner && !one.is_voter);
                one.is_learner = false;
            }
            Some(Change::Voters(set)) => {
                let living = |set: &BTreeSet<NodeId>| fleet.iter().filter(|n| n.alive && set.contains(&n.node)).count();
                assert!(living(&set) > set.len() / 2, "a quorum of {set:?} lives");
                for one in fleet.iter_mut() {
                    let was = one.is_voter;
                    one.is_voter = set.contains(&one.node);
                    one.is_learner |= was || one.is_voter;
                }
            }
        }
    }
    panic!("it does not come to rest: {fleet:#?}");
}

fn voting(fleet: &[Candidate]) -> Vec<u64> {
    fleet.iter().filter(|node| node.is_voter).map(|node| node.node.0).collect()
}

#[test]
fn a_fleet_has_one_three_or_five_voters_by_its_size_and_its_configuration() {
    let sizes = [0, 1, 2, 3, 4, 5, 50].map(|nodes| wanted(nodes, 5));
    assert_eq!(sizes, [1, 1, 1, 3, 3, 5, 5]);
    assert_eq!((wanted(50, 3), wanted(50, 1), wanted(50, 4), wanted(50, 0)), (3, 1, 3, 1));
}

#[test]
fn new_nodes_learn_first_and_vote_when_they_are_stable_and_there_are_enough() {
    let new = |node| Candidate { is_learner: false, caught_up: false, stable_millis: 0, ..learner(node) };
    let mut fleet = vec![voter(1), new(2), new(3)];
    assert_eq!(ask(&fleet), Some(Change::AddLearner(NodeId(2))));
    fleet[1].is_learner = true;
    assert_eq!(ask(&fleet), Some(Change::AddLearner(NodeId(3))));
    fleet[2].is_learner = true;
    assert_eq!(ask(&fleet), None, "they are not stable");
    (fleet[1].stable_millis, fleet[1].caught_up) = (40_000, true);
    assert_eq!(ask(&fleet), None, "two voters survive no more than one");
    fleet[2].stable_millis = 40_000;
    assert_eq!(ask(&fleet), None, "the third has not caught up");
    fleet[2].caught_up = true;
    assert_eq!(ask(&fleet), voters(&[1, 2, 3]));
}

#[test]
fn a_dead_voter_is_replaced_after_the_delay_and_not_before() {
    let mut fleet = vec![voter(1), voter(2), dead(voter(3), 29_000), learner(4)];
    assert_eq!(ask(&fleet), None);
    fleet[2].silent_millis = 30_000;
    assert_eq!(ask(&fleet), voters(&[1, 2, 4]));
}

#[test]
fn a_dead_voter_that_nobody_can_replace_keeps_its_vote() {
    assert_eq!(ask(&[voter(1), voter(2), dead(voter(3), 90_000)]), None);
    let five = [voter(1), voter(2), voter(3), voter(4), dead(voter(5), 90_000)];
    assert_eq!(ask(&five), None, "four of five survive as much as three of three");
}

#[test]
fn five_voters_of_which_two_are_dead_become_three() {
    let fleet = [voter(1), voter(2), voter(3), dead(voter(4), 90_000), dead(voter(5), 90_000)];
    assert_eq!(ask(&fleet), voters(&[1, 2, 3]));
}

#[test]
fn without_a_living_quorum_nothing_is_changed() {
    let fleet = [voter(1), dead(voter(2), 90_000), dead(voter(3), 90_000), learner(4), learner(5)];
    assert_eq!(ask(&fleet), None);
}

#[test]
fn who_drains_is_replaced_while_it_is_there_also_the_leader() {
    let draining = |candidate| Candidate { draining: true, ..candidate };
    assert_eq!(ask(&[voter(1), draining(voter(2)), voter(3), learner(4)]), voters(&[1, 3, 4]));
    assert_eq!(ask(&[draining(voter(1)), voter(2), voter(3), learner(4)]), voters(&[2, 3, 4]));
    assert_eq!(ask(&[voter(1), voter(2), draining(voter(3))]), None, "it may be started anew in a moment");
    let left = Candidate { gone: true, ..dead(voter(3), 30_000) };
    assert_eq!(ask(&[voter(1), voter(2), left]), voters(&[1]), "two are left, and one of them votes");
    assert_eq!(ask(&[draining(voter(1))]), None, "there is nobody else");
}

#[test]
fn who_is_gone_loses_its_vote_at_once_and_learns_no_more() {
    let gone = |candidate| Candidate { gone: true, ..dead(candidate, 0) };
    let mut fleet = vec![voter(1), voter(2), gone(voter(3)), learner(4)];
    assert_eq!(ask(&fleet), voters(&[1, 2, 4]));
    settle(&mut fleet, NodeId(1), RULES);
    assert_eq!((voting(&fleet), fleet[2].is_learner), (vec![1, 2, 4], false));
}

#[test]
fn a_smaller_fleet_gives_votes_up_and_the_leader_stays() {
    let mut fleet: Vec<Candidate> = (1..=4).map(voter).chain([voter(5)]).collect();
    for node in &mut fleet[..2] {
        node.gone = true;
        node.alive = false;
    }
    assert_eq!(next(&fleet, NodeId(5), RULES), voters(&[3, 4, 5]));
    let rules = Rules { most: 1, ..RULES };
    let three: Vec<Candidate> = (1..=3).map(voter).collect();
    assert_eq!(next(&three, NodeId(2), rules), voters(&[2]));
}

#[test]
fn voters_are_spread_over_zones() {
    let zoned = |candidate: Candidate, zone: &str| Candidate { zone: zone.to_owned(), ..candidate };
    let mut fleet = vec![zoned(voter(1), "a"), zoned(learner(2), "a"), zoned(learner(3), "b"), zoned(learner(4), "c")];
    assert_eq!(ask(&fleet), voters(&[1, 3, 4]));
    fleet[1].is_voter = true;
    fleet[2].is_voter = true;
    assert_eq!(ask(&fleet), voters(&[1, 3, 4]), "2 shares its zone with the leader");
    fleet[1].is_voter = false;
    fleet[3].is_voter = true;
    assert_eq!(ask(&fleet), None);
}

fn any_candidate(node: u64) -> impl Strategy<Value = Candidate> {
    let flags = (any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.1), any::<bool>(), any::<bool>());
    (flags, 0_u64..60_000, 0_usize..3).prop_map(move |((alive, draining, gone, is_voter, is_learner), millis, zone)| {
        Candidate {
            node: NodeId(node),
            alive: alive && !gone,
            stable_millis: if alive && !gone { millis } else { 0 },
            silent_millis: if alive && !gone { 0 } else { millis },
            draining,
            gone,
            zone: ["a", "b", "c"][zone].to_owned(),
            is_voter,
            is_learner: is_learner || is_voter,
            caught_up: alive,
        }
    })
}

fn any_fleet() -> impl Strategy<Value = Vec<Candidate>> {
    (1_u64..12).prop_flat_map(|size| (1..=size).map(any_candidate).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn changes_come_to_rest_never_without_a_quorum_and_the_leader_stays(
        mut fleet in any_fleet(),
        most in prop::sample::select(vec![1_usize, 3, 5]),
    ) {
        let leader = Candidate { is_voter: true, stable_millis: 60_000, ..learner(1) };
        fleet[0] = Candidate { zone: fleet[0].zone.clone(), ..leader };
        settle(&mut fleet, NodeId(1), Rules { most, ..RULES });
        let set: BTreeSet<u64> = voting(&fleet).into_iter().collect();
        prop_assert!(set.contains(&1));
        prop_assert!(fleet.iter().filter(|node| node.gone && !node.is_voter).all(|node| !node.is_learner));
    }

    #[test]
    fn a_fleet_in_which_all_live_gets_the_voters_that_it_wants(size in 1_u64..12, most in prop::sample::select(vec![1_usize, 3, 5])) {
        let mut fleet: Vec<Candidate> = (1..=size).map(learner).collect();
        fleet[0].is_voter = true;
        settle(&mut fleet, NodeId(1), Rules { most, ..RULES });
        prop_assert_eq!(voting(&fleet).len(), wanted(fleet.len(), most));
    }
}
