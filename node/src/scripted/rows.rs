//! Rows of the scripted world, and what a batch makes of them according to a plan.
//!
//! In: rows as read, a plan. Out: what is written, and its evidence. Holds: nothing. Not here: where rows are read and
//! written (`batch`), what must come out (`recipe`).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use skein_protocol::data_plane::{Failure, StagedKind};
use skein_protocol::evidence::{BatchEvidence, ColumnEvidence, Removed, RowSum, SparkSum};
use skein_protocol::hash::Hash256;
use skein_protocol::plan::{Conversion, OrderBy, Origin, Plan, PlannedRule, Rule, StageKind};
use skein_protocol::problem::{Code, Problem};
use skein_protocol::types::DataType;

use super::cells::{self, Cell};

/// A row of a source: its number, and where it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) value: u64,
    pub(super) part: Option<u32>,
    pub(super) file: u32,
    pub(super) place: u32,
}

impl Row {
    pub(super) fn cells(&self) -> Vec<Cell> {
        cells::cells(self.value, self.part)
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.value.to_le_bytes());
        bytes.extend_from_slice(&self.file.to_le_bytes());
        bytes.extend_from_slice(&self.place.to_le_bytes());
    }
}

/// A row on its way: its source's cells, and what it becomes.
#[derive(Debug, Clone)]
pub(super) struct Moved {
    pub(super) source: Vec<Cell>,
    pub(super) target: Vec<Cell>,
    pub(super) part: Option<u32>,
}

/// What a batch makes of the rows that it read.
#[derive(Debug)]
pub(super) enum Made {
    /// Files for a later stage.
    Scratch(Vec<(StagedKind, Vec<Row>)>, Box<BatchEvidence>),
    /// Rows of the target; what was read back is not in the evidence yet.
    Data(Vec<Moved>, Box<BatchEvidence>),
}

/// The columns of a plan's source.
struct Columns<'a>(&'a Plan);

impl Columns<'_> {
    fn place(&self, name: &str) -> Result<usize, Failure> {
        let found = self.0.source.columns.iter().position(|column| column.name == name);
        found.ok_or_else(|| refuse(Code::Internal, name, "the plan speaks of a column that its source lacks"))
    }

    fn is_number(&self, place: usize) -> bool {
        self.0.source.columns.get(place).is_some_and(|column| column.data_type == DataType::BigInt)
    }
}

pub(super) fn refuse(code: Code, what: &str, why: &str) -> Failure {
    Failure::permanent(Problem::new(code, what, why, "correct the script"))
}

/// What a batch of this kind of stage makes of `read` (source rows) and `prior` (of an earlier stage's files).
pub(super) fn make(
    plan: &Plan,
    kind: Option<StageKind>,
    range: Option<u32>,
    read: &[Row],
    prior: &[Row],
) -> Result<Made, Failure> {
    match kind {
        Some(StageKind::Identify { ranges }) => {
            let kept = filtered(plan, read)?;
            Ok(Made::Scratch(identify(plan, &kept, ranges)?, Box::new(counted(read))))
        }
        Some(StageKind::Resolve) => {
            let losers = losers(plan, prior)?;
            let kind = StagedKind::Losers { range: range.unwrap_or_default() };
            Ok(Made::Scratch(vec![(kind, losers)], Box::new(counted(prior))))
        }
        _ => write(plan, read, prior),
    }
}

fn counted(rows: &[Row]) -> BatchEvidence {
    BatchEvidence { source: sum_of(rows), ..BatchEvidence::default() }
}

/// The rule that finds its rows in stages of its own, with its key; no key means the whole row.
fn keyed(plan: &Plan) -> Option<(&[String], &[OrderBy])> {
    plan.rules.iter().find_map(|rule| match &rule.rule {
        Rule::KeepOne { key, order } => Some((key.as_slice(), order.as_slice())),
        _ => None,
    })
}

fn key_of(plan: &Plan, row: &Row) -> Result<Vec<Cell>, Failure> {
    let cells = row.cells();
    let Some((key, _)) = keyed(plan) else { return Ok(cells) };
    key.iter().map(|name| Ok(cells[Columns(plan).place(name)?].clone())).collect()
}

fn identify(plan: &Plan, rows: &[Row], ranges: u32) -> Result<Vec<(StagedKind, Vec<Row>)>, Failure> {
    let mut files: BTreeMap<u32, Vec<Row>> = BTreeMap::new();
    for row in rows {
        let mut bytes = Vec::new();
        cells::encode(key_of(plan, row)?.iter(), &mut bytes);
        let range = u32::from(Hash256::of(&bytes).0[0]) % ranges.max(1);
        files.entry(range).or_default().push(*row);
    }
    Ok(files.into_iter().map(|(range, rows)| (StagedKind::Identities { range }, rows)).collect())
}

/// All rows of a range but the first of each key.
fn losers(plan: &Plan, rows: &[Row]) -> Result<Vec<Row>, Failure> {
    let mut groups: BTreeMap<Vec<Cell>, Vec<Row>> = BTreeMap::new();
    for row in rows {
        groups.entry(key_of(plan, row)?).or_default().push(*row);
    }
    let order = keyed(plan).map_or(&[][..], |(_, order)| order);
    let mut terms = Vec::new();
    for term in order {
        let place = Columns(plan).place(&term.column)?;
        terms.push((place, Columns(plan).is_number(place), term));
    }
    let mut losers = Vec::new();
    for mut group in groups.into_values() {
        group.sort_by(|one, other| {
            let (left, right) = (one.cells(), other.cells());
            let by_order = terms
                .iter()
                .map(|(place, number, term)| compare(left[*place].as_ref(), right[*place].as_ref(), *number, term));
            let decided = by_order.fold(Ordering::Equal, Ordering::then);
            let tie = || row128(&left).cmp(&row128(&right)).then((one.file, one.place).cmp(&(other.file, other.place)));
            decided.then_with(tie)
        });
        losers.extend(group.into_iter().skip(1));
    }
    Ok(losers)
}

fn compare(one: Option<&String>, other: Option<&String>, number: bool, term: &OrderBy) -> Ordering {
    let nulls = if term.nulls_first { Ordering::Less } else { Ordering::Greater };
    match (one, other) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => nulls,
        (Some(_), None) => nulls.reverse(),
        (Some(one), Some(other)) => {
            let plain = if number { one.parse::<i64>().ok().cmp(&other.parse().ok()) } else { one.cmp(other) };
            if term.descending { plain.reverse() } else { plain }
        }
    }
}

fn filtered(plan: &Plan, rows: &[Row]) -> Result<Vec<Row>, Failure> {
    let mut kept = rows.to_vec();
    for rule in &plan.rules {
        if let Rule::Filter { sql } = &rule.rule {
            kept = keep(plan, sql, kept)?;
        }
    }
    Ok(kept)
}

/// Rows for which a comparison of a column with a number is true. Scripted worlds know no other filters.
fn keep(plan: &Plan, sql: &str, rows: Vec<Row>) -> Result<Vec<Row>, Failure> {
    let unknown =
        || refuse(Code::ExpressionFailed, sql, "a scripted world compares a column with a number, nothing else");
    let mut words = sql.split(' ');
    let (Some(column), Some(operator), Some(number), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(unknown());
    };
    let place = Columns(plan).place(column.trim_matches('"'))?;
    let number: i64 = number.parse().map_err(|_| unknown())?;
    let wanted: &[Ordering] = match operator {
        ">=" => &[Ordering::Greater, Ordering::Equal],
        ">" => &[Ordering::Greater],
        "<" => &[Ordering::Less],
        "<=" => &[Ordering::Less, Ordering::Equal],
        "=" => &[Ordering::Equal],
        _ => return Err(unknown()),
    };
    let holds = |row: &Row| {
        let value = row.cells()[place].as_ref().and_then(|text| text.parse::<i64>().ok());
        value.is_some_and(|value| wanted.contains(&value.cmp(&number)))
    };
    Ok(rows.into_iter().filter(holds).collect())
}

fn write(plan: &Plan, read: &[Row], losers: &[Row]) -> Result<Made, Failure> {
    let mut kept = read.to_vec();
    let mut removed = Vec::new();
    let losers: BTreeSet<(u32, u32)> = losers.iter().map(|row| (row.file, row.place)).collect();
    let alone = keyed(plan).is_none();
    for PlannedRule { id, rule } in &plan.rules {
        let before = kept.clone();
        kept = match rule {
            Rule::Filter { sql } => keep(plan, sql, kept)?,
            Rule::DropExactDuplicates if losers.is_empty() || !alone => {
                let mut seen = BTreeSet::new();
                kept.into_iter().filter(|row| seen.insert((row.value, row.part))).collect()
            }
            Rule::DropExactDuplicates | Rule::KeepOne { .. } => {
                kept.into_iter().filter(|row| !losers.contains(&(row.file, row.place))).collect()
            }
        };
        let stay: BTreeSet<Row> = kept.iter().copied().collect();
        let gone: Vec<Row> = before.into_iter().filter(|row| !stay.contains(row)).collect();
        removed.push(Removed { rule: id.clone(), rows: sum_of(&gone) });
    }
    let moved = kept.iter().map(|row| moved(plan, row)).collect::<Result<Vec<_>, _>>()?;
    let source = sum_of(read);
    let lossless: Vec<usize> =
        plan.lossless_columns().iter().map(|(name, _)| Columns(plan).place(name)).collect::<Result<_, _>>()?;
    let evidence = BatchEvidence {
        footer_rows: Some(source.rows),
        source,
        removed,
        kept: sum_of(&kept),
        lossless_source: sum(moved.iter().map(|row| lossless.iter().map(|place| &row.source[*place]))),
        expected: sum(moved.iter().map(|row| row.target.iter())),
        columns: columns(plan, &moved.iter().map(|row| row.target.clone()).collect::<Vec<_>>()),
        spark: plan.checks.spark64.then(|| spark(source)),
        summed: true,
        ..BatchEvidence::default()
    };
    Ok(Made::Data(moved, Box::new(evidence)))
}

/// A row's way into the target.
fn moved(plan: &Plan, row: &Row) -> Result<Moved, Failure> {
    let source = row.cells();
    let mut target = Vec::with_capacity(plan.target.columns.len());
    for column in &plan.target.columns {
        let cell = match &column.origin {
            Origin::Constant { value } => value.clone(),
            Origin::Source { column } => source[Columns(plan).place(column)?].clone(),
        };
        if matches!(column.conversion, Conversion::Cast { .. })
            && column.data_type == DataType::BigInt
            && cell.as_ref().is_some_and(|text| text.parse::<i64>().is_err())
        {
            return Err(refuse(Code::CastFailed, &column.name, "a text is no number"));
        }
        target.push(cell);
    }
    Ok(Moved { source, target, part: row.part })
}

/// Completes the evidence with what was read back.
pub(super) fn read_back(plan: &Plan, evidence: &mut BatchEvidence, found: &[Vec<Cell>]) {
    evidence.found = sum(found.iter().map(|row| row.iter()));
    let lossless: Vec<usize> = plan
        .lossless_columns()
        .iter()
        .filter_map(|(_, name)| plan.target.columns.iter().position(|column| column.name == *name))
        .collect();
    evidence.lossless_target = sum(found.iter().map(|row| lossless.iter().map(|place| &row[*place])));
    for (known, seen) in evidence.columns.iter_mut().zip(columns(plan, found)) {
        known.nulls_found = seen.nulls_expected;
        known.min_found = seen.min_expected;
        known.max_found = seen.max_expected;
    }
}

/// What is known of each column, as it is expected.
fn columns(plan: &Plan, rows: &[Vec<Cell>]) -> Vec<ColumnEvidence> {
    let of = |(place, column): (usize, &skein_protocol::plan::TargetColumn)| {
        let values = || rows.iter().filter_map(|row| row[place].clone());
        let asked = plan.checks.min_max;
        ColumnEvidence {
            column: column.name.clone(),
            nulls_expected: rows.iter().filter(|row| row[place].is_none()).count() as u64,
            nulls_found: 0,
            min_expected: asked.then(|| values().min()).flatten(),
            min_found: None,
            max_expected: asked.then(|| values().max()).flatten(),
            max_found: None,
        }
    };
    plan.target.columns.iter().enumerate().map(of).collect()
}

fn spark(rows: RowSum) -> SparkSum {
    let mut spark = SparkSum::default();
    (0..rows.rows).for_each(|_| spark.add(1));
    spark
}

/// Count and sum of source rows.
fn sum_of(rows: &[Row]) -> RowSum {
    let mut sum = RowSum::default();
    rows.iter().for_each(|row| sum.add(row128(&row.cells())));
    sum
}

fn sum<'a, R: Iterator<Item = &'a Cell>>(rows: impl Iterator<Item = R>) -> RowSum {
    let mut sum = RowSum::default();
    rows.for_each(|row| sum.add(hash(row)));
    sum
}

fn row128(cells: &[Cell]) -> u128 {
    hash(cells.iter())
}

fn hash<'a>(cells: impl Iterator<Item = &'a Cell>) -> u128 {
    let mut bytes = Vec::new();
    cells::encode(cells, &mut bytes);
    let hash = Hash256::of(&bytes);
    let (half, _) = hash.0.split_first_chunk::<16>().expect("a hash has 32 bytes");
    u128::from_le_bytes(*half)
}
