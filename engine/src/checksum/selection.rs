//! Which columns of a batch a hasher hashes, and their names for its errors.

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::Schema;

use super::error::ChecksumError;
use super::values::{self, Values};

/// The columns that go into a hash, in the order in which they do.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    indexes: Vec<usize>,
    names: Vec<String>,
}

impl Selection {
    /// Selects `columns` of `schema`; refuses types without a checksum before any row is read.
    pub(super) fn new(schema: &Schema, columns: &[usize]) -> Result<Self, ChecksumError> {
        let mut names = Vec::with_capacity(columns.len());
        for index in columns {
            let field = schema.fields().get(*index).ok_or(ChecksumError::Shape {
                what: "columns of the schema",
                expected: index + 1,
                found: schema.fields().len(),
            })?;
            if let Some(refused) = values::refused_part(field.data_type()) {
                return Err(ChecksumError::Unsupported { column: field.name().clone(), data_type: refused.clone() });
            }
            names.push(field.name().clone());
        }
        Ok(Self { indexes: columns.to_vec(), names })
    }

    /// How many columns are selected.
    pub(super) fn len(&self) -> usize {
        self.indexes.len()
    }

    /// The selected columns' indexes in the schema.
    pub(super) fn indexes(&self) -> &[usize] {
        &self.indexes
    }

    /// The selected columns of `batch`.
    pub(super) fn arrays(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, ChecksumError> {
        let columns = batch.columns();
        let pick = |index: &usize| {
            columns.get(*index).cloned().ok_or(ChecksumError::Shape {
                what: "columns of the batch",
                expected: index + 1,
                found: columns.len(),
            })
        };
        self.indexes.iter().map(pick).collect()
    }

    /// The logical values of the selected columns, of `rows` rows each.
    pub(super) fn values(&self, arrays: &[ArrayRef], rows: usize) -> Result<Vec<Values>, ChecksumError> {
        if arrays.len() != self.len() {
            return Err(ChecksumError::Shape { what: "columns", expected: self.len(), found: arrays.len() });
        }
        (0..arrays.len()).map(|position| self.one(position, &arrays[position], rows)).collect()
    }

    /// The logical values of the selected column at `position`.
    pub(super) fn one(&self, position: usize, array: &ArrayRef, rows: usize) -> Result<Values, ChecksumError> {
        if array.len() != rows {
            return Err(ChecksumError::Shape { what: "rows of a column", expected: rows, found: array.len() });
        }
        Values::new(&self.names[position], array)
    }
}
