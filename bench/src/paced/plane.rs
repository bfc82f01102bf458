//! The paced data plane: batches take a stated time, and write small files into a folder that all nodes see.
//!
//! In:    the requests of a node.
//! Out:   a [`DataPlane`] whose evidence a node accepts, and a trace of who did what.
//! Holds: what a real data plane promises (files are created once, a name is created if absent); time is the script's.
//! Not here: rules that remove rows: a plan with any is refused.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use skein_protocol::data_plane::{
    BatchRequest, BatchResult, CollectRequest, Collected, DataPlane, Failure, InspectRequest, LoadedTable, ReadRequest,
    RegisterRequest, Registered, ReplaceRequest, Replaced, SelectRequest, StageRequest, StagedFile, StagedKind,
    StagedTable, TableReading, TombstoneRequest,
};
use skein_protocol::evidence::RuleCheck;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{ConnectionName, TableName, TableUuid};
use skein_protocol::inspection::{
    DescribedBy, Documentation, Inspection, SourceColumn, SourceFile, SourceFormat, TargetState,
};
use skein_protocol::plan::{Plan, SqlCheck};
use skein_protocol::problem::{Code, Problem};
use skein_protocol::types::DataType;

use crate::catalog::Catalog;
use crate::rows::{self, Row};
use crate::script::{Dataset, Warehouse};
use crate::shared::{Shared, unwritable};

/// Moves numbers at a stated pace. Clones move the same.
#[derive(Debug, Clone)]
pub(crate) struct PacedPlane(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    warehouse: Warehouse,
    shared: Shared,
    catalog: Catalog,
    /// The folder of targets.
    lake: String,
}

/// A metadata file.
#[derive(Debug, Serialize, Deserialize)]
struct Metadata {
    uuid: TableUuid,
    tombstone: bool,
    files: Vec<String>,
    #[serde(default)]
    at_millis: u64,
}

impl PacedPlane {
    /// Moves what `warehouse` holds into `lake`, under names of `catalog`; `node` names its trace.
    ///
    /// # Errors
    /// When the script cannot be read, or the folders cannot be made.
    pub(crate) fn open(warehouse: &Path, lake: &str, catalog: &Path, node: &str) -> anyhow::Result<Self> {
        let parts = Parts {
            warehouse: Warehouse::read(warehouse)?,
            shared: Shared::open(Path::new(lake), node)?,
            catalog: Catalog::open(catalog)?,
            lake: lake.to_owned(),
        };
        Ok(Self(Arc::new(parts)))
    }

    /// Makes one call off the async threads, and notes it.
    async fn call<T: Send + 'static>(
        &self,
        about: Value,
        act: impl FnOnce(&Parts) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let parts = self.0.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            let outcome = act(&parts);
            parts.note(about, &outcome);
            outcome
        });
        let lost = |_| Failure::unknown(problem(Code::Interrupted, "the call", "the node is stopping"));
        outcome.await.map_err(lost)?
    }
}

impl Parts {
    fn note<T>(&self, mut about: Value, outcome: &Result<T, Failure>) {
        about["outcome"] = match outcome {
            Ok(_) => Value::from("done"),
            Err(failure) => Value::from(failure.to_string()),
        };
        self.shared.trace(about);
    }

    fn dataset(&self, name: &TableName) -> Result<&Dataset, Failure> {
        let missing =
            || Failure::permanent(problem(Code::SourceUnreadable, "the table", "the script has none").of(name));
        self.warehouse.dataset(name).ok_or_else(missing)
    }

    fn points_at(&self, name: &TableName) -> Result<Option<String>, Failure> {
        self.catalog.load(name).map_err(|error| unwritable(&name.to_string(), &error))
    }

    fn metadata(&self, location: &str) -> Result<(Metadata, Hash256), Failure> {
        let bytes = std::fs::read(location).map_err(|error| unwritable(location, &error))?;
        let metadata = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::permanent(problem(Code::StagedFileChanged, location, &error.to_string())))?;
        Ok((metadata, Hash256::of(&bytes)))
    }

    /// Writes a metadata file; its hash.
    fn write_metadata(&self, location: &str, metadata: &Metadata) -> Result<Hash256, Failure> {
        let bytes = serde_json::to_vec(metadata).expect("it has text keys only");
        // A step whose record did not come through is done again, with the same outcome: that is no second attempt.
        if std::fs::read(location).is_ok_and(|there| there == bytes) {
            return Ok(Hash256::of(&bytes));
        }
        self.shared.create(location, &bytes)?;
        Ok(Hash256::of(&bytes))
    }

    fn inspect(&self, request: InspectRequest) -> Result<Inspection, Failure> {
        let InspectRequest { connection, dataset, target, .. } = request;
        let files = self.dataset(&dataset)?.files();
        let mut occupied_by = self.points_at(&target)?;
        if let Some(location) = &occupied_by
            && self.metadata(location)?.0.tombstone
        {
            occupied_by = None;
        }
        Ok(Inspection {
            location: format!("/paced/{}/{}", dataset.database, dataset.table),
            dataset,
            connection,
            described_by: DescribedBy::Description,
            format: Some(SourceFormat::Parquet),
            columns: vec![SourceColumn { name: "id".to_owned(), data_type: DataType::BigInt, partition: false }],
            files,
            partitioning: Vec::new(),
            documentation: Documentation::default(),
            problems: Vec::new(),
            notes: Vec::new(),
            target: TargetState {
                location: format!("{}/{}/{}", self.lake, target.database, target.table),
                occupied_by,
            },
        })
    }

    /// Writes the one file of a batch and reads it back.
    fn finish_batch(&self, request: &BatchRequest, read: &[Row]) -> Result<BatchResult, Failure> {
        let plan = &request.plan;
        let name = format!("{}-{}-{}-0", request.epoch, request.batch, request.attempt);
        let location = format!("{}/data/{}/{}/{name}", plan.target.location, plan.migration, request.run);
        let text = rows::lines(read);
        self.shared.create(&location, text.as_bytes())?;
        let found = std::fs::read_to_string(&location).map_err(|error| unwritable(&location, &error))?;
        let found = rows::parse(&found).unwrap_or_default();
        let evidence = rows::evidence(plan, read, &found);
        let file = StagedFile {
            location,
            kind: StagedKind::Data,
            rows: found.len() as u64,
            bytes: text.len() as u64,
            content: rows::content(text.as_bytes()),
            partition: Vec::new(),
        };
        Ok(BatchResult { files: vec![file], evidence })
    }

    fn stage(&self, request: &StageRequest) -> Result<StagedTable, Failure> {
        let plan = &request.plan;
        let place = format!("{}-{}-{}-{}", plan.migration, request.run, request.epoch, request.attempt);
        let location = format!("{}/metadata/{place}.json", plan.target.location);
        let files: Vec<String> = request.files.iter().map(|file| file.location.clone()).collect();
        let metadata = Metadata { uuid: request.uuid, tombstone: false, files, at_millis: request.at_millis };
        let metadata_hash = self.write_metadata(&location, &metadata)?;
        Ok(StagedTable {
            metadata_location: location,
            metadata_hash,
            uuid: request.uuid,
            files: request.files.len() as u64,
            rows: request.files.iter().map(|file| file.rows).sum(),
            bytes: request.files.iter().map(|file| file.bytes).sum(),
        })
    }

    fn read_staged(&self, request: &ReadRequest) -> Result<TableReading, Failure> {
        let (metadata, metadata_hash) = self.metadata(&request.table.metadata_location)?;
        let mut reading = TableReading { metadata_hash, files: metadata.files.len() as u64, ..TableReading::default() };
        for file in request.files.iter() {
            reading.files_compared += 1;
            match std::fs::read(&file.location) {
                Ok(bytes) if rows::content(&bytes) == file.content => reading.manifest_rows += file.rows,
                Ok(_) => {
                    reading.file_differences.push(format!("{} has other content than was recorded", file.location))
                }
                Err(error) => reading.file_differences.push(format!("{}: {error}", file.location)),
            }
        }
        reading.summary_rows = reading.manifest_rows;
        reading.checks = request.plan.checks.sql.iter().map(holds).collect();
        Ok(reading)
    }

    fn register(&self, request: &RegisterRequest) -> Result<Registered, Failure> {
        let RegisterRequest { name, metadata_location, replacing, .. } = request;
        self.must_be_complete(metadata_location);
        let done = match replacing {
            None => self.catalog.create(name, metadata_location),
            Some(old) => self.catalog.replace(name, old, Some(metadata_location)).map(|done| done.is_ok()),
        };
        match done {
            Ok(true) => Ok(Registered::Now),
            Ok(false) => Ok(Registered::NameTaken),
            Err(error) => Err(unwritable(&name.to_string(), &error)),
        }
    }

    /// A table without its files is never published.
    fn must_be_complete(&self, location: &str) {
        match self.metadata(location) {
            Ok((metadata, _)) => {
                for file in metadata.files.iter().filter(|file| !Path::new(file.as_str()).is_file()) {
                    self.shared.violation(&format!("{location} is published without {file}"));
                }
            }
            Err(failure) => self.shared.violation(&format!("{location} is published and cannot be read: {failure}")),
        }
    }

    fn collect(&self, request: &CollectRequest) -> Result<Collected, Failure> {
        let folder = format!("{}/data/{}/{}", request.table_location, request.migration, request.run);
        let mut collected = Collected::default();
        let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(collected) };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let location = format!("{folder}/{name}");
            let epoch: Option<u64> = name.split('-').next().and_then(|epoch| epoch.parse().ok());
            if epoch.is_none_or(|epoch| epoch > request.up_to.0) || request.keep.contains(&location) {
                continue;
            }
            let bytes = entry.metadata().map(|metadata| metadata.len()).unwrap_or_default();
            std::fs::remove_file(&location).map_err(|error| unwritable(&location, &error))?;
            collected.files += 1;
            collected.bytes += bytes;
        }
        Ok(collected)
    }
}

fn problem(code: Code, what: &str, why: &str) -> Problem {
    Problem::new(code, what, why, "correct the script of the paced warehouse")
}

fn holds(check: &SqlCheck) -> RuleCheck {
    RuleCheck { rule: check.name.clone(), checked: check.sql.clone(), holds: true, found: String::new() }
}

fn about(call: &str, plan: &Plan) -> Value {
    json!({ "call": call, "dataset": plan.source.dataset.to_string(), "migration": plan.migration.to_string() })
}

fn of_batch(call: &str, request: &BatchRequest) -> Value {
    let mut about = about(call, &request.plan);
    about["run"] = Value::from(request.run.0);
    about["epoch"] = Value::from(request.epoch.0);
    about["batch"] = Value::from(request.batch.to_string());
    about["attempt"] = Value::from(request.attempt.0);
    about
}

#[async_trait]
impl DataPlane for PacedPlane {
    async fn select(&self, _: SelectRequest) -> Result<Vec<TableName>, Failure> {
        self.call(json!({ "call": "select" }), |parts| Ok(parts.warehouse.names())).await
    }

    async fn inspect(&self, request: InspectRequest) -> Result<Inspection, Failure> {
        let about = json!({ "call": "inspect", "dataset": request.dataset.to_string() });
        tokio::time::sleep(self.0.warehouse.inspection()).await;
        self.call(about, |parts| parts.inspect(request)).await
    }

    async fn list_source(&self, plan: Arc<Plan>) -> Result<Vec<SourceFile>, Failure> {
        self.0.dataset(&plan.source.dataset).map(Dataset::files)
    }

    async fn run_batch(&self, request: BatchRequest) -> Result<BatchResult, Failure> {
        let plan = request.plan.clone();
        if let Some(rule) = plan.rules.first() {
            return Err(Failure::permanent(problem(Code::RuleInapplicable, &rule.id, "there are no rules here")));
        }
        let missing = || Failure::permanent(problem(Code::Internal, "the batch", "the plan has none"));
        let inputs = plan.batch(request.batch).ok_or_else(missing)?.inputs.clone();
        let dataset = self.0.dataset(&plan.source.dataset)?;
        let takes = self.0.warehouse.duration(dataset, inputs.len());
        let read: Vec<Row> = inputs.iter().flat_map(|input| dataset.rows(input.file)).collect();
        self.0.shared.trace(of_batch("begin_batch", &request));
        tokio::time::sleep(takes).await;
        self.call(of_batch("run_batch", &request), move |parts| parts.finish_batch(&request, &read)).await
    }

    async fn stage(&self, request: StageRequest) -> Result<StagedTable, Failure> {
        self.call(about("stage", &request.plan), move |parts| parts.stage(&request)).await
    }

    async fn read_staged(&self, request: ReadRequest) -> Result<TableReading, Failure> {
        self.call(about("read_staged", &request.plan), move |parts| parts.read_staged(&request)).await
    }

    async fn register(&self, request: RegisterRequest) -> Result<Registered, Failure> {
        let (name, location) = (request.name.to_string(), request.metadata_location.clone());
        let parts = self.0.clone();
        let about = json!({ "call": "register", "target": name, "location": location });
        let registered = self.call(about.clone(), move |parts| parts.register(&request)).await;
        if let Ok(Registered::Now) = registered {
            let mut about = about;
            about["call"] = Value::from("published");
            parts.shared.trace(about);
        }
        registered
    }

    async fn load(&self, _: ConnectionName, name: TableName) -> Result<Option<LoadedTable>, Failure> {
        self.call(json!({ "call": "load", "target": name.to_string() }), move |parts| {
            let Some(metadata_location) = parts.points_at(&name)? else { return Ok(None) };
            let (metadata, _) = parts.metadata(&metadata_location)?;
            Ok(Some(LoadedTable { uuid: metadata.uuid, metadata_location, tombstone: metadata.tombstone }))
        })
        .await
    }

    async fn stage_tombstone(&self, request: TombstoneRequest) -> Result<String, Failure> {
        self.call(about("stage_tombstone", &request.plan), move |parts| {
            let plan = &request.plan;
            let place = format!("{}-{}-{}-{}", plan.migration, request.run, request.epoch, request.attempt);
            let location = format!("{}/metadata/tombstone-{place}.json", plan.target.location);
            let TombstoneRequest { uuid, at_millis, .. } = request;
            parts.write_metadata(&location, &Metadata { uuid, tombstone: true, files: Vec::new(), at_millis })?;
            Ok(location)
        })
        .await
    }

    async fn replace(&self, request: ReplaceRequest) -> Result<Replaced, Failure> {
        let about = json!({ "call": "replace", "target": request.name.to_string(), "location": request.replacement });
        self.call(about, move |parts| {
            let ReplaceRequest { name, expected, replacement, .. } = &request;
            match parts.catalog.replace(name, expected, replacement.as_deref()) {
                Ok(Ok(())) => Ok(Replaced::Now),
                Ok(Err(found)) => Ok(Replaced::Differs { found }),
                Err(error) => Err(unwritable(&name.to_string(), &error)),
            }
        })
        .await
    }

    async fn collect(&self, request: CollectRequest) -> Result<Collected, Failure> {
        let about = json!({ "call": "collect", "migration": request.migration.to_string() });
        self.call(about, move |parts| parts.collect(&request)).await
    }
}
