//! One applied entry and one migration that it touched: what the cheap invariants look at.
//!
//! In: an entry, its answer, a migration before and after it. Out: [`Step`]. Holds: what an entry names. Not here: the
//! invariants; where the views come from (`watch`).

use std::collections::BTreeMap;

use super::view::{Glimpse, Seen};
use crate::ids::{MigrationId, NodeId, PolicyName};
use crate::ledger::entry::{Answer, Entry, Fence};
use crate::ledger::migration::HistoryItem;

/// The nodes of a fleet.
pub type Fleet = BTreeMap<NodeId, Seen>;

/// An applied entry, and one migration before and after it.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The entry's index.
    pub index: u64,
    /// When it was proposed, milliseconds since 1970.
    pub at_millis: u64,
    /// Who proposed it.
    pub actor: &'a str,
    /// The entry.
    pub entry: &'a Entry,
    /// What the ledger said.
    pub answer: &'a Answer,
    /// The migration.
    pub id: MigrationId,
    /// As it was; none: the entry made it.
    pub before: Option<&'a Glimpse>,
    /// As it is.
    pub after: &'a Glimpse,
    /// The lines of its history that this entry wrote.
    pub told: &'a [HistoryItem],
    /// The nodes as they were.
    pub fleet_before: &'a Fleet,
    /// The nodes as they are.
    pub fleet: &'a Fleet,
    /// Policies that its own names in `after` and that were not through at any time since it could have begun.
    pub unmet: &'a [PolicyName],
    /// If this entry hands out a batch of its owner: how many such hand-outs passed by the one that waits longest.
    pub passed_by: u64,
    /// The same of hand-outs, one after the other, that went before more urgent ones than the node has slots.
    pub inverted: u64,
}

impl Step<'_> {
    /// The fence under which the entry speaks for this migration, if it has one.
    #[must_use]
    pub fn fence(&self) -> Option<Fence> {
        fences(self.entry).into_iter().find(|fence| fence.migration == self.id)
    }

    /// Whether the entry became a fact for this migration, as far as the answer says.
    #[must_use]
    pub fn is_fact(&self) -> bool {
        match self.answer {
            Answer::Applied | Answer::PolicyApplied { .. } => true,
            Answer::Unchanged | Answer::Refused(_) => false,
            Answer::Partly(refused) => !refused.iter().any(|(id, _)| *id == self.id),
        }
    }

    /// Whether the entry names this migration more than once: then one of its parts may be refused and another not.
    #[must_use]
    pub fn is_named_twice(&self) -> bool {
        named(self.entry).into_iter().filter(|id| *id == self.id).count() > 1
    }

    /// Whether some node takes new work.
    #[must_use]
    pub fn has_takers(&self) -> bool {
        self.fleet.values().any(|node| node.is_active() && !node.draining)
    }
}

/// Whether an entry is about nodes and what they own.
#[must_use]
pub(super) fn is_about_nodes(entry: &Entry) -> bool {
    matches!(
        entry,
        Entry::SessionOpened { .. }
            | Entry::SessionClosed { .. }
            | Entry::SessionsExpired { .. }
            | Entry::MemberAdmitted { .. }
            | Entry::MemberReplaced { .. }
            | Entry::MemberRemoved { .. }
            | Entry::DrainRequested { .. }
    )
}

/// The fences of an entry.
#[must_use]
pub(super) fn fences(entry: &Entry) -> Vec<Fence> {
    match entry {
        Entry::PreparationStarted(fences) | Entry::Transferred { items: fences, .. } => fences.clone(),
        Entry::Planned { fence, .. }
        | Entry::Refused { fence, .. }
        | Entry::BatchStarted { fence, .. }
        | Entry::BatchDone { fence, .. }
        | Entry::BatchFailed { fence, .. }
        | Entry::WorkFailed { fence, .. }
        | Entry::Differs { fence, .. }
        | Entry::PublishIntent { fence, .. }
        | Entry::Committed { fence, .. }
        | Entry::TombstoneStaged { fence, .. }
        | Entry::Withdrawn { fence, .. }
        | Entry::WithdrawRefused { fence, .. }
        | Entry::TombstoneReleased { fence }
        | Entry::Collected { fence, .. }
        | Entry::BatchReturned { fence, .. } => vec![*fence],
        Entry::SessionOpened { .. }
        | Entry::PolicyApplied { .. }
        | Entry::Approved(_)
        | Entry::Rejected { .. }
        | Entry::Requested { .. }
        | Entry::SessionsExpired { .. }
        | Entry::SessionClosed { .. }
        | Entry::JoinTokenIssued { .. }
        | Entry::JoinTokenRevoked { .. }
        | Entry::MemberAdmitted { .. }
        | Entry::MemberReplaced { .. }
        | Entry::DrainRequested { .. }
        | Entry::MemberRemoved { .. }
        | Entry::AccessTokenIssued { .. }
        | Entry::AccessTokenRevoked { .. }
        | Entry::AccessTokensUsed(_)
        | Entry::SignedIn { .. }
        | Entry::SignedOut { .. }
        | Entry::AlertDelivered { .. } => Vec::new(),
    }
}

/// The migrations that an entry names.
#[must_use]
pub(super) fn named(entry: &Entry) -> Vec<MigrationId> {
    match entry {
        Entry::Approved(items) | Entry::Rejected { items, .. } => items.iter().map(|(id, _)| *id).collect(),
        Entry::Requested { migrations, .. } => migrations.clone(),
        other => fences(other).into_iter().map(|fence| fence.migration).collect(),
    }
}
