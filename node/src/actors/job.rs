//! A piece of work as actors speak of it: a step of one migration, or one of its batches.

use skein_protocol::ids::{BatchId, MigrationId, NodeId};
use skein_protocol::machine::Step;
use skein_protocol::problem::Problem;
use skein_protocol::schedule::Running;

use crate::core::DocumentError;
use crate::ledger::LedgerError;

/// A piece of work of one migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    Prepare,
    Validate,
    Publish,
    Withdraw,
    ReleaseTombstone,
    Collect,
    Batch(BatchId),
}

/// How a piece of work ended.
#[derive(Debug)]
pub(super) enum End {
    /// Its outcome, whichever, is recorded; or somebody else's entry made it pointless.
    Done,
    /// The ledger refused its entry: the migration moved on meanwhile, or a pause is in order.
    Moot,
    /// It did not succeed, and no entry says so: try later.
    Later(Problem),
}

/// An error that kills the actor.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("{what} panicked: {why}")]
    Panicked { what: &'static str, why: String },
}

impl Job {
    /// The work of a step; `None` when the step is none.
    pub(super) fn of(step: &Step) -> Option<Self> {
        Some(match step {
            Step::Prepare => Self::Prepare,
            Step::Validate => Self::Validate,
            Step::Publish => Self::Publish,
            Step::Withdraw => Self::Withdraw,
            Step::ReleaseTombstone => Self::ReleaseTombstone,
            Step::Collect => Self::Collect,
            Step::Wait | Step::WaitUntil(_) | Step::StartPreparation | Step::Batches(_) => return None,
        })
    }

    /// Whether this is what `step` asks for.
    pub(super) fn fits(self, step: &Step) -> bool {
        match (self, step) {
            (Self::Batch(batch), Step::Batches(free)) => free.contains(&batch),
            _ => Self::of(step) == Some(self),
        }
    }

    /// Notes that it runs, here or on another node.
    pub(super) fn enter(self, migration: MigrationId, runner: Option<NodeId>, running: &mut Running) {
        match self {
            Self::Batch(batch) if runner.is_some() => running.lent.push((migration, batch)),
            Self::Prepare => running.preparing.push(migration),
            Self::Batch(batch) => running.batches.push((migration, batch)),
            _ => running.finishing.push(migration),
        }
    }

    /// Notes that it runs no more.
    pub(super) fn leave(self, migration: MigrationId, running: &mut Running) {
        match self {
            Self::Prepare => running.preparing.retain(|id| *id != migration),
            Self::Batch(batch) => {
                running.batches.retain(|one| *one != (migration, batch));
                running.lent.retain(|one| *one != (migration, batch));
            }
            _ => running.finishing.retain(|id| *id != migration),
        }
    }
}

/// A document that is missing or damaged is a failure of the work that needs it; a failing ledger kills the actor.
pub(super) fn sort(error: DocumentError) -> Result<Problem, JobError> {
    match error {
        DocumentError::Bad(problem) => Ok(problem),
        DocumentError::Ledger(error) => Err(error.into()),
    }
}
