//! Which migrations have work left, in the order in which a scheduler looks at them.
//!
//! In: a migration before and after a change. Out: those of one phase, what goes first coming first. Holds:
//! [`Due`], an index that the fold keeps in step, so that a decision costs what it hands out and not what there is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::MigrationId;
use crate::ledger::migration::{Migration, Phase};

/// The migrations that their owner works on or will without being asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Due(BTreeSet<Place>);

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
    pub(super) fn of(migration: &Migration) -> Option<Self> {
        let left = migration.phase.is_active() || migration.phase.is_end() && has_rest(migration);
        left.then(|| Self {
            phase: migration.phase,
            after_priority: u8::MAX - migration.priority,
            after_seconds: u64::MAX - migration.plan.as_ref().map_or(0, |plan| plan.seconds),
            created_at: migration.created_at,
            id: migration.id,
        })
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
    /// A migration moved from one place to another.
    pub(super) fn moved(&mut self, before: Option<Place>, after: Option<Place>) {
        if before == after {
            return;
        }
        if let Some(place) = before {
            self.0.remove(&place);
        }
        if let Some(place) = after {
            self.0.insert(place);
        }
    }

    /// The migrations of one phase, in order.
    pub(super) fn of(&self, phase: Phase) -> impl Iterator<Item = MigrationId> {
        self.0.range(Place::first(phase)..).take_while(move |place| place.phase == phase).map(|place| place.id)
    }
}
