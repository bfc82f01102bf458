//! Who waits: for other policies, and behind others.
//!
//! In: every step, in order. Out: what a step is told of those that wait. Holds: when each policy was through last, and how
//! often each node passed by who waits longest. Costs little: policies by counts, migrations by the queues' heads.

use std::collections::BTreeMap;

use super::order::PATIENCE_MILLIS;
use super::view::Glimpse;
use crate::ids::{BatchId, Generation, MigrationId, NodeId, PolicyName};
use crate::ledger::entry::Entry;
use crate::ledger::migration::{Migration, Phase};
use crate::ledger::state::State;

/// Who waits for what.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    /// How many migrations of each policy are not through.
    open: BTreeMap<PolicyName, u64>,
    /// When policies that are not through now were so last.
    through_at: BTreeMap<PolicyName, u64>,
    /// Since when migrations of policies that wait for others are ready.
    ready_since: BTreeMap<MigrationId, u64>,
    /// By whom, who waits longest, and how often it was passed by.
    passed: BTreeMap<NodeId, (MigrationId, u64)>,
    /// By whom, how often in a row a hand-out went before more urgent ones.
    inverted: BTreeMap<NodeId, u64>,
}

fn is_open(phase: Phase, generation: Generation, newest: Generation) -> bool {
    let replaced = matches!(phase, Phase::Cancelled | Phase::RolledBack) && generation < newest;
    phase != Phase::Committed && !replaced
}

impl Waiting {
    /// Counts a policy anew.
    pub(super) fn recount(&mut self, index: u64, state: &State, name: &PolicyName) {
        let Some(record) = state.policies().get(name) else { return };
        let migrations = record.migrations.iter().filter_map(|id| state.migration(*id));
        let open = migrations.filter(|one| is_open(one.phase, one.stands_for, record.generation)).count() as u64;
        self.set_open(index, name, open);
    }

    fn set_open(&mut self, index: u64, name: &PolicyName, open: u64) {
        let before = self.open.insert(name.clone(), open);
        if before == Some(0) && open > 0 {
            self.through_at.insert(name.clone(), index.saturating_sub(1));
        }
    }

    /// Follows a migration.
    pub(super) fn moved(
        &mut self,
        (index, state): (u64, &State),
        id: MigrationId,
        before: Option<&Glimpse>,
        after: &Glimpse,
    ) {
        let Some(record) = state.policies().get(&after.policy) else { return };
        let counted = |glimpse: &Glimpse| u64::from(is_open(glimpse.phase, glimpse.generation, record.generation));
        // New migrations are counted with their policy.
        if let Some(before) = before
            && counted(before) != counted(after)
        {
            let open = self.open.get(&after.policy).copied().unwrap_or_default();
            self.set_open(index, &after.policy, open + counted(after) - counted(before).min(open + counted(after)));
        }
        if after.phase != Phase::Ready {
            self.ready_since.remove(&id);
        } else if before.is_none_or(|before| before.phase != Phase::Ready) && !record.policy.after.is_empty() {
            self.ready_since.insert(id, index);
        }
    }

    /// The policies that a migration waits for, and that were not through since it has been ready.
    pub(super) fn unmet(&self, state: &State, id: MigrationId, migration: &Glimpse) -> Vec<PolicyName> {
        let Some(record) = state.policies().get(&migration.policy) else { return Vec::new() };
        let since = self.ready_since.get(&id).copied().unwrap_or_default();
        let was_through = |name: &&PolicyName| match self.open.get(*name) {
            None => false,
            Some(0) => true,
            Some(_) => self.through_at.get(*name).is_some_and(|at| *at >= since),
        };
        record.policy.after.iter().filter(|name| !was_through(name)).cloned().collect()
    }

    /// A node has a new session: it counts its hand-outs anew.
    pub(super) fn starts_anew(&mut self, node: NodeId) {
        self.passed.remove(&node);
        self.inverted.remove(&node);
    }

    /// How many hand-outs of the owner in a row, this one included, went before more urgent ones. One that was handed out and is
    /// not recorded yet takes a slot: only more of them than there are slots count.
    pub(super) fn inverted(
        &mut self,
        state: &State,
        entry: &Entry,
        (before, slots): (&Glimpse, u32),
        at_millis: u64,
    ) -> u64 {
        let Entry::BatchStarted { fence, runner, .. } = entry else { return 0 };
        if *runner != before.owner {
            return 0;
        }
        let priority = state.migration(fence.migration).map_or(0, |migration| migration.priority);
        let enough = slots as usize + 1;
        if more_urgent(state, (before, priority), enough, at_millis) < enough {
            self.inverted.remove(runner);
            return 0;
        }
        let inverted = self.inverted.entry(*runner).or_default();
        *inverted += 1;
        *inverted
    }

    /// How often, this hand-out included, `owner` has passed by who waits longest.
    pub(super) fn passed_by(&mut self, state: &State, entry: &Entry, before: &Glimpse, at_millis: u64) -> u64 {
        let Entry::BatchStarted { fence, runner, .. } = entry else { return 0 };
        // What is lent goes to who asked, and takes nobody's turn here.
        if *runner != before.owner {
            return 0;
        }
        let started = (before.changed_at, fence.migration);
        let oldest = oldest(state, before, fence.migration, at_millis).filter(|oldest| *oldest < started);
        let Some((_, oldest)) = oldest else {
            self.passed.remove(runner);
            return 0;
        };
        let passed = self.passed.entry(*runner).or_insert((oldest, 0));
        if passed.0 != oldest {
            *passed = (oldest, 0);
        }
        passed.1 += 1;
        passed.1
    }
}

/// How many migrations of the owner are more urgent than the one that was started, and could run at once over the same
/// connections; no more than `enough` are counted.
fn more_urgent(state: &State, started: (&Glimpse, u8), enough: usize, at_millis: u64) -> usize {
    let (started, priority) = started;
    let wanted = connections(state, &started.policy);
    let mut count = 0;
    for phase in [Phase::Ready, Phase::Execution] {
        for (policy, queue) in state.queues_of(started.owner, phase) {
            let first = queue.ids().next().and_then(|id| state.migration(id));
            if first.is_none_or(|first| first.priority <= priority)
                || connections(state, policy) != wanted
                || !has_room(state, policy)
            {
                continue;
            }
            let urgent = queue.ids().filter_map(|id| state.migration(id)).take_while(|one| one.priority > priority);
            count += urgent.filter(|one| could_run(one, at_millis)).take(enough - count).count();
            if count == enough {
                return count;
            }
        }
    }
    count
}

/// Who of the owner's migrations waits longest: it could run at once, over the same connections as the one that was started,
/// nothing of it runs, and it has waited for long.
fn oldest(state: &State, started: &Glimpse, but: MigrationId, at_millis: u64) -> Option<(u64, MigrationId)> {
    let connections = connections(state, &started.policy);
    let mut oldest: Option<(u64, MigrationId)> = None;
    let is_long = |since: u64| since + PATIENCE_MILLIS <= at_millis;
    for phase in [Phase::Ready, Phase::Execution] {
        for (policy, queue) in state.queues_of(started.owner, phase) {
            let long = || queue.by_age().take_while(|(since, _)| is_long(*since));
            if long().next().is_none() || self::connections(state, policy) != connections || !has_room(state, policy) {
                continue;
            }
            let waits = long()
                .filter(|(_, id)| *id != but)
                .find(|(_, id)| state.migration(*id).is_some_and(|migration| could_run(migration, at_millis)));
            // Those that began have waited since their last batch at the earliest.
            let waits = waits.filter(|(_, id)| {
                let last = state.migration(*id).map_or(0, |migration| migration.executed_at);
                is_long(last)
            });
            oldest = [oldest, waits].into_iter().flatten().min();
        }
    }
    oldest
}

fn connections<'a>(state: &'a State, policy: &PolicyName) -> Option<(&'a str, &'a str)> {
    let record = state.policies().get(policy)?;
    Some((record.policy.source_connection.0.as_str(), record.policy.target_connection.0.as_str()))
}

/// Whether nothing else holds the policy's migrations up: other policies, or its own limit.
fn has_room(state: &State, policy: &PolicyName) -> bool {
    let Some(record) = state.policies().get(policy) else { return false };
    let of_policy = state.in_phase(Phase::Execution).filter(|one| one.policy == *policy);
    let running: u32 = of_policy.map(Migration::running).sum();
    record.policy.after.is_empty() && running < record.policy.max_parallel
}

fn could_run(migration: &Migration, at_millis: u64) -> bool {
    let mut stages = migration.stages.iter().enumerate();
    let Some((stage, batches)) = stages.find(|(_, batches)| batches.iter().any(|batch| batch.done.is_none())) else {
        return false;
    };
    let free = |number: usize| {
        let id = BatchId {
            stage: crate::ids::StageNo(u32::try_from(stage).unwrap_or(u32::MAX)),
            batch: crate::ids::BatchNo(u32::try_from(number).unwrap_or(u32::MAX)),
        };
        migration
            .batch(id)
            .is_some_and(|batch| batch.done.is_none() && batch.failures == 0 && batch.not_before <= at_millis)
    };
    batches.iter().all(|batch| batch.running.is_none()) && (0..batches.len()).any(free)
}
