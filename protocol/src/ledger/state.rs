//! The state that the ledger folds into.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{ConnectionName, MigrationId, NodeId, PolicyName, TableName};
use crate::ledger::entry::{Answer, Entry};
use crate::ledger::fold::{Fold, Proposal};
use crate::ledger::migration::{Migration, Phase};
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
    /// Migrations by phase: for counts and for the scheduler.
    pub(super) by_phase: BTreeMap<Phase, BTreeSet<MigrationId>>,
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
