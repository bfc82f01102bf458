//! Which migrations have work left, in the order in which a scheduler looks at them.
//!
//! In: a migration before and after a change. Out: the queues of one owner in one phase, one for each policy, and within
//! them what goes first coming first. Holds: [`Due`], an index that the fold keeps in step, so that a decision costs what
//! it hands out and the number of policies, and not what there is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use serde::{Deserialize, Serialize};

use crate::ids::{MigrationId, NodeId, PolicyName};
use crate::ledger::migration::{Migration, Phase};

/// The migrations that their owner works on or will without being asked: by owner, phase and policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Due(BTreeMap<NodeId, BTreeMap<Phase, BTreeMap<PolicyName, Queue>>>);

/// The migrations of one owner in one phase under one policy; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Queue {
    order: BTreeSet<Rank>,
    /// When each came into its phase.
    arrived: BTreeSet<(u64, MigrationId)>,
    /// Planned seconds of all of them.
    seconds: u64,
    /// Those without a plan.
    unplanned: u64,
}

impl Queue {
    /// What goes first comes first: by priority, then longest first, then age.
    pub fn ids(&self) -> impl Iterator<Item = MigrationId> {
        self.order.iter().map(|rank| rank.id)
    }

    /// Who has been in the phase for longest comes first; with the time since when, milliseconds since 1970.
    pub fn by_age(&self) -> impl Iterator<Item = (u64, MigrationId)> {
        self.arrived.iter().copied()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.order.len() as u64
    }

    /// Planned seconds of one slot of those that have a plan, at least one second for each.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.seconds
    }

    /// How many have no plan yet.
    #[must_use]
    pub fn unplanned(&self) -> u64 {
        self.unplanned
    }
}

/// A place in a queue as it is ordered: priority, then longest first, then age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Rank {
    /// The greatest priority, less this one's: greater goes first.
    after_priority: u8,
    /// The greatest estimate, less this one's: longer goes first.
    after_seconds: u64,
    created_at: u64,
    id: MigrationId,
}

/// Where a migration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    owner: NodeId,
    phase: Phase,
    policy: PolicyName,
    rank: Rank,
    arrived: u64,
    seconds: Option<u64>,
}

impl Place {
    /// Where a migration stands; `None` when nothing is left to do for it.
    pub(super) fn owned(migration: &Migration) -> Option<Self> {
        let left = migration.phase.is_active() || migration.phase.is_end() && has_rest(migration);
        let seconds = migration.plan.as_ref().map(|plan| plan.seconds);
        let rank = Rank {
            after_priority: u8::MAX - migration.priority,
            after_seconds: u64::MAX - seconds.unwrap_or_default(),
            created_at: migration.created_at,
            id: migration.id,
        };
        left.then(|| Self {
            owner: migration.owner,
            phase: migration.phase,
            policy: migration.policy.clone(),
            rank,
            arrived: migration.changed_at,
            // A small one is work too.
            seconds: seconds.map(|seconds| seconds.max(1)),
        })
    }
}

/// Something is left after the end of a run: files to remove, a tombstone to take away.
fn has_rest(migration: &Migration) -> bool {
    migration.collects() || migration.tombstone.as_ref().is_some_and(|tombstone| tombstone.placed)
}

impl Due {
    /// A migration moved from one place to another, perhaps of another owner.
    pub(super) fn moved(&mut self, before: Option<Place>, after: Option<Place>) {
        if before == after {
            return;
        }
        if let Some(place) = before {
            self.remove(&place);
        }
        if let Some(place) = after {
            let queue = self.0.entry(place.owner).or_default().entry(place.phase).or_default();
            let queue = queue.entry(place.policy).or_default();
            queue.order.insert(place.rank);
            queue.arrived.insert((place.arrived, place.rank.id));
            match place.seconds {
                Some(seconds) => queue.seconds = queue.seconds.saturating_add(seconds),
                None => queue.unplanned += 1,
            }
        }
    }

    fn remove(&mut self, place: &Place) {
        let Some(phases) = self.0.get_mut(&place.owner) else { return };
        let Some(queues) = phases.get_mut(&place.phase) else { return };
        let Some(queue) = queues.get_mut(&place.policy) else { return };
        queue.order.remove(&place.rank);
        queue.arrived.remove(&(place.arrived, place.rank.id));
        match place.seconds {
            Some(seconds) => queue.seconds = queue.seconds.saturating_sub(seconds),
            None => queue.unplanned = queue.unplanned.saturating_sub(1),
        }
        if queue.order.is_empty() {
            queues.remove(&place.policy);
            if queues.is_empty() {
                phases.remove(&place.phase);
                if phases.is_empty() {
                    self.0.remove(&place.owner);
                }
            }
        }
    }

    /// The queues of one owner in one phase, by policy.
    pub(super) fn queues(&self, owner: NodeId, phase: Phase) -> impl Iterator<Item = (&PolicyName, &Queue)> {
        self.0.get(&owner).and_then(|phases| phases.get(&phase)).into_iter().flatten()
    }

    /// The migrations of one owner in one phase, in order over all policies.
    pub(super) fn of(&self, owner: NodeId, phase: Phase) -> impl Iterator<Item = MigrationId> {
        let mut queues: Vec<_> = self.queues(owner, phase).map(|(_, queue)| queue.order.iter()).collect();
        let mut heads: BinaryHeap<Reverse<(Rank, usize)>> = BinaryHeap::new();
        for (number, queue) in queues.iter_mut().enumerate() {
            heads.extend(queue.next().map(|rank| Reverse((*rank, number))));
        }
        std::iter::from_fn(move || {
            let Reverse((rank, number)) = heads.pop()?;
            heads.extend(queues[number].next().map(|rank| Reverse((*rank, number))));
            Some(rank.id)
        })
    }

    /// The migrations of all owners in one phase, owner by owner.
    pub(super) fn of_all(&self, phase: Phase) -> impl Iterator<Item = MigrationId> {
        self.0.keys().flat_map(move |owner| self.of(*owner, phase))
    }
}
