//! How many batches run at the moment over the whole fleet: by policy, team and connection.
//!
//! In: the ledger's state, and what a node has begun that is not recorded yet. Out: counts. Other nodes' batches that are
//! being recorded at the same moment are not seen: limits may be passed by as many for as long as that takes.

use std::collections::BTreeMap;

use super::Running;
use crate::ids::{ConnectionName, PolicyName};
use crate::ledger::migration::Migration;
use crate::ledger::policies::PolicyRecord;
use crate::ledger::state::State;

/// Counts of running batches.
#[derive(Debug, Default)]
pub(crate) struct Usage<'a> {
    by_policy: BTreeMap<&'a PolicyName, u32>,
    by_team: BTreeMap<&'a str, u32>,
    by_connection: BTreeMap<&'a ConnectionName, u32>,
}

impl<'a> Usage<'a> {
    /// Counts what the ledger knows and what this node has begun beyond that. Costs the number of policies at work, and what runs
    /// here.
    pub(crate) fn of(state: &'a State, running: &Running) -> Self {
        let mut usage = Self::default();
        for (policy, connection, count) in state.running_batches() {
            usage.count(state, policy, connection, count);
        }
        for (id, batch) in running.batches.iter().chain(&running.lent) {
            let Some(migration) = state.migration(*id) else { continue };
            if migration.batch(*batch).is_none_or(|batch| batch.running.is_none()) {
                usage.add(state, migration, 1);
            }
        }
        usage
    }

    /// Some more batches of a migration run.
    pub(crate) fn add(&mut self, state: &'a State, migration: &'a Migration, count: u32) {
        self.count(state, &migration.policy, &migration.target_connection, count);
    }

    fn count(&mut self, state: &'a State, policy: &'a PolicyName, target: &'a ConnectionName, count: u32) {
        if count == 0 {
            return;
        }
        *self.by_policy.entry(policy).or_default() += count;
        *self.by_connection.entry(target).or_default() += count;
        if let Some(record) = state.policies().get(policy) {
            *self.by_team.entry(&record.policy.owner).or_default() += count;
            if record.policy.source_connection != *target {
                *self.by_connection.entry(&record.policy.source_connection).or_default() += count;
            }
        }
    }

    /// Batches of the policy's team.
    pub(crate) fn of_team(&self, team: &str) -> u32 {
        self.by_team.get(team).copied().unwrap_or_default()
    }

    /// Whether the policy has as many batches as it may.
    pub(crate) fn is_full(&self, record: &PolicyRecord) -> bool {
        self.by_policy.get(&record.policy.name).copied().unwrap_or_default() >= record.policy.max_parallel
    }

    /// Whether the connection has as many batches as it may.
    pub(crate) fn is_at(&self, connection: &ConnectionName, most: u32) -> bool {
        self.by_connection.get(connection).copied().unwrap_or_default() >= most
    }
}
