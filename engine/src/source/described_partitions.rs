//! The partitions that a description tells of, and the order of their columns.
//!
//! In: descriptions, a table's folder. Out: [`Partitions`] for the walk over the folder (`listing`).

use std::collections::HashSet;
use std::path::Path;

use skein_protocol::problem::Code;
use skein_protocol::types::DataType;

use super::description::{DescribedColumn, TableDescription};
use super::findings::Findings;
use super::listing::Partitions;
use super::location::Located;
use super::partitions;
use super::places::Places;

/// What is known of the partitions of a planned table.
pub(super) fn of_plan(
    described: Option<&TableDescription>,
    columns: Vec<(String, DataType)>,
    findings: &mut Findings,
) -> Partitions {
    match described {
        Some(table) => of_description(table, columns, findings),
        None => Partitions::Described { columns, known: None },
    }
}

/// What a description says of the partitions, which are those of a metastore or those of a description file.
pub(super) fn of_description(
    table: &TableDescription,
    columns: Vec<(String, DataType)>,
    findings: &mut Findings,
) -> Partitions {
    if let Some(placed) = &table.placed {
        return Partitions::Placed { columns, placed: placed.clone() };
    }
    let Some(texts) = table.partitions.as_ref().filter(|_| !columns.is_empty()) else {
        return Partitions::Described { columns, known: None };
    };
    let mut known = HashSet::with_capacity(texts.len());
    for text in texts {
        let levels = partitions::specification(text).and_then(|levels| {
            let same = levels.len() == columns.len()
                && levels.iter().zip(&columns).all(|(level, (name, _))| level.key.eq_ignore_ascii_case(name));
            if same { Ok(levels) } else { Err(format!("{text:?} does not name the partition columns in their order")) }
        });
        match levels {
            Ok(levels) => drop(known.insert(levels.into_iter().map(|level| level.value).collect())),
            Err(why) => findings.problem(
                Code::DescriptionInvalid,
                "A described partition is not readable",
                why,
                "Correct the table description",
            ),
        }
    }
    Partitions::Described { columns, known: Some(known) }
}

/// The partition columns in the order of the folders, where the description's own order tells nothing.
pub(super) fn ordered_keys(table: &TableDescription, located: &Located, places: &Places) -> Vec<DescribedColumn> {
    let columns = &table.partition_columns.columns;
    if table.partition_columns.ordered {
        return columns.clone();
    }
    let described = table.partitions.iter().flatten().next();
    let keys: Vec<String> = match described.and_then(|text| partitions::specification(text).ok()) {
        Some(levels) => levels.into_iter().map(|level| level.key).collect(),
        None => keys_of_folders(places, &located.path, columns.len()),
    };
    let in_order: Vec<DescribedColumn> = keys
        .iter()
        .filter_map(|key| columns.iter().find(|column| column.name.eq_ignore_ascii_case(key)))
        .cloned()
        .collect();
    // If they do not fit, the walk over the folders says where.
    if in_order.len() == columns.len() && keys.len() == columns.len() { in_order } else { columns.clone() }
}

fn keys_of_folders(places: &Places, folder: &Path, most: usize) -> Vec<String> {
    let mut keys = Vec::new();
    let mut folder = folder.to_owned();
    while keys.len() < most {
        let Ok(entries) = places.entries(&folder) else { return keys };
        let next = entries.into_iter().filter(|entry| entry.folder).find_map(|entry| {
            let key_value = partitions::key_value(entry.name.to_str()?)?.ok()?;
            Some((key_value.key, entry.path))
        });
        let Some((key, path)) = next else { return keys };
        keys.push(key);
        folder = path;
    }
    keys
}
