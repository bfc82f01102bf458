//! Rows that an earlier stage found to lose: they are left out of the writing.
//!
//! In: scratch files of the resolving stage. Out: for each input of a batch, its losing rows in order. Not here: why a row
//! loses (`resolve`).

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::AsArray;
use arrow::datatypes::{UInt32Type, UInt64Type};
use skein_protocol::data_plane::{Failure, StagedKind};
use skein_protocol::plan::BatchInput;
use skein_protocol::problem::{Code, Problem};

use super::scratch;
use super::work::Work;
use crate::failure::internal;

/// Bits of a losing row's rule.
const RULE_BITS: u32 = 8;

/// One losing row: its number in the source file, from 0, and below it which of the plan's rules removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Loser(u64);

impl Loser {
    /// Row of the source file, from 0.
    pub(super) fn row(self) -> u64 {
        self.0 >> RULE_BITS
    }

    /// Which of the plan's rules removes it.
    pub(super) fn rule(self) -> usize {
        (self.0 & ((1 << RULE_BITS) - 1)) as usize
    }
}

/// Losing rows of the files of one batch.
#[derive(Debug, Default)]
pub(super) struct Losers {
    by_file: BTreeMap<u32, OfFile>,
}

/// Losing rows of one file, of those that the batch reads.
#[derive(Debug, Default)]
struct OfFile {
    rows: Range<u64>,
    losers: Vec<Loser>,
}

impl Losers {
    /// Reads the losing rows of the batch's files from what the stage before wrote.
    pub(super) fn read(work: &Work<'_>) -> Result<Self, Failure> {
        let mut by_file: BTreeMap<u32, OfFile> = BTreeMap::new();
        for input in &work.batch()?.inputs {
            let rows = rows_of(work, input);
            let of = by_file.entry(input.file).or_insert_with(|| OfFile { rows: rows.clone(), losers: Vec::new() });
            of.rows = of.rows.start.min(rows.start)..of.rows.end.max(rows.end);
        }
        let rules = work.plan().rules.len().min(1 << RULE_BITS);
        let mut number = 0_usize;
        let prior = work.request.prior.iter().filter(|file| matches!(file.kind, StagedKind::Losers { .. }));
        for staged in prior {
            scratch::read(work, staged, &scratch::losers_schema(), |batch| {
                let files = batch.column(0).as_primitive::<UInt32Type>().values();
                let rows = batch.column(1).as_primitive::<UInt64Type>().values();
                let reasons = batch.column(2).as_primitive::<UInt32Type>().values();
                for ((file, row), rule) in files.iter().zip(rows).zip(reasons) {
                    let rule = *rule as usize;
                    if rule >= rules {
                        return Err(internal("reading losing rows", format!("the plan has no rule number {rule}")));
                    }
                    if let Some(of) = by_file.get_mut(file).filter(|of| of.rows.contains(row)) {
                        of.losers.push(Loser((*row << RULE_BITS) | rule as u64));
                        number += 1;
                    }
                }
                fits(work, number)
            })?;
        }
        for OfFile { losers, .. } in by_file.values_mut() {
            losers.sort_unstable();
            if losers.windows(2).any(|pair| pair[0].row() == pair[1].row()) {
                return Err(internal("reading losing rows", "a row loses twice"));
            }
        }
        Ok(Self { by_file })
    }

    /// The losing rows of `file` among `rows` (first and end), in order.
    pub(super) fn of(&self, file: u32, first: u64, end: u64) -> &[Loser] {
        let losers = self.by_file.get(&file).map_or(&[][..], |of| of.losers.as_slice());
        let from = losers.partition_point(|loser| loser.row() < first);
        let to = losers.partition_point(|loser| loser.row() < end);
        &losers[from..to]
    }
}

/// The rows of a file that an input reads.
fn rows_of(work: &Work<'_>, input: &BatchInput) -> Range<u64> {
    let file = work.plan().source.files.get(input.file as usize);
    let (Some(file), Some((first, count))) = (file, input.row_groups) else { return 0..u64::MAX };
    let (first, count) = (first as usize, count as usize);
    let start: u64 = file.row_groups.iter().take(first).sum();
    start..start + file.row_groups.iter().skip(first).take(count).sum::<u64>()
}

fn fits(work: &Work<'_>, losers: usize) -> Result<(), Failure> {
    if losers.saturating_mul(size_of::<Loser>()) <= work.memory() {
        return Ok(());
    }
    let why = format!(
        "more than {losers} rows of one batch lose, which take more than the {} bytes that are allowed",
        work.memory()
    );
    let next =
        "Give batches more memory in the policy's limits, or rewrite the table in smaller files; then plan again";
    let problem = Problem::new(Code::MemoryExceeded, "Leaving rows out", why, next);
    Err(Failure::permanent(problem.of(&work.plan().source.dataset)))
}
