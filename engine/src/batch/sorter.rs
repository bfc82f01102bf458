//! The order of rows within a data file.
//!
//! In: batches of one partition in the target's schema. Out: the same rows in the plan's order. Holds: nothing.
//! Not here: how many rows are sorted at once (`sink`).
//!
//! Values compare as Iceberg has it (table specification, "Sort orders"): texts and binaries by their bytes, -0.0 before 0.0, NaN
//! behind all numbers.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::error::ArrowError;
use skein_protocol::plan::PlanTarget;

/// Rows of a piece that is taken out at once: the whole would be in memory a third time.
const PIECE_ROWS: usize = 8_192;

/// Sorts rows.
#[derive(Debug)]
pub(super) struct Sorter {
    /// Position of each term's column, and how it compares.
    terms: Vec<(usize, SortOptions)>,
}

impl Sorter {
    /// What sorts the rows of `target`; none where they stay as they come.
    pub(super) fn of(target: &PlanTarget) -> Option<Self> {
        let terms = target.sort.iter().filter_map(|order| {
            let position = target.columns.iter().position(|column| column.name == order.column)?;
            Some((position, SortOptions { descending: order.descending, nulls_first: order.nulls_first }))
        });
        let terms: Vec<_> = terms.collect();
        (!terms.is_empty()).then_some(Self { terms })
    }

    /// The rows of `batches` in order, in pieces.
    pub(super) fn sorted(
        &self,
        batches: Vec<RecordBatch>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<>, ArrowError> {
        let schema =
            batches.first().map(RecordBatch::schema).unwrap_or_else(|| arrow::datatypes::Schema::empty().into());
        let all = concat_batches(&schema, &batches)?;
        drop(batches);
        let order = self.order(&all)?;
        let starts = (0..order.len()).step_by(PIECE_ROWS);
        Ok(starts.map(move |start| {
            let piece = order.slice(start, PIECE_ROWS.min(order.len() - start));
            take_record_batch(&all, &piece)
        }))
    }

    fn order(&self, rows: &RecordBatch) -> Result<UInt32Array, ArrowError> {
        let columns: Vec<SortColumn> = self
            .terms
            .iter()
            .map(|(position, options)| SortColumn { values: rows.column(*position).clone(), options: Some(*options) })
            .collect();
        lexsort_to_indices(&columns, None)
    }
}
