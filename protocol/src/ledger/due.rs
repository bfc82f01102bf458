//! Which migrations have work left, in the order in which a scheduler looks at them.
//!
//! In: a migration before and after a change. Out: those of one phase, what goes first coming first. Holds:
//! [`Due`], an index that the fold keeps in step, so that a decision costs what it hands out and not what there is.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{MigrationId, NodeId};
use crate::ledger::migration::{Migration, Phase};

/// The migrations that their owner works on or will without being asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Due(BTreeMap<NodeId, BTreeSet<Place>>);

/// A place in the order: phase, priority, then longest first, then age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    phase: Phase,
    /// The greatest priority, less this one's: greater goes first.
    after_priority: u8,
    /// The greatest estimate, less this one's: longer goes first.
    after_seconds: u64,
    created_at: u64,
    id: MigrationId,
}

impl Place {
    /// Where a migration stands; `None` when nothing is left to do for it.
    fn of(migration: &Migration) -> Option<Self> {
        let left = migration.phase.is_active() || migration.phase.is_end() && has_rest(migration);
        left.then(|| Self {
            phase: migration.phase,
            after_priority: u8::MAX - migration.priority,
            after_seconds: u64::MAX - migration.plan.as_ref().map_or(0, |plan| plan.seconds),
            created_at: migration.created_at,
            id: migration.id,
        })
    }

    /// The same with the owner, whose place it is.
    pub(super) fn owned(migration: &Migration) -> Option<(NodeId, Self)> {
        Self::of(migration).map(|place| (migration.owner, place))
    }

    /// Before every place of `phase`.
    fn first(phase: Phase) -> Self {
        let id = MigrationId(uuid::Uuid::nil());
        Self { phase, after_priority: 0, after_seconds: 0, created_at: 0, id }
    }
}

/// Something is left after the end of a run: files to remove, a tombstone to take away.
fn has_rest(migration: &Migration) -> bool {
    migration.collects() || migration.tombstone.as_ref().is_some_and(|tombstone| tombstone.placed)
}

impl Due {
    /// A migration moved from one place to another, perhaps of another owner.
    pub(super) fn moved(&mut self, before: Option<(NodeId, Place)>, after: Option<(NodeId, Place)>) {
        if before == after {
            return;
        }
        if let Some((owner, place)) = before
            && let Some(places) = self.0.get_mut(&owner)
        {
            places.remove(&place);
            if places.is_empty() {
                self.0.remove(&owner);
            }
        }
        if let Some((owner, place)) = after {
            self.0.entry(owner).or_default().insert(place);
        }
    }

    /// The migrations of one owner in one phase, in order.
    pub(super) fn of(&self, owner: NodeId, phase: Phase) -> impl Iterator<Item = MigrationId> {
        let places = self.0.get(&owner).into_iter();
        let places = places.flat_map(move |places| places.range(Place::first(phase)..).take_while(move |p| p.phase == phase));
        places.map(|place| place.id)
    }

    /// The migrations of all owners in one phase, owner by owner.
    pub(super) fn of_all(&self, phase: Phase) -> impl Iterator<Item = MigrationId> {
        self.0.keys().flat_map(move |owner| self.of(*owner, phase))
    }
}
