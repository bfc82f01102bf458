//! A wire that trips: it lets the machine lose its power at a chosen point of the work.
//!
//! In: calls of the data plane, a point. Out: a crash. Holds: [`Trip`], what was called since it was armed; [`Tripwire`],
//! the data plane with the wire round it. Not here: which points there are (`trial`).

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use skein_node::env::memory::MemoryStorage;
use skein_node::scripted::{Call, ScriptedPlane};
use skein_protocol::data_plane::{
    BatchRequest, BatchResult, CollectRequest, Collected, DataPlane, Failure, InspectRequest, LoadedTable, ReadRequest,
    RegisterRequest, Registered, ReplaceRequest, Replaced, SelectRequest, StageRequest, StagedTable, TableReading,
    TombstoneRequest,
};
use skein_protocol::ids::{ConnectionName, TableName};
use skein_protocol::inspection::{Inspection, SourceFile};
use skein_protocol::plan::Plan;

/// Where the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Point {
    /// At the k-th operation of the ledger's disk, from 1, since the wire was armed.
    Disk(u64),
    /// Before the n-th call of the data plane does anything, from 0.
    Before(usize),
    /// After it did everything, before its answer is heard.
    After(usize),
}

/// What the wire knows. Clones are the same wire.
#[derive(Debug, Clone)]
pub(super) struct Trip(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    point: Option<Point>,
    storage: MemoryStorage,
    /// The call that arms it, where a call does.
    armed_by: Option<Call>,
    /// Disk operations when it was armed.
    armed_at: Option<u64>,
    calls: Vec<Call>,
}

impl Trip {
    /// A wire on a machine with this storage that nobody has armed yet. A call of the kind `armed_by` arms it.
    pub(super) fn new(point: Option<Point>, storage: &MemoryStorage, armed_by: Option<Call>) -> Self {
        let inner = Inner { point, storage: storage.clone(), armed_by, armed_at: None, calls: Vec::new() };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// From now on operations and calls count; whether they did not before.
    pub(super) fn arm(&self) -> bool {
        let mut inner = self.lock();
        let first = inner.armed_at.is_none();
        if first {
            inner.arm();
        }
        first
    }

    pub(super) fn is_armed(&self) -> bool {
        self.lock().armed_at.is_some()
    }

    /// Disk operations, and calls of the data plane, since it was armed.
    pub(super) fn counted(&self) -> (u64, Vec<Call>) {
        let inner = self.lock();
        (inner.armed_at.map_or(0, |at| inner.storage.operations() - at), inner.calls.clone())
    }

    /// Counts a call; its number, once the wire is armed.
    fn enter(&self, call: Call) -> Option<usize> {
        let mut inner = self.lock();
        if inner.armed_at.is_none() && inner.armed_by == Some(call) {
            inner.arm();
        }
        inner.armed_at?;
        inner.calls.push(call);
        Some(inner.calls.len() - 1)
    }

    /// Whether the power goes here.
    fn trips(&self, at: Option<Point>) -> bool {
        let inner = self.lock();
        let trips = at.is_some() && at == inner.point;
        if trips {
            inner.storage.crash();
        }
        trips
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn arm(&mut self) {
        self.armed_at = Some(self.storage.operations());
        if let Some(Point::Disk(k)) = self.point {
            self.storage.crash_at(k);
        }
    }
}

/// A data plane whose machine may lose its power before or after a call.
#[derive(Debug)]
pub(super) struct Tripwire {
    pub(super) inner: ScriptedPlane,
    pub(super) trip: Trip,
}

impl Tripwire {
    async fn pass<T>(&self, call: Call, act: impl Future<Output = Result<T, Failure>> + Send) -> Result<T, Failure> {
        let number = self.trip.enter(call);
        if self.trip.trips(number.map(Point::Before)) {
            return pending().await;
        }
        let outcome = act.await;
        if self.trip.trips(number.map(Point::After)) {
            return pending().await;
        }
        outcome
    }
}

#[async_trait]
impl DataPlane for Tripwire {
    async fn select(&self, request: SelectRequest) -> Result<Vec<TableName>, Failure> {
        self.pass(Call::Select, self.inner.select(request)).await
    }

    async fn inspect(&self, request: InspectRequest) -> Result<Inspection, Failure> {
        self.pass(Call::Inspect, self.inner.inspect(request)).await
    }

    async fn list_source(&self, plan: Arc<Plan>) -> Result<Vec<SourceFile>, Failure> {
        self.pass(Call::ListSource, self.inner.list_source(plan)).await
    }

    async fn run_batch(&self, request: BatchRequest) -> Result<BatchResult, Failure> {
        self.pass(Call::RunBatch, self.inner.run_batch(request)).await
    }

    async fn stage(&self, request: StageRequest) -> Result<StagedTable, Failure> {
        self.pass(Call::Stage, self.inner.stage(request)).await
    }

    async fn read_staged(&self, request: ReadRequest) -> Result<TableReading, Failure> {
        self.pass(Call::ReadStaged, self.inner.read_staged(request)).await
    }

    async fn register(&self, request: RegisterRequest) -> Result<Registered, Failure> {
        self.pass(Call::Register, self.inner.register(request)).await
    }

    async fn load(&self, connection: ConnectionName, name: TableName) -> Result<Option<LoadedTable>, Failure> {
        self.pass(Call::Load, self.inner.load(connection, name)).await
    }

    async fn stage_tombstone(&self, request: TombstoneRequest) -> Result<String, Failure> {
        self.pass(Call::StageTombstone, self.inner.stage_tombstone(request)).await
    }

    async fn replace(&self, request: ReplaceRequest) -> Result<Replaced, Failure> {
        self.pass(Call::Replace, self.inner.replace(request)).await
    }

    async fn collect(&self, request: CollectRequest) -> Result<Collected, Failure> {
        self.pass(Call::Collect, self.inner.collect(request)).await
    }
}
