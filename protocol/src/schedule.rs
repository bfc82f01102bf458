//! The scheduler: which of the steps that are possible are taken now.
//!
//! In: a view of the migrations that a node owns, what runs, the limits. Out: dispatches. Pure; it proposes, the
//! node records and acts. What ends a run goes first. Batches go by priority; among equals by fairness between teams, then what
//! has begun before what has not, then longest first, then age. No migration waits for ever: see `turns`. Policies wait for
//! those that they name: see `after`. Not here: placement over nodes and stealing (`fleet`).

mod after;
pub(crate) mod backlog;
mod hand_out;
mod prepare;
mod turns;
pub(crate) mod usage;

use std::collections::BTreeMap;

use crate::ids::{BatchId, ConnectionName, MigrationId, NodeId};
use crate::ledger::migration::{Migration, Phase};
use crate::ledger::state::State;
use crate::machine::{self, Step};

pub(crate) use after::Waits;
pub use after::{cycle, cycle_with, waits_for};
pub use turns::{BYPASS, PATIENCE_MILLIS, Turns};

/// Preparations that one node runs at once, for each slot: they are short and mostly wait for the disk.
pub const PREPARATIONS_PER_SLOT: usize = 2;

/// What a node may run at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// The node whose migrations they are.
    pub node: NodeId,
    /// Batches and final work.
    pub slots: usize,
    /// The node is being left: it ends what stands between an intent and its publication, and begins nothing else.
    pub draining: bool,
    /// Most batches at once over the whole fleet that read from, or write to, a connection.
    pub connections: BTreeMap<ConnectionName, u32>,
    /// Most batches that may begin now on this node with a connection: none while its circuit breaker is open, one to try
    /// whether it is back.
    pub begin: BTreeMap<ConnectionName, u32>,
    /// Most batches that failed before and may begin again now, where retries are rationed.
    pub retries: Option<u32>,
}

/// What runs at the moment and is not visible in the ledger: work that is not a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Running {
    /// Migrations whose preparation runs.
    pub preparing: Vec<MigrationId>,
    /// Migrations whose validation, publication, withdrawal or collection runs.
    pub finishing: Vec<MigrationId>,
    /// Batches that run here, or whose start is being recorded.
    pub batches: Vec<(MigrationId, BatchId)>,
    /// Batches that other nodes run for this one: they take no slot here.
    pub lent: Vec<(MigrationId, BatchId)>,
    /// Batches that this node runs for others.
    pub borrowed: Vec<(MigrationId, BatchId)>,
    /// As the last decision left them.
    pub turns: Turns,
}

impl Running {
    /// Slots that are taken.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.batches.len() + self.finishing.len() + self.borrowed.len()
    }

    /// Whether a batch was handed out already, here or to another node.
    #[must_use]
    pub fn has(&self, migration: MigrationId, batch: BatchId) -> bool {
        let one = (migration, batch);
        self.batches.contains(&one) || self.lent.contains(&one)
    }
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
    /// For [`Running::turns`].
    pub turns: Turns,
}

/// Decides what a node begins now. `owns` tells which of its migrations it may touch.
///
/// With every slot taken it looks at nothing: whatever ends then asks again. So [`Decision::wake_at`] speaks only of what
/// was looked at. It costs what is handed out times the number of policies, and not what there is.
pub fn decide(
    state: &State,
    running: &Running,
    limits: &Limits,
    now: u64,
    owns: impl Fn(&Migration) -> bool,
) -> Decision {
    let mut round = Round::new(state, running, limits, now, &owns);
    // What ends a run goes before what begins one, and work on a run before what is left after it.
    round.finishing(Phase::RollingBack);
    round.finishing(Phase::Commit);
    if limits.draining {
        return round.decision;
    }
    round.finishing(Phase::Validation);
    round.hand_out_batches();
    round.work_on_preparations();
    round.start_preparations();
    for phase in [Phase::Committed, Phase::RolledBack, Phase::Quarantined, Phase::Cancelled] {
        round.finishing(phase);
    }
    round.decision
}

/// One decision while it is made.
struct Round<'a> {
    state: &'a State,
    running: &'a Running,
    limits: &'a Limits,
    now: u64,
    owns: &'a dyn Fn(&Migration) -> bool,
    free: usize,
    preparations: usize,
    waits: Waits<'a>,
    decision: Decision,
}

impl<'a> Round<'a> {
    fn new(
        state: &'a State,
        running: &'a Running,
        limits: &'a Limits,
        now: u64,
        owns: &'a dyn Fn(&Migration) -> bool,
    ) -> Self {
        let most = limits.slots * PREPARATIONS_PER_SLOT;
        Self {
            state,
            running,
            limits,
            now,
            owns,
            free: limits.slots.saturating_sub(running.busy()),
            preparations: most.saturating_sub(running.preparing.len()),
            waits: Waits::new(state),
            decision: Decision { turns: running.turns, ..Decision::default() },
        }
    }

    fn wait(&mut self, until: u64) {
        let earliest = self.decision.wake_at.map_or(until, |time| time.min(until));
        self.decision.wake_at = Some(earliest);
    }

    fn finishing(&mut self, phase: Phase) {
        let (state, owns) = (self.state, self.owns);
        for migration in state.due_of(self.limits.node, phase).filter(|migration| owns(migration)) {
            if self.free == 0 {
                return;
            }
            if self.running.finishing.contains(&migration.id) {
                continue;
            }
            match machine::next(migration, self.now) {
                Step::Wait => {}
                Step::WaitUntil(time) => self.wait(time),
                step => {
                    self.free -= 1;
                    self.decision.dispatches.push(Dispatch::Work(migration.id, step));
                }
            }
        }
    }

    /// The team that a policy belongs to; nobody's without a record.
    fn team(&self, migration: &Migration) -> &'a str {
        self.state.policies().get(&migration.policy).map_or("", |record| record.policy.owner.as_str())
    }
}

#[cfg(test)]
mod tests;
