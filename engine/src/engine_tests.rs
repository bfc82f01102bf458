use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use skein_protocol::connection::{Connection, HiveFiles, IcebergTarget};
use skein_protocol::data_plane::{
    BatchRequest, CollectRequest, DataPlane, InspectRequest, Outcome, ReadRequest, RegisterRequest, Registered,
    ReplaceRequest, Replaced, SelectRequest, StageRequest, TombstoneRequest,
};
use skein_protocol::ids::{Attempt, Epoch, Generation, MigrationId, Run, TableName, TableUuid};
use skein_protocol::plan::{Plan, Planned};
use skein_protocol::problem::Code;
use skein_protocol::{planner, policy};

use super::{Engine, EngineSettings, blocking, unclear};
use crate::batch::fixture::{FIRST, MEMORY, Warehouse, table};

fn engine(warehouse: &Warehouse) -> Engine {
    let text = |name: &str| warehouse.folder.path().join(name).display().to_string();
    let legacy = HiveFiles::at(text("legacy"));
    let lake = IcebergTarget::sqlite(text("catalog.db"), text("lake"));
    let connections = [("legacy".into(), Connection::HiveFiles(legacy)), ("lake".into(), Connection::Iceberg(lake))];
    Engine::new(connections.into(), EngineSettings::default())
}

fn filled() -> Warehouse {
    let warehouse = Warehouse::new();
    for day in ["2024-01-01", "2024-01-02"] {
        let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..100).map(|n| format!("{n} of {day}"))));
        warehouse.add(&format!("dt={day}/part-0"), &table(vec![("n", n), ("text", text)]));
    }
    warehouse
}

async fn plan(engine: &Engine, rules: &str) -> Plan {
    let text = format!(
        "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: test, owner: me }}\nspec:\n  source: {{ connection: legacy, include: [\"db.*\"] }}\n  target: {{ connection: lake }}\n{rules}\n"
    );
    let policy = policy::parse(&text).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let name = TableName::new("db", "t");
    let inspection = engine.inspect(inspection("legacy", "lake")).await.unwrap();
    match planner::plan(
        &policy,
        MigrationId::derive(&policy.metadata.name, Generation(1), &name),
        Generation(1),
        &name,
        &inspection,
    ) {
        Planned::Ready(plan) => *plan,
        Planned::Refused(refusal) => panic!("{refusal:#?}"),
    }
}

fn inspection(source: &str, target: &str) -> InspectRequest {
    let name = TableName::new("db", "t");
    InspectRequest { connection: source.into(), dataset: name.clone(), target_connection: target.into(), target: name }
}

#[tokio::test]
async fn a_table_goes_from_its_source_to_the_catalog_and_back() {
    let warehouse = filled();
    let engine = engine(&warehouse);
    let name = TableName::new("db", "t");
    assert_eq!(engine.select(SelectRequest { connection: "legacy".into() }).await.unwrap(), vec![name.clone()]);
    let rules = "  validate: { checks: [{ sql: \"count(*) = 200\" }, { name: wrong, sql: \"max(n) < 99\" }] }";
    let plan = Arc::new(plan(&engine, rules).await);
    assert_eq!(plan.target.location, warehouse.folder.path().join("lake/db/t").display().to_string());
    assert_eq!(engine.list_source(Arc::clone(&plan)).await.unwrap().len(), 2);
    let (run, epoch, attempt) = (Run(1), Epoch(1), Attempt(1));
    let request = BatchRequest {
        plan: Arc::clone(&plan),
        run,
        epoch,
        batch: FIRST,
        attempt,
        prior: Arc::default(),
        memory_bytes: MEMORY,
    };
    let result = engine.run_batch(request).await.unwrap();
    let files = Arc::new(result.files);
    let uuid = TableUuid::derive(plan.migration, run, &plan.hash());
    let stage = StageRequest {
        plan: Arc::clone(&plan),
        run,
        epoch,
        attempt,
        files: Arc::clone(&files),
        uuid,
        at_millis: 1_700_000_000_000,
        summary: BTreeMap::new(),
    };
    let table = engine.stage(stage).await.unwrap();
    let read =
        ReadRequest { plan: Arc::clone(&plan), table: table.clone(), files: Arc::clone(&files), memory_bytes: MEMORY };
    let reading = engine.read_staged(read).await.unwrap();
    assert_eq!((reading.manifest_rows, reading.files_compared, reading.file_differences.len()), (200, 2, 0));
    assert_eq!(reading.checks.iter().map(|check| check.holds).collect::<Vec<_>>(), [true, false]);
    let register = RegisterRequest {
        connection: "lake".into(),
        name: name.clone(),
        metadata_location: table.metadata_location.clone(),
        replacing: None,
    };
    assert_eq!(engine.register(register.clone()).await.unwrap(), Registered::Now);
    assert_eq!(engine.register(register).await.unwrap(), Registered::NameTaken);
    let loaded = engine.load("lake".into(), name.clone()).await.unwrap().unwrap();
    assert_eq!((loaded.uuid, loaded.tombstone), (uuid, false));
    let inspected = engine.inspect(inspection("legacy", "lake")).await.unwrap();
    assert_eq!(inspected.target.occupied_by, Some(table.metadata_location.clone()));

    let tombstone = TombstoneRequest {
        plan: Arc::clone(&plan),
        run,
        epoch,
        attempt,
        uuid: TableUuid::tombstone(plan.migration, run),
        at_millis: 1,
    };
    let tombstone = engine.stage_tombstone(tombstone).await.unwrap();
    let replace = ReplaceRequest {
        connection: "lake".into(),
        name: name.clone(),
        expected: table.metadata_location,
        replacement: Some(tombstone),
    };
    assert_eq!(engine.replace(replace).await.unwrap(), Replaced::Now);
    assert!(engine.load("lake".into(), name).await.unwrap().unwrap().tombstone);
    let inspected = engine.inspect(inspection("legacy", "lake")).await.unwrap();
    assert_eq!(inspected.target.occupied_by, None);

    let collect = CollectRequest {
        connection: "lake".into(),
        table_location: plan.target.location.clone(),
        migration: plan.migration,
        run,
        up_to: epoch,
        keep: vec![files[0].location.clone()],
    };
    assert_eq!(engine.collect(collect).await.unwrap().files, 1);
    let metrics = engine.metrics();
    assert_eq!((metrics.rows_read, metrics.rows_written, metrics.rows_read_back), (200, 200, 200));
    assert!(metrics.fsyncs > 3 && metrics.bytes_read > 0 && metrics.bytes_written > 0, "{metrics:?}");
}

#[tokio::test]
async fn connections_that_are_unknown_or_of_the_wrong_kind_are_refused() {
    let engine = engine(&filled());
    let code = |source: &'static str, target: &'static str| {
        let engine = &engine;
        async move { engine.inspect(inspection(source, target)).await.unwrap_err().code() }
    };
    assert_eq!(code("nowhere", "lake").await, Code::ConnectionUnknown);
    assert_eq!(code("lake", "lake").await, Code::NotFound);
    assert_eq!(code("legacy", "legacy").await, Code::ConnectionKind);
    assert_eq!(code("legacy", "nowhere").await, Code::ConnectionUnknown);
}

#[tokio::test]
async fn a_panic_is_a_failure_of_its_call_alone() {
    let failure = blocking::<()>("breaking", |_| panic!("as expected")).await.unwrap_err();
    assert_eq!((failure.code(), failure.outcome), (Code::Internal, Outcome::NotDone));
    assert!(failure.problem.why.contains("as expected"), "{failure}");
    let failure = unclear(blocking::<()>("registering", |_| panic!("in the middle")).await).unwrap_err();
    assert_eq!(failure.outcome, Outcome::Unknown);
    assert_eq!(blocking("going on", |_| Ok(7)).await.unwrap(), 7);
}

#[tokio::test]
async fn a_call_that_is_dropped_stops_its_work() {
    let (started, told) = (Arc::new(std::sync::Barrier::new(2)), Arc::new(std::sync::Mutex::new(None)));
    let (inside, outcome) = (Arc::clone(&started), Arc::clone(&told));
    let call = tokio::spawn(blocking::<()>("working", move |cancel| {
        inside.wait();
        // The caller is dropped between these two.
        inside.wait();
        let stopped = cancel.check();
        *outcome.lock().unwrap() = Some(stopped.is_err());
        inside.wait();
        stopped
    }));
    tokio::task::spawn_blocking(move || {
        started.wait();
        call.abort();
        while !call.is_finished() {
            std::thread::yield_now();
        }
        started.wait();
        started.wait();
    })
    .await
    .unwrap();
    assert_eq!(*told.lock().unwrap(), Some(true));
}
