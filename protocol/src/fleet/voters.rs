//! Which nodes vote on the ledger: one, three or five of them; all others learn it.
//!
//! In: the nodes of the fleet as the leader sees them. Out: the next change, one at a time; the leader makes it and asks again.
//! Only nodes that have been alive for a while are promoted; a dead voter keeps its vote for the same while, and for longer if
//! nobody can take its place. Not here: how a change is made (the node), who is alive (gossip).

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::NodeId;

/// A node, as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// It is heard.
    pub alive: bool,
    /// How long it has been alive without a break, milliseconds; 0 while it is not.
    pub stable_millis: u64,
    /// How long it has been silent, milliseconds; 0 while it is alive.
    pub silent_millis: u64,
    /// It is about to leave.
    pub draining: bool,
    /// It was removed from the fleet, or said goodbye and has not come back for a while: a node that is started anew is not gone.
    pub gone: bool,
    /// What it shares with nodes that fail together with it.
    pub zone: String,
    /// It votes.
    pub is_voter: bool,
    /// It learns.
    pub is_learner: bool,
    /// It has nearly all of the ledger.
    pub caught_up: bool,
}

/// What the fleet wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Most voters: 1, 3 or 5.
    pub most: usize,
    /// A node is stable that has been alive for so long; a voter is given up that was silent for so long. Milliseconds.
    pub stable_millis: u64,
}

/// One change of who has the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is to learn.
    AddLearner(NodeId),
    /// These are to vote, and the others to learn.
    Voters(BTreeSet<NodeId>),
    /// It is to learn no more.
    RemoveLearner(NodeId),
}

/// How many voters a fleet of so many nodes wants.
#[must_use]
pub fn wanted(nodes: usize, most: usize) -> usize {
    let by_size = match nodes {
        0..=2 => 1,
        3 | 4 => 3,
        _ => 5,
    };
    by_size.min(odd(most.max(1)))
}

/// The greatest odd number up to `count`: an even one more survives no more.
fn odd(count: usize) -> usize {
    count - usize::from(count.is_multiple_of(2))
}

/// The next change; `None` when all is as it should be, or nothing can be done.
#[must_use]
pub fn next(fleet: &[Candidate], leader: NodeId, rules: Rules) -> Option<Change> {
    let present: BTreeSet<NodeId> = fleet.iter().filter(|node| node.is_voter).map(|node| node.node).collect();
    let choice = Choice { fleet, leader, rules };
    let voters = choice.voters();
    let alive = |set: &BTreeSet<NodeId>| {
        fleet.iter().filter(|node| set.contains(&node.node) && node.alive && !node.gone).count()
    };
    // Both the old and the new voters have to agree to the change, and the new ones have to go on afterwards.
    let has_quorum = |set: &BTreeSet<NodeId>| alive(set) > set.len() / 2;
    if voters != present && has_quorum(&present) && has_quorum(&voters) {
        return Some(Change::Voters(voters));
    }
    let gone = fleet.iter().filter(|node| node.gone && node.is_learner && !node.is_voter);
    if let Some(node) = gone.map(|node| node.node).min() {
        return Some(Change::RemoveLearner(node));
    }
    let new = fleet.iter().filter(|node| node.alive && !node.gone && !node.is_voter && !node.is_learner);
    new.map(|node| node.node).min().map(Change::AddLearner)
}

struct Choice<'a> {
    fleet: &'a [Candidate],
    leader: NodeId,
    rules: Rules,
}

impl<'a> Choice<'a> {
    /// Who should vote.
    fn voters(&self) -> BTreeSet<NodeId> {
        let stays = |node: &&Candidate| node.is_voter && !node.gone;
        let mut chosen: Vec<&Candidate> = self.fleet.iter().filter(stays).collect();
        let mut spares: Vec<&Candidate> = self.fleet.iter().filter(|node| self.may_be_promoted(node)).collect();
        let members = self.fleet.iter().filter(|node| !node.gone && self.counts(node)).count();
        let wanted = wanted(members, self.rules.most);

        self.replace(&mut chosen, &mut spares, Self::is_lost);
        self.replace(&mut chosen, &mut spares, |_, node| node.draining);
        while chosen.len() < wanted && self.add(&mut chosen, &mut spares) {}
        while chosen.len() > wanted && self.drop_one(&mut chosen, wanted) {}
        if chosen.len().is_multiple_of(2) {
            self.make_odd(&mut chosen);
        }
        self.give_up_the_dead(&mut chosen);
        self.spread(&mut chosen, &mut spares);
        chosen.into_iter().map(|node| node.node).collect()
    }

    /// Members that are to be counted on: new ones only when they are stable.
    fn counts(&self, node: &Candidate) -> bool {
        node.is_voter || node.is_learner && (!node.alive || node.stable_millis >= self.rules.stable_millis)
    }

    fn may_be_promoted(&self, node: &Candidate) -> bool {
        let stable = node.alive && node.stable_millis >= self.rules.stable_millis;
        stable && node.is_learner && node.caught_up && !node.is_voter && !node.gone && !node.draining
    }

    /// A voter that is not coming back soon.
    fn is_lost(&self, node: &Candidate) -> bool {
        !node.alive && node.silent_millis >= self.rules.stable_millis
    }

    /// Puts spares in the places of voters, as long as there are any.
    fn replace(
        &self,
        chosen: &mut Vec<&'a Candidate>,
        spares: &mut Vec<&'a Candidate>,
        out: impl Fn(&Self, &Candidate) -> bool,
    ) {
        while let Some(position) = chosen.iter().position(|node| out(self, node)) {
            let node = chosen.remove(position);
            if !self.add(chosen, spares) {
                chosen.insert(position, node);
                return;
            }
        }
    }

    /// Adds the spare that spreads the voters best over zones; among equals the one that is alive for longest.
    fn add(&self, chosen: &mut Vec<&'a Candidate>, spares: &mut Vec<&'a Candidate>) -> bool {
        let zones = zones(chosen);
        let rank = |node: &Candidate| {
            let crowd = zones.get(node.zone.as_str()).copied().unwrap_or_default();
            (crowd, u64::MAX - node.stable_millis, node.node)
        };
        let best = (0..spares.len()).min_by_key(|position| rank(spares[*position]));
        best.map(|position| chosen.push(spares.remove(position))).is_some()
    }

    /// Takes the vote of the one that is missed least: who is leaving, who is lost, who is silent, who shares its zone with most, who
    /// is alive for the shortest time. Never the leader, unless it is leaving; nobody who is needed for a living quorum.
    fn drop_one(&self, chosen: &mut Vec<&'a Candidate>, wanted: usize) -> bool {
        let zones = zones(chosen);
        let alive = chosen.iter().filter(|node| node.alive).count();
        let rank = |node: &Candidate| {
            let crowd = zones.get(node.zone.as_str()).copied().unwrap_or_default();
            (node.draining, self.is_lost(node), !node.alive, crowd, u64::MAX - node.stable_millis, node.node)
        };
        let may_go = |node: &Candidate| {
            let left = alive - usize::from(node.alive);
            (node.node != self.leader || node.draining) && left > wanted / 2
        };
        let least = (0..chosen.len()).filter(|position| may_go(chosen[*position]));
        let least = least.max_by_key(|position| rank(chosen[*position]));
        least.map(|position| chosen.remove(position)).is_some()
    }

    /// An even number of voters survives no more deaths than one less: who voted already goes on, who is new waits for a second.
    fn make_odd(&self, chosen: &mut Vec<&'a Candidate>) {
        match chosen.iter().rposition(|node| !node.is_voter) {
            Some(position) => {
                chosen.remove(position);
            }
            None => {
                let wanted = odd(chosen.len());
                self.drop_one(chosen, wanted);
            }
        }
    }

    /// Fewer voters that all live survive more than more voters of which some are dead. Never below three: then a single disk would
    /// hold what was promised.
    fn give_up_the_dead(&self, chosen: &mut Vec<&'a Candidate>) {
        let lost = chosen.iter().filter(|node| self.is_lost(node)).count();
        let living = chosen.len() - lost;
        let smaller = odd(living.max(1));
        let survives_now = living.saturating_sub(chosen.len() / 2 + 1);
        if lost > 0 && smaller >= 3 && (smaller - 1) / 2 > survives_now {
            chosen.retain(|node| !self.is_lost(node));
            while chosen.len() > smaller && self.drop_one(chosen, smaller) {}
        }
    }

    /// One voter of a zone that has several makes room for a spare of a zone that has none.
    fn spread(&self, chosen: &mut Vec<&'a Candidate>, spares: &mut Vec<&'a Candidate>) {
        let zones = zones(chosen);
        spares.retain(|node| !zones.contains_key(node.zone.as_str()));
        let crowded = |node: &Candidate| zones.get(node.zone.as_str()).is_some_and(|count| *count > 1);
        let leaves = |node: &Candidate| node.node != self.leader && node.is_voter && crowded(node);
        let leaver = (0..chosen.len()).filter(|position| leaves(chosen[*position]));
        let leaver = leaver.max_by_key(|position| (u64::MAX - chosen[*position].stable_millis, chosen[*position].node));
        if let Some(position) = leaver.filter(|_| !spares.is_empty()) {
            chosen.remove(position);
            self.add(chosen, spares);
        }
    }
}

/// Voters in each zone.
fn zones<'a>(chosen: &[&'a Candidate]) -> BTreeMap<&'a str, usize> {
    let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
    for node in chosen {
        *zones.entry(&node.zone).or_default() += 1;
    }
    zones
}

#[cfg(test)]
mod tests;
