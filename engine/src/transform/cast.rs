//! Casts that do what the plan says of them, or fail and say which value they cannot cast.
//!
//! In: arrays. Out: arrays of the target's type. What a cast may round or cut off is in the plan that people approve
//! (`protocol::planner`); a value that does not fit stops the batch and never becomes null. Of texts a plan says no more
//! than that they must be values of the target's type, so a text with more digits than that type holds does not fit.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Field, Float32Type, Float64Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::error::{TransformError, shown};

/// Digits behind the point that a timestamp of microseconds holds.
const MICROS_DIGITS: usize = 6;

fn options(safe: bool) -> CastOptions<'static> {
    CastOptions { safe, format_options: FormatOptions::default() }
}

/// `values` in a type that holds all of them.
pub(super) fn widen(field: &Field, values: &ArrayRef) -> Result<ArrayRef, TransformError> {
    cast_with_options(values, field.data_type(), &options(false))
        .map_err(|error| refused(field, values, &error.to_string()))
}

/// `values` in the field's type, with no more loss than plans announce.
pub(crate) fn cast(field: &Field, values: &ArrayRef) -> Result<ArrayRef, TransformError> {
    let cast = widen(field, values)?;
    let Some(texts) = values.as_string_opt::<i32>() else { return Ok(cast) };
    match lost(texts, field.data_type(), &cast) {
        None => Ok(cast),
        Some(row) => Err(TransformError::Cast {
            column: field.name().clone(),
            value: show(values, row),
            to: field.data_type().clone(),
            why: format!("it would become {}", show(&cast, row)),
            row: Some(row),
        }),
    }
}

/// `values` without spaces at their ends.
pub(super) fn trim(field: &Field, values: &ArrayRef) -> Result<ArrayRef, TransformError> {
    let Some(texts) = values.as_string_opt::<i32>() else {
        return Err(TransformError::Plan { why: format!("column {} has no padding to trim", field.name()) });
    };
    if texts.iter().flatten().all(|text| !text.ends_with(' ')) {
        return Ok(Arc::clone(values));
    }
    Ok(Arc::new(texts.iter().map(|text| text.map(|text| text.trim_end_matches(' '))).collect::<StringArray>()))
}

/// The error of a cast that Arrow refused: looks for the first value that has no form in the target's type.
fn refused(field: &Field, values: &ArrayRef, why: &str) -> TransformError {
    let row = cast_with_options(values, field.data_type(), &options(true))
        .ok()
        .and_then(|cast| (0..values.len()).find(|row| values.is_valid(*row) && cast.is_null(*row)));
    TransformError::Cast {
        column: field.name().clone(),
        value: row.map_or_else(|| "a value".to_owned(), |row| show(values, row)),
        to: field.data_type().clone(),
        why: why.to_owned(),
        row,
    }
}

/// The first text that says more than its value does.
fn lost(texts: &StringArray, to: &ArrowType, cast: &ArrayRef) -> Option<usize> {
    let says_more: fn(&str, usize) -> bool = match to {
        ArrowType::Decimal128(..) => |text, scale| has_more_digits(text, scale),
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => |text, digits| has_more_digits(seconds_of(text), digits),
        // A date with a time of day behind it.
        ArrowType::Date32 => |text, _| text.contains(':'),
        ArrowType::Float32 | ArrowType::Float64 => {
            // Too large a number is read as infinity.
            return (0..texts.len()).find(|row| {
                texts.is_valid(*row)
                    && is_infinite(cast, *row)
                    && texts.value(*row).contains(|c: char| c.is_ascii_digit())
            });
        }
        _ => return None,
    };
    let digits = match to {
        ArrowType::Decimal128(_, scale) => usize::try_from(*scale).unwrap_or(0),
        _ => MICROS_DIGITS,
    };
    (0..texts.len()).find(|row| texts.is_valid(*row) && says_more(texts.value(*row), digits))
}

/// The seconds of a timestamp's text, with their fraction and without a zone.
fn seconds_of(text: &str) -> &str {
    let after = text.rsplit_once('.').map_or("", |(_, fraction)| fraction);
    let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    let start = text.len() - after.len();
    if after.is_empty() { "" } else { &text[start - 1..start + end] }
}

/// Whether more than `most` digits behind the point matter.
fn has_more_digits(text: &str, most: usize) -> bool {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.trim().parse::<i64>().unwrap_or(0)),
        None => (text, 0),
    };
    let Some((whole, fraction)) = number.split_once('.') else {
        return exponent < 0 && shifted_out(number, 0, exponent, most);
    };
    let fraction = fraction.trim_end();
    if exponent == 0 {
        return fraction.trim_end_matches('0').len() > most;
    }
    shifted_out(&format!("{whole}{fraction}"), fraction.len(), exponent, most)
}

/// Whether `digits`, of which `behind` stand behind the point, need more than `most` there after a shift by `exponent`.
fn shifted_out(digits: &str, behind: usize, exponent: i64, most: usize) -> bool {
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    count(behind).saturating_sub(count(zeros)).saturating_sub(exponent) > count(most)
}

fn is_infinite(values: &ArrayRef, row: usize) -> bool {
    match values.data_type() {
        ArrowType::Float32 => values.as_primitive::<Float32Type>().value(row).is_infinite(),
        ArrowType::Float64 => values.as_primitive::<Float64Type>().value(row).is_infinite(),
        _ => false,
    }
}

fn show(values: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default().with_null("null");
    match ArrayFormatter::try_new(values, &options) {
        Ok(formatter) => shown(&formatter.value(row).to_string()),
        Err(_) => "a value".to_owned(),
    }
}
