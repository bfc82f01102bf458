//! What happens to rows between source and target: the plan's rules and columns as operations on Arrow batches.
//!
//! In: a plan, batches in the source's schema. Out: masks of rows that the filter keeps, batches in the target's
//! schema. Holds: [`Transform`]. Not here: which rows are duplicates (`batch`), how files are read and written.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use skein_protocol::plan::{Conversion, Origin, Plan, Rule, TargetColumn};

use crate::types::{arrow_type, source_schema};

mod cast;
mod error;
mod filter;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use cast::cast;
pub use error::TransformError;
pub use filter::RowFilter;
pub(crate) use session::session_config;

/// Rows for which a constant's array is made at first; longer batches make it longer.
const CONSTANT_ROWS: usize = 16 * 1024;

/// A plan's columns and filter, ready to be applied to batches. Cheap to use, dear to make: keep it for a batch of the plan.
#[derive(Debug)]
pub struct Transform {
    source: SchemaRef,
    target: SchemaRef,
    steps: Vec<Step>,
    filter: Option<(String, RowFilter)>,
}

/// How one target column is made.
#[derive(Debug)]
enum Step {
    /// The source column as it is.
    Take(usize),
    /// The source column in a type that holds every value of its own.
    Widen(usize),
    /// The source column in a type that may not hold every value.
    Cast(usize),
    /// The source column without spaces at the end.
    Trim(usize),
    /// One value for all rows.
    Constant(ArrayRef),
}

impl Transform {
    /// Prepares what `plan` does to rows.
    ///
    /// # Errors
    /// A constant does not fit its type, no cast exists between two types, the filter is no expression over the
    /// source's columns, or a column that the plan names does not exist.
    pub fn new(plan: &Plan) -> Result<Self, TransformError> {
        let source = source_schema(&plan.source.columns);
        let fields: Vec<Field> =
            plan.target.columns.iter().map(|c| Field::new(&c.name, arrow_type(&c.data_type), true)).collect();
        let target = Arc::new(Schema::new(fields));
        let steps = plan.target.columns.iter().map(|column| Step::new(column, &source)).collect::<Result<_, _>>()?;
        let mut filter = None;
        for rule in &plan.rules {
            if let Rule::Filter { sql } = &rule.rule {
                if filter.is_some() {
                    return Err(TransformError::Plan { why: "it has two filters".to_owned() });
                }
                filter = Some((rule.id.clone(), RowFilter::new(&rule.id, sql, &source)?));
            }
        }
        Ok(Self { source, target, steps, filter })
    }

    /// The schema of what goes in.
    #[must_use]
    pub fn source_schema(&self) -> &SchemaRef {
        &self.source
    }

    /// The schema of what comes out; without field ids.
    #[must_use]
    pub fn target_schema(&self) -> &SchemaRef {
        &self.target
    }

    /// The plan's filter with the id of its rule.
    #[must_use]
    pub fn filter(&self) -> Option<(&str, &RowFilter)> {
        self.filter.as_ref().map(|(id, filter)| (id.as_str(), filter))
    }

    /// The target's rows of `batch`, in the same order.
    ///
    /// # Errors
    /// A value cannot be cast; the error says which, by its index in `batch`.
    pub fn apply(&mut self, batch: &RecordBatch) -> Result<RecordBatch, TransformError> {
        let rows = batch.num_rows();
        let mut columns = Vec::with_capacity(self.steps.len());
        for (position, step) in self.steps.iter_mut().enumerate() {
            let field = self.target.field(position);
            columns.push(match step {
                Step::Take(index) => Arc::clone(batch.column(*index)),
                Step::Widen(index) => cast::widen(field, batch.column(*index))?,
                Step::Cast(index) => cast::cast(field, batch.column(*index))?,
                Step::Trim(index) => cast::trim(field, batch.column(*index))?,
                Step::Constant(values) => {
                    if values.len() < rows {
                        *values = repeat(field, values, rows)?;
                    }
                    values.slice(0, rows)
                }
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.target), columns, &options)
            .map_err(|error| TransformError::Plan { why: error.to_string() })
    }
}

impl Step {
    fn new(column: &TargetColumn, source: &Schema) -> Result<Self, TransformError> {
        let to = arrow_type(&column.data_type);
        let field = Field::new(&column.name, to.clone(), true);
        let name = match &column.origin {
            Origin::Constant { value } => return Ok(Self::Constant(constant(&field, value.as_deref())?)),
            Origin::Source { column } => column,
        };
        let index = source
            .index_of(name)
            .map_err(|_| TransformError::Plan { why: format!("the source has no column {name}") })?;
        let from = source.field(index).data_type();
        let no_cast = || TransformError::NoCast { column: column.name.clone(), from: from.clone(), to: to.clone() };
        match &column.conversion {
            Conversion::TrimPadding if *from == ArrowType::Utf8 && to == ArrowType::Utf8 => Ok(Self::Trim(index)),
            Conversion::TrimPadding => Err(no_cast()),
            Conversion::Add => Err(TransformError::Plan { why: format!("column {name} is both new and the source's") }),
            _ if *from == to => Ok(Self::Take(index)),
            _ if !arrow::compute::can_cast_types(from, &to) => Err(no_cast()),
            Conversion::Same | Conversion::Widen => Ok(Self::Widen(index)),
            Conversion::Cast { .. } => Ok(Self::Cast(index)),
        }
    }
}

/// The value as an array of [`CONSTANT_ROWS`] rows.
fn constant(field: &Field, value: Option<&str>) -> Result<ArrayRef, TransformError> {
    let text: ArrayRef = Arc::new(StringArray::from(vec![value]));
    let one = match field.data_type() {
        ArrowType::Utf8 => text,
        to if value.is_none() => arrow::array::new_null_array(to, 1),
        _ => cast::cast(field, &text)?,
    };
    repeat(field, &one, CONSTANT_ROWS)
}

/// The first value of `one`, `rows` times.
fn repeat(field: &Field, one: &ArrayRef, rows: usize) -> Result<ArrayRef, TransformError> {
    let first = arrow::array::UInt32Array::from(vec![0; rows]);
    arrow::compute::take(one, &first, None)
        .map_err(|error| TransformError::Plan { why: format!("column {}: {error}", field.name()) })
}
