//! The state that the ledger folds into.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::hash::Hash256;
use crate::ids::{ConnectionName, Generation, MigrationId, NodeId, PolicyName, TableName};
use crate::ledger::due::Due;
use crate::ledger::entry::{Answer, Entry};
use crate::ledger::fold::{Fold, Proposal};
use crate::ledger::migration::{Migration, Phase, Tombstone};
use crate::ledger::policies::PolicyRecord;

/// Everything that is known, except for the documents that blobs hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct State {
    pub(super) policies: BTreeMap<PolicyName, PolicyRecord>,
    pub(super) migrations: BTreeMap<MigrationId, Migration>,
    /// Last boot of each node.
    pub(super) nodes: BTreeMap<NodeId, u64>,
    /// Which migration a target's name belongs to.
    pub(super) claims: BTreeMap<(ConnectionName, TableName), MigrationId>,
    /// Migrations by phase: for counts.
    pub(super) by_phase: BTreeMap<Phase, BTreeSet<MigrationId>>,
    /// Migrations with work left, in order: for the scheduler.
    pub(super) due: Due,
}

impl State {
    /// All policies by name.
    #[must_use]
    pub fn policies(&self) -> &BTreeMap<PolicyName, PolicyRecord> {
        &self.policies
    }

    /// All migrations by id.
    #[must_use]
    pub fn migrations(&self) -> &BTreeMap<MigrationId, Migration> {
        &self.migrations
    }

    /// One migration.
    #[must_use]
    pub fn migration(&self, id: MigrationId) -> Option<&Migration> {
        self.migrations.get(&id)
    }

    /// The migrations in `phase`.
    pub fn in_phase(&self, phase: Phase) -> impl Iterator<Item = &Migration> {
        self.by_phase.get(&phase).into_iter().flatten().filter_map(|id| self.migrations.get(id))
    }

    /// How many migrations are in `phase`.
    #[must_use]
    pub fn count(&self, phase: Phase) -> usize {
        self.by_phase.get(&phase).map_or(0, BTreeSet::len)
    }

    /// The migrations in `phase` with work left, what goes first coming first: by priority, then longest first, then age.
    pub fn due(&self, phase: Phase) -> impl Iterator<Item = &Migration> {
        self.due.of(phase).filter_map(|id| self.migrations.get(&id))
    }

    /// True when a newer generation of its policy took a migration's place: lists leave it out.
    #[must_use]
    pub fn is_superseded(&self, migration: &Migration) -> bool {
        matches!(migration.phase, Phase::Cancelled | Phase::RolledBack)
            && self.policies.get(&migration.policy).is_some_and(|record| migration.generation < record.generation)
    }

    /// The generation that `policy` has, or gets, when a document with this hash and these datasets is applied.
    #[must_use]
    pub fn generation_of(&self, policy: &PolicyName, hash: Hash256, datasets: &[(TableName, TableName)]) -> Generation {
        match self.policies.get(policy) {
            Some(record) if record.policy.hash == hash && record.policy.datasets == datasets => record.generation,
            Some(record) => record.generation.next(),
            None => Generation(1),
        }
    }

    /// The datasets of a policy whose targets are published or about to be: applying it again leaves them alone.
    #[must_use]
    pub fn settled(&self, policy: &PolicyName) -> BTreeSet<TableName> {
        let migrations = self.policies.get(policy).into_iter().flat_map(|record| &record.migrations);
        let migrations = migrations.filter_map(|id| self.migrations.get(id));
        migrations.filter(|migration| migration.is_settled()).map(|migration| migration.dataset.clone()).collect()
    }

    /// The tombstone, of whichever migration, that stands under a target's name with this metadata file.
    #[must_use]
    pub fn tombstone_at(&self, connection: &ConnectionName, target: &TableName, location: &str) -> Option<&Tombstone> {
        let standing = self.migrations.values().filter(|m| m.target == *target && m.target_connection == *connection);
        standing.filter_map(|migration| migration.tombstone.as_ref()).find(|tombstone| tombstone.location == location)
    }

    /// The last boot counter that a node recorded.
    #[must_use]
    pub fn last_boot(&self, node: NodeId) -> Option<u64> {
        self.nodes.get(&node).copied()
    }
}

impl Fold for State {
    type Entry = Entry;
    type Answer = Answer;

    fn apply(&mut self, index: u64, proposal: &Proposal<Entry>) -> Answer {
        super::apply::apply(self, index, proposal)
    }
}
