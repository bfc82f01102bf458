//! Rows of the scripted world: each is a number, with the file and place it came from.

use std::collections::{BTreeMap, BTreeSet};

use skein_protocol::data_plane::{BatchRequest, StagedFile, StagedKind};
use skein_protocol::evidence::{BatchEvidence, ColumnEvidence, Removed, RowSum, SparkSum, Sum128};
use skein_protocol::hash::Hash256;
use skein_protocol::plan::{Batch, Plan, Rule, StageKind};

/// A number, and where it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) value: u64,
    pub(super) file: u32,
    pub(super) place: u32,
}

/// A file that a batch writes.
pub(super) struct Written {
    pub(super) kind: StagedKind,
    pub(super) rows: Vec<Row>,
}

/// What a batch does with the rows that it read.
pub(super) fn run(
    request: &BatchRequest,
    batch: &Batch,
    read: Vec<Row>,
    prior: Vec<Row>,
) -> (Vec<Written>, BatchEvidence) {
    let plan = &request.plan;
    match plan.stage(request.batch.stage).map(|stage| stage.kind) {
        Some(StageKind::Identify { ranges }) => (identify(&read, ranges), counted(&read)),
        Some(StageKind::Resolve) => (resolve(&prior, batch.range.unwrap_or_default()), counted(&prior)),
        _ => write(plan, read, &prior),
    }
}

fn counted(rows: &[Row]) -> BatchEvidence {
    BatchEvidence { source: sum(rows), ..BatchEvidence::default() }
}

/// The range that a number's identity goes to.
fn range_of(row: &Row, ranges: u32) -> u32 {
    u32::try_from(row.value % u64::from(ranges.max(1))).expect("it is below a number of 32 bits")
}

fn identify(rows: &[Row], ranges: u32) -> Vec<Written> {
    let mut files: BTreeMap<u32, Vec<Row>> = BTreeMap::new();
    for row in rows {
        files.entry(range_of(row, ranges)).or_default().push(*row);
    }
    files.into_iter().map(|(range, rows)| Written { kind: StagedKind::Identities { range }, rows }).collect()
}

fn resolve(rows: &[Row], range: u32) -> Vec<Written> {
    let mut sorted = rows.to_vec();
    sorted.sort_unstable();
    let mut seen = BTreeSet::new();
    sorted.retain(|row| !seen.insert(row.value));
    vec![Written { kind: StagedKind::Losers { range }, rows: sorted }]
}

fn write(plan: &Plan, read: Vec<Row>, losers: &[Row]) -> (Vec<Written>, BatchEvidence) {
    let source = sum(&read);
    let mut kept = read;
    let mut removed = Vec::new();
    for rule in &plan.rules {
        let mut seen = BTreeSet::new();
        let (stay, go): (Vec<Row>, Vec<Row>) = kept.into_iter().partition(|row| match rule.rule {
            Rule::Filter { .. } => true,
            Rule::DropExactDuplicates if losers.is_empty() => seen.insert(row.value),
            Rule::DropExactDuplicates | Rule::KeepOne { .. } => !losers.contains(row),
        });
        removed.push(Removed { rule: rule.id.clone(), rows: sum(&go) });
        kept = stay;
    }
    let all = sum(&kept);
    let evidence = BatchEvidence {
        footer_rows: Some(source.rows),
        source,
        removed,
        kept: all,
        lossless_source: all,
        lossless_target: all,
        expected: all,
        found: all,
        columns: plan.target.columns.iter().map(|column| no_nulls(&column.name)).collect(),
        spark: plan.checks.spark64.then(|| spark(source)),
        rules: Vec::new(),
        first_difference: None,
        summed: true,
    };
    (vec![Written { kind: StagedKind::Data, rows: kept }], evidence)
}

fn no_nulls(column: &str) -> ColumnEvidence {
    ColumnEvidence {
        column: column.to_owned(),
        nulls_expected: 0,
        nulls_found: 0,
        min_expected: None,
        min_found: None,
        max_expected: None,
        max_found: None,
    }
}

fn spark(rows: RowSum) -> SparkSum {
    let mut spark = SparkSum::default();
    (0..rows.rows).for_each(|_| spark.add(1));
    spark
}

/// Count and sum of rows by their numbers.
pub(super) fn sum(rows: &[Row]) -> RowSum {
    let mut sum = RowSum::default();
    rows.iter().for_each(|row| sum.add(row128(row.value)));
    sum
}

fn row128(value: u64) -> u128 {
    let hash = Hash256::of(&value.to_le_bytes());
    let (half, _) = hash.0.split_first_chunk::<16>().expect("a hash has 32 bytes");
    u128::from_le_bytes(*half)
}

/// What tells one content from another.
pub(super) fn content(rows: &[Row]) -> Sum128 {
    let mut bytes = Vec::with_capacity(rows.len() * 16);
    for row in rows {
        bytes.extend_from_slice(&row.value.to_le_bytes());
        bytes.extend_from_slice(&row.file.to_le_bytes());
        bytes.extend_from_slice(&row.place.to_le_bytes());
    }
    let hash = Hash256::of(&bytes);
    let (half, _) = hash.0.split_first_chunk::<16>().expect("a hash has 32 bytes");
    Sum128(u128::from_le_bytes(*half))
}

/// A written file as the ledger records it.
pub(super) fn staged(location: String, written: &Written) -> StagedFile {
    StagedFile {
        location,
        kind: written.kind,
        rows: written.rows.len() as u64,
        bytes: written.rows.len() as u64 * 16,
        content: content(&written.rows),
        partition: Vec::new(),
    }
}
