//! The workers of an engine: as many as there is work at once, kept warm for a while.
//!
//! In: inspections and batches. Out: their outcomes, and what they counted. Holds: idle workers.
//!
//! Each call has a worker for itself, so a death is the end of one call. A caller that goes away takes its worker with
//! it; the files that it was writing are in no result, and are collected like those of any attempt that ended.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skein_protocol::connection::Connections;
use skein_protocol::data_plane::{BatchRequest, BatchResult, Failure};
use skein_protocol::ids::{ConnectionName, TableName};
use skein_protocol::inspection::{Inspection, TargetState};
use skein_protocol::plan::Plan;
use tokio::time::Instant;

use super::frame;
use super::limits::{LIMIT_OF_INSPECTION, limit_of_batch};
use super::message::{Answer, BatchOrder, Done, Order};
use super::process::WorkerProcess;
use super::program::WorkerProgram;
use crate::engine::{EngineMetrics, EngineSettings};
use crate::failure::{internal, of_io};

/// A worker that has had nothing to do for so long is let go: between two batches of a busy node there are milliseconds.
const IDLE: Duration = Duration::from_secs(30);
/// A worker that holds more than this after its work is let go: memory in pieces would count against its next order's limit.
const MAX_HELD_BYTES: u64 = 768 << 20;

/// The pool.
pub(crate) struct Workers {
    program: WorkerProgram,
    /// Every worker's first order.
    begin: Vec<u8>,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    /// The one that was busy last comes last, and is taken first.
    workers: Vec<(WorkerProcess, Instant)>,
    /// Whether somebody will look whether they have been idle for too long.
    watched: bool,
}

impl Workers {
    /// Workers that run `program` and know `connections`. None is started yet.
    pub(crate) fn new(program: WorkerProgram, connections: &Connections, settings: EngineSettings) -> io::Result<Self> {
        let begin = frame::encode(&Order::Begin { connections: Cow::Borrowed(connections), settings })?;
        Ok(Self { program, begin, idle: Mutex::default() })
    }

    /// Looks at a table in a worker.
    pub(crate) async fn inspect(
        self: &Arc<Self>,
        connection: ConnectionName,
        dataset: TableName,
        target: TargetState,
    ) -> (Result<Inspection, Failure>, EngineMetrics) {
        let order = Order::Inspect { connection, dataset: dataset.clone(), target, limit_bytes: LIMIT_OF_INSPECTION };
        let (outcome, moved) = self.work(&dataset, &order, None, LIMIT_OF_INSPECTION).await;
        let inspection = outcome.and_then(|answer| match answer {
            Answer::Inspection(inspection) => Ok(*inspection),
            Answer::Batch(_) => Err(internal("inspecting a table", "the worker answered another question")),
        });
        (inspection, moved)
    }

    /// Runs a batch in a worker.
    pub(crate) async fn run_batch(
        self: &Arc<Self>,
        request: &BatchRequest,
    ) -> (Result<BatchResult, Failure>, EngineMetrics) {
        let BatchRequest { run, epoch, batch, attempt, memory_bytes, .. } = *request;
        let limit_bytes = limit_of_batch(memory_bytes);
        let order = Order::RunBatch(BatchOrder { run, epoch, batch, attempt, memory_bytes, limit_bytes });
        let dataset = &request.plan.source.dataset;
        let (outcome, moved) = self.work(dataset, &order, Some(request), limit_bytes).await;
        let result = outcome.and_then(|answer| match answer {
            Answer::Batch(result) => Ok(*result),
            Answer::Inspection(_) => Err(internal("running a batch", "the worker answered another question")),
        });
        (result, moved)
    }

    async fn work(
        self: &Arc<Self>,
        dataset: &TableName,
        order: &Order<'_>,
        batch: Option<&BatchRequest>,
        limit_bytes: u64,
    ) -> (Result<Answer, Failure>, EngineMetrics) {
        let mut worker = match self.take(batch.map(|batch| &batch.plan)).await {
            Ok(worker) => worker,
            Err(error) => {
                let place = self.program.path.display().to_string();
                let failure = of_io("starting a worker process", &place, &error);
                return (Err(Failure { problem: failure.problem.of(dataset), ..failure }), EngineMetrics::default());
            }
        };
        let followed = async {
            if let Some(batch) = batch {
                worker.learn(&batch.plan, &batch.prior).await?;
            }
            worker.follow(order).await
        };
        match followed.await {
            Ok(Done { outcome, moved, held_bytes }) => {
                if held_bytes <= MAX_HELD_BYTES {
                    self.give_back(worker);
                }
                (outcome, moved)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                // The order itself has no frame; the worker never saw it.
                let failure = internal("telling a worker what to do", error.to_string());
                (Err(Failure { problem: failure.problem.of(dataset), ..failure }), EngineMetrics::default())
            }
            Err(error) => {
                let failure = worker.end(&error, limit_bytes).await.failure(dataset);
                tracing::warn!(%dataset, code = %failure.code(), why = failure.problem.why, "worker_died");
                (Err(failure), EngineMetrics::default())
            }
        }
    }

    /// An idle worker, best one that knows `plan`, or a new one.
    async fn take(&self, plan: Option<&Arc<Plan>>) -> io::Result<WorkerProcess> {
        loop {
            let found = {
                let mut idle = self.idle();
                let knowing = plan.and_then(|plan| idle.workers.iter().rposition(|(worker, _)| worker.knows(plan)));
                match knowing {
                    Some(at) => Some(idle.workers.remove(at)),
                    None => idle.workers.pop(),
                }
            };
            let Some((mut worker, _)) = found else { break };
            // Somebody may have ended it while it was idle.
            if worker.is_alive() {
                return Ok(worker);
            }
        }
        WorkerProcess::start(&self.program, &self.begin).await
    }

    fn give_back(self: &Arc<Self>, worker: WorkerProcess) {
        let mut idle = self.idle();
        idle.workers.push((worker, Instant::now()));
        if !std::mem::replace(&mut idle.watched, true) {
            tokio::spawn(let_go(Arc::downgrade(self)));
        }
    }

    /// Lets those go that have been idle for too long; false if none is left.
    fn let_idle_go(&self) -> bool {
        let mut idle = self.idle();
        let now = Instant::now();
        idle.workers.retain(|(_, since)| now.duration_since(*since) < IDLE);
        idle.watched = !idle.workers.is_empty();
        idle.watched
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are idle.
    #[cfg(test)]
    pub(super) fn idle_workers(&self) -> usize {
        self.idle().workers.len()
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first order holds credentials.
        f.debug_struct("Workers").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut idle.workers).into_iter().for_each(|(worker, _)| worker.stop());
    }
}

/// Looks after idle workers while there are any.
async fn let_go(workers: std::sync::Weak<Workers>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(workers) = workers.upgrade() else { return };
        if !workers.let_idle_go() {
            return;
        }
    }
}
