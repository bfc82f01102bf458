//! Orders that other tables of the same database, or a header line, suggest.
//!
//! In: the description, the table's columns. Out: [`Hint`]s, exact ones only if there are any.

use std::path::{Path, PathBuf};

use skein_protocol::ids::TableName;
use skein_protocol::types::DataType;

use super::super::description::{DescribedColumn, Description, TableDescription};
use super::super::format::{self, Format};
use super::super::location::{Roots, path_of};
use super::super::places::Places;
use super::super::tails::{Tail, tails};
use super::{Hint, Sample};
use crate::worker::Telling;

/// Most tables whose files are looked at.
const MAX_SIBLINGS: usize = 64;
/// Deepest folders in which a sibling's file is looked for.
const MAX_DEPTH: usize = 32;

/// What siblings and the header line say of the order of `columns`.
pub(in crate::source) fn hints(
    dataset: &TableName,
    columns: &[(String, DataType)],
    sample: &Sample,
    description: &Description,
    description_folder: &Path,
    roots: &Roots,
) -> Vec<Hint> {
    let header = sample.header.as_ref().and_then(|names| order_of(columns, names));
    if let Some(order) = header {
        return vec![Hint { order, origin: "the header line".to_owned() }];
    }
    let siblings = description
        .tables
        .iter()
        .filter(|(name, table)| name.database == dataset.database && *name != dataset && !table.is_view());
    let mut alike: Vec<(bool, &TableName, &TableDescription)> =
        siblings.filter_map(|(name, table)| has_all(table, columns).map(|exact| (exact, name, table))).collect();
    // Tables with exactly these columns first.
    alike.sort_by_key(|(exact, ..)| !exact);
    let mut hints: Vec<(bool, Hint)> = Vec::new();
    for (exact, name, table) in alike.into_iter().take(MAX_SIBLINGS) {
        let order =
            names_in_order(table, description_folder, roots).into_iter().find_map(|names| order_of(columns, &names));
        let Some(order) = order else { continue };
        let which = if exact { "exactly these columns" } else { "these columns and others" };
        let known = hints.iter().any(|(_, hint)| hint.order == order);
        if !known {
            hints.push((exact, Hint { order, origin: format!("{name}, which has {which}") }));
        }
    }
    let any_exact = hints.iter().any(|(exact, _)| *exact);
    hints.into_iter().filter(|(exact, _)| *exact || !any_exact).map(|(_, hint)| hint).collect()
}

/// Whether `table` has all `columns` with the same types; true if it has no others.
fn has_all(table: &TableDescription, columns: &[(String, DataType)]) -> Option<bool> {
    let described = &table.columns.columns;
    let has = |(name, data_type): &(String, DataType)| {
        let same = |column: &&DescribedColumn| column.name.eq_ignore_ascii_case(name);
        described.iter().find(same).is_some_and(|column| column.type_text.parse::<DataType>().as_ref() == Ok(data_type))
    };
    columns.iter().all(has).then_some(described.len() == columns.len())
}

/// The columns' names in the orders that are known of `table`.
fn names_in_order(table: &TableDescription, description_folder: &Path, roots: &Roots) -> Vec<Vec<String>> {
    if table.columns.ordered {
        return vec![table.columns.columns.iter().map(|column| column.name.clone()).collect()];
    }
    let Some(Format::SelfTold(format)) = format::described(table) else { return Vec::new() };
    let located = table
        .location
        .as_deref()
        .and_then(|location| path_of(location, description_folder).ok())
        .and_then(|path| roots.resolve(&path).ok());
    let Some(located) = located.filter(|located| located.exists) else { return Vec::new() };
    // Columns that were added later are in the last partition's files, if anywhere.
    let files: Vec<PathBuf> =
        [a_file(roots.places(), &located.path, true, 0), a_file(roots.places(), &located.path, false, 0)]
            .into_iter()
            .flatten()
            .collect();
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let names = |tail: Tail| tail.schema.fields.iter().map(|field| field.name().clone()).collect();
    tails(roots.places(), format, &paths, &Telling::default()).into_iter().flatten().map(names).collect()
}

/// The types that tables of the same database give to columns of these names, each set of types once.
pub(in crate::source) fn borrowed_types(
    dataset: &TableName,
    columns: &[(String, DataType)],
    description: &Description,
) -> Vec<(TableName, Vec<(String, DataType)>)> {
    let mut found: Vec<(TableName, Vec<(String, DataType)>)> = Vec::new();
    for (name, table) in &description.tables {
        if name.database != dataset.database || name == dataset || table.is_view() {
            continue;
        }
        let type_of = |(column, _): &(String, DataType)| {
            let same = |other: &&DescribedColumn| other.name.eq_ignore_ascii_case(column);
            let other = table.columns.columns.iter().find(same)?;
            Some((column.clone(), other.type_text.parse().ok()?))
        };
        let typed: Option<Vec<(String, DataType)>> = columns.iter().map(type_of).collect();
        let all_strings = |typed: &Vec<(String, DataType)>| typed.iter().all(|(_, of)| *of == DataType::String);
        if let Some(typed) = typed.filter(|typed| !all_strings(typed))
            && found.iter().all(|(_, known)| *known != typed)
            && found.len() < MAX_SIBLINGS
        {
            found.push((name.clone(), typed));
        }
    }
    found
}

/// The first data file, by names, or the last.
fn a_file(places: &Places, folder: &Path, last: bool, depth: usize) -> Option<PathBuf> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut entries = places.entries(folder).ok()?;
    // Links are not followed here: a hint is not worth leaving the table's folder.
    entries.retain(|entry| !entry.link && entry.name.to_str().is_some_and(|name| !name.starts_with(['.', '_'])));
    if last {
        entries.reverse();
    }
    entries.into_iter().find_map(|entry| {
        if entry.folder {
            a_file(places, &entry.path, last, depth + 1)
        } else {
            (places.identity(&entry.path).ok()?.bytes > 0).then_some(entry.path)
        }
    })
}

/// The order of `columns` in which `names` has them; `None` if one is missing or there twice.
fn order_of(columns: &[(String, DataType)], names: &[String]) -> Option<Vec<usize>> {
    let position = |name: &String| columns.iter().position(|(column, _)| column.eq_ignore_ascii_case(name));
    let order: Vec<usize> = names.iter().filter_map(position).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    sorted.dedup();
    (order.len() == columns.len() && sorted.len() == columns.len()).then_some(order)
}
