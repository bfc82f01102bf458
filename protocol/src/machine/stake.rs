//! What must stay true for work that has begun to be worth going on.
//!
//! In: a migration when the work begins, and again whenever its record changes. Out: whether the work is still wanted.
//! A pause, a cancellation, a new run, a new epoch or a new hand-out ends it; what it has done by then is looked at
//! again by whoever comes next.

use super::Step;
use crate::ids::{Attempt, BatchId, Epoch, Run};
use crate::ledger::migration::{Migration, Phase};

/// The circumstances under which one piece of work began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stake {
    run: Run,
    epoch: Epoch,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// This hand-out of this batch is the open one.
    Batch(BatchId, Attempt),
    /// This try at the work of this phase.
    Work(Phase, Attempt),
    /// What is left after the end of a run.
    Rest(Phase),
}

impl Stake {
    /// For the hand-out of a batch whose number is `attempt`.
    #[must_use]
    pub fn batch(migration: &Migration, batch: BatchId, attempt: Attempt) -> Self {
        Self { run: migration.run, epoch: migration.epoch, what: What::Batch(batch, attempt) }
    }

    /// For work that is not a batch; `None` when `step` is nothing to do.
    #[must_use]
    pub fn work(migration: &Migration, step: &Step) -> Option<Self> {
        let what = match step {
            Step::Prepare | Step::Validate | Step::Publish | Step::Withdraw => {
                What::Work(migration.phase, migration.work.attempt)
            }
            Step::ReleaseTombstone | Step::Collect => What::Rest(migration.phase),
            Step::Wait | Step::WaitUntil(_) | Step::StartPreparation | Step::Batches(_) => return None,
        };
        Some(Self { run: migration.run, epoch: migration.epoch, what })
    }

    /// Whether the work is still wanted.
    #[must_use]
    pub fn holds(&self, migration: &Migration) -> bool {
        if (self.run, self.epoch) != (migration.run, migration.epoch) {
            return false;
        }
        match self.what {
            What::Batch(batch, attempt) => migration.batch(batch).and_then(|batch| batch.running) == Some(attempt),
            What::Work(phase, attempt) => migration.phase == phase && migration.work.attempt == attempt,
            What::Rest(phase) => migration.phase == phase,
        }
    }
}
