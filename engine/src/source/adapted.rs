//! The described columns of a file whose columns have names: where each is found, and what is done to it.
//!
//! In: described columns, a file's columns. Out: record batches of the described types. Not here: each conversion
//! (`adapter`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use skein_protocol::inspection::SourceColumn;

use super::adapter::{Adapter, RowsContext};
use super::calendar::WriterCalendar;
use super::decoding::DecodeFailure;
use super::file_schema::FileSchema;
use super::partitions::constant;
use crate::types::source_schema;

/// How one described column is made.
struct Column {
    name: String,
    /// Position among the columns that are read, and what is done to them; `None` where the file has no such column.
    found: Option<(usize, Adapter)>,
    /// One row with the value that stands where the file has no such column; null without one.
    absent: Option<ArrayRef>,
}

/// Makes the described columns of a file's.
pub(super) struct Adapted {
    schema: SchemaRef,
    columns: Vec<Column>,
    /// Strings cut to their described length, column by column.
    shortened: Vec<u64>,
}

impl Adapted {
    /// Finds `columns` in `file`; also tells the positions in the file that must be read, ascending.
    pub(super) fn find(
        columns: &[SourceColumn],
        file: &FileSchema,
        calendar: &WriterCalendar,
    ) -> Result<(Self, Vec<usize>), DecodeFailure> {
        let mut found = Vec::with_capacity(columns.len());
        for column in columns {
            let position = match file.positions(&column.name).as_slice() {
                [] => None,
                [position] => Some(*position),
                _ => {
                    return Err(DecodeFailure::Conflict(format!(
                        "column {:?} is there twice when case does not count",
                        column.name
                    )));
                }
            };
            found.push(position);
        }
        let mut positions: Vec<usize> = found.iter().flatten().copied().collect();
        positions.sort_unstable();
        positions.dedup();
        let adapted = columns.iter().zip(found).map(|(column, position)| {
            let adapted = position.map(|position| {
                let context = RowsContext { calendar, int96: file.has_int96[position] };
                let adapter = Adapter::plan(file.fields[position].data_type(), &column.data_type, &context)
                    .map_err(|why| DecodeFailure::Conflict(format!("column {:?}: {why}", column.name)))?;
                let index = positions.binary_search(&position).expect("the position was collected above");
                Ok::<_, DecodeFailure>((index, adapter))
            });
            Ok(Column { name: column.name.clone(), found: adapted.transpose()?, absent: None })
        });
        let columns_found = adapted.collect::<Result<_, DecodeFailure>>()?;
        let adapted =
            Self { schema: source_schema(columns), columns: columns_found, shortened: vec![0; columns.len()] };
        Ok((adapted, positions))
    }

    /// Files that lack a column have the value that `defaults` has for it, as text.
    pub(super) fn with_defaults(
        mut self,
        columns: &[SourceColumn],
        defaults: &BTreeMap<String, String>,
    ) -> Result<Self, DecodeFailure> {
        for (made, column) in self.columns.iter_mut().zip(columns).filter(|(made, _)| made.found.is_none()) {
            let Some(text) = defaults.get(&column.name) else { continue };
            let value = constant(Some(text), &column.data_type, 1).ok_or_else(|| {
                let why = format!("column {:?}: its default {text:?} is no {}", column.name, column.data_type);
                DecodeFailure::Conflict(why)
            })?;
            made.absent = Some(value);
        }
        Ok(self)
    }

    /// Strings that were cut to their described length so far, column by column.
    pub(super) fn shortened(&self) -> &[u64] {
        &self.shortened
    }

    /// The described columns of `batch`, which has the file's columns at the positions that were asked for.
    pub(super) fn apply(&mut self, batch: &RecordBatch) -> Result<RecordBatch, DecodeFailure> {
        let rows = batch.num_rows();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            let array = match (&column.found, &column.absent) {
                (Some((position, adapter)), _) => adapter.apply(batch.column(*position), &mut self.shortened[index]),
                (None, Some(value)) => take(value, &UInt32Array::from(vec![0; rows]), None),
                (None, None) => Ok(new_null_array(self.schema.field(index).data_type(), rows)),
            };
            arrays.push(
                array.map_err(|error| DecodeFailure::Value(format!("column {:?}: {}", column.name, plain(error))))?,
            );
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| DecodeFailure::Damaged(plain(error)))
    }
}

/// An Arrow error's text without its kind.
pub(super) fn plain(error: ArrowError) -> String {
    match error {
        ArrowError::CastError(why)
        | ArrowError::ComputeError(why)
        | ArrowError::InvalidArgumentError(why)
        | ArrowError::ArithmeticOverflow(why) => why,
        other => other.to_string(),
    }
}
