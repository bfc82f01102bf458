//! Calls about whole tables in the scripted world: inspect and list a source, stage, read, load, collect.
//!
//! In: requests. Out: answers, each in one step. Holds: nothing. Not here: when they happen and what goes wrong (`plane`).

use skein_protocol::data_plane::{
    CollectRequest, Collected, Failure, InspectRequest, LoadedTable, ReadRequest, RegisterRequest, StageRequest,
    StagedTable, TableReading, TombstoneRequest,
};
use skein_protocol::evidence::RuleCheck;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{Attempt, Epoch};
use skein_protocol::inspection::{DescribedBy, Documentation, Inspection, SourceFile, SourceFormat, TargetState};
use skein_protocol::machine::source;
use skein_protocol::plan::Plan;
use skein_protocol::problem::Code;

use super::cells;
use super::fault::Effect;
use super::faults::Strike;
use super::inner::{Inner, Name};
use super::outside::Author;
use super::plane::list;
use super::rows::refuse;
use super::store::{Metadata, Object};

pub(super) fn inspect(inner: &Inner, request: InspectRequest) -> Result<Inspection, Failure> {
    let InspectRequest { connection, dataset, target_connection, target } = request;
    let Some(source) = inner.sources.get(&dataset).filter(|source| source.files().is_some()) else {
        return Err(refuse(Code::SourceUnreadable, "the table", "there is none"));
    };
    let standing = inner.catalog.get(&(target_connection, target.clone()));
    let occupied = standing.filter(|location| inner.store.metadata(location).is_none_or(|table| !table.tombstone));
    Ok(Inspection {
        location: format!("/legacy/{}.db/{}", dataset.database, dataset.table),
        connection,
        described_by: DescribedBy::Description,
        format: Some(SourceFormat::Parquet),
        columns: cells::columns(source.is_partitioned()),
        files: list(inner, &dataset),
        partitioning: Vec::new(),
        documentation: Documentation::default(),
        problems: Vec::new(),
        notes: Vec::new(),
        target: TargetState {
            location: format!("/lake/{}/{}", target.database, target.table),
            occupied_by: occupied.cloned(),
        },
        dataset,
    })
}

pub(super) fn list_source(inner: &mut Inner, plan: &Plan) -> Result<Vec<SourceFile>, Failure> {
    let dataset = &plan.source.dataset;
    let Some(source) = inner.sources.get(dataset).filter(|source| source.files().is_some()) else {
        return Err(refuse(Code::SourceChanged, "the table is not where it was planned", "its folder is gone"));
    };
    let listed = list(inner, dataset);
    if source::changes(plan, &listed).is_none()
        && let Some(version) = source.version_of(&listed)
    {
        inner.record.source_listed(&inner.store, plan.migration, version);
    }
    Ok(listed)
}

pub(super) fn stage(inner: &mut Inner, machine: Option<usize>, request: &StageRequest) -> StagedTable {
    let plan = &request.plan;
    let place = format!("{}-{}-{}-{}", plan.migration, request.run, request.epoch, request.attempt);
    let location = format!("{}/metadata/{place}.json", plan.target.location);
    let files: Vec<&String> = request.files.iter().map(|file| &file.location).collect();
    let text = format!("{} {} {files:?} {:?}", request.uuid, request.at_millis, request.summary);
    let hash = Hash256::of(text.as_bytes());
    let dataset = &plan.source.dataset;
    let version = inner.sources.get(dataset).and_then(|source| source.version_of(&plan.source.files));
    let author = Author { migration: plan.migration, run: request.run, epoch: request.epoch, attempt: request.attempt };
    let metadata = Metadata {
        uuid: request.uuid,
        columns: plan.target.columns.iter().map(|column| column.name.clone()).collect(),
        files: request.files.to_vec(),
        tombstone: false,
        hash,
        author: Some(author),
        source: Some((dataset.clone(), version)),
    };
    inner.create(machine, &location, Object::Metadata(metadata), author);
    StagedTable {
        metadata_location: location,
        metadata_hash: hash,
        uuid: request.uuid,
        files: request.files.len() as u64,
        rows: request.files.iter().map(|file| file.rows).sum(),
        bytes: request.files.iter().map(|file| file.bytes).sum(),
    }
}

pub(super) fn read_staged(
    inner: &mut Inner,
    request: &ReadRequest,
    strike: Option<&Strike>,
) -> Result<TableReading, Failure> {
    let at = &request.table.metadata_location;
    let Some(table) = inner.store.metadata(at) else {
        return Err(refuse(Code::StagedFileChanged, at, "it is missing"));
    };
    let mut reading =
        TableReading { metadata_hash: table.hash, files: table.files.len() as u64, ..TableReading::default() };
    for file in request.files.iter() {
        reading.files_compared += 1;
        match inner.store.get(&file.location) {
            Some(object) if object.content() == file.content => reading.manifest_rows += object.rows(),
            Some(_) => reading.file_differences.push(format!("{} has other content than was recorded", file.location)),
            None => reading.file_differences.push(format!("{} is missing", file.location)),
        }
    }
    reading.summary_rows = reading.manifest_rows;
    reading.partition_read = partition_read(inner, request);
    reading.checks = request.plan.checks.sql.iter().map(holds).collect();
    if let (Some(Strike { effect: Effect::Misread, name }), Some(file)) = (strike, request.files.first()) {
        reading.file_differences.push(format!("{} reads with other content than was recorded", file.location));
        inner.faults.count(name);
    }
    if reading.file_differences.is_empty() {
        inner.record.was_read_back(at);
    }
    Ok(reading)
}

/// Rows of the first file's partition, counted by their cells, against those of the files that claim to lie in it.
fn partition_read(inner: &Inner, request: &ReadRequest) -> Option<RuleCheck> {
    let field = request.plan.target.partitioning.first()?;
    let wanted = request.files.first()?.partition.first()?;
    let place = request.plan.target.columns.iter().position(|column| column.name == field.column)?;
    let rows = request.files.iter().filter_map(|file| match inner.store.get(&file.location) {
        Some(Object::Data(rows)) => Some(rows),
        _ => None,
    });
    let by_cells = rows.flatten().filter(|row| row[place].as_deref() == wanted.as_str()).count() as u64;
    let of_partition = request.files.iter().filter(|file| file.partition.first() == Some(wanted));
    let by_files: u64 = of_partition.map(|file| file.rows).sum();
    Some(RuleCheck {
        rule: "partition".to_owned(),
        checked: format!("{} = {wanted}", field.column),
        holds: by_cells == by_files,
        found: format!("{by_cells} rows by their cells, {by_files} by their files"),
    })
}

fn holds(check: &skein_protocol::plan::SqlCheck) -> RuleCheck {
    RuleCheck { rule: check.name.clone(), checked: check.sql.clone(), holds: true, found: String::new() }
}

pub(super) fn load(inner: &Inner, name: &Name) -> Result<Option<LoadedTable>, Failure> {
    let Some(location) = inner.catalog.get(name) else { return Ok(None) };
    let Some(table) = inner.store.metadata(location) else {
        return Err(refuse(Code::Io, location, "the name points at nothing"));
    };
    Ok(Some(LoadedTable { uuid: table.uuid, metadata_location: location.clone(), tombstone: table.tombstone }))
}

/// Notes what a registration met.
pub(super) fn mark_registration(inner: &mut Inner, request: &RegisterRequest, done: bool, strike: Option<&Strike>) {
    if done || strike.is_some_and(|strike| matches!(strike.effect, Effect::Conflict)) {
        return;
    }
    let standing = inner.catalog.get(&(request.connection.clone(), request.name.clone()));
    let Some(standing) = standing else { return };
    if *standing == request.metadata_location {
        inner.record.mark("registration repeated");
    } else if inner.store.metadata(standing).is_some_and(|table| table.tombstone) {
        inner.record.mark("zombie publication refused by a tombstone");
    } else {
        inner.record.mark("registration refused: the name is taken");
    }
}

pub(super) fn stage_tombstone(inner: &mut Inner, machine: Option<usize>, request: &TombstoneRequest) -> String {
    let plan = &request.plan;
    let place = format!("{}-{}-{}-{}", plan.migration, request.run, request.epoch, request.attempt);
    let location = format!("{}/metadata/tombstone-{place}.json", plan.target.location);
    let author = Author { migration: plan.migration, run: request.run, epoch: request.epoch, attempt: request.attempt };
    let metadata = Metadata {
        uuid: request.uuid,
        columns: plan.target.columns.iter().map(|column| column.name.clone()).collect(),
        files: Vec::new(),
        tombstone: true,
        hash: Hash256::of(location.as_bytes()),
        author: Some(author),
        source: None,
    };
    inner.create(machine, &location, Object::Metadata(metadata), author);
    location
}

/// Removes files of hand-outs by this epoch or older that are not to be kept.
pub(super) fn collect(inner: &mut Inner, machine: Option<usize>, request: &CollectRequest) -> Collected {
    let folder = format!("{}/data/{}/{}/", request.table_location, request.migration, request.run);
    let author =
        Author { migration: request.migration, run: request.run, epoch: request.up_to, attempt: Attempt::default() };
    let mut collected = Collected::default();
    for location in inner.store.below(&folder) {
        let epoch = location[folder.len()..].split('-').next().and_then(|epoch| epoch.parse().ok()).map(Epoch);
        if request.keep.contains(&location) || epoch.is_none_or(|epoch| epoch > request.up_to) {
            continue;
        }
        inner.delete(machine, &location, author);
        collected.files += 1;
    }
    collected
}
