//! Data files held against what manifests and the schema say of them.
//!
//! In: a table, its files. Out: files in the form of the plan; values for columns that files lack. Every difference is a problem or a
//! note. Not here: how columns are found (`by_id`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;
use skein_protocol::inspection::{IcebergFormat, SourceFile};
use skein_protocol::problem::Code;

use super::super::adapted::Adapted;
use super::super::decoding::DecodeFailure;
use super::super::file_schema::FileSchema;
use super::super::findings::Findings;
use super::super::listing::Found;
use super::super::location::Roots;
use super::super::seen_files::Tails;
use super::super::tails::{SelfTold, Tail};
use super::data_files::{DataFiles, Promised};
use super::table::Table;
use super::{by_id, text};

/// Columns that files lack, by what stands there.
#[derive(Default)]
struct Absent {
    /// Column, what stands in its place: number of files, the first of them.
    told: BTreeMap<(String, String), (usize, String)>,
}

/// Reads the footers of `files` and compares; `format` gets the values of partitions for columns that files lack.
pub(super) fn files(
    table: &Table,
    files: &DataFiles,
    roots: &Roots,
    format: &mut IcebergFormat,
    findings: &mut Findings,
) -> Vec<SourceFile> {
    let listing = &files.listing;
    let tails = Tails::read(roots.places(), SelfTold::Parquet, listing, findings);
    let mut met: HashMap<*const FileSchema, Option<Vec<i32>>> = HashMap::new();
    let mut absent = Absent::default();
    for ((found, promised), tail) in listing.files.iter().zip(&files.promised).zip(tails.by_file(listing)) {
        // One that cannot be read is a problem already.
        let Some(tail) = tail else { continue };
        compare_with_manifest(found, promised, tail, findings);
        let missing = met
            .entry(Arc::as_ptr(&tail.schema))
            .or_insert_with(|| missing_in(table, format, found, &tail.schema, findings));
        for id in missing.iter().flatten() {
            lacks(table, *id, found, promised, format, &mut absent, findings);
        }
    }
    for ((name, what), (count, first)) in absent.told {
        findings.note(format!(
            "Column {name:?} is missing in {count} of {} files and {what} there ({first:?}).",
            listing.files.len()
        ));
    }
    tails.files(listing)
}

fn compare_with_manifest(found: &Found, promised: &Promised, tail: &Tail, findings: &mut Findings) {
    for (what, promised, seen) in [("bytes", promised.bytes, found.identity.bytes), ("rows", promised.rows, tail.rows)]
    {
        if promised != seen {
            findings.problem(
                Code::FileDamaged,
                format!("{:?} is not the file that the table's manifests list", found.relative),
                format!("it has {seen} {what}, the manifest says {promised}"),
                "Check the table with its engine; restore the file from its origin",
            );
        }
    }
}

/// Ids of the fields that files of this schema lack; none if the columns cannot be told, which is a problem then.
fn missing_in(
    table: &Table,
    format: &IcebergFormat,
    found: &Found,
    schema: &FileSchema,
    findings: &mut Findings,
) -> Option<Vec<i32>> {
    let matched = by_id::matched(&table.columns, &format.fields, schema).map_err(DecodeFailure::Conflict);
    let adapted = matched.and_then(|matched| {
        Adapted::find(&table.columns, &matched.schema, &by_id::calendar()).map(|_| matched.missing)
    });
    match adapted {
        Ok(missing) => Some(missing),
        Err(failure) => {
            findings.problem(
                Code::SchemaConflict,
                format!("The columns of {:?}, and of files like it, do not fit the table's schema", found.relative),
                failure.to_string(),
                "Let the engine write the table's files anew (rewrite_data_files)",
            );
            None
        }
    }
}

/// What stands in a file for a field that it lacks.
fn lacks(
    table: &Table,
    id: i32,
    found: &Found,
    promised: &Promised,
    format: &mut IcebergFormat,
    absent: &mut Absent,
    findings: &mut Findings,
) {
    let schema = table.metadata.current_schema();
    let name = schema.name_by_field_id(id).unwrap_or_default().to_owned();
    let position = table.fields.iter().position(|field| field.id == id);
    let what = match (promised.value(id), position) {
        (Some(value), Some(position)) => {
            let column = &table.columns[position];
            let text = match value {
                Ok(Value::Null) => Ok(None),
                Ok(value) => text::of_json(&value, &column.data_type).map(Some).ok_or_else(|| value.to_string()),
                Err(why) => Err(why),
            };
            match text {
                Ok(text) => {
                    let values = format.partition_values.entry(found.relative.clone()).or_default();
                    values.insert(column.name.clone(), text);
                    "has the partition's value"
                }
                Err(why) => {
                    return findings.problem(
                        Code::TypeUnsupported,
                        format!("{:?} lacks column {name:?}, and its partition's value cannot be used", found.relative),
                        format!("{why}, as {}", column.data_type),
                        "Let the engine write the table's files anew (rewrite_data_files)",
                    );
                }
            }
        }
        (Some(_), None) => {
            return findings.problem(
                Code::LayoutUnsupported,
                format!("{:?} lacks field {name:?}, by which it is partitioned", found.relative),
                "partitions' values are put into columns only, not into parts of them",
                "Let the engine write the table's files anew (rewrite_data_files)",
            );
        }
        (None, _) if table.unusable_defaults.contains(&id) => {
            return findings.problem(
                Code::TypeUnsupported,
                format!("{:?} lacks column {name:?}, and the column's default cannot be used", found.relative),
                "defaults of booleans, integers, decimals, strings, dates and times are",
                "Let the engine write the table's files anew (rewrite_data_files)",
            );
        }
        (None, Some(position)) if table.fields[position].initial_default.is_some() => "has the column's default",
        (None, _) if schema.field_by_id(id).is_some_and(|field| field.required) => {
            return findings.problem(
                Code::SchemaConflict,
                format!("{:?} lacks {name:?}, which must not be null", found.relative),
                "the table's schema has no default for it",
                "Let the engine write the table's files anew (rewrite_data_files)",
            );
        }
        (None, _) => "is null",
    };
    let (count, _) = absent.told.entry((name, what.to_owned())).or_insert_with(|| (0, found.relative.clone()));
    *count += 1;
}
