//! A table's columns: described ones held against the files, or taken from the files where nothing describes them.
//!
//! In: descriptions, footers. Out: [`SourceColumn`]s; every difference as a problem or a note.
//! Not here: the order of text files' columns (`column_order`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, TimeUnit};
use skein_protocol::inspection::SourceColumn;
use skein_protocol::problem::Code;
use skein_protocol::types::DataType;

use super::calendar::WriterCalendar;
use super::description::DescribedColumn;
use super::findings::Findings;
use super::parquet::{Adapter, FileSchema, Footer, RowsContext, type_in_file};

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
                "case does not count in Hive, so they cannot be told apart",
                "Rename one of them",
            );
        }
    }
}

/// Files whose footers say the same of their columns and their writer.
struct Alike<'a> {
    footer: &'a Footer,
    schema: FileSchema,
    /// Positions among the files.
    files: Vec<usize>,
}

fn alike<'a>(footers: &'a [Footer], paths: &[&str], findings: &mut Findings) -> Vec<Alike<'a>> {
    let mut groups: Vec<Alike<'a>> = Vec::new();
    for (index, footer) in footers.iter().enumerate() {
        let same = |group: &&mut Alike<'a>| {
            let (known, schema) = (&group.footer.schema, &footer.schema);
            (Arc::ptr_eq(known, schema) || known.root_schema() == schema.root_schema())
                && group.footer.calendar == footer.calendar
        };
        if let Some(group) = groups.iter_mut().rev().find(same) {
            group.files.push(index);
            continue;
        }
        match FileSchema::of(&footer.schema) {
            Ok(schema) => groups.push(Alike { footer, schema, files: vec![index] }),
            Err(error) => findings.problem(
                Code::TypeUnsupported,
                format!("The columns of {:?} cannot be read", paths[index]),
                error.to_string(),
                "Rewrite the file with a current writer",
            ),
        }
    }
    groups
}

/// Holds described columns against the files' footers.
pub(super) fn check(
    columns: &[(String, DataType)],
    partition_keys: &[String],
    footers: &[Footer],
    paths: &[&str],
    findings: &mut Findings,
) {
    let groups = alike(footers, paths, findings);
    let mut differences = Differences::default();
    for group in &groups {
        let first = paths[group.files[0]];
        let mut known = BTreeSet::new();
        for (name, data_type) in columns {
            let positions = group.schema.positions(name);
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
        for (position, field) in group.schema.fields.iter().enumerate() {
            if !known.contains(&position) && !partition_keys.iter().any(|key| key.eq_ignore_ascii_case(field.name())) {
                differences.extra.entry(field.name().clone()).or_default().add(first, group.files.len());
            }
        }
    }
    differences.note(footers.len(), findings);
    writers(&groups, columns, findings);
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
    let field = &group.schema.fields[position];
    let context = RowsContext { calendar: &group.footer.calendar, int96: group.schema.has_int96[position] };
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
pub(super) fn from_footers(
    partition_keys: &[String],
    footers: &[Footer],
    paths: &[&str],
    findings: &mut Findings,
) -> Vec<(String, DataType)> {
    let groups = alike(footers, paths, findings);
    let mut columns: Vec<(String, DataType, &str)> = Vec::new();
    for group in &groups {
        let first = paths[group.files[0]];
        for (position, field) in group.schema.fields.iter().enumerate() {
            if partition_keys.iter().any(|key| key.eq_ignore_ascii_case(field.name())) {
                findings.note(format!(
                    "Column {:?} is in the files and in the folders' names; the folders count.",
                    field.name()
                ));
                continue;
            }
            if group.schema.positions(field.name()).first() != Some(&position) {
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
        for (name, _) in columns.iter().filter(|(name, _)| group.schema.positions(name).is_empty()) {
            differences.missing.entry(name.clone()).or_default().add(paths[group.files[0]], group.files.len());
        }
    }
    differences.note(footers.len(), findings);
    writers(&groups, &columns, findings);
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

/// What has to be assumed of the files' writers.
fn writers(groups: &[Alike<'_>], columns: &[(String, DataType)], findings: &mut Findings) {
    let temporal: Vec<(&Alike<'_>, &str, usize)> = groups
        .iter()
        .flat_map(|group| {
            columns
                .iter()
                .filter_map(move |(name, _)| Some((group, name.as_str(), *group.schema.positions(name).first()?)))
        })
        .collect();
    let has = |wanted: &dyn Fn(&Alike<'_>, usize) -> bool| {
        let names: BTreeSet<&str> =
            temporal.iter().filter(|(group, _, position)| wanted(group, *position)).map(|(_, name, _)| *name).collect();
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
    };
    let holds = |group: &Alike<'_>, position: usize, leaf: &dyn Fn(&ArrowType) -> bool| {
        any_leaf(group.schema.fields[position].data_type(), leaf)
    };
    let is_timestamp = |leaf: &ArrowType| matches!(leaf, ArrowType::Timestamp(..));
    let is_nanos = |leaf: &ArrowType| matches!(leaf, ArrowType::Timestamp(TimeUnit::Nanosecond, _));
    if let Some(names) = has(&|group, position| group.schema.has_int96[position] || holds(group, position, &is_nanos)) {
        findings.note(format!("Timestamps are kept to the microsecond; the files could hold nanoseconds ({names})."));
    }
    let in_utc = |group: &Alike<'_>, position: usize| {
        holds(group, position, &is_timestamp) && group.footer.calendar.int96_zone.is_none()
    };
    if let Some(names) = has(&in_utc) {
        findings.note(format!(
            "Timestamps in Parquet carry no zone; they are read as the wall clock of a writer in UTC ({names})."
        ));
    }
    for group in groups {
        if let Some(zone) = &group.footer.calendar.int96_zone
            && columns
                .iter()
                .any(|(name, _)| group.schema.positions(name).iter().any(|position| group.schema.has_int96[*position]))
        {
            findings.note(format!(
                "INT96 timestamps are read as the wall clock in {zone}, as their writer noted in the files."
            ));
        }
    }
    let julian = |group: &Alike<'_>, position: usize| {
        let calendar: &WriterCalendar = &group.footer.calendar;
        let int96 = group.schema.has_int96[position];
        (calendar.julian_dates && holds(group, position, &|leaf| matches!(leaf, ArrowType::Date32)))
            || (holds(group, position, &is_timestamp)
                && if int96 { calendar.julian_int96 } else { calendar.julian_timestamps })
    };
    if let Some(names) = has(&julian) {
        findings.note(format!(
            "By their footers the files' writers counted days before 1582-10-15 in the Julian calendar; such days keep their labels ({names})."
        ));
    }
}

fn any_leaf(data_type: &ArrowType, wanted: &dyn Fn(&ArrowType) -> bool) -> bool {
    match data_type {
        ArrowType::List(element) | ArrowType::Map(element, _) => any_leaf(element.data_type(), wanted),
        ArrowType::Struct(fields) => fields.iter().any(|field| any_leaf(field.data_type(), wanted)),
        leaf => wanted(leaf),
    }
}

#[cfg(test)]
#[path = "columns_tests.rs"]
mod tests;
