//! The work of one job: act on the data plane, turn the outcome into an entry, record it.
//!
//! In: a brief. Out: a recorded outcome. Holds: [`Worker`], and the documents that work needs. Every piece of work can be
//! dropped at any point and done again: the next one looks at the record and at the target's name, not at memory.
//! Not here: which entry an outcome becomes (`skein_protocol::machine`).

mod batch;
mod elsewhere;
mod prepare;
mod publish;
#[cfg(feature = "defects")]
mod rebase;
mod rest;
mod validate;
mod withdraw;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream::{self, StreamExt, TryStreamExt};
use skein_protocol::data_plane::{BatchResult, Failure, LoadedTable};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{Attempt, BatchId, NodeId, StageNo};
use skein_protocol::ledger::Entry;
use skein_protocol::ledger::entry::{Fence, Work};
use skein_protocol::machine::outcome;
use skein_protocol::plan::Plan;
use skein_protocol::problem::{Code, Problem};
use tracing::{Instrument, Span, field};

use super::brief::{Brief, PlanCell, PriorCell, results_of};
use super::job::{End, Job, JobError, sort};
use crate::core::{Core, DocumentError, Recorded};

/// Blobs that one piece of work reads at once.
const READS_AT_ONCE: usize = 16;
/// Looks at a target's name in one try. Each follows a step that changes it, so two or three are usual; more means that
/// somebody else changes it too, or that its catalog forgets.
const LOOKS: u32 = 6;

/// One job's work.
pub(super) struct Worker {
    pub(super) core: Arc<Core>,
    pub(super) brief: Brief,
    /// The number of this hand-out.
    pub(super) attempt: Attempt,
    /// The other node that runs the batch, if one does.
    pub(super) runner: Option<NodeId>,
    pub(super) plan: PlanCell,
    pub(super) prior: PriorCell,
    /// Set when the outcome is being recorded.
    pub(super) closing: Arc<AtomicBool>,
}

impl Worker {
    /// Does the work of `job`, up to the record of its outcome.
    pub(super) async fn run(self, job: Job) -> Result<End, JobError> {
        let span = self.span(job);
        let end = self.perform(job).instrument(span.clone()).await;
        // Work that is dropped before has no such field: nobody knows how it would have ended.
        span.record(
            "end",
            match &end {
                Ok(End::Done) => "recorded",
                Ok(End::Moot) => "moot",
                Ok(End::Later(_)) => "later",
                Err(_) => "error",
            },
        );
        end
    }

    /// What a trace knows of the work. All spans of one run have its migration and its number, on whatever node they are.
    fn span(&self, job: Job) -> Span {
        let Fence { migration, run, epoch } = self.brief.fence;
        let (dataset, run, epoch, attempt) = (&self.brief.dataset, run.0, epoch.0, self.attempt.0);
        match job {
            Job::Batch(batch) => {
                let runner = self.runner.unwrap_or(self.core.node).0;
                tracing::info_span!("batch", %migration, %dataset, run, epoch, %batch, attempt, runner, end = field::Empty)
            }
            _ => tracing::info_span!("work", %migration, %dataset, run, epoch, ?job, attempt, end = field::Empty),
        }
    }

    async fn perform(&self, job: Job) -> Result<End, JobError> {
        let since = self.core.env.clock.monotonic();
        let end = match job {
            Job::Prepare => self.prepare().await,
            Job::Batch(batch) => self.batch(batch).await,
            Job::Validate => self.validate().await,
            Job::Publish => self.publish().await,
            Job::Withdraw => self.withdraw().await,
            Job::ReleaseTombstone => self.release_tombstone().await,
            Job::Collect => self.collect().await,
        };
        let took = self.core.env.clock.monotonic().saturating_sub(since);
        match job {
            Job::Batch(_) => self.core.metrics.batch_took(took),
            _ => self.core.metrics.work_took(took),
        }
        end
    }

    /// Records the outcome.
    async fn close(&self, entry: Entry) -> Result<End, JobError> {
        self.closing.store(true, Ordering::Release);
        Ok(match self.core.record(entry).await? {
            Recorded::Fact => End::Done,
            Recorded::Moot => End::Moot,
        })
    }

    /// Records that work other than a batch failed.
    async fn failed(&self, work: Work, failure: &Failure) -> Result<End, JobError> {
        self.core.metrics.count(|stats| stats.work_failed += 1);
        tracing::warn!(dataset = %self.brief.dataset, ?work, code = %failure.code(), why = %failure.problem.why, "failed");
        let Brief { fence, failures, .. } = self.brief;
        let (now, random) = (self.core.now(), self.core.random());
        self.close(outcome::work_failed(fence, work, failure, failures, now, random)).await
    }

    /// The migration's present plan.
    async fn load_plan(&self) -> Result<Arc<Plan>, DocumentError> {
        let load = || async {
            let hash = self.brief.plan.ok_or_else(|| DocumentError::Bad(defect("it has no plan")))?;
            self.core.document::<Plan>("the plan", hash).await.map(Arc::new)
        };
        self.plan.get_or_try_init(load).await.cloned()
    }

    /// The results of one stage, batch by batch.
    async fn load_results(&self, stage: StageNo) -> Result<Vec<BatchResult>, DocumentError> {
        let blobs: Vec<(BatchId, Hash256)> = self.core.ledger.read(|state| {
            state.migration(self.brief.id).map(|migration| results_of(migration, stage)).unwrap_or_default()
        });
        let reads = blobs.into_iter().map(|(_, blob)| self.core.document::<BatchResult>("a batch's result", blob));
        stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
    }

    /// What stands under the target's name.
    async fn look(&self) -> Result<Option<LoadedTable>, Failure> {
        let (connection, target) = (self.brief.target_connection.clone(), self.brief.target.clone());
        self.core.act(|plane| plane.load(connection, target)).await
    }

    /// The name changes under our eyes, or answers do not fit what is there.
    fn restless(&self, last: Option<Failure>) -> Failure {
        last.unwrap_or_else(|| {
            Failure::transient(Problem::new(
                Code::CatalogUnavailable,
                format!("target {}", self.brief.target),
                format!("what stands under the name changed {LOOKS} times while it was looked at"),
                "find out who else writes under this name; it is tried again",
            ))
        })
    }

    /// Most working memory, bytes.
    fn memory_bytes(&self) -> u64 {
        self.brief.memory_bytes.min(self.core.config.batch_memory_bytes)
    }

    /// A document that cannot be had makes the work fail for good.
    async fn undocumented(&self, work: Work, error: DocumentError) -> Result<End, JobError> {
        let problem = sort(error)?;
        self.failed(work, &Failure::permanent(problem)).await
    }
}

/// Something that the ledger's rules exclude.
fn defect(why: &str) -> Problem {
    Problem::new(Code::Internal, "the migration", why, "report this defect with the migration's history")
}
