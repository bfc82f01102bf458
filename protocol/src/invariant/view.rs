//! Plain views of migrations and nodes, small enough to be kept for every one of them.
//!
//! In: records of the ledger. Out: [`Glimpse`]s and [`Seen`]s, which the invariants compare before and after an entry.
//! Not here: what must be true of them.

use crate::hash::Hash256;
use crate::ids::{Attempt, BatchId, Epoch, Generation, NodeId, PolicyName, Run, SessionNo, TableUuid};
use crate::ledger::entry::BatchTotals;
use crate::ledger::members::{Member, Standing};
use crate::ledger::migration::{BatchState, Migration, Phase, WithdrawReason};
use crate::problem::Code;

/// A migration as far as the invariants look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glimpse {
    /// Its policy.
    pub policy: PolicyName,
    /// The generation of the policy that it stands for.
    pub generation: Generation,
    /// Attempts before quarantine.
    pub attempts: u32,
    /// Whether its plan waits for an approval.
    pub approval_required: bool,
    /// The owner.
    pub owner: NodeId,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// The run.
    pub run: Run,
    /// Where it is.
    pub phase: Phase,
    /// Where it was before it was paused or quarantined.
    pub from: Option<Phase>,
    /// The code of its problem.
    pub problem: Option<Code>,
    /// The plan's hash, and its rows by the footers.
    pub plan: Option<(Hash256, Option<u64>)>,
    /// The approved plan, and who approved it.
    pub approved: Option<(Hash256, String)>,
    /// Batches by stage.
    pub stages: Vec<Vec<BatchGlimpse>>,
    /// Number of the next hand-out.
    pub next_attempt: Attempt,
    /// The present hand-out of work that is not a batch.
    pub work_attempt: Attempt,
    /// Failures of that work in the present phase.
    pub work_failures: u32,
    /// The intent of the run.
    pub intent: Option<Box<IntentGlimpse>>,
    /// Why the target is being taken back.
    pub withdrawing: Option<WithdrawReason>,
    /// The tombstone: where, whether it stands, until when.
    pub tombstone: Option<Box<(String, bool, u64)>>,
    /// When its target became visible.
    pub committed_at: Option<u64>,
    /// When its phase changed last.
    pub changed_at: u64,
    /// Lines of its history.
    pub history: usize,
}

/// A batch as far as the invariants look at it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BatchGlimpse {
    /// The open hand-out.
    pub running: Option<Attempt>,
    /// Who runs it.
    pub runner: Option<NodeId>,
    /// Evidence and totals, once it is done.
    pub done: Option<(Hash256, BatchTotals)>,
    /// Attempts that failed.
    pub failures: u32,
    /// Nodes that ended while they ran it.
    pub deaths: Vec<NodeId>,
    /// Not before this time.
    pub not_before: u64,
}

/// A table that is going to be published, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentGlimpse {
    /// The run.
    pub run: Run,
    /// The plan.
    pub plan: Hash256,
    /// Its metadata file.
    pub location: String,
    /// The hash of that file.
    pub metadata_hash: Hash256,
    /// Its uuid.
    pub uuid: TableUuid,
    /// Its rows.
    pub rows: u64,
    /// Its data files.
    pub files: u64,
    /// Blob of its evidence.
    pub evidence: Hash256,
}

impl Glimpse {
    /// What is seen of a migration.
    #[must_use]
    pub fn of(migration: &Migration) -> Self {
        Self {
            policy: migration.policy.clone(),
            generation: migration.stands_for,
            attempts: migration.attempts,
            approval_required: migration.approval_required,
            owner: migration.owner,
            epoch: migration.epoch,
            run: migration.run,
            phase: migration.phase,
            from: migration.from,
            problem: migration.problem.as_ref().map(|problem| problem.code),
            plan: migration.plan.as_ref().map(|plan| (plan.hash, plan.rows)),
            approved: migration.approved.as_ref().map(|approved| (approved.0, approved.1.clone())),
            stages: migration.stages.iter().map(|batches| batches.iter().map(BatchGlimpse::of).collect()).collect(),
            next_attempt: migration.next_attempt,
            work_attempt: migration.work.attempt,
            work_failures: migration.work.failures,
            intent: migration.intent.as_ref().map(|intent| {
                Box::new(IntentGlimpse {
                    run: intent.run,
                    plan: intent.plan,
                    location: intent.table.metadata_location.clone(),
                    metadata_hash: intent.table.metadata_hash,
                    uuid: intent.table.uuid,
                    rows: intent.table.rows,
                    files: intent.table.files,
                    evidence: intent.evidence,
                })
            }),
            withdrawing: migration.withdrawing,
            tombstone: migration
                .tombstone
                .as_ref()
                .map(|tombstone| Box::new((tombstone.location.clone(), tombstone.placed, tombstone.until))),
            committed_at: migration.committed_at,
            changed_at: migration.changed_at,
            history: migration.history.len(),
        }
    }

    /// One batch.
    #[must_use]
    pub fn batch(&self, id: BatchId) -> Option<&BatchGlimpse> {
        self.stages.get(id.stage.0 as usize)?.get(id.batch.0 as usize)
    }

    /// All batches.
    pub fn batches(&self) -> impl Iterator<Item = &BatchGlimpse> {
        self.stages.iter().flatten()
    }

    /// Whether every batch is done.
    #[must_use]
    pub fn is_executed(&self) -> bool {
        self.batches().all(|batch| batch.done.is_some())
    }

    /// Whether any batch is handed out.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.batches().any(|batch| batch.running.is_some())
    }
}

impl BatchGlimpse {
    fn of(batch: &BatchState) -> Self {
        Self {
            running: batch.running,
            runner: batch.running.and(batch.runner),
            done: batch.done,
            failures: batch.failures,
            deaths: batch.deaths.clone(),
            not_before: batch.not_before,
        }
    }
}

/// A node as far as the invariants look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Where it stands.
    pub standing: Standing,
    /// Whether it shall own nothing.
    pub draining: bool,
    /// Its last session.
    pub session: SessionNo,
    /// What it runs at once.
    pub slots: u32,
}

impl Seen {
    /// What is seen of a node.
    #[must_use]
    pub fn of(member: &Member) -> Self {
        Self { standing: member.standing, draining: member.draining, session: member.session, slots: member.seat.slots }
    }

    /// Whether it works at the moment.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.standing == Standing::Active
    }
}
