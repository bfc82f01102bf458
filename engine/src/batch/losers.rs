//! Rows that an earlier stage found to lose: they are left out of the writing.
//!
//! In: scratch files of the resolving stage. Out: for each input of a batch, its losing rows in order. Not here: why a row
//! loses (`resolve`).

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{UInt32Type, UInt64Type};
use skein_protocol::data_plane::{Failure, StagedKind};

use super::scratch;
use super::work::Work;
use crate::failure::internal;

/// One losing row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Loser {
    /// Row of the source file, from 0.
    pub(super) row: u64,
    /// Which of the plan's rules removes it.
    pub(super) rule: usize,
}

/// Losing rows of the files of one batch.
#[derive(Debug, Default)]
pub(super) struct Losers {
    by_file: BTreeMap<u32, Vec<Loser>>,
}

impl Losers {
    /// Reads the losing rows of the batch's files from what the stage before wrote.
    pub(super) fn read(work: &Work<'_>) -> Result<Self, Failure> {
        let mut by_file: BTreeMap<u32, Vec<Loser>> = BTreeMap::new();
        for input in &work.batch()?.inputs {
            by_file.entry(input.file).or_default();
        }
        let rules = work.plan().rules.len();
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
                    if let Some(losers) = by_file.get_mut(file) {
                        losers.push(Loser { row: *row, rule });
                    }
                }
                Ok(())
            })?;
        }
        for losers in by_file.values_mut() {
            losers.sort_unstable();
            if losers.windows(2).any(|pair| pair[0].row == pair[1].row) {
                return Err(internal("reading losing rows", "a row loses twice"));
            }
        }
        Ok(Self { by_file })
    }

    /// The losing rows of `file` among `rows` (first and end), in order.
    pub(super) fn of(&self, file: u32, first: u64, end: u64) -> &[Loser] {
        let losers = self.by_file.get(&file).map_or(&[][..], Vec::as_slice);
        let from = losers.partition_point(|loser| loser.row < first);
        let to = losers.partition_point(|loser| loser.row < end);
        &losers[from..to]
    }
}
