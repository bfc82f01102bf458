//! Manifests and manifest lists of format versions 2 and 3, as bytes.
//!
//! In: data files with their statistics. Out: Avro files. Holds: their Avro schemas. Not here: names, the disk
//! (`stage`), reading (`read`).

use iceberg::spec::{PrimitiveLiteral, PrimitiveType, Schema};
use serde_json::{Value, json};

use super::avro::{Encoder, Marker, container};
use super::bounds;
use super::schema::{SCHEMA_ID, SPEC_ID, TableShape};
use super::statistics::FileStatistics;
use super::value::{NotAValue, shortest_big_endian, to_bytes};

mod schemas;
#[cfg(test)]
mod tests;

/// Status of an entry: added by the snapshot that the manifest belongs to.
const ADDED: i64 = 1;
/// Content of a manifest and of a file: rows, not deletions.
const DATA: i64 = 0;

/// Number of the first row of a new table, where rows have numbers.
pub(super) const FIRST_ROW_ID: u64 = 0;
/// Fields that format version 3 adds to a data file.
const LINEAGE_FIELDS: usize = 4;

/// A data file as a manifest lists it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its location.
    pub(super) location: String,
    /// Length in bytes.
    pub(super) bytes: u64,
    /// Its partition, in the order of the spec's fields.
    pub(super) partition: Vec<Option<PrimitiveLiteral>>,
    /// What its footer tells.
    pub(super) statistics: FileStatistics,
}

/// A manifest that is to be named in a manifest list.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// Its location.
    pub(super) location: String,
    /// Length in bytes.
    pub(super) bytes: usize,
    /// Files that it adds.
    pub(super) files: usize,
    /// Rows of these files.
    pub(super) rows: u64,
    /// The range of each partition field.
    pub(super) partitions: Vec<FieldSummary>,
}

/// What a manifest list says of one partition field of a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSummary {
    /// Whether a file has null.
    pub(super) contains_null: bool,
    /// Whether a file has NaN.
    pub(super) contains_nan: bool,
    /// Least value in the binary single-value form; none if all are null or NaN.
    pub(super) lower: Option<Vec<u8>>,
    /// Greatest value likewise.
    pub(super) upper: Option<Vec<u8>>,
}

/// A manifest that adds `entries` in snapshot `snapshot_id`.
///
/// # Errors
/// When a partition value is not of its field's type.
pub(super) fn manifest(
    shape: &TableShape,
    entries: &[Entry],
    snapshot_id: i64,
    marker: Marker,
) -> Result<Vec<u8>, NotAValue> {
    let kinds = shape.partition_primitives();
    let mut encoder = Encoder::default();
    for entry in entries {
        encoder.long(ADDED);
        encoder.present();
        encoder.long(snapshot_id);
        // Both sequence numbers are inherited from the manifest list.
        encoder.null();
        encoder.null();
        data_file(&mut encoder, entry, &kinds, shape)?;
    }
    let spec = json!(shape.spec.fields()).to_string();
    let (schema_id, spec_id) = (SCHEMA_ID.to_string(), SPEC_ID.to_string());
    let version = shape.format_version.to_string();
    let metadata: [(&str, &[u8]); 6] = [
        ("schema", &schema_json(&shape.schema)),
        ("schema-id", schema_id.as_bytes()),
        ("partition-spec", spec.as_bytes()),
        ("partition-spec-id", spec_id.as_bytes()),
        ("format-version", version.as_bytes()),
        ("content", b"data"),
    ];
    let schema = schemas::manifest_entry(shape);
    Ok(container(&schema, &metadata, marker, entries.len(), &encoder.into_bytes()))
}

/// The range of each partition field over `entries`.
///
/// # Errors
/// When a partition value is not of its field's type.
pub(super) fn summaries(shape: &TableShape, entries: &[Entry]) -> Result<Vec<FieldSummary>, NotAValue> {
    let kinds = shape.partition_primitives();
    kinds
        .iter()
        .enumerate()
        .map(|(field, kind)| summary(kind, entries.iter().map(|entry| entry.partition[field].as_ref())))
        .collect()
}

/// A manifest list over `manifests`, all added by `snapshot_id`. With row lineage, rows are numbered in their order.
#[must_use]
pub(super) fn manifest_list(
    shape: &TableShape,
    manifests: &[Listed],
    snapshot_id: i64,
    sequence_number: i64,
    marker: Marker,
) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut first_row_id = FIRST_ROW_ID;
    for manifest in manifests {
        encoder.string(&manifest.location);
        encoder.count(manifest.bytes);
        for number in [i64::from(SPEC_ID), DATA, sequence_number, sequence_number, snapshot_id] {
            encoder.long(number);
        }
        // Files added, existing, deleted; then their rows.
        encoder.count(manifest.files);
        encoder.long(0);
        encoder.long(0);
        encoder.long(signed(manifest.rows));
        encoder.long(0);
        encoder.long(0);
        encoder.present();
        encoder.array(manifest.partitions.iter(), field_summary);
        // No key metadata.
        encoder.null();
        if shape.has_row_lineage() {
            encoder.present();
            encoder.long(signed(first_row_id));
            first_row_id += manifest.rows;
        }
    }
    let (snapshot, sequence) = (snapshot_id.to_string(), sequence_number.to_string());
    let (version, first_row_id) = (shape.format_version.to_string(), FIRST_ROW_ID.to_string());
    let mut metadata: Vec<(&str, &[u8])> = vec![
        ("snapshot-id", snapshot.as_bytes()),
        ("parent-snapshot-id", b"null"),
        ("sequence-number", sequence.as_bytes()),
        ("format-version", version.as_bytes()),
    ];
    if shape.has_row_lineage() {
        metadata.push(("first-row-id", first_row_id.as_bytes()));
    }
    let schema = schemas::manifest_file(shape);
    container(&schema, &metadata, marker, manifests.len(), &encoder.into_bytes())
}

/// The schema in its JSON form.
#[must_use]
pub(super) fn schema_value(schema: &Schema) -> Value {
    serde_json::to_value(schema).expect("a schema has text keys only, so it always has a JSON form")
}

fn schema_json(schema: &Schema) -> Vec<u8> {
    schema_value(schema).to_string().into_bytes()
}

fn data_file(
    encoder: &mut Encoder,
    entry: &Entry,
    kinds: &[PrimitiveType],
    shape: &TableShape,
) -> Result<(), NotAValue> {
    let statistics = &entry.statistics;
    encoder.long(DATA);
    encoder.string(&entry.location);
    encoder.string("PARQUET");
    for (kind, value) in kinds.iter().zip(&entry.partition) {
        partition_value(encoder, kind, value.as_ref())?;
    }
    encoder.long(signed(statistics.rows));
    encoder.long(signed(entry.bytes));
    for counts in [&statistics.column_sizes, &statistics.value_counts, &statistics.null_counts] {
        encoder.present();
        encoder.array(counts.iter(), |encoder, (id, count)| {
            encoder.long(i64::from(*id));
            encoder.long(signed(*count));
        });
    }
    // Counts of NaN are not known.
    encoder.null();
    for bounds in [&statistics.lower, &statistics.upper] {
        encoder.present();
        encoder.array(bounds.iter(), |encoder, (id, bytes)| {
            encoder.long(i64::from(*id));
            encoder.bytes(bytes);
        });
    }
    // No key metadata.
    encoder.null();
    encoder.present();
    encoder.array(statistics.split_offsets.iter(), |encoder, offset| encoder.long(*offset));
    // No equality ids.
    encoder.null();
    if shape.sort.is_unsorted() {
        encoder.null();
    } else {
        encoder.present();
        encoder.long(shape.sort.order_id);
    }
    if shape.has_row_lineage() {
        // The numbers of rows follow from the manifest's first; there is no deletion vector.
        (0..LINEAGE_FIELDS).for_each(|_| encoder.null());
    }
    Ok(())
}

fn partition_value(
    encoder: &mut Encoder,
    kind: &PrimitiveType,
    value: Option<&PrimitiveLiteral>,
) -> Result<(), NotAValue> {
    use PrimitiveLiteral as L;
    let Some(value) = value else {
        encoder.null();
        return Ok(());
    };
    encoder.present();
    match value {
        L::Boolean(truth) => encoder.boolean(*truth),
        L::Int(number) => encoder.long(i64::from(*number)),
        L::Long(number) => encoder.long(*number),
        L::Float(number) => encoder.float(number.0),
        L::Double(number) => encoder.double(number.0),
        L::String(text) => encoder.string(text),
        L::Binary(bytes) => encoder.bytes(bytes),
        L::Int128(unscaled) => {
            let length = schemas::decimal_bytes(kind);
            let wide = unscaled.to_be_bytes();
            if shortest_big_endian(*unscaled).len() > length {
                return Err(NotAValue { value: unscaled.to_string(), kind: kind.to_string() });
            }
            encoder.fixed(&wide[wide.len() - length..]);
        }
        other => return Err(NotAValue { value: format!("{other:?}"), kind: kind.to_string() }),
    }
    Ok(())
}

fn summary<'a>(
    kind: &PrimitiveType,
    values: impl Iterator<Item = Option<&'a PrimitiveLiteral>>,
) -> Result<FieldSummary, NotAValue> {
    let mut found = FieldSummary::default();
    let mut range: Option<(&PrimitiveLiteral, &PrimitiveLiteral)> = None;
    for value in values {
        match value {
            None => found.contains_null = true,
            Some(value) if value.is_nan() => found.contains_nan = true,
            Some(value) => {
                let (low, high) = range.unwrap_or((value, value));
                range = Some((
                    if bounds::compare(value, low).is_lt() { value } else { low },
                    if bounds::compare(value, high).is_gt() { value } else { high },
                ));
            }
        }
    }
    if let Some((low, high)) = range {
        found.lower = Some(to_bytes(kind, low)?);
        found.upper = Some(to_bytes(kind, high)?);
    }
    Ok(found)
}

fn field_summary(encoder: &mut Encoder, summary: &FieldSummary) {
    encoder.boolean(summary.contains_null);
    encoder.present();
    encoder.boolean(summary.contains_nan);
    for bound in [&summary.lower, &summary.upper] {
        match bound {
            Some(bytes) => {
                encoder.present();
                encoder.bytes(bytes);
            }
            None => encoder.null(),
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).expect("no file has 2^63 bytes or rows")
}
