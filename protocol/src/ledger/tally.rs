//! How many batches run, and how much is through, policy by policy.
//!
//! In: a migration before and after a change. Out: counts. Holds: [`Tally`], which the fold keeps in step, so that a decision
//! counts policies and not the migrations in execution. It follows from the migrations and is stored nowhere.

use std::collections::BTreeMap;

use crate::ids::{ConnectionName, PolicyName};
use crate::ledger::migration::{Migration, Phase};

/// Counts over all migrations; never a zero in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tally {
    /// Batches that run, by policy and target connection.
    running: BTreeMap<PolicyName, BTreeMap<ConnectionName, u32>>,
    /// Committed migrations.
    committed: BTreeMap<PolicyName, u64>,
}

/// What one migration counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    running: u32,
    committed: bool,
}

impl Part {
    pub(super) fn of(migration: &Migration) -> Self {
        let running = if migration.phase == Phase::Execution { migration.running() } else { 0 };
        Self { running, committed: migration.phase == Phase::Committed }
    }
}

impl Tally {
    /// The counts of all that there is.
    pub(super) fn of<'a>(migrations: impl Iterator<Item = &'a Migration>) -> Self {
        let mut tally = Self::default();
        let nothing = Part { running: 0, committed: false };
        migrations.for_each(|migration| tally.changed(migration, nothing, Part::of(migration)));
        tally
    }

    /// A migration counts something else than before.
    pub(super) fn changed(&mut self, migration: &Migration, before: Part, after: Part) {
        if before.running != after.running {
            let of_policy = self.running.entry(migration.policy.clone()).or_default();
            let count = of_policy.entry(migration.target_connection.clone()).or_default();
            *count = (*count + after.running).saturating_sub(before.running);
            if *count == 0 {
                of_policy.remove(&migration.target_connection);
                if of_policy.is_empty() {
                    self.running.remove(&migration.policy);
                }
            }
        }
        if before.committed != after.committed {
            let count = self.committed.entry(migration.policy.clone()).or_default();
            *count = (*count + u64::from(after.committed)).saturating_sub(u64::from(before.committed));
            if *count == 0 {
                self.committed.remove(&migration.policy);
            }
        }
    }

    /// Batches that run, by policy and target connection.
    pub(super) fn running(&self) -> impl Iterator<Item = (&PolicyName, &ConnectionName, u32)> {
        let each = |(policy, counts)| std::iter::repeat(policy).zip(counts);
        self.running.iter().flat_map(each).map(|(policy, (connection, count))| (policy, connection, *count))
    }

    /// Committed migrations of a policy, those of earlier generations too.
    pub(super) fn committed(&self, policy: &PolicyName) -> u64 {
        self.committed.get(policy).copied().unwrap_or_default()
    }
}
