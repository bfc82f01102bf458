//! The data files of a table's current snapshot, from its manifests, and where they lie.
//!
//! In: a table's metadata. Out: [`DataFiles`]; what prevents reading them as problems. Not here: what is in them (`check`).

use std::collections::HashMap;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use iceberg::spec::{
    DataContentType, DataFile, DataFileFormat, Literal, Manifest, ManifestContentType, ManifestList, SchemaRef,
    Transform, Type,
};
use serde_json::Value;
use skein_protocol::problem::{Code, Problem};

use super::super::decoding::{DecodeFailure, guarded};
use super::super::findings::Findings;
use super::super::fingerprint::Identity;
use super::super::listing::{Found, Listing, MAX_FILES};
use super::super::location::{Roots, unreadable};
use super::super::places::object;
use super::table::{Table, damaged, locate, read_file};

/// Data files and what manifests say of them, position by position.
#[derive(Debug)]
pub(super) struct DataFiles {
    pub(super) listing: Listing,
    pub(super) promised: Vec<Promised>,
}

/// What a manifest says of a file.
#[derive(Debug)]
pub(super) struct Promised {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// Values that its partition has for whole columns, by the columns' ids.
    identity: Vec<(i32, Option<Literal>)>,
    /// The schema that the manifest was written with: it types these values.
    schema: SchemaRef,
    /// Whether it was written under another spec than the default one.
    other_spec: bool,
}

/// A file of which only the manifest is known.
struct Named {
    location: String,
    promised: Promised,
}

impl Promised {
    /// The partition's value of a column, in Iceberg's JSON form; none if the file is not partitioned by it as it is.
    pub(super) fn value(&self, id: i32) -> Option<Result<Value, String>> {
        let (_, value) = self.identity.iter().find(|(source, _)| *source == id)?;
        Some(match value {
            None => Ok(Value::Null),
            Some(value) => {
                let unknown = Type::Primitive(iceberg::spec::PrimitiveType::String);
                let kind = self.schema.field_by_id(id).map_or(&unknown, |field| field.field_type.as_ref());
                value.clone().try_into_json(kind).map_err(|error| error.to_string())
            }
        })
    }
}

impl DataFiles {
    /// All data files. One that is missing is a problem.
    pub(super) fn of(table: &Table, roots: &Roots, findings: &mut Findings) -> Option<Self> {
        Self::found(table, roots, findings, true)
    }

    /// The data files that are there.
    pub(super) fn present(table: &Table, roots: &Roots, findings: &mut Findings) -> Option<Self> {
        Self::found(table, roots, findings, false)
    }

    fn found(table: &Table, roots: &Roots, findings: &mut Findings, all: bool) -> Option<Self> {
        let named = match named(table, roots, findings) {
            Ok(named) => named,
            Err(problem) => {
                findings.add(problem);
                return None;
            }
        };
        if findings.prevented() {
            return None;
        }
        let known = match in_store(table, roots, named.len()) {
            Ok(known) => known,
            Err(problem) => {
                findings.add(problem);
                return None;
            }
        };
        let mut files = Vec::with_capacity(named.len());
        for Named { location, promised } in named {
            let path = match locate(roots, &location) {
                Ok(path) => path,
                Err(problem) => {
                    findings.add(problem);
                    continue;
                }
            };
            let identity = match known.get(&path) {
                Some(identity) => Ok(identity.clone()),
                None => roots.places().identity(&path),
            };
            match identity {
                Ok(identity) => {
                    let relative = relative(&table.location, &path);
                    files.push((Found { relative, path, identity, partition: Vec::new() }, promised));
                }
                Err(error) if error.kind() == ErrorKind::NotFound && !all => {}
                Err(error) => findings.add(unreadable(&path, &error)),
            }
        }
        files.sort_by(|(one, _), (other, _)| one.relative.cmp(&other.relative));
        for pair in files.windows(2) {
            if pair[0].0.relative == pair[1].0.relative {
                findings.problem(
                    Code::LayoutUnsupported,
                    format!("{:?} is in the table twice", pair[0].0.relative),
                    "readers do not agree whether its rows count twice",
                    "Let the engine rewrite the table's files (rewrite_data_files)",
                );
            }
        }
        let (found, promised): (Vec<Found>, Vec<Promised>) = files.into_iter().unzip();
        let other = promised.iter().filter(|promised| promised.other_spec).count();
        if other > 0 {
            findings.note(format!(
                "{other} of {} files were written under an earlier partition spec; what is kept of the partitioning is the default spec alone.",
                promised.len()
            ));
        }
        Some(Self { listing: Listing { files: found, keys: Vec::new() }, promised })
    }
}

/// The path of a file below its table's place, else the whole one.
fn relative(table: &Path, file: &Path) -> String {
    file.strip_prefix(table).unwrap_or(file).display().to_string()
}

/// What a table's folder in a store holds: a list tells of a thousand objects at once. Nothing of folders on disks.
fn in_store(table: &Table, roots: &Roots, wanted: usize) -> Result<HashMap<PathBuf, Identity>, Problem> {
    let Some(location) = object(&table.location).filter(|_| wanted > 1) else { return Ok(HashMap::new()) };
    let found = roots.places().objects_below(&table.location, MAX_FILES);
    let found = found.map_err(|error| unreadable(Path::new(location), &error))?;
    Ok(found.into_iter().collect())
}

/// The files that the current snapshot's manifests name.
fn named(table: &Table, roots: &Roots, findings: &mut Findings) -> Result<Vec<Named>, Problem> {
    let metadata = &table.metadata;
    let Some(snapshot) = metadata.current_snapshot() else { return Ok(Vec::new()) };
    let location = snapshot.manifest_list();
    let bytes = read_file(roots, location)?;
    findings.telling().reading(0, location);
    let list = parsed(location, || ManifestList::parse_with_version(&bytes, metadata.format_version()))?;
    let mut named = Vec::new();
    let mut deletes = 0_usize;
    for listed in list.consume_entries() {
        let location = &listed.manifest_path;
        let bytes = read_file(roots, location)?;
        if listed.key_metadata.is_some() {
            findings.add(encrypted(location));
            continue;
        }
        findings.telling().reading(0, location);
        let manifest = parsed(location, || Manifest::parse_avro(&bytes))?;
        let alive = manifest.entries().iter().filter(|entry| entry.is_alive());
        if listed.content == ManifestContentType::Deletes {
            deletes += alive.count();
            continue;
        }
        let other_spec = listed.partition_spec_id != metadata.default_partition_spec_id();
        for entry in alive {
            let file = entry.data_file();
            if named.len() == MAX_FILES {
                let next = "Let the engine merge small files (rewrite_data_files)";
                let what = format!("The table has more than {MAX_FILES} data files");
                return Err(Problem::new(Code::LayoutUnsupported, what, "a plan would not fit into memory", next));
            }
            if let Some(problem) = refused(file) {
                findings.add(problem);
                continue;
            }
            let promised = promised(&manifest, file, other_spec);
            named.push(Named { location: file.file_path().to_owned(), promised });
        }
    }
    if deletes > 0 {
        findings.problem(
            Code::LayoutUnsupported,
            "Rows of the table are deleted by delete files or deletion vectors",
            format!("the current snapshot has {deletes} of them, which Skein does not apply"),
            "Let the engine compact them first (rewrite_data_files)",
        );
    }
    Ok(named)
}

/// Why a file cannot be read, by what the manifest says of it.
fn refused(file: &DataFile) -> Option<Problem> {
    let location = file.file_path();
    if file.content_type() != DataContentType::Data {
        return Some(damaged(location, "a manifest of data files lists it, and it holds deletions"));
    }
    if file.key_metadata().is_some() {
        return Some(encrypted(location));
    }
    (file.file_format() != DataFileFormat::Parquet).then(|| {
        Problem::new(
            Code::FormatUnsupported,
            format!("{location} is a file of {}", file.file_format()),
            "data files of Iceberg tables are read if they are Parquet",
            "Let the engine write the table's files anew as Parquet (rewrite_data_files)",
        )
    })
}

fn encrypted(location: &str) -> Problem {
    Problem::new(
        Code::LayoutUnsupported,
        format!("{location} is encrypted"),
        "Skein has no keys",
        "Copy the table to one without encryption in its engine first",
    )
}

fn promised(manifest: &Manifest, file: &DataFile, other_spec: bool) -> Promised {
    let fields = manifest.metadata().partition_spec().fields().iter();
    let identity = fields
        .zip(file.partition().iter())
        .filter(|(field, _)| field.transform == Transform::Identity)
        .map(|(field, value)| (field.source_id, value.cloned()))
        .collect();
    Promised {
        rows: file.record_count(),
        bytes: file.file_size_in_bytes(),
        identity,
        schema: Arc::clone(manifest.metadata().schema()),
        other_spec,
    }
}

/// Parses metadata behind a wall: a damaged file that makes the parser panic is damaged, not our end.
fn parsed<T>(location: &str, parse: impl FnOnce() -> iceberg::Result<T>) -> Result<T, Problem> {
    let parse = || parse().map_err(|error| DecodeFailure::Damaged(error.to_string()));
    guarded(parse).map_err(|failure| match failure {
        DecodeFailure::Io(error) => unreadable(Path::new(location), &Error::from(error.kind())),
        other => damaged(location, &other.to_string()),
    })
}
