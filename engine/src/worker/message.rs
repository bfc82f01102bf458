//! What the engine and its workers say to each other.
//!
//! Holds: [`Order`]s to a worker, [`Report`]s from it. A worker does one order that is answered at a time, and is told
//! before it what the order refers to: plans are large, and many batches have the same one.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use skein_protocol::connection::Connections;
use skein_protocol::data_plane::{BatchResult, Failure, StagedFile};
use skein_protocol::ids::{Attempt, BatchId, ConnectionName, Epoch, Run, TableName};
use skein_protocol::inspection::{Inspection, TargetState};
use skein_protocol::plan::Plan;

use crate::engine::{EngineMetrics, EngineSettings};

/// From the engine to a worker.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and the large one is borrowed where it is sent")]
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order<'a> {
    /// The first: what the worker's engine is made of. Credentials come this way, where nobody else sees them.
    Begin { connections: Cow<'a, Connections>, settings: EngineSettings },
    /// The plan of the batches that follow.
    Plan(Cow<'a, Plan>),
    /// What the stage before wrote, for the batches that follow.
    Prior(Cow<'a, [StagedFile]>),
    /// Look at a table. Answered.
    Inspect { connection: ConnectionName, dataset: TableName, target: TargetState, limit_bytes: u64 },
    /// Run a batch. Answered.
    RunBatch(BatchOrder),
}

/// A batch of the plan that was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BatchOrder {
    pub(super) run: Run,
    pub(super) epoch: Epoch,
    pub(super) batch: BatchId,
    pub(super) attempt: Attempt,
    /// Working memory that the batch plans with.
    pub(super) memory_bytes: u64,
    /// Memory that the worker cannot go beyond.
    pub(super) limit_bytes: u64,
}

/// From a worker to the engine.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// A reader turned to a file.
    Reading { reader: usize, path: String },
    /// The order is done.
    Done(Box<Done>),
}

/// The answer to an order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) outcome: Result<Answer, Failure>,
    /// What this order made the worker's engine count.
    pub(super) moved: EngineMetrics,
    /// Memory that the worker still holds.
    pub(super) held_bytes: u64,
}

/// What an order was for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Inspection(Box<Inspection>),
    Batch(Box<BatchResult>),
}
