//! Whether two rows are equal, value by value: the same meaning of "equal" as `row128`, without its hash.
//!
//! In: two batches of one schema. Out: the first row in which they differ. Not here: which rows are worth comparing.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::error::ChecksumError;
use super::row_bytes;
use super::selection::Selection;
use super::values::Values;

/// Compares rows over some columns of batches of one schema.
#[derive(Debug, Clone)]
pub struct RowComparer {
    selection: Selection,
    one: Vec<u8>,
    other: Vec<u8>,
}

impl RowComparer {
    /// A comparer over `columns` (indexes) of `schema`.
    ///
    /// # Errors
    /// A column has a type without a checksum, or does not exist.
    pub fn new(schema: &Schema, columns: &[usize]) -> Result<Self, ChecksumError> {
        Ok(Self { selection: Selection::new(schema, columns)?, one: Vec::new(), other: Vec::new() })
    }

    /// The first row in which `one` and `other` differ, if there is one. Both have the same number of rows.
    ///
    /// # Errors
    /// A value has no exact logical form, or a batch has another shape.
    pub fn first_unequal(&mut self, one: &RecordBatch, other: &RecordBatch) -> Result<Option<usize>, ChecksumError> {
        if one.num_rows() != other.num_rows() {
            return Err(ChecksumError::Shape { what: "rows", expected: one.num_rows(), found: other.num_rows() });
        }
        let ones = self.selection.values(&self.selection.arrays(one)?, one.num_rows())?;
        let others = self.selection.values(&self.selection.arrays(other)?, other.num_rows())?;
        for row in 0..one.num_rows() {
            for (one, other) in ones.iter().zip(&others) {
                if encode(one, row, &mut self.one) != encode(other, row, &mut self.other) {
                    return Ok(Some(row));
                }
            }
        }
        Ok(None)
    }
}

/// The injective encoding of one value.
fn encode<'a>(values: &Values, row: usize, buffer: &'a mut Vec<u8>) -> &'a [u8] {
    let room = values.bound(row, row + 1) + row_bytes::SHORT;
    if buffer.len() < room {
        buffer.resize(room, 0);
    }
    let end = values.encode(row, buffer, 0);
    &buffer[..end]
}
