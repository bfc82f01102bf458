//! The scheduler: which of the steps that are possible are taken now.
//!
//! In: a view of the migrations that a node owns, what runs, the limits. Out: dispatches. Pure; it proposes, the
//! node records and acts. Order: priority, then what is nearest to its end (it frees staged files and shows
//! results), then longest first. Not here: placement over nodes and stealing, which come with the fleet.

use std::collections::BTreeMap;

use crate::ids::{BatchId, MigrationId, PolicyName};
use crate::ledger::migration::{Migration, Phase};
use crate::ledger::state::State;
use crate::machine::{self, Step};

/// Preparations that one node runs at once, for each slot: they are short and mostly wait for the disk.
pub const PREPARATIONS_PER_SLOT: usize = 2;

/// What a node may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Batches and final work.
    pub slots: usize,
}

/// What runs at the moment and is not visible in the ledger: work that is not a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Running {
    /// Migrations whose preparation runs.
    pub preparing: Vec<MigrationId>,
    /// Migrations whose validation, publication, withdrawal or collection runs.
    pub finishing: Vec<MigrationId>,
    /// Batches that run, or whose start is being recorded.
    pub batches: Vec<(MigrationId, BatchId)>,
}

/// One piece of work to begin now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dispatch {
    /// Record that these migrations are being prepared.
    StartPreparations(Vec<MigrationId>),
    /// Do this for that migration.
    Work(MigrationId, Step),
    /// Hand out this batch.
    Batch(MigrationId, BatchId),
}

/// What to begin now, and the next time at which something becomes possible by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// To begin, in this order.
    pub dispatches: Vec<Dispatch>,
    /// Milliseconds since 1970.
    pub wake_at: Option<u64>,
}

/// Decides what a node begins now. `owns` tells which migrations are its own.
///
/// With every slot taken it looks at nothing: whatever ends then asks again. So [`Decision::wake_at`] speaks only of what
/// was looked at.
pub fn decide(
    state: &State,
    running: &Running,
    limits: Limits,
    now: u64,
    owns: impl Fn(&Migration) -> bool,
) -> Decision {
    let mut round = Round::new(state, running, limits);
    // What ends a run goes before what begins one, and work on a run before what is left after it.
    for phase in [Phase::RollingBack, Phase::Commit, Phase::Validation] {
        round.finishing(phase, now, &owns);
    }
    for phase in [Phase::Execution, Phase::Ready] {
        for migration in state.due(phase).filter(|migration| owns(migration)) {
            if round.free == 0 {
                break;
            }
            if round.policy_is_full(migration) {
                continue;
            }
            match machine::next(migration, now) {
                Step::Batches(batches) => round.batches(migration, &batches),
                Step::WaitUntil(time) => round.wait(time),
                _ => {}
            }
        }
    }
    for migration in state.due(Phase::Preparation).filter(|migration| owns(migration)) {
        if round.preparations == 0 {
            break;
        }
        match machine::next(migration, now) {
            Step::WaitUntil(time) => round.wait(time),
            step => round.prepare(migration, step),
        }
    }
    round.start_preparations(state.due(Phase::Queued).filter(|migration| owns(migration)));
    for phase in [Phase::Committed, Phase::RolledBack, Phase::Quarantined, Phase::Cancelled] {
        round.finishing(phase, now, &owns);
    }
    round.decision
}

struct Round<'a> {
    state: &'a State,
    running: &'a Running,
    free: usize,
    preparations: usize,
    by_policy: BTreeMap<&'a PolicyName, u32>,
    decision: Decision,
}

impl<'a> Round<'a> {
    fn new(state: &'a State, running: &'a Running, limits: Limits) -> Self {
        let mut by_policy: BTreeMap<&PolicyName, u32> = BTreeMap::new();
        for (id, _) in &running.batches {
            if let Some(migration) = state.migration(*id) {
                *by_policy.entry(&migration.policy).or_default() += 1;
            }
        }
        let busy = running.batches.len() + running.finishing.len();
        let most = limits.slots * PREPARATIONS_PER_SLOT;
        Self {
            state,
            running,
            free: limits.slots.saturating_sub(busy),
            preparations: most.saturating_sub(running.preparing.len()),
            by_policy,
            decision: Decision::default(),
        }
    }

    fn wait(&mut self, until: u64) {
        let earliest = self.decision.wake_at.map_or(until, |time| time.min(until));
        self.decision.wake_at = Some(earliest);
    }

    fn finishing(&mut self, phase: Phase, now: u64, owns: &impl Fn(&Migration) -> bool) {
        for migration in self.state.due(phase).filter(|migration| owns(migration)) {
            if self.free == 0 {
                return;
            }
            if self.running.finishing.contains(&migration.id) {
                continue;
            }
            match machine::next(migration, now) {
                Step::Wait => {}
                Step::WaitUntil(time) => self.wait(time),
                step => {
                    self.free -= 1;
                    self.decision.dispatches.push(Dispatch::Work(migration.id, step));
                }
            }
        }
    }

    fn policy_is_full(&self, migration: &Migration) -> bool {
        let used = self.by_policy.get(&migration.policy).copied().unwrap_or_default();
        used >= self.most_of_policy(migration)
    }

    fn most_of_policy(&self, migration: &Migration) -> u32 {
        self.state.policies().get(&migration.policy).map_or(u32::MAX, |record| record.policy.max_parallel)
    }

    fn batches(&mut self, migration: &'a Migration, batches: &[BatchId]) {
        let most = self.most_of_policy(migration);
        for batch in batches {
            let used = self.by_policy.entry(&migration.policy).or_default();
            if self.free == 0 || *used >= most {
                return;
            }
            if self.running.batches.contains(&(migration.id, *batch)) {
                continue;
            }
            *used += 1;
            self.free -= 1;
            self.decision.dispatches.push(Dispatch::Batch(migration.id, *batch));
        }
    }

    fn prepare(&mut self, migration: &Migration, step: Step) {
        if self.running.preparing.contains(&migration.id) {
            return;
        }
        self.preparations -= 1;
        self.decision.dispatches.push(Dispatch::Work(migration.id, step));
    }

    fn start_preparations(&mut self, queued: impl Iterator<Item = &'a Migration>) {
        let chosen: Vec<MigrationId> = queued.take(self.preparations).map(|migration| migration.id).collect();
        if !chosen.is_empty() {
            self.decision.dispatches.push(Dispatch::StartPreparations(chosen));
        }
    }
}

#[cfg(test)]
mod tests;
