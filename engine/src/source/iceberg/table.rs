//! What a metadata file says of its table: columns with their fields, partition fields, what people wrote.
//!
//! In: a metadata location. Out: [`Table`]; what prevents a migration as problems. Not here: files (`data_files`), values that files
//! lack (`check`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use iceberg::spec::{
    DEFAULT_SCHEMA_NAME_MAPPING, MappedField, NameMapping, NestedField, PrimitiveType, TableMetadata, Transform, Type,
};
use serde_json::Value;
use skein_protocol::hash::Hash256;
use skein_protocol::inspection::{DescribedBy, Documentation, IcebergField, SourceColumn};
use skein_protocol::plan::{self, PartitionField};
use skein_protocol::problem::{Code, Problem};
use skein_protocol::types::{DataType, StructField};

use super::super::findings::Findings;
use super::super::location::{self, Roots, forbidden, unreadable};
use super::super::places::object;
use super::{raw, text};

/// Longest metadata file: those of tables with tens of thousands of snapshots have tens of megabytes.
const MAX_METADATA_BYTES: u64 = 1 << 30;
/// First bytes of a compressed metadata file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A table as its metadata describes it.
#[derive(Debug)]
pub(super) struct Table {
    /// Where it lies, links resolved.
    pub(super) location: PathBuf,
    pub(super) metadata: TableMetadata,
    pub(super) columns: Vec<SourceColumn>,
    /// The columns' fields.
    pub(super) fields: Vec<IcebergField>,
    /// Ids of columns whose default has no text.
    pub(super) unusable_defaults: BTreeSet<i32>,
    /// Fields of the default partition spec.
    pub(super) partitioning: Vec<PartitionField>,
    pub(super) documentation: Documentation,
}

/// The place that a location in metadata means, if it lies under the roots.
pub(super) fn locate(roots: &Roots, location: &str) -> Result<PathBuf, Problem> {
    // A location that is not absolute is none.
    let place = location::path_of(location, Path::new(""))?;
    if object(&place).is_some() {
        return if roots.hold(&place) { Ok(place) } else { Err(forbidden(&place)) };
    }
    if !place.is_absolute() {
        return Err(forbidden(&place));
    }
    roots.resolve(&place).map(|located| located.path)
}

/// All bytes of a metadata file.
pub(super) fn read_file(roots: &Roots, location: &str) -> Result<Vec<u8>, Problem> {
    let place = locate(roots, location)?;
    let places = roots.places();
    let failed = |error: io::Error| unreadable(&place, &error);
    let bytes = places.identity(&place).map_err(failed)?.bytes;
    if bytes > MAX_METADATA_BYTES {
        return Err(damaged(location, &format!("it has {bytes} bytes, {MAX_METADATA_BYTES} are read")));
    }
    places.read(&place).map_err(failed)
}

/// The problem with a metadata file that is there and no metadata.
pub(super) fn damaged(location: &str, why: &str) -> Problem {
    Problem::new(
        Code::FileDamaged,
        format!("{location} cannot be read as metadata of Iceberg"),
        why,
        "Check the table with its engine; if that reads it, report this",
    )
}

fn plain(location: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Problem> {
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(bytes.as_slice()).take(MAX_METADATA_BYTES + 1).read_to_end(&mut unpacked);
    match read {
        Err(error) => Err(damaged(location, &error.to_string())),
        Ok(bytes) if bytes as u64 > MAX_METADATA_BYTES => Err(damaged(location, "it is too long when it is unpacked")),
        Ok(_) => Ok(unpacked),
    }
}

impl Table {
    /// Reads the metadata file at `location`; none if nothing more can be known.
    pub(super) fn read(roots: &Roots, location: &str, findings: &mut Findings) -> Option<Self> {
        let document = || -> Result<(Value, Vec<u8>), Problem> {
            let bytes = plain(location, read_file(roots, location)?)?;
            let value = serde_json::from_slice(&bytes).map_err(|error| damaged(location, &error.to_string()))?;
            Ok((value, bytes))
        };
        let (value, bytes) = match document() {
            Ok(document) => document,
            Err(problem) => {
                findings.add(problem);
                return None;
            }
        };
        let defaults = raw::check(&value, findings);
        if findings.prevented() {
            return None;
        }
        drop(value);
        match serde_json::from_slice::<TableMetadata>(&bytes) {
            Ok(metadata) => Self::of(roots, metadata, &defaults, findings),
            Err(error) => {
                findings.add(damaged(location, &error.to_string()));
                None
            }
        }
    }

    fn of(
        roots: &Roots,
        metadata: TableMetadata,
        defaults: &BTreeMap<i64, Value>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let location = match locate(roots, metadata.location()) {
            Ok(location) => location,
            Err(problem) => {
                findings.add(problem);
                return None;
            }
        };
        let mapping = match name_mapping(&metadata) {
            Ok(mapping) => mapping,
            Err(problem) => {
                findings.add(problem);
                return None;
            }
        };
        let schema = Arc::clone(metadata.current_schema());
        let (mut columns, mut fields, mut unusable_defaults) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut documentation = Documentation {
            owner: metadata.properties().get("owner").filter(|owner| !owner.is_empty()).cloned(),
            comment: metadata.properties().get("comment").filter(|comment| !comment.is_empty()).cloned(),
            columns: BTreeMap::new(),
        };
        for field in schema.as_struct().fields() {
            let Some(data_type) = type_of(&field.field_type) else {
                findings.problem(
                    Code::TypeUnsupported,
                    format!("Column {:?} has the type {}", field.name, field.field_type),
                    "Skein has no type for it",
                    "Copy the table without it, or with another type, in its engine first",
                );
                continue;
            };
            let mut described = described(field, mapping.as_ref().map_or(&[], NameMapping::fields));
            if let Some(default) = defaults.get(&i64::from(field.id)) {
                described.initial_default = text::of_json(default, &data_type);
                if described.initial_default.is_none() {
                    unusable_defaults.insert(field.id);
                }
            }
            if let Some(doc) = field.doc.as_ref().filter(|doc| !doc.is_empty()) {
                documentation.columns.insert(field.name.clone(), doc.clone());
            }
            columns.push(SourceColumn { name: field.name.clone(), data_type, partition: false });
            fields.push(described);
        }
        if schema.as_struct().fields().is_empty() {
            let next = "Add a column to it, or leave it out";
            findings.problem(Code::NoSchema, "The table has no columns", "its current schema has none", next);
        }
        let partitioning = partitioning(&metadata, findings);
        Some(Self { location, metadata, columns, fields, unusable_defaults, partitioning, documentation })
    }

    /// The table's part in the fingerprint: what it had when this metadata was current.
    pub(super) fn described_by(&self) -> DescribedBy {
        let matters = (self.metadata.uuid().to_string(), &self.columns, &self.fields, &self.partitioning);
        let said = Hash256::of_document(&matters).expect("names and types have a JSON form");
        let snapshot = self.metadata.current_snapshot_id().map(|id| id.to_string());
        DescribedBy::Iceberg { snapshot, said }
    }

    /// Tells what a migration does not carry over.
    pub(super) fn notes(&self, findings: &mut Findings) {
        match self.metadata.current_snapshot_id() {
            Some(id) => findings.note(format!(
                "The rows are those of snapshot {id}. Earlier snapshots, branches and tags are not migrated."
            )),
            None => findings.note("The table has no snapshot, and so no rows."),
        }
        let all = self.metadata.current_schema().as_struct().fields();
        let named = |wanted: fn(&NestedField) -> bool| {
            let names = all.iter().filter(|field| wanted(field)).map(|field| format!("{:?}", field.name));
            Some(names.collect::<Vec<_>>().join(", ")).filter(|names| !names.is_empty())
        };
        if let Some(names) = named(|field| field.required) {
            findings.note(format!("Columns that must not be null may be in the target: {names}."));
        }
        if let Some(names) = named(|field| has_fixed(&field.field_type)) {
            findings.note(format!("Binary values of a fixed length become binary ones: {names}."));
        }
        if !self.metadata.default_sort_order().fields.is_empty() {
            findings.note("The table's sort order is not kept; a policy says one as sortBy.");
        }
    }
}

fn name_mapping(metadata: &TableMetadata) -> Result<Option<NameMapping>, Problem> {
    let Some(text) = metadata.properties().get(DEFAULT_SCHEMA_NAME_MAPPING) else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(|error| {
        Problem::new(
            Code::DescriptionInvalid,
            "The table's name mapping cannot be read",
            format!("{DEFAULT_SCHEMA_NAME_MAPPING}: {error}"),
            "Correct the property in the table's engine",
        )
    })
}

/// A field with its parts, and its names by the mapping of the level that it is on.
fn described(field: &NestedField, level: &[impl std::borrow::Borrow<MappedField>]) -> IcebergField {
    let mapped = level.iter().map(std::borrow::Borrow::borrow).find(|mapped| mapped.field_id() == Some(field.id));
    let below = mapped.map_or(&[][..], MappedField::fields);
    let parts = match field.field_type.as_ref() {
        Type::Primitive(_) => Vec::new(),
        Type::Struct(parts) => parts.fields().iter().map(|part| described(part, below)).collect(),
        Type::List(list) => vec![described(&list.element_field, below)],
        Type::Map(map) => vec![described(&map.key_field, below), described(&map.value_field, below)],
    };
    let names = mapped.map(|mapped| mapped.names().to_vec()).unwrap_or_default();
    IcebergField { id: field.id, parts, names, initial_default: None }
}

/// The type of a column; none if there is no type for one of its parts.
fn type_of(kind: &Type) -> Option<DataType> {
    Some(match kind {
        Type::Primitive(primitive) => match primitive {
            PrimitiveType::Boolean => DataType::Boolean,
            PrimitiveType::Int => DataType::Int,
            PrimitiveType::Long => DataType::BigInt,
            PrimitiveType::Float => DataType::Float,
            PrimitiveType::Double => DataType::Double,
            PrimitiveType::Decimal { precision, scale } => {
                DataType::Decimal { precision: u8::try_from(*precision).ok()?, scale: u8::try_from(*scale).ok()? }
            }
            PrimitiveType::String => DataType::String,
            PrimitiveType::Binary | PrimitiveType::Fixed(_) => DataType::Binary,
            PrimitiveType::Date => DataType::Date,
            PrimitiveType::Timestamp => DataType::Timestamp,
            PrimitiveType::Timestamptz => DataType::TimestampTz,
            _ => return None,
        },
        Type::List(list) => DataType::Array(Box::new(type_of(&list.element_field.field_type)?)),
        Type::Map(map) => DataType::Map(
            Box::new(type_of(&map.key_field.field_type)?),
            Box::new(type_of(&map.value_field.field_type)?),
        ),
        Type::Struct(parts) => {
            let part = |part: &Arc<NestedField>| {
                Some(StructField { name: part.name.clone(), data_type: type_of(&part.field_type)? })
            };
            DataType::Struct(parts.fields().iter().map(part).collect::<Option<_>>()?)
        }
    })
}

fn has_fixed(kind: &Type) -> bool {
    match kind {
        Type::Primitive(primitive) => matches!(primitive, PrimitiveType::Fixed(_)),
        Type::List(list) => has_fixed(&list.element_field.field_type),
        Type::Map(map) => has_fixed(&map.key_field.field_type) || has_fixed(&map.value_field.field_type),
        Type::Struct(parts) => parts.fields().iter().any(|part| has_fixed(&part.field_type)),
    }
}

/// The fields of the default spec. A field over a part of a column has the part's path for its column.
fn partitioning(metadata: &TableMetadata, findings: &mut Findings) -> Vec<PartitionField> {
    let mut kept = Vec::new();
    for field in metadata.default_partition_spec().fields() {
        let transform = match field.transform {
            Transform::Identity => plan::Transform::Identity,
            Transform::Year => plan::Transform::Year,
            Transform::Month => plan::Transform::Month,
            Transform::Day => plan::Transform::Day,
            Transform::Hour => plan::Transform::Hour,
            Transform::Bucket(buckets) => plan::Transform::Bucket(buckets),
            Transform::Truncate(width) => plan::Transform::Truncate(width),
            // What a field becomes that was taken out of the spec.
            Transform::Void => continue,
            Transform::Unknown => {
                findings.note(format!(
                    "Partition field {:?} has a transform that Skein does not know; the target is not partitioned by it.",
                    field.name
                ));
                continue;
            }
        };
        let Some(column) = metadata.current_schema().name_by_field_id(field.source_id) else {
            findings.note(format!("Partition field {:?} is over a column that is gone, and is left out.", field.name));
            continue;
        };
        kept.push(PartitionField { column: column.to_owned(), transform, name: field.name.clone() });
    }
    kept
}
