//! Staging: manifests, a manifest list and a metadata file over data files that are written already.
//!
//! In: the ledger's list of data files. Out: a complete table under names of this try's own; nobody sees it yet.
//! Holds: the size of manifests. Not here: registering it (`catalog`), looking at it again (`read`).
//!
//! The same request writes the same bytes under the same names, so a call that was cut short can be made again.

use std::collections::{BTreeMap, BTreeSet};

use skein_protocol::data_plane::{Failure, StageRequest, StagedFile, StagedKind, StagedTable};
use skein_protocol::hash::Hash256;
use skein_protocol::problem::{Code, Problem};

use super::manifest::{self, Entry, Listed};
use super::metadata::{FIRST_SEQUENCE_NUMBER, MetadataPart, SnapshotPart, document};
use super::names::{MetadataNames, table_place};
use super::schema::TableShape;
use super::{statistics, value};
use crate::failure;
use crate::files::Files;

#[cfg(test)]
mod tests;

/// Most files in one manifest: readers take manifests side by side, and a manifest is in memory as a whole.
const MAX_ENTRIES: usize = 4_096;
/// Fewest, however many columns a table has.
const MIN_ENTRIES: usize = 16;
/// Columns times files in one manifest; each takes some 60 bytes, so a manifest stays below about eight megabytes.
const COLUMNS_PER_MANIFEST: usize = 128 * 1_024;
/// Bytes of manifests that wait for their names, before they are written out.
const MAX_PENDING_BYTES: usize = 16 * 1_024 * 1_024;

/// Writes the metadata of a table over its staged files; durable when it returns.
///
/// # Errors
/// When a staged file is missing or not as it was recorded, or the disk refuses. Nothing is visible then.
pub fn stage(files: &Files, request: &StageRequest) -> Result<StagedTable, Failure> {
    let (plan, target) = (&request.plan, &request.plan.target);
    let shape = TableShape::of(target)?;
    let names =
        MetadataNames::of(&target.location, "table", plan.migration, request.run, request.epoch, request.attempt)?;
    let mut pending = Pending { files, set: Vec::new(), bytes: 0 };

    let mut manifests = Vec::new();
    let entries = (COLUMNS_PER_MANIFEST / target.columns.len().max(1)).clamp(MIN_ENTRIES, MAX_ENTRIES);
    for (number, chunk) in request.files.chunks(entries).enumerate() {
        let path = names.manifest(number);
        let (listed, bytes) = write_manifest(files, &shape, &names, &path, chunk)?;
        manifests.push(listed);
        pending.add(path, bytes)?;
    }
    let list_path = names.manifest_list();
    let marker = names.marker("list");
    pending.add(
        list_path.clone(),
        manifest::manifest_list(&shape, &manifests, names.snapshot_id(), FIRST_SEQUENCE_NUMBER, marker),
    )?;

    let totals = Totals::of(&request.files);
    let at_millis =
        i64::try_from(request.at_millis).map_err(|_| failure::internal("staging", "a time is beyond 63 bits"))?;
    let metadata = document(&MetadataPart {
        plan,
        run: request.run,
        location: names.place(),
        shape: &shape,
        uuid: request.uuid,
        at_millis,
        snapshot: Some(SnapshotPart {
            id: names.snapshot_id(),
            manifest_list: list_path,
            rows: totals.rows,
            summary: totals.summary(request),
        }),
        tombstone: false,
    });
    let metadata_hash = Hash256::of(&metadata);
    pending.add(names.metadata(), metadata)?;
    pending.write()?;
    let metadata_location = names.metadata();
    Ok(StagedTable {
        metadata_location,
        metadata_hash,
        uuid: request.uuid,
        files: totals.files,
        rows: totals.rows,
        bytes: totals.bytes,
    })
}

/// Files that are complete in memory and not yet on the disk, in the order in which they get their names.
struct Pending<'a> {
    files: &'a Files,
    set: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

impl Pending<'_> {
    fn add(&mut self, path: String, bytes: Vec<u8>) -> Result<(), Failure> {
        self.bytes += bytes.len();
        self.set.push((path, bytes));
        if self.bytes > MAX_PENDING_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Failure> {
        write_metadata_files(self.files, &self.set)?;
        self.set.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// Writes metadata files, all durable when it returns.
///
/// # Errors
/// When another file stands under one of the names, or the disk refuses.
pub(super) fn write_metadata_files(files: &Files, set: &[(String, Vec<u8>)]) -> Result<(), Failure> {
    let borrowed: Vec<(&str, &[u8])> = set.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let place = || set.last().map(|(path, _)| path.clone()).unwrap_or_default();
    files.write_new_set(&borrowed).map_err(|error| failure::of_io("writing table metadata", &place(), &error))
}

fn write_manifest(
    files: &Files,
    shape: &TableShape,
    names: &MetadataNames,
    path: &str,
    chunk: &[StagedFile],
) -> Result<(Listed, Vec<u8>), Failure> {
    let entries: Vec<Entry> = chunk.iter().map(|file| entry(files, shape, file)).collect::<Result<_, _>>()?;
    let refused = |error: value::NotAValue| failure::internal("writing a manifest", error.to_string());
    let marker = names.marker(path);
    let bytes = manifest::manifest(shape, &entries, names.snapshot_id(), marker).map_err(refused)?;
    let partitions = manifest::summaries(shape, &entries).map_err(refused)?;
    let rows = chunk.iter().map(|file| file.rows).sum();
    let listed = Listed { location: path.to_owned(), bytes: bytes.len(), files: entries.len(), rows, partitions };
    Ok((listed, bytes))
}

/// What the manifest says of a staged file. Its length and row count are compared with the record here; its content
/// is when the table is read back.
fn entry(files: &Files, shape: &TableShape, file: &StagedFile) -> Result<Entry, Failure> {
    if file.kind != StagedKind::Data {
        return Err(failure::internal("staging a table", format!("{} holds no rows of the target", file.location)));
    }
    let place = table_place(&file.location)?;
    let opened = files.open(&place).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => changed(file, "it is missing"),
        _ => failure::of_io("looking at a staged file", &file.location, &error),
    })?;
    if opened.length() != file.bytes {
        return Err(changed(file, &format!("it has {} bytes instead of {}", opened.length(), file.bytes)));
    }
    let statistics = statistics::read(&opened, &shape.schema).map_err(|error| {
        failure::of_error("reading a staged file's footer", &file.location, &error, Code::StagedFileChanged)
    })?;
    if statistics.rows != file.rows {
        return Err(changed(file, &format!("it has {} rows instead of {}", statistics.rows, file.rows)));
    }
    Ok(Entry { location: place, bytes: file.bytes, partition: partition_of(shape, file)?, statistics })
}

/// The partition of a staged file as values.
pub(super) fn partition_of(
    shape: &TableShape,
    file: &StagedFile,
) -> Result<Vec<Option<iceberg::spec::PrimitiveLiteral>>, Failure> {
    let kinds = shape.partition_primitives();
    if kinds.len() != file.partition.len() {
        let why = format!(
            "{} has {} partition values, the table has {} fields",
            file.location,
            file.partition.len(),
            kinds.len()
        );
        return Err(failure::internal("staging a table", why));
    }
    let values = kinds.iter().zip(&file.partition).map(|(kind, json)| value::from_json(kind, json));
    values
        .collect::<Result<_, _>>()
        .map_err(|error| failure::internal("staging a table", format!("{}: {error}", file.location)))
}

fn changed(file: &StagedFile, why: &str) -> Failure {
    let next =
        "Find out what changed files below the target's warehouse; then retry the migration, which writes them anew";
    Failure::permanent(Problem::new(
        Code::StagedFileChanged,
        "a staged file is not as it was recorded",
        format!("{}: {why}", file.location),
        next,
    ))
}

/// Sums over data files.
struct Totals {
    files: u64,
    rows: u64,
    bytes: u64,
    partitions: usize,
}

impl Totals {
    fn of(files: &[StagedFile]) -> Self {
        let partitions: BTreeSet<String> =
            files.iter().map(|file| serde_json::Value::from(file.partition.clone()).to_string()).collect();
        Self {
            files: files.len() as u64,
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            partitions: partitions.len(),
        }
    }

    /// The snapshot's summary: what the caller gave, and Iceberg's own keys, which win.
    fn summary(&self, request: &StageRequest) -> BTreeMap<String, String> {
        let mut summary = request.summary.clone();
        let mut set = |name: &str, value: String| summary.insert(name.to_owned(), value);
        set("operation", "append".to_owned());
        set("added-data-files", self.files.to_string());
        set("added-records", self.rows.to_string());
        set("added-files-size", self.bytes.to_string());
        set("changed-partition-count", self.partitions.to_string());
        set("total-data-files", self.files.to_string());
        set("total-records", self.rows.to_string());
        set("total-files-size", self.bytes.to_string());
        for name in ["total-delete-files", "total-position-deletes", "total-equality-deletes"] {
            set(name, "0".to_owned());
        }
        summary
    }
}
