//! Least and greatest values of columns, as evidence.
//!
//! In: arrays. Out: texts that are equal for equal values. Nested columns have none. Of floats NaN is the
//! greatest, of texts the bytes decide.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute;
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::ScalarValue;

/// Characters of a value that evidence shows; longer ones are cut, on both sides alike.
const MAX_SHOWN: usize = 256;

/// Least and greatest value of one column so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Extremes(Option<(ScalarValue, ScalarValue)>);

impl Extremes {
    /// Takes the values of `array` in.
    pub(super) fn add(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        let Some((least, greatest)) = of(array)? else { return Ok(()) };
        self.0 = Some(match self.0.take() {
            None => (least, greatest),
            Some((before_least, before_greatest)) => (
                if compare(&least, &before_least) == Ordering::Less { least } else { before_least },
                if compare(&greatest, &before_greatest) == Ordering::Greater { greatest } else { before_greatest },
            ),
        });
        Ok(())
    }

    /// The least and the greatest value as texts, if there is any value.
    pub(super) fn texts(&self) -> Result<(Option<String>, Option<String>), ArrowError> {
        let Some((least, greatest)) = &self.0 else { return Ok((None, None)) };
        Ok((Some(text(least)?), Some(text(greatest)?)))
    }
}

fn compare(one: &ScalarValue, other: &ScalarValue) -> Ordering {
    match (one, other) {
        (ScalarValue::Float32(Some(one)), ScalarValue::Float32(Some(other))) => one.total_cmp(other),
        (ScalarValue::Float64(Some(one)), ScalarValue::Float64(Some(other))) => one.total_cmp(other),
        _ => one.partial_cmp(other).unwrap_or(Ordering::Equal),
    }
}

fn text(value: &ScalarValue) -> Result<String, ArrowError> {
    let array = value.to_array().map_err(|error| ArrowError::ComputeError(error.strip_backtrace()))?;
    let text = ArrayFormatter::try_new(&array, &FormatOptions::default())?.value(0).to_string();
    Ok(if text.chars().count() > MAX_SHOWN { text.chars().take(MAX_SHOWN).chain(['…']).collect() } else { text })
}

fn of(array: &ArrayRef) -> Result<Option<(ScalarValue, ScalarValue)>, ArrowError> {
    macro_rules! primitive {
        ($type:ty, $scalar:expr) => {{
            let array = array.as_primitive::<$type>();
            compute::min(array)
                .zip(compute::max(array))
                .map(|(least, greatest)| ($scalar(Some(least)), $scalar(Some(greatest))))
        }};
    }
    Ok(match array.data_type() {
        ArrowType::Boolean => {
            let array = array.as_boolean();
            let both = compute::min_boolean(array).zip(compute::max_boolean(array));
            both.map(|(least, greatest)| (ScalarValue::Boolean(Some(least)), ScalarValue::Boolean(Some(greatest))))
        }
        ArrowType::Int8 => primitive!(Int8Type, ScalarValue::Int8),
        ArrowType::Int16 => primitive!(Int16Type, ScalarValue::Int16),
        ArrowType::Int32 => primitive!(Int32Type, ScalarValue::Int32),
        ArrowType::Int64 => primitive!(Int64Type, ScalarValue::Int64),
        ArrowType::Float32 => primitive!(Float32Type, ScalarValue::Float32),
        ArrowType::Float64 => primitive!(Float64Type, ScalarValue::Float64),
        ArrowType::Date32 => primitive!(Date32Type, ScalarValue::Date32),
        ArrowType::Decimal128(precision, scale) => {
            primitive!(Decimal128Type, |value| ScalarValue::Decimal128(value, *precision, *scale))
        }
        // Zones are spelt differently in files; instants are not.
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => {
            primitive!(TimestampMicrosecondType, |value| ScalarValue::TimestampMicrosecond(value, None))
        }
        ArrowType::Utf8 => {
            let array = array.as_string::<i32>();
            let both = compute::min_string(array).zip(compute::max_string(array));
            both.map(|(least, greatest)| (ScalarValue::from(least), ScalarValue::from(greatest)))
        }
        ArrowType::Binary => {
            let array = array.as_binary::<i32>();
            let both = compute::min_binary(array).zip(compute::max_binary(array));
            both.map(|(least, greatest)| {
                (ScalarValue::Binary(Some(least.to_vec())), ScalarValue::Binary(Some(greatest.to_vec())))
            })
        }
        _ => None,
    })
}

/// Extremes and null counts of all columns of a table.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) nulls: Vec<u64>,
    /// Empty if nobody asks.
    pub(super) extremes: Vec<Extremes>,
}

impl Columns {
    pub(super) fn new(columns: usize, extremes: bool) -> Self {
        Self { nulls: vec![0; columns], extremes: vec![Extremes::default(); if extremes { columns } else { 0 }] }
    }

    /// Takes the values of all `columns` in.
    pub(super) fn add(&mut self, columns: &[ArrayRef]) -> Result<(), ArrowError> {
        for (nulls, column) in self.nulls.iter_mut().zip(columns) {
            *nulls += column.null_count() as u64;
        }
        self.extremes.iter_mut().zip(columns).try_for_each(|(extremes, column)| extremes.add(&Arc::clone(column)))
    }
}
