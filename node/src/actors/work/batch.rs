//! One batch: its start is recorded already; run it, store what it gave, record its end.

use std::sync::Arc;

use skein_protocol::data_plane::{BatchRequest, Failure, StagedFile};
use skein_protocol::ids::{BatchId, StageNo};
use skein_protocol::ledger::Entry;
use skein_protocol::machine::outcome;

use super::super::job::{End, JobError, sort};
use super::Worker;
use crate::core::DocumentError;

impl Worker {
    pub(super) async fn batch(&self, batch: BatchId) -> Result<End, JobError> {
        let entry = match self.run_batch(batch).await {
            Ok(entry) => entry,
            Err(BatchError::Returned(why)) => {
                tracing::info!(dataset = %self.brief.dataset, %batch, %why, "the batch came back untouched");
                Entry::BatchReturned { fence: self.brief.fence, batch, attempt: self.attempt }
            }
            Err(BatchError::Failed(failure)) => self.batch_failure(batch, &failure),
            Err(BatchError::Document(error)) => self.batch_failure(batch, &Failure::permanent(sort(error)?)),
        };
        self.core.metrics.count(|stats| match entry {
            Entry::BatchFailed { .. } => stats.batches_failed += 1,
            _ => stats.batches_ended += 1,
        });
        self.close(entry).await
    }

    async fn run_batch(&self, batch: BatchId) -> Result<Entry, BatchError> {
        let plan = self.load_plan().await?;
        if let Some(runner) = self.runner {
            let result = self.run_elsewhere(runner, batch).await?;
            let (document, result) = self.core.store(result).await?;
            return Ok(outcome::batch_ended(self.brief.fence, (batch, self.attempt), &plan, &result, document));
        }
        let request = BatchRequest {
            plan: plan.clone(),
            run: self.brief.fence.run,
            epoch: self.brief.fence.epoch,
            batch,
            attempt: self.attempt,
            prior: self.load_prior(batch.stage).await?,
            memory_bytes: self.memory_bytes(),
        };
        let result = self.core.act(|plane| plane.run_batch(request)).await?;
        let (document, result) = self.core.store(result).await?;
        Ok(outcome::batch_ended(self.brief.fence, (batch, self.attempt), &plan, &result, document))
    }

    fn batch_failure(&self, batch: BatchId, failure: &Failure) -> Entry {
        let why = &failure.problem.why;
        tracing::warn!(dataset = %self.brief.dataset, %batch, attempt = %self.attempt, code = %failure.code(), %why, "batch failed");
        let (now, random) = (self.core.now(), self.core.random());
        outcome::batch_failed(self.brief.fence, (batch, self.attempt), failure, self.brief.failures, now, random)
    }

    /// All files that the stage before `stage` wrote.
    async fn load_prior(&self, stage: StageNo) -> Result<Arc<Vec<StagedFile>>, DocumentError> {
        let Some(before) = stage.0.checked_sub(1) else { return Ok(Arc::default()) };
        let load = || async {
            let results = self.load_results(StageNo(before)).await?;
            Ok(Arc::new(results.into_iter().flat_map(|result| result.files).collect()))
        };
        self.prior.get_or_try_init(load).await.cloned()
    }
}

pub(super) enum BatchError {
    /// The other node did not take it.
    Returned(String),
    Failed(Failure),
    Document(DocumentError),
}

impl From<Failure> for BatchError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<DocumentError> for BatchError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}
