//! The resolving stage: of the rows of one range of keys, finds those that lose.
//!
//! In: identities of one range, from all files. Out: one scratch file of losing rows, if there are any. Holds: what "the
//! first" means. Not here: leaving rows out (`rows`).
//!
//! Whole rows are taken for equal if their `row128` is: here no row is at hand to compare values with. Among 10^9 rows
//! that no adversary made, two different ones share a hash with a chance of about 10^-21.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, FixedSizeBinaryArray, RecordBatch, UInt32Array, UInt64Array,
};
use arrow::datatypes::{UInt32Type, UInt64Type};
use skein_protocol::data_plane::{BatchResult, Failure, StagedKind};
use skein_protocol::evidence::{BatchEvidence, RuleCheck};
use skein_protocol::problem::{Code, Problem};

use super::duplicates::distinct;
use super::identity::Question;
use super::scratch::{self, ScratchWriter};
use super::work::Work;
use crate::failure::internal;

/// Memory that an identity takes here beside its order, bytes: two hashes, file, row, its position, the check's copies.
const IDENTITY_BYTES: u64 = 16 + 16 + 4 + 8 + 4 + 2 * 16;

/// Runs a resolving batch.
pub(super) fn resolve(work: &Work<'_>) -> Result<BatchResult, Failure> {
    let question = Question::of(work.plan())?;
    let range = work.batch()?.range.ok_or_else(|| internal("resolving a range", "the batch has no range"))?;
    let range_files = || work.request.prior.iter().filter(|file| file.kind == StagedKind::Identities { range });
    let rows: u64 = range_files().map(|file| file.rows).sum();
    fits(work, range, rows)?;
    let mut identities = Gathered::default();
    let schema = question.schema();
    for file in range_files() {
        scratch::read(work, file, &schema, |batch| {
            identities.add(batch);
            Ok(())
        })?;
    }
    work.cancel.check()?;
    let sorted = identities.sorted();
    let mut losers = Losing::default();
    let keys = identities.judge(&question, &sorted, &mut losers);
    let check = keys.check(work, &question);
    let file = losers.write(work, range)?;
    Ok(BatchResult {
        files: file.into_iter().collect(),
        evidence: BatchEvidence { rules: vec![check], ..BatchEvidence::default() },
    })
}

fn fits(work: &Work<'_>, range: u32, rows: u64) -> Result<(), Failure> {
    let bytes = rows.saturating_mul(IDENTITY_BYTES);
    if bytes <= work.request.memory_bytes && u32::try_from(rows).is_ok() {
        return Ok(());
    }
    let why =
        format!("range {range} has {rows} rows, which take {bytes} bytes; {} are allowed", work.request.memory_bytes);
    let next = "Give batches more memory in the policy's limits; then plan again";
    Err(Failure::permanent(
        Problem::new(Code::MemoryExceeded, "Finding rows that lose", why, next).of(&work.plan().source.dataset),
    ))
}

/// All identities of a range.
#[derive(Default)]
struct Gathered {
    row128: Vec<u128>,
    file: Vec<u32>,
    row: Vec<u64>,
    key: Vec<u128>,
    /// Orders batch by batch, and the position of the first row of each.
    orders: Vec<BinaryArray>,
    orders_from: Vec<usize>,
}

impl Gathered {
    fn add(&mut self, batch: &RecordBatch) {
        if batch.num_columns() > 3 {
            self.orders_from.push(self.file.len());
            self.orders.push(batch.column(4).as_binary::<i32>().clone());
            self.key.extend(hashes(batch.column(3)));
        }
        self.row128.extend(hashes(batch.column(0)));
        self.file.extend_from_slice(batch.column(1).as_primitive::<UInt32Type>().values());
        self.row.extend_from_slice(batch.column(2).as_primitive::<UInt64Type>().values());
    }

    fn key(&self, at: u32) -> u128 {
        if self.key.is_empty() { self.row128[at as usize] } else { self.key[at as usize] }
    }

    fn order(&self, at: u32) -> &[u8] {
        let at = at as usize;
        match self.orders_from.partition_point(|from| *from <= at) {
            0 => &[],
            after => self.orders[after - 1].value(at - self.orders_from[after - 1]),
        }
    }

    /// Positions in the order of keys, then of the rule, then of `row128`, file and row.
    fn sorted(&self) -> Vec<u32> {
        let mut sorted: Vec<u32> = (0..self.file.len() as u32).collect();
        sorted.sort_unstable_by(|one, other| {
            let place = |at: u32| (self.row128[at as usize], self.file[at as usize], self.row[at as usize]);
            let by_key = self.key(*one).cmp(&self.key(*other));
            by_key.then_with(|| self.order(*one).cmp(self.order(*other))).then_with(|| place(*one).cmp(&place(*other)))
        });
        sorted
    }

    /// Finds the losing rows.
    fn judge(&self, question: &Question<'_>, sorted: &[u32], losing: &mut Losing) -> Keys {
        let mut winners = Vec::new();
        let mut before: Option<u32> = None;
        for at in sorted {
            let same_key = before.is_some_and(|before| self.key(before) == self.key(*at));
            // Rows that are equal have the same order, so they stand side by side.
            let same_row = before.is_some_and(|before| self.row128[before as usize] == self.row128[*at as usize]);
            let reason = match (question.keyed, question.exact) {
                (_, Some(exact)) if same_key && same_row && question.exact_first() => Some(exact),
                (Some(keyed), _) if same_key => Some(keyed),
                _ => None,
            };
            match reason {
                Some(rule) => losing.push(self.file[*at as usize], self.row[*at as usize], rule),
                None => winners.push(self.key(*at)),
            }
            before = Some(*at);
        }
        let mut keys = if self.key.is_empty() { self.row128.clone() } else { self.key.clone() };
        Keys {
            rows: self.file.len(),
            keys: distinct(&mut keys),
            winning_keys: distinct(&mut winners),
            winners: winners.len(),
            losers: losing.row.len(),
        }
    }
}

fn hashes(column: &ArrayRef) -> impl Iterator<Item = u128> {
    let column: &FixedSizeBinaryArray = column.as_fixed_size_binary();
    (0..column.len()).map(|at| u128::from_be_bytes(column.value(at).try_into().expect("the schema says sixteen bytes")))
}

/// What the rule's own check compares.
struct Keys {
    rows: usize,
    /// Different keys of all rows, counted by sorting them alone.
    keys: u64,
    /// Different keys of the rows that win.
    winning_keys: u64,
    winners: usize,
    losers: usize,
}

impl Keys {
    fn check(&self, work: &Work<'_>, question: &Question<'_>) -> RuleCheck {
        let rule = question.keyed.or(question.exact).and_then(|position| work.plan().rules.get(position));
        let holds = self.keys == self.winning_keys
            && self.keys == self.winners as u64
            && self.winners + self.losers == self.rows;
        RuleCheck {
            rule: rule.map_or_else(String::new, |rule| rule.id.clone()),
            checked: format!(
                "each of {} keys among {} rows has one row that is kept: none twice, none missing",
                self.keys, self.rows
            ),
            holds,
            found: format!("{} rows with {} keys are kept, {} are not", self.winners, self.winning_keys, self.losers),
        }
    }
}

/// Losing rows with the number of the rule.
#[derive(Default)]
struct Losing {
    file: Vec<u32>,
    row: Vec<u64>,
    rule: Vec<u32>,
}

impl Losing {
    fn push(&mut self, file: u32, row: u64, rule: usize) {
        self.file.push(file);
        self.row.push(row);
        self.rule.push(u32::try_from(rule).expect("a plan has few rules"));
    }

    fn write(self, work: &Work<'_>, range: u32) -> Result<Option<skein_protocol::data_plane::StagedFile>, Failure> {
        if self.file.is_empty() {
            return Ok(None);
        }
        let mut sorted: Vec<usize> = (0..self.file.len()).collect();
        sorted.sort_unstable_by_key(|at| (self.file[*at], self.row[*at]));
        let schema = scratch::losers_schema();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(sorted.iter().map(|at| self.file[*at]))),
            Arc::new(UInt64Array::from_iter_values(sorted.iter().map(|at| self.row[*at]))),
            Arc::new(UInt32Array::from_iter_values(sorted.iter().map(|at| self.rule[*at]))),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)
            .map_err(|error| internal("writing losing rows", error.to_string()))?;
        let mut writer = ScratchWriter::new(work, 0, &schema)?;
        writer.write(&batch)?;
        writer.finish(work, StagedKind::Losers { range }).map(Some)
    }
}
