//! The data plane over a place, and the steps that a migration takes in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use skein_engine::engine::{Engine, EngineSettings};
use skein_protocol::connection::{Connection, HiveFiles, IcebergTarget};
use skein_protocol::data_plane::{
    BatchRequest, CollectRequest, Collected, DataPlane, Failure, InspectRequest, LoadedTable, ReadRequest,
    RegisterRequest, Registered, ReplaceRequest, Replaced, SelectRequest, StageRequest, StagedFile, StagedTable,
    TableReading, TombstoneRequest,
};
use skein_protocol::ids::{
    Attempt, BatchId, BatchNo, Epoch, Generation, MigrationId, Run, StageNo, TableName, TableUuid,
};
use skein_protocol::inspection::SourceFile;
use skein_protocol::plan::{Plan, Planned};
use skein_protocol::{planner, policy};
use skein_tests::policy as policy_of;
use tokio::runtime::{Builder, Runtime};

use crate::place::Place;

/// More than these tables need.
const MEMORY_BYTES: u64 = 64 * 1024 * 1024;
/// Any time will do.
const AT_MILLIS: u64 = 1_700_000_000_000;

/// An engine with one planned table.
pub(crate) struct Lake {
    engine: Engine,
    runtime: Runtime,
    pub(crate) plan: Arc<Plan>,
    pub(crate) name: TableName,
    target: IcebergTarget,
}

impl Lake {
    pub(crate) fn of(place: &Place) -> Self {
        let name = TableName::new(&place.database, "t");
        Self::planned(place.target.clone(), &place.world.warehouse(), "legacy", name.clone(), name)
    }

    /// The same with the published table as the source, and another name for the target.
    pub(crate) fn again(&self) -> Self {
        let target = TableName::new(&self.name.database, "again");
        let nowhere = std::path::Path::new("/nowhere");
        Self::planned(self.target.clone(), nowhere, "lake", self.name.clone(), target)
    }

    fn planned(
        target: IcebergTarget,
        warehouse: &std::path::Path,
        source: &str,
        dataset: TableName,
        name: TableName,
    ) -> Self {
        let folder = HiveFiles::at(warehouse.display().to_string());
        let connections =
            [("legacy".into(), Connection::HiveFiles(folder)), ("lake".into(), Connection::Iceberg(target.clone()))];
        let engine = Engine::new(connections.into(), EngineSettings::default());
        let runtime = Builder::new_multi_thread().enable_all().build().expect("threads can be started");
        let inspect = InspectRequest {
            connection: source.into(),
            dataset: dataset.clone(),
            target_connection: "lake".into(),
            target: name.clone(),
        };
        let seen = done(runtime.block_on(engine.inspect(inspect)));
        let text = policy_of("contract", &format!("{}.*", name.database), "");
        let policy = policy::parse(&text).unwrap_or_else(|errors| panic!("{errors:?}"));
        let migration = MigrationId::derive(&policy.metadata.name, Generation(1), &dataset);
        let plan = match planner::plan(&policy, migration, Generation(1), &name, &seen) {
            Planned::Ready(plan) => Arc::new(*plan),
            Planned::Refused(refusal) => panic!("{refusal:?}"),
        };
        Self { engine, runtime, plan, name, target }
    }

    /// Whether the catalog lists the table as one that can be read.
    pub(crate) fn listed(&self) -> bool {
        let request = SelectRequest { connection: "lake".into() };
        done(self.runtime.block_on(self.engine.select(request))).contains(&self.name)
    }

    pub(crate) fn list_again(&self) -> Result<Vec<SourceFile>, Failure> {
        self.runtime.block_on(self.engine.list_source(Arc::clone(&self.plan)))
    }

    /// Files of the source, listed again.
    #[track_caller]
    pub(crate) fn listed_files(&self) -> usize {
        let listed = done(self.list_again());
        assert_eq!(skein_protocol::machine::source::changes(&self.plan, &listed), None);
        listed.len()
    }

    /// Runs the table's batch; `attempt` is part of the files' names.
    #[track_caller]
    pub(crate) fn batch(&self, attempt: u32) -> Vec<StagedFile> {
        let request = BatchRequest {
            plan: Arc::clone(&self.plan),
            run: Run(1),
            epoch: Epoch(1),
            batch: BatchId { stage: StageNo(0), batch: BatchNo(0) },
            attempt: Attempt(attempt),
            prior: Arc::default(),
            memory_bytes: MEMORY_BYTES,
        };
        done(self.runtime.block_on(self.engine.run_batch(request))).files
    }

    #[track_caller]
    pub(crate) fn stage(&self, files: Vec<StagedFile>, attempt: u32) -> StagedTable {
        done(self.try_stage(files, attempt))
    }

    pub(crate) fn try_stage(&self, files: Vec<StagedFile>, attempt: u32) -> Result<StagedTable, Failure> {
        let request = StageRequest {
            plan: Arc::clone(&self.plan),
            run: Run(1),
            epoch: Epoch(1),
            attempt: Attempt(attempt),
            files: Arc::new(files),
            uuid: TableUuid::derive(self.plan.migration, Run(1), &self.plan.hash()),
            at_millis: AT_MILLIS,
            summary: BTreeMap::new(),
        };
        self.runtime.block_on(self.engine.stage(request))
    }

    /// A staged table.
    pub(crate) fn staged(&self, attempt: u32) -> (StagedTable, Vec<StagedFile>) {
        let files = self.batch(attempt);
        (self.stage(files.clone(), attempt), files)
    }

    pub(crate) fn read(&self, table: &StagedTable, files: Vec<StagedFile>) -> TableReading {
        let (plan, table) = (Arc::clone(&self.plan), table.clone());
        let request = ReadRequest { plan, table, files: Arc::new(files), memory_bytes: MEMORY_BYTES };
        done(self.runtime.block_on(self.engine.read_staged(request)))
    }

    #[track_caller]
    pub(crate) fn register(&self, location: &str, replacing: Option<&str>) -> Registered {
        done(self.runtime.block_on(self.engine.register(self.registration(location, replacing))))
    }

    pub(crate) fn try_register(&self, location: &str) -> Result<Registered, Failure> {
        self.runtime.block_on(self.engine.register(self.registration(location, None)))
    }

    /// All of them at once.
    pub(crate) fn register_all(&self, locations: &[String]) -> Vec<Result<Registered, Failure>> {
        let all = locations.iter().map(|location| self.engine.register(self.registration(location, None)));
        self.runtime.block_on(futures::future::join_all(all))
    }

    fn registration(&self, location: &str, replacing: Option<&str>) -> RegisterRequest {
        RegisterRequest {
            connection: "lake".into(),
            name: self.name.clone(),
            metadata_location: location.to_owned(),
            replacing: replacing.map(str::to_owned),
        }
    }

    pub(crate) fn load(&self) -> Option<LoadedTable> {
        done(self.runtime.block_on(self.engine.load("lake".into(), self.name.clone())))
    }

    /// Where the name points.
    pub(crate) fn location(&self) -> Option<String> {
        self.load().map(|table| table.metadata_location)
    }

    pub(crate) fn tombstone(&self) -> String {
        let request = TombstoneRequest {
            plan: Arc::clone(&self.plan),
            run: Run(1),
            epoch: Epoch(1),
            attempt: Attempt(9),
            uuid: TableUuid::tombstone(self.plan.migration, Run(1)),
            at_millis: AT_MILLIS,
        };
        done(self.runtime.block_on(self.engine.stage_tombstone(request)))
    }

    pub(crate) fn replace(&self, expected: &str, replacement: Option<&str>) -> Replaced {
        let request = ReplaceRequest {
            connection: "lake".into(),
            name: self.name.clone(),
            expected: expected.to_owned(),
            replacement: replacement.map(str::to_owned),
        };
        done(self.runtime.block_on(self.engine.replace(request)))
    }

    pub(crate) fn collect(&self, keep: Vec<String>) -> Collected {
        let request = CollectRequest {
            connection: "lake".into(),
            table_location: self.plan.target.location.clone(),
            migration: self.plan.migration,
            run: Run(1),
            up_to: Epoch(1),
            keep,
        };
        done(self.runtime.block_on(self.engine.collect(request)))
    }
}

#[track_caller]
fn done<T>(outcome: Result<T, Failure>) -> T {
    outcome.unwrap_or_else(|failure| panic!("{failure}"))
}
