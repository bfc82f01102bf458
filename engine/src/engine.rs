//! The engine: the one implementation of `DataPlane` that moves bytes.
//!
//! In: a node's connections, requests. Out: answers of the parts that do the work. Holds: open catalogs and sources, counters.
//! Not here: the work itself (`source`, `batch`, `iceberg`, `script`).
//!
//! Everything that blocks runs on threads of the runtime that are made for it. A caller that goes away stops its work
//! between two record batches. A panic in the work becomes a failure of that call alone.
//! What decodes foreign files runs in processes of its own where the engine has workers (`worker`), else here.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use skein_protocol::connection::{Connection, Connections};
use skein_protocol::data_plane::{
    BatchRequest, BatchResult, CollectRequest, Collected, DataPlane, Failure, InspectRequest, LoadedTable, ReadRequest,
    RegisterRequest, Registered, ReplaceRequest, Replaced, SelectRequest, StageRequest, StagedTable, TableReading,
    TombstoneRequest,
};
use skein_protocol::ids::{ConnectionName, TableName};
use skein_protocol::inspection::{Inspection, SourceFile, TargetState};
use skein_protocol::plan::Plan;
use skein_protocol::problem::{Code, Problem};

use crate::batch::{self, BATCH_ROWS, Cancel, Counters, Work};
use crate::failure::internal;
use crate::files::{Files, ObjectStores};
use crate::iceberg::catalog::{self, Catalog};
use crate::iceberg::read::Scan;
use crate::iceberg::{collect, read, stage, tombstone};
use crate::io_runtime::IoRuntime;
use crate::script;
use crate::source::{HiveSource, IcebergSource, Source};
use crate::worker::{Telling, WorkerProgram, Workers};

/// What can be set about an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineSettings {
    /// Rows of the record batches that work goes on in.
    pub batch_rows: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { batch_rows: BATCH_ROWS }
    }
}

/// What an engine has done since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EngineMetrics {
    /// Rows of sources that were read.
    pub rows_read: u64,
    /// Bytes of sources' files that were read.
    pub bytes_read: u64,
    /// Rows of staged data files that were written.
    pub rows_written: u64,
    /// Bytes of staged files that were written, scratch included.
    pub bytes_written: u64,
    /// Rows of staged data files that were read back.
    pub rows_read_back: u64,
    /// How often a file or folder was forced to the disk.
    pub fsyncs: u64,
}

impl EngineMetrics {
    /// What was done since `before`, which is an earlier state of the same engine.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            rows_read: self.rows_read - before.rows_read,
            bytes_read: self.bytes_read - before.bytes_read,
            rows_written: self.rows_written - before.rows_written,
            bytes_written: self.bytes_written - before.bytes_written,
            rows_read_back: self.rows_read_back - before.rows_read_back,
            fsyncs: self.fsyncs - before.fsyncs,
        }
    }
}

/// Moves bytes between the connections of one node.
#[derive(Debug)]
pub struct Engine {
    sources: BTreeMap<ConnectionName, Result<Arc<Source>, Failure>>,
    targets: BTreeMap<ConnectionName, Result<Arc<Target>, Failure>>,
    files: Files,
    fsyncs: Arc<AtomicU64>,
    counters: Arc<Counters>,
    settings: EngineSettings,
    telling: Telling,
    /// Processes that decode foreign files; none: this one does.
    workers: Option<Arc<Workers>>,
}

/// A target connection.
#[derive(Debug)]
struct Target {
    warehouse: String,
    catalog: Arc<dyn Catalog>,
}

impl Engine {
    /// An engine over `connections` that does everything in this process. Nothing is opened yet.
    #[must_use]
    pub fn new(connections: Connections, settings: EngineSettings) -> Self {
        let fsyncs = Arc::new(AtomicU64::new(0));
        let runtime = Arc::new(IoRuntime::default());
        let mut objects = ObjectStores::new(Arc::clone(&runtime), connections.values());
        for connection in connections.values() {
            if let Connection::Iceberg(config) = connection
                && let Some(vendor) = catalog::vendor_of(config, &runtime)
            {
                objects.vend(&config.warehouse, &config.storage, vendor);
            }
        }
        let files = Files::with_objects(Arc::clone(&fsyncs), Arc::new(objects));
        let (mut sources, mut targets) = (BTreeMap::new(), BTreeMap::new());
        for (name, connection) in connections {
            match connection {
                Connection::HiveFiles(config) => {
                    let source = HiveSource::new(name.clone(), config, files.clone());
                    sources.insert(name, Ok(Arc::new(Source::Hive(source))));
                }
                Connection::HiveMetastore(config) => {
                    let source = HiveSource::of_metastore(name.clone(), config, files.clone());
                    sources.insert(name, Ok(Arc::new(Source::Hive(source))));
                }
                Connection::Iceberg(config) => {
                    let catalog = catalog::of(&config, &files, &runtime);
                    let source = catalog.clone().map(|catalog| {
                        let source = IcebergSource::new(name.clone(), &config, catalog, files.clone());
                        Arc::new(Source::Iceberg(source))
                    });
                    sources.insert(name.clone(), source);
                    let warehouse = config.warehouse.trim_end_matches('/').to_owned();
                    targets.insert(name, catalog.map(|catalog| Arc::new(Target { warehouse, catalog })));
                }
            }
        }
        let (counters, telling) = (Arc::default(), Telling::default());
        Self { sources, targets, files, fsyncs, counters, settings, telling, workers: None }
    }

    /// An engine over `connections` that decodes foreign files in processes that run `program`: what ends a decoder fails
    /// the call that it was for. They are started when they are needed.
    ///
    /// # Errors
    /// When the connections cannot be told to another process.
    pub fn isolated(
        connections: Connections,
        settings: EngineSettings,
        program: WorkerProgram,
    ) -> std::io::Result<Self> {
        let workers = Workers::new(program, &connections, settings)?;
        Ok(Self { workers: Some(Arc::new(workers)), ..Self::new(connections, settings) })
    }

    /// The same engine, which tells what it reads.
    #[must_use]
    pub(crate) fn telling(mut self, telling: Telling) -> Self {
        for source in self.sources.values_mut().flatten() {
            if let Some(source) = Arc::get_mut(source) {
                source.tell(telling.clone());
            }
        }
        self.telling = telling;
        self
    }

    /// Looks at a table in this process; `target` is passed on.
    pub(crate) async fn inspect_source(
        &self,
        connection: &ConnectionName,
        dataset: TableName,
        target: TargetState,
    ) -> Result<Inspection, Failure> {
        let source = self.source(connection)?;
        blocking("inspecting a table", move |_| source.inspect(&dataset, target)).await
    }

    /// Counts what a worker has done.
    fn count(&self, moved: EngineMetrics) {
        Counters::add(&self.counters.rows_read, moved.rows_read);
        Counters::add(&self.counters.bytes_read, moved.bytes_read);
        Counters::add(&self.counters.rows_written, moved.rows_written);
        Counters::add(&self.counters.bytes_written, moved.bytes_written);
        Counters::add(&self.counters.rows_read_back, moved.rows_read_back);
        Counters::add(&self.fsyncs, moved.fsyncs);
    }

    /// What the engine has done since it was made.
    #[must_use]
    pub fn metrics(&self) -> EngineMetrics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EngineMetrics {
            rows_read: of(&self.counters.rows_read),
            bytes_read: of(&self.counters.bytes_read),
            rows_written: of(&self.counters.rows_written),
            bytes_written: of(&self.counters.bytes_written),
            rows_read_back: of(&self.counters.rows_read_back),
            fsyncs: of(&self.fsyncs),
        }
    }

    fn source(&self, name: &ConnectionName) -> Result<Arc<Source>, Failure> {
        self.sources.get(name).cloned().unwrap_or_else(|| Err(self.unknown(name)))
    }

    fn target(&self, name: &ConnectionName) -> Result<Arc<Target>, Failure> {
        if let Some(target) = self.targets.get(name) {
            return target.clone();
        }
        if !self.sources.contains_key(name) {
            return Err(self.unknown(name));
        }
        Err(Failure::permanent(Problem::new(
            Code::ConnectionKind,
            cannot_be_used(name),
            "it is not of kind iceberg",
            "Name a connection of kind iceberg",
        )))
    }

    fn unknown(&self, name: &ConnectionName) -> Failure {
        let known: Vec<&str> = self.sources.keys().map(|name| name.0.as_str()).collect();
        let why = format!(
            "this node's configuration has only {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        );
        Failure::permanent(Problem::new(
            Code::ConnectionUnknown,
            cannot_be_used(name),
            why,
            "Correct the name, or add the connection to the node's configuration",
        ))
    }
}

fn cannot_be_used(name: &ConnectionName) -> String {
    format!("The connection {name} cannot be used here")
}

/// Runs `work` on a thread that may block. It is told to stop when the returned future is dropped.
async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce(&Cancel) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let cancel = Cancel::default();
    let _stops = cancel.on_drop();
    let task = tokio::task::spawn_blocking(move || work(&cancel));
    match task.await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => {
            Err(internal(what, format!("it panicked: {}", panic_text(error.into_panic().as_ref()))))
        }
        // The runtime is going down.
        Err(error) => {
            let problem = Problem::new(
                Code::Interrupted,
                format!("{what} was stopped"),
                error.to_string(),
                "It is tried again after a restart",
            );
            Err(Failure::transient(problem))
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}

/// An effect of which nobody knows whether it happened, if its thread died.
fn unclear<T>(outcome: Result<T, Failure>) -> Result<T, Failure> {
    outcome.map_err(|failure| match failure.code() {
        Code::Internal | Code::Interrupted => Failure::unknown(failure.problem),
        _ => failure,
    })
}

#[async_trait]
impl DataPlane for Engine {
    async fn select(&self, request: SelectRequest) -> Result<Vec<TableName>, Failure> {
        let source = self.source(&request.connection)?;
        blocking("listing tables", move |_| source.select()).await
    }

    async fn inspect(&self, request: InspectRequest) -> Result<Inspection, Failure> {
        self.source(&request.connection)?;
        let target = self.target(&request.target_connection)?;
        let name = request.target;
        let target = blocking("looking at a target's name", move |_| {
            let loaded = target.catalog.load(&name)?;
            let occupied_by = loaded.filter(|table| !table.tombstone).map(|table| table.metadata_location);
            let location = format!("{}/{}/{}", target.warehouse, name.database, name.table);
            Ok(TargetState { location, occupied_by })
        })
        .await?;
        match &self.workers {
            Some(workers) => {
                let (inspection, moved) = workers.inspect(request.connection, request.dataset, target).await;
                self.count(moved);
                inspection
            }
            None => self.inspect_source(&request.connection, request.dataset, target).await,
        }
    }

    async fn list_source(&self, plan: Arc<Plan>) -> Result<Vec<SourceFile>, Failure> {
        let source = self.source(&plan.source.connection)?;
        blocking("listing a source", move |_| source.list_files(&plan)).await
    }

    async fn run_batch(&self, request: BatchRequest) -> Result<BatchResult, Failure> {
        if let Some(workers) = &self.workers {
            let (result, moved) = workers.run_batch(&request).await;
            self.count(moved);
            return result;
        }
        let (files, counters, batch_rows) = (self.files.clone(), Arc::clone(&self.counters), self.settings.batch_rows);
        let target = self.target(&request.plan.target.connection)?;
        let telling = self.telling.clone();
        blocking("running a batch", move |cancel| {
            target.catalog.prepare(&request.plan.target.name)?;
            let (request, files, counters, telling) = (&request, &files, &counters, &telling);
            let work = Work { request, files, cancel, counters, telling, batch_rows };
            batch::run_batch(&work)
        })
        .await
    }

    async fn stage(&self, request: StageRequest) -> Result<StagedTable, Failure> {
        let files = self.files.clone();
        blocking("staging a table", move |_| stage::stage(&files, &request)).await
    }

    async fn read_staged(&self, request: ReadRequest) -> Result<TableReading, Failure> {
        let (plan, location, memory) =
            (Arc::clone(&request.plan), request.table.metadata_location.clone(), request.memory_bytes);
        let from = self.files.clone();
        let mut reading = blocking("reading a staged table", move |_| read::read_staged(&from, &request)).await?;
        if !plan.checks.sql.is_empty() {
            let (at, from) = (location.clone(), self.files.clone());
            let schema =
                blocking("reading a staged table", move |_| Ok(Scan::open(&from, &at, None)?.schema())).await?;
            let from = self.files.clone();
            let open = Arc::new(move || Ok(Box::new(Scan::open(&from, &location, None)?) as Box<_>));
            let memory = usize::try_from(memory).unwrap_or(usize::MAX);
            let checks = script::check_sql(&plan.checks.sql, &schema, open, memory).await;
            reading.checks =
                checks.map_err(|failure| Failure { problem: failure.problem.of(&plan.source.dataset), ..failure })?;
        }
        Ok(reading)
    }

    async fn register(&self, request: RegisterRequest) -> Result<Registered, Failure> {
        let target = self.target(&request.connection)?;
        unclear(blocking("registering a table", move |_| target.catalog.register(&request)).await)
    }

    async fn load(&self, connection: ConnectionName, name: TableName) -> Result<Option<LoadedTable>, Failure> {
        let target = self.target(&connection)?;
        blocking("loading a table", move |_| target.catalog.load(&name)).await
    }

    async fn stage_tombstone(&self, request: TombstoneRequest) -> Result<String, Failure> {
        let files = self.files.clone();
        blocking("staging a tombstone", move |_| tombstone::stage_tombstone(&files, &request)).await
    }

    async fn replace(&self, request: ReplaceRequest) -> Result<Replaced, Failure> {
        let target = self.target(&request.connection)?;
        unclear(blocking("replacing a table's metadata", move |_| target.catalog.replace(&request)).await)
    }

    async fn collect(&self, request: CollectRequest) -> Result<Collected, Failure> {
        let target = self.target(&request.connection)?;
        let files = self.files.clone();
        blocking("removing staged files", move |_| collect::collect(&files, &target.warehouse, &request)).await
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
