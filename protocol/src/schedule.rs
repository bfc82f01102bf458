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
pub fn decide(
    state: &State,
    running: &Running,
    limits: Limits,
    now: u64,
    owns: impl Fn(&Migration) -> bool,
) -> Decision {
    let mut round = Round::new(state, running, limits);
    let wait = |round: &mut Round<'_>, until: u64| {
        let earliest = round.decision.wake_at.map_or(until, |time: u64| time.min(until));
        round.decision.wake_at = Some(earliest);
    };
    // What ends a run goes before what begins one.
    for phase in [Phase::RollingBack, Phase::Commit, Phase::Validation] {
        for migration in ordered(state, phase, &owns) {
            match machine::next(migration, now) {
                Step::WaitUntil(time) => wait(&mut round, time),
                step => round.finish(migration, step),
            }
        }
    }
    for migration in ordered(state, Phase::Execution, &owns).into_iter().chain(ordered(state, Phase::Ready, &owns)) {
        match machine::next(migration, now) {
            Step::Batches(batches) => round.batches(migration, &batches),
            Step::WaitUntil(time) => wait(&mut round, time),
            _ => {}
        }
    }
    for migration in ordered(state, Phase::Preparation, &owns) {
        match machine::next(migration, now) {
            Step::WaitUntil(time) => wait(&mut round, time),
            step => round.prepare(migration, step),
        }
    }
    round.start_preparations(ordered(state, Phase::Queued, &owns));
    for phase in [Phase::Committed, Phase::RolledBack, Phase::Quarantined, Phase::Cancelled] {
        for migration in state.in_phase(phase).filter(|migration| owns(migration)) {
            match machine::next(migration, now) {
                Step::WaitUntil(time) => wait(&mut round, time),
                step @ (Step::Collect | Step::ReleaseTombstone) => round.finish(migration, step),
                _ => {}
            }
        }
    }
    round.decision
}

fn ordered<'a>(state: &'a State, phase: Phase, owns: &impl Fn(&Migration) -> bool) -> Vec<&'a Migration> {
    let mut migrations: Vec<&Migration> = state.in_phase(phase).filter(|migration| owns(migration)).collect();
    migrations.sort_by_key(|migration| {
        let seconds = migration.plan.as_ref().map_or(0, |plan| plan.seconds);
        (std::cmp::Reverse(migration.priority), std::cmp::Reverse(seconds), migration.created_at, migration.id)
    });
    migrations
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

    fn finish(&mut self, migration: &Migration, step: Step) {
        if self.free == 0 || step == Step::Wait || self.running.finishing.contains(&migration.id) {
            return;
        }
        self.free -= 1;
        self.decision.dispatches.push(Dispatch::Work(migration.id, step));
    }

    fn batches(&mut self, migration: &'a Migration, batches: &[BatchId]) {
        let most = self.state.policies().get(&migration.policy).map_or(u32::MAX, |record| record.policy.max_parallel);
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
        if self.preparations == 0 || self.running.preparing.contains(&migration.id) {
            return;
        }
        self.preparations -= 1;
        self.decision.dispatches.push(Dispatch::Work(migration.id, step));
    }

    fn start_preparations(&mut self, queued: Vec<&Migration>) {
        let chosen: Vec<MigrationId> = queued.iter().take(self.preparations).map(|migration| migration.id).collect();
        if !chosen.is_empty() {
            self.decision.dispatches.push(Dispatch::StartPreparations(chosen));
        }
    }
}
