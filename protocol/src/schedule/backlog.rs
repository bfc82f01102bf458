//! What a node has to do, policy by policy.
//!
//! In: the ledger's state, an owner, a phase. Out: the migrations that are due, grouped by policy, because limits,
//! dependencies and teams are a policy's: a policy that may not begin anything now is skipped as a whole.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::ids::{MigrationId, NodeId, PolicyName};
use crate::ledger::Queue;
use crate::ledger::migration::{Migration, Phase};
use crate::ledger::state::State;

/// The migrations of one owner in one phase under one policy; never empty.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) policy: &'a PolicyName,
    state: &'a State,
    queue: &'a Queue,
}

/// Where a migration stands among others: what goes first is less.
pub(crate) type Rank = (Reverse<u8>, Reverse<u64>, u64, MigrationId);

/// By priority, then longest first, then age.
pub(crate) fn rank(migration: &Migration) -> Rank {
    (Reverse(migration.priority), Reverse(planned_seconds(migration)), migration.created_at, migration.id)
}

/// What the plan says of one slot; nothing is known without one.
pub(crate) fn planned_seconds(migration: &Migration) -> u64 {
    migration.plan.as_ref().map_or(0, |plan| plan.seconds)
}

impl<'a> Group<'a> {
    /// What goes first comes first.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &'a Migration> + use<'a> {
        let state = self.state;
        self.queue.ids().filter_map(move |id| state.migration(id))
    }

    /// Who has been in the phase for longest comes first.
    pub(crate) fn by_age(&self) -> impl Iterator<Item = &'a Migration> + use<'a> {
        let state = self.state;
        self.queue.by_age().filter_map(move |(_, id)| state.migration(id))
    }

    /// Seconds of one slot of all of them; each that has no plan counts `unplanned`.
    pub(crate) fn seconds(&self, unplanned: u64) -> u64 {
        self.queue.seconds().saturating_add(self.queue.unplanned().saturating_mul(unplanned))
    }
}

/// What `owner` has due in `phase`, by policy.
pub(crate) fn groups(state: &State, owner: NodeId, phase: Phase) -> Vec<Group<'_>> {
    state.queues_of(owner, phase).map(|(policy, queue)| Group { policy, state, queue }).collect()
}

/// The migrations of several groups, what goes first coming first.
pub(crate) fn merged<'a>(groups: &[Group<'a>]) -> impl Iterator<Item = &'a Migration> + use<'a> {
    let mut queues: Vec<_> = groups.iter().map(Group::in_order).collect();
    let mut heads: BinaryHeap<Reverse<(Rank, usize)>> = BinaryHeap::new();
    let mut known: BTreeMap<usize, &'a Migration> = BTreeMap::new();
    for (number, queue) in queues.iter_mut().enumerate() {
        if let Some(migration) = queue.next() {
            heads.push(Reverse((rank(migration), number)));
            known.insert(number, migration);
        }
    }
    std::iter::from_fn(move || {
        let Reverse((_, number)) = heads.pop()?;
        let first = known.remove(&number)?;
        if let Some(migration) = queues[number].next() {
            heads.push(Reverse((rank(migration), number)));
            known.insert(number, migration);
        }
        Some(first)
    })
}
