//! One batch that another node runs: the owner asks, waits, and records.

use std::time::Duration;

use serde::de::DeserializeOwned;
use skein_protocol::calls::{BatchAnswer, BatchCall};
use skein_protocol::data_plane::{BatchResult, Failure};
use skein_protocol::ids::{BatchId, NodeId, StageNo};
use skein_protocol::problem::{Code, Problem};
use skein_protocol::wire::Kind;

use super::super::brief::results_of;
use super::batch::BatchError;
use super::{Worker, defect};
use crate::core::DocumentError;
use crate::fabric::CallError;

/// No batch takes longer. A runner that dies is noticed long before, by its connection and its session.
const RUN_DEADLINE: Duration = Duration::from_secs(12 * 60 * 60);

impl Worker {
    /// Lets `runner` run the batch.
    pub(super) async fn run_elsewhere(&self, runner: NodeId, batch: BatchId) -> Result<BatchResult, BatchError> {
        let plan = self.brief.plan.ok_or_else(|| DocumentError::Bad(defect("it has no plan")))?;
        let prior = batch.stage.0.checked_sub(1).map(StageNo);
        let prior = self.core.ledger.read(|state| {
            let results = state.migration(self.brief.id).zip(prior).map(|(one, stage)| results_of(one, stage));
            results.into_iter().flatten().map(|(_, blob)| blob).collect()
        });
        let fence = self.brief.fence;
        let call = BatchCall {
            owner: self.core.node,
            migration: fence.migration,
            plan,
            run: fence.run,
            epoch: fence.epoch,
            batch,
            attempt: self.attempt,
            prior,
            memory_bytes: self.brief.memory_bytes,
        };
        match self.core.fleet.peers.call(runner, Kind::RunBatch, &call, RUN_DEADLINE).await {
            Ok(BatchAnswer::Done(json)) => Ok(read(&json)?),
            Ok(BatchAnswer::Failed(json)) => Err(BatchError::Failed(read(&json)?)),
            Err(error @ (CallError::Unreachable { .. } | CallError::Refused(_))) => {
                Err(BatchError::Returned(error.to_string()))
            }
            Err(CallError::Unknown { why }) => Err(BatchError::Failed(Failure::unknown(Problem::new(
                Code::Interrupted,
                format!("batch {batch} on node {runner}"),
                why,
                "nothing: it is tried again; look at that node if it goes on",
            )))),
        }
    }
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, DocumentError> {
    serde_json::from_slice(json)
        .map_err(|error| DocumentError::Bad(defect(&format!("a node's answer does not read: {error}"))))
}
