//! Reading a table back the way its readers will: metadata file, manifest list, manifests, data files.
//!
//! In: a metadata location, the ledger's list of files. Out: what differs, rows. Holds: nothing.
//! Not here: writing, judging (the control plane), row checksums (`batch`).
//!
//! Everything is parsed by iceberg-rust and by parquet, never by the code that wrote it.

use std::collections::HashMap;

use iceberg::spec::{
    DataContentType, FieldSummary, Manifest, ManifestContentType, ManifestList, PrimitiveLiteral, TableMetadata,
};
use skein_protocol::data_plane::{Failure, ReadRequest, StagedFile, TableReading};
use skein_protocol::hash::Hash256;
use skein_protocol::problem::{Code, Problem};

use super::schema::TableShape;
use super::stage::partition_of;
use crate::failure;
use crate::files::Files;

mod partition_read;
mod scan;
#[cfg(test)]
mod tests;

pub use scan::Scan;

/// Sentences about differences that are kept; the first few tell what is wrong.
const MAX_SENTENCES: usize = 20;

/// A table's metadata, read and parsed.
#[derive(Debug)]
pub struct Contents {
    /// Hash of the metadata file.
    pub metadata_hash: Hash256,
    /// The metadata.
    pub metadata: TableMetadata,
    /// The current snapshot's manifests; none without a snapshot.
    pub manifests: Vec<ReadManifest>,
    /// `total-records` of the current snapshot's summary; 0 without a snapshot.
    pub summary_rows: u64,
}

/// A manifest and what it lists.
#[derive(Debug)]
pub struct ReadManifest {
    /// Its location.
    pub location: String,
    /// The ranges of partition values that the manifest list promises.
    pub partitions: Vec<FieldSummary>,
    /// Files that the manifest list promises.
    pub promised_files: u64,
    /// Rows that the manifest list promises.
    pub promised_rows: u64,
    /// Data files that are alive.
    pub files: Vec<ListedFile>,
}

/// A data file as a manifest lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedFile {
    /// Its location.
    pub location: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Its partition.
    pub partition: Vec<Option<PrimitiveLiteral>>,
}

impl Contents {
    /// Reads the metadata file at `location` and all that it names, data files excepted.
    ///
    /// # Errors
    /// When something is missing or cannot be parsed.
    pub fn read(files: &Files, location: &str) -> Result<Self, Failure> {
        let bytes = read_file(files, location)?;
        let metadata: TableMetadata =
            serde_json::from_slice(&bytes).map_err(|error| damaged(location, &error.to_string()))?;
        let (mut manifests, mut summary_rows) = (Vec::new(), 0);
        if let Some(snapshot) = metadata.current_snapshot() {
            let total =
                snapshot.summary().additional_properties.get("total-records").and_then(|total| total.parse().ok());
            summary_rows = total.ok_or_else(|| damaged(location, "its snapshot's summary has no total-records"))?;
            let list = snapshot.manifest_list();
            let parsed = ManifestList::parse_with_version(&read_file(files, list)?, metadata.format_version());
            for manifest in parsed.map_err(|error| damaged(list, &error.to_string()))?.consume_entries() {
                manifests.push(ReadManifest::read(files, manifest)?);
            }
        }
        Ok(Self { metadata_hash: Hash256::of(&bytes), metadata, manifests, summary_rows })
    }

    /// All data files, manifest by manifest.
    pub fn files(&self) -> impl Iterator<Item = &ListedFile> {
        self.manifests.iter().flat_map(|manifest| &manifest.files)
    }
}

impl ReadManifest {
    fn read(from: &Files, listed: iceberg::spec::ManifestFile) -> Result<Self, Failure> {
        let location = listed.manifest_path;
        let bytes = read_file(from, &location)?;
        let promised = u64::try_from(listed.manifest_length).unwrap_or(0);
        if promised != bytes.len() as u64 {
            return Err(damaged(
                &location,
                &format!("it has {} bytes, the manifest list says {promised}", bytes.len()),
            ));
        }
        if listed.content != ManifestContentType::Data {
            return Err(damaged(&location, "it lists deletions, which a new table has none of"));
        }
        let manifest = Manifest::parse_avro(&bytes).map_err(|error| damaged(&location, &error.to_string()))?;
        let mut files = Vec::with_capacity(manifest.entries().len());
        for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
            let file = entry.data_file();
            if file.content_type() != DataContentType::Data {
                return Err(damaged(&location, &format!("{} is no data file", file.file_path())));
            }
            let partition = file
                .partition()
                .iter()
                .map(|value| value.and_then(iceberg::spec::Literal::as_primitive_literal))
                .collect();
            let (bytes, rows) = (file.file_size_in_bytes(), file.record_count());
            files.push(ListedFile { location: file.file_path().to_owned(), bytes, rows, partition });
        }
        Ok(Self {
            location,
            partitions: listed.partitions.unwrap_or_default(),
            promised_files: u64::from(listed.added_files_count.unwrap_or(0)),
            promised_rows: listed.added_rows_count.unwrap_or(0),
            files,
        })
    }
}

/// Reads a staged table and compares it with the ledger's list: metadata, manifests, lengths and, if the plan wants
/// checksums, the content of every file; then one partition through its filter. SQL checks are left empty.
///
/// # Errors
/// When the metadata cannot be read at all. What merely differs is in the reading.
pub fn read_staged(from: &Files, request: &ReadRequest) -> Result<TableReading, Failure> {
    let shape = TableShape::of(&request.plan.target)?;
    let contents = Contents::read(from, &request.table.metadata_location)?;
    let mut differences = Differences::default();
    compare_metadata(request, &shape, &contents, &mut differences);
    let files_compared = compare_files(from, request, &shape, &contents, &mut differences)?;
    let partition_read = partition_read::check(from, request, &shape, &contents)?;
    Ok(TableReading {
        metadata_hash: contents.metadata_hash,
        files: contents.files().count() as u64,
        manifest_rows: contents.files().map(|file| file.rows).sum(),
        summary_rows: contents.summary_rows,
        files_compared,
        file_differences: differences.into_sentences(),
        partition_read,
        checks: Vec::new(),
    })
}

/// Sentences, of which the first few are kept and all are counted.
#[derive(Default)]
struct Differences {
    sentences: Vec<String>,
    count: usize,
}

impl Differences {
    fn add(&mut self, sentence: String) {
        self.count += 1;
        if self.sentences.len() < MAX_SENTENCES {
            self.sentences.push(sentence);
        }
    }

    fn into_sentences(mut self) -> Vec<String> {
        let more = self.count - self.sentences.len();
        if more > 0 {
            self.sentences.push(format!("and {more} more differences"));
        }
        self.sentences
    }
}

fn compare_metadata(request: &ReadRequest, shape: &TableShape, contents: &Contents, differences: &mut Differences) {
    let (metadata, location) = (&contents.metadata, &request.table.metadata_location);
    if metadata.uuid() != request.table.uuid.0 {
        differences.add(format!(
            "{location}: the table's uuid is {}, expected {}",
            metadata.uuid(),
            request.table.uuid
        ));
    }
    if metadata.current_schema().as_struct() != shape.schema.as_struct() {
        differences.add(format!("{location}: its columns are not the plan's"));
    }
    if metadata.default_partition_spec().fields() != shape.spec.fields() {
        differences.add(format!("{location}: its partition fields are not the plan's"));
    }
    if metadata.default_sort_order().as_ref() != &shape.sort {
        differences.add(format!("{location}: its sort order is not the plan's"));
    }
    if metadata.format_version() as u8 != shape.format_version {
        differences.add(format!("{location}: its format version is {}, not the plan's", metadata.format_version()));
    }
    for manifest in &contents.manifests {
        let (files, rows) = (manifest.files.len() as u64, manifest.files.iter().map(|file| file.rows).sum::<u64>());
        if (files, rows) != (manifest.promised_files, manifest.promised_rows) {
            let (promised_files, promised_rows) = (manifest.promised_files, manifest.promised_rows);
            differences.add(format!(
                "{}: it lists {files} files with {rows} rows, the manifest list says {promised_files} with {promised_rows}",
                manifest.location
            ));
        }
    }
}

/// Compares every listed file with the ledger's record of it, and with the disk; how many were looked at on the disk.
fn compare_files(
    from: &Files,
    request: &ReadRequest,
    shape: &TableShape,
    contents: &Contents,
    differences: &mut Differences,
) -> Result<u64, Failure> {
    let mut recorded: HashMap<&str, &StagedFile> = HashMap::with_capacity(request.files.len());
    for file in request.files.iter() {
        let path = file.location.strip_prefix("file://").unwrap_or(&file.location);
        if recorded.insert(path, file).is_some() {
            differences.add(format!("{}: the ledger has it twice", file.location));
        }
    }
    let mut compared = 0;
    for listed in contents.files() {
        let Some(file) = recorded.remove(listed.location.as_str()) else {
            differences.add(format!(
                "{}: the manifests list it, the ledger does not (or they list it twice)",
                listed.location
            ));
            continue;
        };
        let partition = partition_of(shape, file)?;
        if (listed.bytes, listed.rows, &listed.partition) != (file.bytes, file.rows, &partition) {
            let found = format!("{} bytes, {} rows, partition {:?}", listed.bytes, listed.rows, listed.partition);
            let expected = format!("{} bytes, {} rows, partition {partition:?}", file.bytes, file.rows);
            differences.add(format!("{}: the manifests say {found}; the ledger says {expected}", listed.location));
        }
        compared += 1;
        if let Some(sentence) = compare_with_disk(from, file, request.plan.checks.final_checksum)? {
            differences.add(sentence);
        }
    }
    let mut missing: Vec<&StagedFile> = recorded.into_values().collect();
    missing.sort_by(|one, other| one.location.cmp(&other.location));
    missing
        .iter()
        .for_each(|file| differences.add(format!("{}: the ledger has it, the manifests do not", file.location)));
    Ok(compared)
}

fn compare_with_disk(from: &Files, file: &StagedFile, content: bool) -> Result<Option<String>, Failure> {
    let place = &file.location;
    let found = if content { from.hash(place) } else { from.length(place).map(|bytes| (bytes, file.content)) };
    match found {
        Ok((bytes, _)) if bytes != file.bytes => {
            Ok(Some(format!("{}: it has {bytes} bytes, {} were written", file.location, file.bytes)))
        }
        Ok((_, hash)) if hash != file.content => Ok(Some(format!(
            "{}: the hash of its content is {hash}, that of what was written {}",
            file.location, file.content
        ))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Some(format!("{}: it is missing", file.location)))
        }
        Err(error) => Err(failure::of_io("reading a staged file", &file.location, &error)),
    }
}

fn read_file(files: &Files, location: &str) -> Result<Vec<u8>, Failure> {
    files.read(location).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => damaged(location, "it is missing"),
        std::io::ErrorKind::InvalidInput => damaged(location, &error.to_string()),
        _ => failure::of_io("reading table metadata", location, &error),
    })
}

fn damaged(location: &str, why: &str) -> Failure {
    let next =
        "Find out what changed files below the target's warehouse; then retry the migration, which writes them anew";
    Failure::permanent(Problem::new(
        Code::StagedFileChanged,
        "a table's metadata cannot be read back",
        format!("{location}: {why}"),
        next,
    ))
}
