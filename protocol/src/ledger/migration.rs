//! One migration as the ledger keeps it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data_plane::StagedTable;
use crate::hash::Hash256;
use crate::ids::{
    Attempt, BatchId, BatchNo, ConnectionName, Epoch, Generation, MigrationId, NodeId, PolicyName, Run, StageNo,
    TableName, TableUuid,
};
use crate::ledger::entry::{BatchTotals, Fence, PlanSummary, Work};
use crate::problem::Problem;

/// History items that are kept for one migration; older ones make room. Batches are not in it (they have their
/// own table), so this is reached only by a migration that people or failures turn over hundreds of times.
pub const HISTORY_LIMIT: usize = 500;

/// Where a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Waits for its turn to be inspected.
    Queued,
    /// Is inspected and planned.
    Preparation,
    /// Its plan waits for an approval.
    Approval,
    /// Waits for a slot.
    Ready,
    /// Batches run.
    Execution,
    /// The staged table is written and read.
    Validation,
    /// An intent stands: the table is being published.
    Commit,
    /// The target is visible.
    Committed,
    /// The target is being taken back.
    RollingBack,
    /// The target was taken back.
    RolledBack,
    /// Stopped by a difference or by a person; goes on or ends on request.
    Paused,
    /// Failed for good; a person decides.
    Quarantined,
    /// Ended on request.
    Cancelled,
}

impl Phase {
    /// All phases in their order.
    pub const ALL: [Phase; 13] = [
        Phase::Queued,
        Phase::Preparation,
        Phase::Approval,
        Phase::Ready,
        Phase::Execution,
        Phase::Validation,
        Phase::Commit,
        Phase::Committed,
        Phase::RollingBack,
        Phase::RolledBack,
        Phase::Paused,
        Phase::Quarantined,
        Phase::Cancelled,
    ];

    /// The phase as people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Preparation => "preparation",
            Self::Approval => "approval",
            Self::Ready => "ready",
            Self::Execution => "execution",
            Self::Validation => "validation",
            Self::Commit => "commit",
            Self::Committed => "committed",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Paused => "paused",
            Self::Quarantined => "quarantined",
            Self::Cancelled => "cancelled",
        }
    }

    /// True for the ends of a run: nothing but a request moves it further.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Committed | Self::RolledBack | Self::Quarantined | Self::Cancelled)
    }

    /// True when the node works on it or will without being asked.
    #[must_use]
    pub fn is_active(self) -> bool {
        !self.is_end() && !matches!(self, Self::Paused | Self::Approval)
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One batch as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BatchState {
    /// The open hand-out.
    pub running: Option<Attempt>,
    /// The node that runs it, or that ran it to its end.
    pub runner: Option<NodeId>,
    /// Blob and totals, once it is done.
    pub done: Option<(Hash256, BatchTotals)>,
    /// Attempts that ended in a failure.
    pub failures: u32,
    /// Nodes that ended while they ran it, with no batch finished in between.
    pub deaths: Vec<NodeId>,
    /// Not before this time, milliseconds since 1970.
    pub not_before: u64,
    /// The last failure.
    pub problem: Option<Box<Problem>>,
}

impl BatchState {
    /// Ends the open hand-out; its number, if there was one.
    pub(super) fn close(&mut self) -> Option<Attempt> {
        let running = self.running.take();
        // Who has done it stays known.
        self.runner = self.runner.filter(|_| running.is_none());
        running
    }
}

/// Retries of work that is not a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WorkState {
    /// Number of the present hand-out: part of the names of what it writes.
    pub attempt: Attempt,
    /// Failures in the present phase.
    pub failures: u32,
    /// Not before this time, milliseconds since 1970.
    pub not_before: u64,
}

/// A table that is going to be published, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The run.
    pub run: Run,
    /// The plan.
    pub plan: Hash256,
    /// The table.
    pub table: StagedTable,
    /// Blob of its evidence.
    pub evidence: Hash256,
    /// When the intent was recorded, milliseconds since 1970.
    pub at_millis: u64,
}

/// Why a target is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WithdrawReason {
    /// It was cancelled after the intent.
    Cancel,
    /// It was rolled back.
    Rollback,
}

/// A tombstone: keeps the name from late registrations of a run that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Its metadata file.
    pub location: String,
    /// Its uuid.
    pub uuid: TableUuid,
    /// It stands under the name.
    pub placed: bool,
    /// It may be taken away at this time, milliseconds since 1970; 0 before it is placed.
    pub until: u64,
}

/// One line of a migration's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryItem {
    /// Index of the entry.
    pub index: u64,
    /// When, milliseconds since 1970.
    pub at_millis: u64,
    /// Who.
    pub actor: String,
    /// The run.
    pub run: Run,
    /// The phase after it.
    pub phase: Phase,
    /// What happened.
    pub what: String,
}

/// One dataset under one policy generation.
///
/// There may be hundreds of thousands, most of them waiting: what those have not yet lies elsewhere (boxed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// Its id.
    pub id: MigrationId,
    /// Its policy.
    pub policy: PolicyName,
    /// The policy's generation.
    pub generation: Generation,
    /// The generation that it stands for: its own, or the last one that found its target published and made no other
    /// migration of the dataset.
    pub stands_for: Generation,
    /// The source table.
    pub dataset: TableName,
    /// The target's connection.
    pub target_connection: ConnectionName,
    /// The target table.
    pub target: TableName,
    /// Greater goes first.
    pub priority: u8,
    /// Attempts before quarantine.
    pub attempts: u32,
    /// Whether its plan waits for an approval.
    pub approval_required: bool,
    /// The owner.
    pub owner: NodeId,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// The present run.
    pub run: Run,
    /// Where it is.
    pub phase: Phase,
    /// Where it was before it was paused or quarantined.
    pub from: Option<Phase>,
    /// Why it is paused, quarantined, or not withdrawn.
    pub problem: Option<Box<Problem>>,
    /// The present run's plan.
    pub plan: Option<Box<PlanSummary>>,
    /// Blob of the refusal, where planning refused the dataset.
    pub refusal: Option<Hash256>,
    /// The plan that was approved last, by whom and when; stays over runs, so that the same plan need not be approved twice.
    pub approved: Option<Box<(Hash256, String, u64)>>,
    /// Batches by stage.
    pub stages: Vec<Vec<BatchState>>,
    /// Number of the next hand-out in this run.
    pub next_attempt: Attempt,
    /// Work that is not a batch.
    pub work: WorkState,
    /// When the last batch was done: the staged snapshot's time, milliseconds since 1970.
    pub executed_at: u64,
    /// The open or fulfilled intent of the present run.
    pub intent: Option<Box<Intent>>,
    /// Blob of the evidence that made it pause.
    pub difference: Option<Hash256>,
    /// Why the target is being taken back, if it is.
    pub withdrawing: Option<WithdrawReason>,
    /// The tombstone under the name, or about to be.
    pub tombstone: Option<Box<Tombstone>>,
    /// Staged files that nothing refers to may exist.
    pub uncollected: bool,
    /// When it was created, milliseconds since 1970.
    pub created_at: u64,
    /// When its phase changed last, milliseconds since 1970.
    pub changed_at: u64,
    /// When its target became visible, milliseconds since 1970.
    pub committed_at: Option<u64>,
    /// What happened to it.
    pub history: Vec<HistoryItem>,
}

impl Migration {
    /// What its owner puts on its entries.
    #[must_use]
    pub fn fence(&self) -> Fence {
        Fence { migration: self.id, run: self.run, epoch: self.epoch }
    }

    /// The stage whose batches are not all done.
    #[must_use]
    pub fn open_stage(&self) -> Option<usize> {
        self.stages.iter().position(|batches| batches.iter().any(|batch| batch.done.is_none()))
    }

    /// The batch named `id`.
    #[must_use]
    pub fn batch(&self, id: BatchId) -> Option<&BatchState> {
        self.stages.get(id.stage.0 as usize)?.get(id.batch.0 as usize)
    }

    /// Batches that are done, and all batches.
    #[must_use]
    pub fn batch_counts(&self) -> (u32, u32) {
        let all = self.stages.iter().flatten();
        let (mut done, mut total) = (0, 0);
        for batch in all {
            total += 1;
            done += u32::from(batch.done.is_some());
        }
        (done, total)
    }

    /// Batches that are running.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.stages.iter().flatten().map(|batch| u32::from(batch.running.is_some())).sum()
    }

    /// Batches that are running: the open hand-out and the failures before it.
    #[must_use]
    pub fn running_batches(&self) -> Vec<(BatchId, Attempt, u32)> {
        let mut running = Vec::new();
        for (stage, batches) in (0_u32..).zip(&self.stages) {
            for (number, batch) in (0_u32..).zip(batches) {
                if let Some(attempt) = batch.running {
                    let id = BatchId { stage: StageNo(stage), batch: BatchNo(number) };
                    running.push((id, attempt, batch.failures));
                }
            }
        }
        running
    }

    /// Totals over the batches that are done and write data (the last stage), and over those that only read.
    #[must_use]
    pub fn totals(&self) -> BatchTotals {
        let mut totals = BatchTotals::default();
        for (_, done) in self.stages.last().into_iter().flatten().filter_map(|batch| batch.done.as_ref()) {
            totals.rows_in += done.rows_in;
            totals.rows_removed += done.rows_removed;
            totals.rows_out += done.rows_out;
            totals.bytes_out += done.bytes_out;
            totals.files += done.files;
        }
        totals
    }

    /// True while the name of its target must not be used by another migration.
    #[must_use]
    pub fn claims_target(&self) -> bool {
        !matches!(self.phase, Phase::RolledBack | Phase::Cancelled)
    }

    /// True when its target is published or about to be, or is being taken back: a new generation of its policy leaves
    /// it alone.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let ended = matches!(self.phase, Phase::Cancelled | Phase::RolledBack);
        !ended && (self.intent.is_some() || self.withdrawing.is_some())
    }

    /// True when staged files that nothing refers to may exist and are to be removed after the run's end.
    #[must_use]
    pub fn collects(&self) -> bool {
        self.uncollected && self.plan.is_some()
    }

    /// The staged snapshot's time, milliseconds since 1970: that of the last batch, or, without any batch, of the plan.
    #[must_use]
    pub fn staged_at(&self) -> u64 {
        if self.executed_at == 0 { self.changed_at } else { self.executed_at }
    }

    /// The failing work of the present phase, in the terms of entries.
    #[must_use]
    pub fn current_work(&self) -> Option<Work> {
        match self.phase {
            Phase::Preparation => Some(Work::Prepare),
            Phase::Validation => Some(Work::Validate),
            Phase::Commit => Some(Work::Publish),
            Phase::RollingBack => Some(Work::Withdraw),
            _ => None,
        }
    }
}
