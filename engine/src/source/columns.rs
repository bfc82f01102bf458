//! A table's columns: described ones held against the files, or taken from the files where nothing describes them.
//!
//! In: descriptions, tails. Out: [`SourceColumn`]s; every difference as a problem or a note.
//! Not here: the order of text files' columns (`column_order`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use skein_protocol::inspection::SourceColumn;
use skein_protocol::problem::Code;
use skein_protocol::types::DataType;

use super::adapter::{Adapter, RowsContext};
use super::description::DescribedColumn;
use super::file_schema::{FileSchema, type_in_file};
use super::findings::Findings;
use super::tails::{SelfTold, Tail};
use super::writers;

/// Types that Hive has and we do not.
const UNSUPPORTED_TYPES: [&str; 8] = [
    "uniontype",
    "interval",
    "void",
    "timestamp with local time zone",
    "timestamplocaltz",
    "timestamptz",
    "variant",
    "null",
];

/// Reads the types of described columns. Columns whose type cannot be read are problems and left out.
pub(super) fn typed(described: &[DescribedColumn], findings: &mut Findings) -> Vec<(String, DataType)> {
    let mut columns = Vec::with_capacity(described.len());
    for column in described {
        let text = column.type_text.trim().to_ascii_lowercase();
        if let Some(unsupported) = UNSUPPORTED_TYPES.iter().find(|name| has_type(&text, name)) {
            findings.problem(
                Code::TypeUnsupported,
                format!("Column {:?} has the type {text}", column.name),
                format!("there is no Iceberg type that holds a {unsupported}"),
                "Change the column's type in Hive, or copy the table without it",
            );
            continue;
        }
        match column.type_text.parse::<DataType>() {
            Ok(data_type) => columns.push((column.name.clone(), data_type)),
            Err(error) => findings.problem(
                Code::DescriptionInvalid,
                format!("The type of column {:?} cannot be read", column.name),
                error.to_string(),
                "Correct it in the table description",
            ),
        }
    }
    columns
}

/// Whether a type called `name` stands somewhere in `text`: at the start, or behind `<`, `,` or `:`. A field of a
/// struct may be called so, too; then a colon follows.
fn has_type(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].trim_end().chars().next_back();
        let rest = text[at + name.len()..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let whole = rest.len() == text.len() - at - name.len() || name == "interval";
        whole && matches!(before, None | Some('<' | ',' | ':')) && !rest.trim_start().starts_with(':')
    })
}

/// Names that occur twice when case does not count, partition columns included.
pub(super) fn report_ambiguous(columns: &[SourceColumn], findings: &mut Findings) {
    let mut seen = BTreeMap::new();
    for column in columns {
        if let Some(first) = seen.insert(column.name.to_lowercase(), &column.name) {
            findings.problem(
                Code::ColumnAmbiguous,
                format!("The table has columns {first:?} and {:?}", column.name),
                "case does not count, so they cannot be told apart",
                "Rename one of them",
            );
        }
    }
}

/// Files that say the same of their columns and their writer.
pub(super) struct Alike<'a> {
    pub(super) tail: &'a Tail,
    /// Positions among the files.
    pub(super) files: Vec<usize>,
}

impl Alike<'_> {
    pub(super) fn schema(&self) -> &FileSchema {
        &self.tail.schema
    }
}

fn alike(tails: &[Tail]) -> Vec<Alike<'_>> {
    let mut groups: Vec<Alike<'_>> = Vec::new();
    for (index, tail) in tails.iter().enumerate() {
        let same = |group: &&mut Alike<'_>| {
            (Arc::ptr_eq(&group.tail.schema, &tail.schema) || group.tail.schema == tail.schema)
                && group.tail.calendar == tail.calendar
        };
        match groups.iter_mut().rev().find(same) {
            Some(group) => group.files.push(index),
            None => groups.push(Alike { tail, files: vec![index] }),
        }
    }
    groups
}

/// Holds described columns against what the files tell.
pub(super) fn check(
    format: SelfTold,
    columns: &[(String, DataType)],
    partition_keys: &[String],
    tails: &[Tail],
    paths: &[&str],
    findings: &mut Findings,
) {
    let groups = alike(tails);
    let mut differences = Differences::default();
    for group in &groups {
        let first = paths[group.files[0]];
        let mut known = BTreeSet::new();
        for (name, data_type) in columns {
            let positions = group.schema().positions(name);
            known.extend(positions.iter().copied());
            match positions.as_slice() {
                [] => differences.missing.entry(name.clone()).or_default().add(first, group.files.len()),
                [position] => check_column(name, data_type, *position, group, first, &mut differences, findings),
                _ => findings.problem(
                    Code::ColumnAmbiguous,
                    format!("{first:?} has several columns called {name:?}"),
                    "they differ by case only, and case does not count in Hive",
                    "Rewrite the file with one of them renamed",
                ),
            }
        }
        for (position, field) in group.schema().fields.iter().enumerate() {
            if !known.contains(&position) && !partition_keys.iter().any(|key| key.eq_ignore_ascii_case(field.name())) {
                differences.extra.entry(field.name().clone()).or_default().add(first, group.files.len());
            }
        }
    }
    differences.note(tails.len(), findings);
    writers::note(format, &groups, columns, findings);
}

fn check_column(
    name: &str,
    data_type: &DataType,
    position: usize,
    group: &Alike<'_>,
    first: &str,
    differences: &mut Differences,
    findings: &mut Findings,
) {
    let field = &group.schema().fields[position];
    let context = RowsContext { calendar: &group.tail.calendar, int96: group.schema().has_int96[position] };
    match Adapter::plan(field.data_type(), data_type, &context) {
        Ok(_) => differences.inside(name, field.data_type(), data_type, first, group.files.len()),
        Err(why) => findings.problem(
            Code::SchemaConflict,
            format!(
                "Column {name:?} of {first:?} and {} files like it does not fit the description",
                group.files.len() - 1
            ),
            why,
            "Correct the column's type in the table description, or rewrite the files",
        ),
    }
}

/// Columns of files, where nothing describes them; partition columns come from the folders.
pub(super) fn from_tails(
    format: SelfTold,
    partition_keys: &[String],
    tails: &[Tail],
    paths: &[&str],
    findings: &mut Findings,
) -> Vec<(String, DataType)> {
    let groups = alike(tails);
    let mut columns: Vec<(String, DataType, &str)> = Vec::new();
    for group in &groups {
        let first = paths[group.files[0]];
        for (position, field) in group.schema().fields.iter().enumerate() {
            if partition_keys.iter().any(|key| key.eq_ignore_ascii_case(field.name())) {
                findings.note(format!(
                    "Column {:?} is in the files and in the folders' names; the folders count.",
                    field.name()
                ));
                continue;
            }
            if group.schema().positions(field.name()).first() != Some(&position) {
                findings.problem(
                    Code::ColumnAmbiguous,
                    format!("{first:?} has several columns called {:?}", field.name()),
                    "they differ by case only, and case does not count in Hive",
                    "Rewrite the file with one of them renamed",
                );
                continue;
            }
            match type_in_file(field.data_type()) {
                Ok(data_type) => join(&mut columns, field.name(), data_type, first, findings),
                Err(name) => findings.problem(
                    Code::TypeUnsupported,
                    format!("Column {:?} of {first:?} has the type {name}", field.name()),
                    "there is no Hive type for it",
                    "Describe the table without this column, or rewrite the files",
                ),
            }
        }
    }
    let columns: Vec<(String, DataType)> = columns.into_iter().map(|(name, data_type, _)| (name, data_type)).collect();
    let mut differences = Differences::default();
    for group in &groups {
        for (name, _) in columns.iter().filter(|(name, _)| group.schema().positions(name).is_empty()) {
            differences.missing.entry(name.clone()).or_default().add(paths[group.files[0]], group.files.len());
        }
    }
    differences.note(tails.len(), findings);
    writers::note(format, &groups, &columns, findings);
    columns
}

fn join<'a>(
    columns: &mut Vec<(String, DataType, &'a str)>,
    name: &str,
    data_type: DataType,
    file: &'a str,
    findings: &mut Findings,
) {
    match columns.iter().find(|(known, _, _)| known.to_lowercase() == name.to_lowercase()) {
        None => columns.push((name.to_owned(), data_type, file)),
        Some((_, known, _)) if *known == data_type => {}
        Some((_, known, other)) => findings.problem(
            Code::SchemaConflict,
            format!("Column {name:?} is {known} in {other:?} and {data_type} in {file:?}"),
            "nothing describes the table, so neither counts more",
            "Describe the table with the type that holds both, or rewrite the files",
        ),
    }
}

/// Where something was seen.
#[derive(Debug, Default)]
struct Seen {
    files: usize,
    first: String,
}

impl Seen {
    fn add(&mut self, file: &str, files: usize) {
        if self.files == 0 {
            file.clone_into(&mut self.first);
        }
        self.files += files;
    }
}

/// Differences that do no harm, but that people should know.
#[derive(Debug, Default)]
struct Differences {
    missing: BTreeMap<String, Seen>,
    extra: BTreeMap<String, Seen>,
}

impl Differences {
    /// Compares fields within structs.
    fn inside(&mut self, path: &str, from: &ArrowType, to: &DataType, first: &str, files: usize) {
        match (from, to) {
            (ArrowType::List(element), DataType::Array(inner)) => {
                self.inside(path, element.data_type(), inner, first, files)
            }
            (ArrowType::Map(entries, _), DataType::Map(key, value)) => {
                if let ArrowType::Struct(parts) = entries.data_type()
                    && let [from_key, from_value] = parts.as_ref()
                {
                    self.inside(path, from_key.data_type(), key, first, files);
                    self.inside(path, from_value.data_type(), value, first, files);
                }
            }
            (ArrowType::Struct(fields), DataType::Struct(inner)) => {
                for field in inner {
                    let path = format!("{path}.{}", field.name);
                    match fields.iter().find(|from| from.name().eq_ignore_ascii_case(&field.name)) {
                        Some(from) => self.inside(&path, from.data_type(), &field.data_type, first, files),
                        None => self.missing.entry(path).or_default().add(first, files),
                    }
                }
                for from in
                    fields.iter().filter(|from| !inner.iter().any(|field| field.name.eq_ignore_ascii_case(from.name())))
                {
                    self.extra.entry(format!("{path}.{}", from.name())).or_default().add(first, files);
                }
            }
            _ => {}
        }
    }

    fn note(self, all: usize, findings: &mut Findings) {
        for (name, seen) in self.missing {
            findings.note(format!(
                "Column {name:?} is missing in {} of {all} files and null there ({:?}).",
                seen.files, seen.first
            ));
        }
        for (name, seen) in self.extra {
            findings.note(format!(
                "{} of {all} files have a column {name:?} that the description lacks: Hive does not show it, and it is NOT migrated ({:?}).",
                seen.files, seen.first
            ));
        }
    }
}

#[cfg(test)]
#[path = "columns_tests.rs"]
mod tests;
