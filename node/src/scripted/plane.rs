//! The data plane over a [`World`].

use std::sync::Arc;

use async_trait::async_trait;
use skein_protocol::data_plane::{
    BatchRequest, BatchResult, CollectRequest, Collected, DataPlane, Failure, InspectRequest, LoadedTable, ReadRequest,
    RegisterRequest, Registered, ReplaceRequest, Replaced, SelectRequest, StageRequest, StagedFile, StagedKind,
    StagedTable, TableReading, TombstoneRequest,
};
use skein_protocol::evidence::RuleCheck;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{ConnectionName, TableName};
use skein_protocol::inspection::{DescribedBy, Inspection, SourceColumn, SourceFile, SourceFormat, TargetState};
use skein_protocol::machine::source;
use skein_protocol::plan::Plan;
use skein_protocol::problem::{Code, Problem};
use skein_protocol::types::DataType;
use tokio::time::sleep;

use super::fault::{Call, Effect};
use super::rows::{Row, content, run, staged};
use super::world::{Inner, Late, Metadata, Object, World};

/// Moves numbers in a scripted world.
#[derive(Debug, Clone)]
pub struct ScriptedPlane(World);

impl ScriptedPlane {
    /// A data plane in this world.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self(world)
    }

    /// Makes one call: lets time pass, then does it in one step, with whatever goes wrong.
    async fn call<T>(
        &self,
        call: Call,
        table: Option<&TableName>,
        act: impl FnOnce(&mut Inner, Option<&Effect>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        sleep(self.0.duration()).await;
        let effect = self.0.lock().enter(call, table);
        if let Some(Effect::Hold(gate)) = &effect {
            gate.clone().pass().await;
        }
        let outcome = {
            let mut inner = self.0.lock();
            perform(&mut inner, call, table, effect.as_ref(), act)
        };
        sleep(self.0.duration()).await;
        outcome
    }
}

/// The one step of a call, and its line in the trace.
fn perform<T>(
    inner: &mut Inner,
    call: Call,
    table: Option<&TableName>,
    effect: Option<&Effect>,
    act: impl FnOnce(&mut Inner, Option<&Effect>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let outcome = match effect {
        Some(Effect::Fail(failure)) => Err(failure.clone()),
        Some(Effect::Panic) => {
            inner.note(format!("{call:?} {}: panic", name(table)));
            panic!("a scripted panic");
        }
        effect => act(inner, effect),
    };
    let outcome = match (effect, outcome) {
        (Some(Effect::FailAfter(failure)), Ok(_)) => Err(failure.clone()),
        (_, outcome) => outcome,
    };
    let said = match &outcome {
        Ok(_) => "done".to_owned(),
        Err(failure) => format!("{} {:?}", failure.code(), failure.outcome),
    };
    inner.note(format!("{call:?} {}: {said}", name(table)));
    if let (Some(Effect::GrowSource), Some(table)) = (effect, table) {
        inner.grow(table, &[4711]);
    }
    outcome
}

fn name(table: Option<&TableName>) -> String {
    table.map_or_else(|| "-".to_owned(), ToString::to_string)
}

fn refuse(code: Code, what: &str, why: &str) -> Failure {
    Failure::permanent(Problem::new(code, what, why, "correct the script"))
}

#[async_trait]
impl DataPlane for ScriptedPlane {
    async fn select(&self, _: SelectRequest) -> Result<Vec<TableName>, Failure> {
        self.call(Call::Select, None, |inner, _| Ok(inner.sources.keys().cloned().collect())).await
    }

    async fn inspect(&self, request: InspectRequest) -> Result<Inspection, Failure> {
        let dataset = request.dataset.clone();
        self.call(Call::Inspect, Some(&dataset), |inner, _| inspect(inner, request)).await
    }

    async fn list_source(&self, plan: Arc<Plan>) -> Result<Vec<SourceFile>, Failure> {
        let dataset = &plan.source.dataset;
        self.call(Call::ListSource, Some(dataset), |inner, _| Ok(list(inner, dataset))).await
    }

    async fn run_batch(&self, request: BatchRequest) -> Result<BatchResult, Failure> {
        let plan = request.plan.clone();
        self.call(Call::RunBatch, Some(&plan.source.dataset), |inner, effect| run_batch(inner, &request, effect)).await
    }

    async fn stage(&self, request: StageRequest) -> Result<StagedTable, Failure> {
        let plan = request.plan.clone();
        self.call(Call::Stage, Some(&plan.source.dataset), |inner, effect| {
            let staged = stage(inner, &request);
            if let Some(Effect::DamageFile) = effect {
                let files: Vec<String> = request.files.iter().map(|file| file.location.clone()).collect();
                inner.damage(&files);
            }
            Ok(staged)
        })
        .await
    }

    async fn read_staged(&self, request: ReadRequest) -> Result<TableReading, Failure> {
        let plan = request.plan.clone();
        self.call(Call::ReadStaged, Some(&plan.source.dataset), |inner, _| read_staged(inner, &request)).await
    }

    async fn register(&self, request: RegisterRequest) -> Result<Registered, Failure> {
        let target = request.name.clone();
        self.call(Call::Register, Some(&target), |inner, effect| {
            let change = Late {
                name: (request.connection.clone(), request.name.clone()),
                expected: request.replacing.clone(),
                location: Some(request.metadata_location.clone()),
            };
            if let Some(Effect::Late(failure)) = effect {
                inner.later(change);
                return Err(failure.clone());
            }
            Ok(if inner.change_name(&change) { Registered::Now } else { Registered::NameTaken })
        })
        .await
    }

    async fn load(&self, connection: ConnectionName, name: TableName) -> Result<Option<LoadedTable>, Failure> {
        let target = name.clone();
        self.call(Call::Load, Some(&target), |inner, _| load(inner, &(connection, name))).await
    }

    async fn stage_tombstone(&self, request: TombstoneRequest) -> Result<String, Failure> {
        let plan = request.plan.clone();
        self.call(Call::StageTombstone, Some(&plan.source.dataset), |inner, _| {
            let place = format!("{}-{}-{}-{}", plan.migration, request.run, request.epoch, request.attempt);
            let location = format!("{}/metadata/tombstone-{place}.json", plan.target.location);
            let hash = Hash256::of(location.as_bytes());
            let metadata = Metadata { uuid: request.uuid, files: Vec::new(), tombstone: true, hash };
            inner.create(&location, Object::Metadata(metadata));
            Ok(location)
        })
        .await
    }

    async fn replace(&self, request: ReplaceRequest) -> Result<Replaced, Failure> {
        let target = request.name.clone();
        self.call(Call::Replace, Some(&target), |inner, effect| {
            let name = (request.connection.clone(), request.name.clone());
            let change = Late {
                name: name.clone(),
                expected: Some(request.expected.clone()),
                location: request.replacement.clone(),
            };
            if let Some(Effect::Late(failure)) = effect {
                inner.later(change);
                return Err(failure.clone());
            }
            let done = inner.change_name(&change);
            Ok(if done { Replaced::Now } else { Replaced::Differs { found: inner.catalog.get(&name).cloned() } })
        })
        .await
    }

    async fn collect(&self, request: CollectRequest) -> Result<Collected, Failure> {
        self.call(Call::Collect, None, |inner, _| Ok(collect(inner, &request))).await
    }
}

fn inspect(inner: &Inner, request: InspectRequest) -> Result<Inspection, Failure> {
    let InspectRequest { connection, dataset, target_connection, target } = request;
    if !inner.sources.contains_key(&dataset) {
        return Err(refuse(Code::SourceUnreadable, "the table", "there is none"));
    }
    let standing = inner.catalog.get(&(target_connection, target.clone()));
    let occupied = standing.filter(|location| match inner.objects.get(*location) {
        Some(Object::Metadata(metadata)) => !metadata.tombstone,
        _ => true,
    });
    Ok(Inspection {
        location: format!("/legacy/{}.db/{}", dataset.database, dataset.table),
        connection,
        described_by: DescribedBy::Description,
        format: Some(SourceFormat::Parquet),
        columns: vec![SourceColumn { name: "id".to_owned(), data_type: DataType::BigInt, partition: false }],
        files: list(inner, &dataset),
        problems: Vec::new(),
        notes: Vec::new(),
        target: TargetState {
            location: format!("/lake/{}/{}", target.database, target.table),
            occupied_by: occupied.cloned(),
        },
        dataset,
    })
}

fn list(inner: &Inner, dataset: &TableName) -> Vec<SourceFile> {
    inner.sources.get(dataset).into_iter().flatten().map(|table| table.file.clone()).collect()
}

fn run_batch(inner: &mut Inner, request: &BatchRequest, effect: Option<&Effect>) -> Result<BatchResult, Failure> {
    let plan = &request.plan;
    if let Some(problem) = source::changes(plan, &list(inner, &plan.source.dataset)) {
        return Err(Failure::permanent(problem));
    }
    let batch = plan.batch(request.batch).ok_or_else(|| refuse(Code::Internal, "the batch", "the plan has none"))?;
    let files = inner.sources.get(&plan.source.dataset).map(Vec::as_slice).unwrap_or_default();
    let read: Vec<Row> = batch.inputs.iter().flat_map(|input| rows(input.file, files)).collect();
    let prior = prior(inner, &request.prior, batch.range)?;
    let (mut written, mut evidence) = run(request, batch, read, prior);
    if let Some(Effect::LoseRow) = effect {
        let lost = written.first_mut().and_then(|file| file.rows.pop());
        let left: Vec<Row> = written.iter().flat_map(|file| file.rows.iter().copied()).collect();
        evidence.found = super::rows::sum(&left);
        evidence.lossless_target = evidence.found;
        debug_assert!(lost.is_some(), "the script loses a row of a batch without rows");
    }
    let place = format!("{}/{}", plan.migration, request.run);
    let named = written.into_iter().enumerate().map(|(number, file)| {
        let name = format!("{}-{}-{}-{number}", request.epoch, request.batch, request.attempt);
        (format!("{}/data/{place}/{name}", plan.target.location), file)
    });
    let mut files = Vec::new();
    for (location, file) in named.collect::<Vec<_>>() {
        files.push(staged(location.clone(), &file));
        inner.create(&location, Object::Data(file.rows));
    }
    Ok(BatchResult { files, evidence })
}

fn rows(file: u32, files: &[super::world::SourceTable]) -> impl Iterator<Item = Row> {
    let values = files.get(file as usize).map(|table| table.values.clone()).unwrap_or_default();
    (0_u32..).zip(values).map(move |(place, value)| Row { value, file, place })
}

/// The rows of an earlier stage's files; those of one range, if the batch is about one.
fn prior(inner: &Inner, files: &[StagedFile], range: Option<u32>) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for file in files {
        if let (Some(range), StagedKind::Identities { range: of }) = (range, file.kind)
            && range != of
        {
            continue;
        }
        match inner.objects.get(&file.location) {
            Some(Object::Data(found)) => rows.extend(found.iter().copied()),
            _ => return Err(refuse(Code::StagedFileChanged, &file.location, "it is missing")),
        }
    }
    Ok(rows)
}

fn stage(inner: &mut Inner, request: &StageRequest) -> StagedTable {
    let plan = &request.plan;
    let place = format!("{}-{}-{}-{}", plan.migration, request.run, request.epoch, request.attempt);
    let location = format!("{}/metadata/{place}.json", plan.target.location);
    let files: Vec<String> = request.files.iter().map(|file| file.location.clone()).collect();
    let text = format!("{} {} {files:?} {:?}", request.uuid, request.at_millis, request.summary);
    let hash = Hash256::of(text.as_bytes());
    let metadata = Metadata { uuid: request.uuid, files, tombstone: false, hash };
    inner.create(&location, Object::Metadata(metadata));
    StagedTable {
        metadata_location: location,
        metadata_hash: hash,
        uuid: request.uuid,
        files: request.files.len() as u64,
        rows: request.files.iter().map(|file| file.rows).sum(),
        bytes: request.files.iter().map(|file| file.bytes).sum(),
    }
}

fn read_staged(inner: &Inner, request: &ReadRequest) -> Result<TableReading, Failure> {
    let Some(Object::Metadata(metadata)) = inner.objects.get(&request.table.metadata_location) else {
        return Err(refuse(Code::StagedFileChanged, &request.table.metadata_location, "it is missing"));
    };
    let mut reading =
        TableReading { metadata_hash: metadata.hash, files: metadata.files.len() as u64, ..TableReading::default() };
    for file in request.files.iter() {
        reading.files_compared += 1;
        match inner.objects.get(&file.location) {
            Some(Object::Data(rows)) if content(rows) == file.content => reading.manifest_rows += rows.len() as u64,
            Some(_) => reading.file_differences.push(format!("{} has other content than was recorded", file.location)),
            None => reading.file_differences.push(format!("{} is missing", file.location)),
        }
    }
    reading.summary_rows = reading.manifest_rows;
    reading.checks = request.plan.checks.sql.iter().map(holds).collect();
    Ok(reading)
}

fn holds(check: &skein_protocol::plan::SqlCheck) -> RuleCheck {
    RuleCheck { rule: check.name.clone(), checked: check.sql.clone(), holds: true, found: String::new() }
}

fn load(inner: &Inner, name: &(ConnectionName, TableName)) -> Result<Option<LoadedTable>, Failure> {
    let Some(location) = inner.catalog.get(name) else { return Ok(None) };
    let Some(Object::Metadata(metadata)) = inner.objects.get(location) else {
        return Err(refuse(Code::Io, location, "the name points at nothing"));
    };
    Ok(Some(LoadedTable { uuid: metadata.uuid, metadata_location: location.clone(), tombstone: metadata.tombstone }))
}

fn collect(inner: &mut Inner, request: &CollectRequest) -> Collected {
    let folder = format!("{}/data/{}/{}/", request.table_location, request.migration, request.run);
    let gone: Vec<String> = inner.objects.range(folder.clone()..).map(|(location, _)| location.clone()).collect();
    let mut collected = Collected::default();
    for location in gone.into_iter().filter(|one| one.starts_with(&folder) && !request.keep.contains(one)) {
        inner.objects.remove(&location);
        collected.files += 1;
    }
    collected
}
