//! A read through a filter on one partition: what a query with such a filter sees.
//!
//! In: a table's manifests, the ledger's list. Out: a check. Holds: which partition is read. Not here: whole scans.

use std::collections::BTreeMap;

use iceberg::spec::{Datum, FieldSummary, PrimitiveLiteral, PrimitiveType};
use serde_json::Value;
use skein_protocol::data_plane::{Failure, ReadRequest};
use skein_protocol::evidence::RuleCheck;

use super::Contents;
use super::scan::Scan;
use crate::failure;
use crate::files::Files;
use crate::iceberg::bounds::compare;
use crate::iceberg::partition::Partitioner;
use crate::iceberg::schema::TableShape;
use crate::iceberg::stage::partition_of;
use crate::iceberg::value;

/// Reads the rows of the smallest partition that has any. None for tables without partitions or rows.
pub(super) fn check(
    from: &Files,
    request: &ReadRequest,
    shape: &TableShape,
    contents: &Contents,
) -> Result<Option<RuleCheck>, Failure> {
    let Some(partitioner) = Partitioner::of(&request.plan.target)? else { return Ok(None) };
    let mut rows: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    for (position, file) in request.files.iter().enumerate() {
        let key = Value::from(file.partition.clone()).to_string();
        rows.entry(key).or_insert((0, position)).0 += file.rows;
    }
    let smallest = rows.values().filter(|(rows, _)| *rows > 0).min_by_key(|(rows, _)| *rows);
    let Some(&(expected, position)) = smallest else { return Ok(None) };
    let file = &request.files[position];
    let tuple = partition_of(shape, file)?;
    let kinds = shape.partition_primitives();

    let chosen = contents
        .manifests
        .iter()
        .filter(|manifest| may_contain(&manifest.partitions, &kinds, &tuple))
        .flat_map(|manifest| &manifest.files);
    let locations: Vec<String> =
        chosen.filter(|listed| same(&listed.partition, &tuple)).map(|listed| listed.location.clone()).collect();

    let (columns, partitioner) = partitioner.reduced();
    let names: Vec<&str> = columns.iter().map(|column| request.plan.target.columns[*column].name.as_str()).collect();
    // As the plan has the tuple, so that both sides went through the same form.
    let tuple_json: Vec<Value> = kinds
        .iter()
        .zip(&tuple)
        .map(|(kind, value)| value::to_json(kind, value.as_ref()))
        .collect::<Result<_, _>>()
        .map_err(|error| failure::internal("reading a partition", error.to_string()))?;
    let (mut found, mut strangers) = (0_u64, 0_u64);
    for batch in Scan::of_files(from, &contents.metadata, locations, Some(&names))? {
        for part in partitioner.split(&batch?)? {
            let rows = part.rows.len() as u64;
            found += rows;
            strangers += if part.partition == tuple_json { 0 } else { rows };
        }
    }
    let named = request
        .plan
        .target
        .partitioning
        .iter()
        .zip(&tuple_json)
        .map(|(field, value)| format!("{} = {value}", field.name));
    let partition: Vec<String> = named.collect();
    Ok(Some(RuleCheck {
        rule: "partition".to_owned(),
        checked: format!(
            "a read of the files of partition {} alone finds the {expected} rows that were written to it",
            partition.join(", ")
        ),
        holds: found == expected && strangers == 0,
        found: match (found == expected, strangers) {
            (true, 0) => String::new(),
            _ => format!("{found} rows, of which {strangers} belong to other partitions"),
        },
    }))
}

/// Whether a manifest with these ranges can have a file of this partition, as a reader's planning decides it.
fn may_contain(summaries: &[FieldSummary], kinds: &[PrimitiveType], tuple: &[Option<PrimitiveLiteral>]) -> bool {
    summaries.iter().zip(kinds).zip(tuple).all(|((summary, kind), value)| {
        let Some(value) = value else { return summary.contains_null };
        if value.is_nan() {
            return summary.contains_nan != Some(false);
        }
        let bound = |bytes: &[u8]| Datum::try_from_bytes(bytes, kind.clone()).ok();
        match (&summary.lower_bound, &summary.upper_bound) {
            (Some(lower), Some(upper)) => {
                let above = bound(lower).is_none_or(|lower| compare(lower.literal(), value).is_le());
                above && bound(upper).is_none_or(|upper| compare(upper.literal(), value).is_ge())
            }
            _ => false,
        }
    })
}

fn same(one: &[Option<PrimitiveLiteral>], other: &[Option<PrimitiveLiteral>]) -> bool {
    let equal = |(one, other): (&Option<PrimitiveLiteral>, &Option<PrimitiveLiteral>)| match (one, other) {
        (Some(one), Some(other)) => compare(one, other).is_eq(),
        (None, None) => true,
        _ => false,
    };
    one.len() == other.len() && one.iter().zip(other).all(equal)
}
