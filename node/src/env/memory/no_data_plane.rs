//! A data plane for tests of parts that move no bytes: it refuses every call.

use std::sync::Arc;

use async_trait::async_trait;
use skein_protocol::data_plane::{
    BatchRequest, BatchResult, CollectRequest, Collected, DataPlane, Failure, InspectRequest, LoadedTable, ReadRequest,
    RegisterRequest, Registered, ReplaceRequest, Replaced, SelectRequest, StageRequest, StagedTable, TableReading,
    TombstoneRequest,
};
use skein_protocol::ids::{ConnectionName, TableName};
use skein_protocol::inspection::{Inspection, SourceFile};
use skein_protocol::plan::Plan;
use skein_protocol::problem::{Code, Problem};

/// Refuses every call.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDataPlane;

fn refused<T>() -> Result<T, Failure> {
    Err(Failure::permanent(Problem::new(
        Code::Internal,
        "the data plane",
        "this node was started without one",
        "start it with an engine, or with a script",
    )))
}

#[async_trait]
impl DataPlane for NoDataPlane {
    async fn select(&self, _: SelectRequest) -> Result<Vec<TableName>, Failure> {
        refused()
    }

    async fn inspect(&self, _: InspectRequest) -> Result<Inspection, Failure> {
        refused()
    }

    async fn list_source(&self, _: Arc<Plan>) -> Result<Vec<SourceFile>, Failure> {
        refused()
    }

    async fn run_batch(&self, _: BatchRequest) -> Result<BatchResult, Failure> {
        refused()
    }

    async fn stage(&self, _: StageRequest) -> Result<StagedTable, Failure> {
        refused()
    }

    async fn read_staged(&self, _: ReadRequest) -> Result<TableReading, Failure> {
        refused()
    }

    async fn register(&self, _: RegisterRequest) -> Result<Registered, Failure> {
        refused()
    }

    async fn load(&self, _: ConnectionName, _: TableName) -> Result<Option<LoadedTable>, Failure> {
        refused()
    }

    async fn stage_tombstone(&self, _: TombstoneRequest) -> Result<String, Failure> {
        refused()
    }

    async fn replace(&self, _: ReplaceRequest) -> Result<Replaced, Failure> {
        refused()
    }

    async fn collect(&self, _: CollectRequest) -> Result<Collected, Failure> {
        refused()
    }
}
