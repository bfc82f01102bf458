//! The migration's state machine: what its owner does next, and which entry an outcome becomes.
//!
//! In: a migration as the ledger has it, the time, outcomes of effects. Out: [`Step`]s and entries.
//! Level-triggered: the next step follows from the recorded state alone, so an owner that starts anew goes on
//! where the record ends. Not here: doing anything (the node), which migration gets a slot (`schedule`).

pub mod outcome;
pub mod publishing;
pub mod source;
mod stake;
#[cfg(test)]
mod tests;

pub use stake::Stake;

use crate::ids::{BatchId, BatchNo, StageNo};
use crate::ledger::migration::{Migration, Phase};

/// What the owner of a migration can do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until an entry changes the migration.
    Wait,
    /// Nothing before this time, milliseconds since 1970.
    WaitUntil(u64),
    /// Record that the preparation starts.
    StartPreparation,
    /// Inspect the dataset and plan it.
    Prepare,
    /// Hand out any of these batches.
    Batches(Vec<BatchId>),
    /// Write the staged table, read it, list the source again.
    Validate,
    /// Register the intended table, or find out whether it is registered.
    Publish,
    /// Take the target's name back.
    Withdraw,
    /// Take the tombstone away.
    ReleaseTombstone,
    /// Remove staged files that nothing refers to.
    Collect,
}

/// What the owner does next.
#[must_use]
pub fn next(migration: &Migration, now: u64) -> Step {
    let work = |step: Step| {
        if migration.work.not_before > now { Step::WaitUntil(migration.work.not_before) } else { step }
    };
    match migration.phase {
        Phase::Queued => Step::StartPreparation,
        Phase::Preparation => work(Step::Prepare),
        Phase::Ready | Phase::Execution => batches(migration, now),
        Phase::Validation => work(Step::Validate),
        Phase::Commit => work(Step::Publish),
        Phase::RollingBack => work(Step::Withdraw),
        Phase::Approval | Phase::Paused => Step::Wait,
        Phase::Committed | Phase::RolledBack | Phase::Quarantined | Phase::Cancelled => rest(migration, now),
    }
}

fn batches(migration: &Migration, now: u64) -> Step {
    let Some(stage) = migration.open_stage() else { return Step::Wait };
    let mut free = Vec::new();
    let mut earliest: Option<u64> = None;
    for (number, batch) in migration.stages[stage].iter().enumerate() {
        if batch.running.is_some() || batch.done.is_some() {
            continue;
        }
        if batch.not_before > now {
            earliest = Some(earliest.map_or(batch.not_before, |time| time.min(batch.not_before)));
            continue;
        }
        let stage = StageNo(u32::try_from(stage).expect("a plan has a handful of stages"));
        let batch = BatchNo(u32::try_from(number).expect("batches are counted in 32 bits"));
        free.push(BatchId { stage, batch });
    }
    match (free.is_empty(), earliest) {
        (false, _) => Step::Batches(free),
        (true, Some(time)) => Step::WaitUntil(time),
        (true, None) => Step::Wait,
    }
}

/// What is left to do for a run that has ended.
fn rest(migration: &Migration, now: u64) -> Step {
    if migration.collects() {
        return Step::Collect;
    }
    match migration.tombstone.as_ref().filter(|tombstone| tombstone.placed) {
        Some(tombstone) if tombstone.until <= now => Step::ReleaseTombstone,
        Some(tombstone) => Step::WaitUntil(tombstone.until),
        None => Step::Wait,
    }
}
