//! What a piece of work needs to know of its migration: a small copy, taken when it begins.

use skein_protocol::data_plane::StagedFile;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{BatchId, ConnectionName, MigrationId, StageNo, TableName};
use skein_protocol::ledger::entry::Fence;
use skein_protocol::ledger::migration::{Intent, Tombstone};
use skein_protocol::ledger::{Migration, State};
use skein_protocol::machine::{self, Stake};
use skein_protocol::plan::Plan;
use std::sync::Arc;
use tokio::sync::OnceCell;

use super::job::Job;

/// A plan that is read once for all work on its migration.
pub(super) type PlanCell = Arc<OnceCell<Arc<Plan>>>;
/// What a stage wrote, read once for all batches of the next.
pub(super) type PriorCell = Arc<OnceCell<Arc<Vec<StagedFile>>>>;

/// A small copy of a migration.
#[derive(Debug, Clone)]
pub(super) struct Brief {
    pub(super) id: MigrationId,
    pub(super) fence: Fence,
    pub(super) dataset: TableName,
    pub(super) target_connection: ConnectionName,
    pub(super) target: TableName,
    /// Hash of the present plan.
    pub(super) plan: Option<Hash256>,
    /// Most working memory of a batch, by its policy, bytes.
    pub(super) memory_bytes: u64,
    pub(super) next_attempt: skein_protocol::ids::Attempt,
    pub(super) work_attempt: skein_protocol::ids::Attempt,
    /// Failures of this batch or of this work.
    pub(super) failures: u32,
    pub(super) staged_at: u64,
    pub(super) changed_at: u64,
    pub(super) intent: Option<Intent>,
    pub(super) tombstone: Option<Tombstone>,
    /// What must stay true; for a batch it is known once its start is recorded.
    pub(super) stake: Option<Stake>,
}

impl Brief {
    /// The brief for `job`; `None` when it is not what comes next.
    pub(super) fn of(state: &State, migration: &Migration, job: Job, now: u64) -> Option<Self> {
        let step = machine::next(migration, now);
        if !job.fits(&step) {
            return None;
        }
        let failures = match job {
            Job::Batch(batch) => migration.batch(batch)?.failures,
            _ => migration.work.failures,
        };
        let policy = state.policies().get(&migration.policy);
        Some(Self {
            id: migration.id,
            fence: migration.fence(),
            dataset: migration.dataset.clone(),
            target_connection: migration.target_connection.clone(),
            target: migration.target.clone(),
            plan: migration.plan.as_ref().map(|plan| plan.hash),
            memory_bytes: policy.map_or(u64::MAX, |record| record.policy.batch_memory_bytes),
            next_attempt: migration.next_attempt,
            work_attempt: migration.work.attempt,
            failures,
            staged_at: migration.staged_at(),
            changed_at: migration.changed_at,
            intent: migration.intent.as_deref().cloned(),
            tombstone: migration.tombstone.as_deref().cloned(),
            stake: Stake::work(migration, &step),
        })
    }
}

/// The blobs of the results of one stage, in the order of its batches.
pub(super) fn results_of(migration: &Migration, stage: StageNo) -> Vec<(BatchId, Hash256)> {
    let batches = migration.stages.get(stage.0 as usize).into_iter().flatten();
    let numbered = (0_u32..).map(|batch| BatchId { stage, batch: skein_protocol::ids::BatchNo(batch) });
    let done = numbered.zip(batches).filter_map(|(id, batch)| batch.done.as_ref().map(|(blob, _)| (id, *blob)));
    done.collect()
}
