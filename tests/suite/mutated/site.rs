//! A table of one file, which is changed again and again; and an engine with workers that looks at it and reads it.
//!
//! In: a table of the fixture, its file's bytes. Out: what looking and reading came to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use skein_engine::engine::{Engine, EngineSettings};
use skein_engine::worker::WorkerProgram;
use skein_protocol::connection::{Connection, Connections};
use skein_protocol::data_plane::{BatchRequest, BatchResult, Class, DataPlane, Failure, InspectRequest};
use skein_protocol::evidence::judge;
use skein_protocol::ids::{Attempt, BatchId, BatchNo, Epoch, Generation, MigrationId, Run, StageNo, TableName};
use skein_protocol::inspection::Inspection;
use skein_protocol::plan::{Plan, Planned};
use skein_protocol::problem::Code;
use skein_protocol::{planner, policy};
use skein_tests::Program;
use tempfile::TempDir;

const DATABASE: &str = "radio";
/// Working memory of a batch: the least that a node can be configured with.
const MEMORY_BYTES: u64 = 16 << 20;
/// A call that takes longer than this has no end: whole files take milliseconds.
const PATIENCE: Duration = Duration::from_secs(120);
const FIRST: BatchId = BatchId { stage: StageNo(0), batch: BatchNo(0) };

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// As with the whole file.
    Same,
    /// Without complaint, and not as with the whole file: nothing in the format tells.
    Other,
    /// With a code.
    Refused(Code),
    /// Not in time.
    Stalled,
}

/// A call's outcome, and what was said of it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) outcome: Outcome,
    pub(crate) said: String,
    /// Whether another try may help.
    pub(crate) passing: bool,
}

impl Seen {
    fn of(outcome: Outcome) -> Self {
        Self { outcome, said: String::new(), passing: false }
    }

    fn failed(failure: &Failure) -> Self {
        let said = failure.to_string();
        Self { outcome: Outcome::Refused(failure.code()), said, passing: failure.class == Class::Transient }
    }
}

/// One table with its engine.
pub(crate) struct Site {
    _folder: TempDir,
    file: PathBuf,
    engine: Engine,
    dataset: TableName,
    inspection: Inspection,
    plan: Plan,
    result: BatchResult,
    attempts: u32,
}

impl Site {
    /// The table `name` of the fixture with one file: `whole`, called `file`.
    pub(crate) async fn new(name: &str, file: &str, whole: &[u8]) -> Self {
        let folder = tempfile::Builder::new().prefix("skein-test-").tempdir().expect("a folder can be made");
        let root = folder.path();
        let description = describe(root, name);
        let text = |path: &str| root.join(path).display().to_string();
        let connections: Connections = [
            ("legacy", json!({ "kind": "hive-files", "warehouse": text("warehouse"), "description": description })),
            ("lake", json!({ "kind": "iceberg", "catalogFile": text("catalog.db"), "warehouse": text("lake") })),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), serde_json::from_value::<Connection>(value).expect("it is a connection")))
        .collect();
        let program = WorkerProgram::new(Program::Node.path(), ["worker"]);
        let engine =
            Engine::isolated(connections, EngineSettings::default(), program).expect("connections have a form");
        let file = root.join("warehouse").join(format!("{DATABASE}.db")).join(name).join(file);
        std::fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("a folder can be made");
        std::fs::write(&file, whole).expect("it can be written");
        let dataset = TableName::new(DATABASE, name);
        let inspection = engine.inspect(question(&dataset)).await.expect("the fixture can be looked at");
        let plan = plan(&dataset, &inspection);
        let result = engine.run_batch(request(&plan, 1)).await.expect("the fixture can be read");
        assert!(judge::batch(&plan, FIRST, &result.evidence).is_none(), "{name}");
        assert!(result.evidence.source.rows > 0, "{name}");
        Self { _folder: folder, file, engine, dataset, inspection, plan, result, attempts: 1 }
    }

    /// Looks at the table, then reads it by the plan that was made for the whole file.
    pub(crate) async fn with(&mut self, bytes: &[u8]) -> (Seen, Seen) {
        std::fs::write(&self.file, bytes).expect("it can be written");
        let looked = match tokio::time::timeout(PATIENCE, self.engine.inspect(question(&self.dataset))).await {
            Err(_) => Seen::of(Outcome::Stalled),
            Ok(Err(failure)) => Seen::failed(&failure),
            Ok(Ok(inspection)) => self.looked(&inspection),
        };
        let mut plan = self.plan.clone();
        let listed = self.engine.list_source(Arc::new(plan.clone())).await.expect("it can be listed");
        let (file, found) = (&mut plan.source.files[0], &listed[0]);
        (file.bytes, file.modified_nanos, file.version) = (found.bytes, found.modified_nanos, found.version.clone());
        self.attempts += 1;
        let read = match tokio::time::timeout(PATIENCE, self.engine.run_batch(request(&plan, self.attempts))).await {
            Err(_) => Seen::of(Outcome::Stalled),
            Ok(Err(failure)) => Seen::failed(&failure),
            Ok(Ok(result)) => self.read(&plan, &result),
        };
        (looked, read)
    }

    fn looked(&self, inspection: &Inspection) -> Seen {
        if let Some(problem) = inspection.problems.first() {
            return Seen { said: problem.to_string(), ..Seen::of(Outcome::Refused(problem.code)) };
        }
        let rows = |inspection: &Inspection| inspection.files.iter().map(|file| file.rows).collect::<Vec<_>>();
        let same = inspection.columns == self.inspection.columns && rows(inspection) == rows(&self.inspection);
        Seen::of(if same { Outcome::Same } else { Outcome::Other })
    }

    fn read(&self, plan: &Plan, result: &BatchResult) -> Seen {
        for file in &result.files {
            std::fs::remove_file(&file.location).expect("it was written");
        }
        if let Some(difference) = judge::batch(plan, FIRST, &result.evidence) {
            let problem = judge::problem(&difference, plan);
            return Seen { said: problem.to_string(), ..Seen::of(Outcome::Refused(problem.code)) };
        }
        let same = result.evidence.source == self.result.evidence.source;
        Seen::of(if same { Outcome::Same } else { Outcome::Other })
    }
}

/// The fixture's folder.
pub(crate) fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/legacy")
}

/// Writes the description of one table of the fixture; where it is.
fn describe(root: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(fixture().join("metastore.json")).expect("the fixture has a description");
    let mut all: Value = serde_json::from_str(&text).expect("it is JSON");
    let mut table = all["tables"][name].take();
    assert!(table.is_object(), "the fixture has {name}");
    // Without what is known of partitions, so that one of them is the whole table.
    table.as_object_mut().expect("looked at above").remove("partitions");
    table["location"] = json!(format!("warehouse/{DATABASE}.db/{name}"));
    let tables = BTreeMap::from([(name, table)]);
    let path = root.join("metastore.json");
    std::fs::write(&path, json!({ "database": DATABASE, "tables": tables }).to_string()).expect("it can be written");
    path.display().to_string()
}

fn question(dataset: &TableName) -> InspectRequest {
    InspectRequest {
        connection: "legacy".into(),
        dataset: dataset.clone(),
        target_connection: "lake".into(),
        target: dataset.clone(),
    }
}

fn plan(dataset: &TableName, inspection: &Inspection) -> Plan {
    let text = format!(
        "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: mutated, owner: tests }}\nspec:\n  source: {{ connection: legacy, include: [\"{DATABASE}.*\"] }}\n  target: {{ connection: lake }}\n"
    );
    let policy = policy::parse(&text).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let migration = MigrationId::derive(&policy.metadata.name, Generation(1), dataset);
    match planner::plan(&policy, migration, Generation(1), dataset, inspection) {
        Planned::Ready(plan) => *plan,
        Planned::Refused(refusal) => panic!("{refusal:#?}"),
    }
}

fn request(plan: &Plan, attempt: u32) -> BatchRequest {
    BatchRequest {
        plan: Arc::new(plan.clone()),
        run: Run(1),
        epoch: Epoch(1),
        batch: FIRST,
        attempt: Attempt(attempt),
        prior: Arc::default(),
        memory_bytes: MEMORY_BYTES,
    }
}
