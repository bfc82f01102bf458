//! The order in which Spark's `sort_array` brings the entries of a map: by key, then by value.
//!
//! In: parts of [`Values`]. Out: an order. Nulls come first; texts and binaries compare as unsigned bytes; the two zeros
//! are equal and NaN is above all numbers; arrays and structs compare element by element, then by length.

use std::cmp::Ordering;
use std::ops::Range;

use super::values::{Data, Values};

/// The `entries` of a map in the order in which they are hashed. Only maps with a key twice, which Spark
/// itself does not write, need the order of values.
pub(super) fn entries_in_order(entries: Range<usize>, keys: &Values, values: &Values) -> Vec<usize> {
    let mut order: Vec<usize> = entries.collect();
    order.sort_by(|a, b| compare(keys, *a, *b).then_with(|| compare(values, *a, *b)));
    order
}

/// Compares values `a` and `b` of one array.
fn compare(values: &Values, a: usize, b: usize) -> Ordering {
    match (values.is_null(a), values.is_null(b)) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Less,
        (false, true) => return Ordering::Greater,
        (false, false) => {}
    }
    match &values.data {
        Data::Null => Ordering::Equal,
        Data::Bool(values) => values.value(a).cmp(&values.value(b)),
        Data::Int8(values) => values[a].cmp(&values[b]),
        Data::Int16(values) => values[a].cmp(&values[b]),
        Data::Int32(values) => values[a].cmp(&values[b]),
        Data::Int64(values) => values[a].cmp(&values[b]),
        Data::Float32(values) => numbers(values[a].into(), values[b].into()),
        Data::Float64(values) => numbers(values[a], values[b]),
        Data::Decimal { unscaled, .. } => unscaled[a].cmp(&unscaled[b]),
        Data::Date(values) => values[a].cmp(&values[b]),
        Data::Timestamp(values) => values[a].cmp(&values[b]),
        Data::Bytes(bytes) => bytes.get(a).cmp(bytes.get(b)),
        Data::List { offsets, items } => {
            let (a, b) = (offsets.at(a)..offsets.at(a + 1), offsets.at(b)..offsets.at(b + 1));
            lists(a, b, |a, b| compare(items, a, b))
        }
        // A map as a value is hashed, and so ordered, as the array of its sorted entries.
        Data::Map { offsets, keys, values } => {
            let a = entries_in_order(offsets.at(a)..offsets.at(a + 1), keys, values);
            let b = entries_in_order(offsets.at(b)..offsets.at(b + 1), keys, values);
            lists(a, b, |a, b| compare(keys, a, b).then_with(|| compare(values, a, b)))
        }
        Data::Struct(fields) => {
            let orders = fields.iter().map(|field| compare(field, a, b));
            orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        }
    }
}

fn numbers(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn lists(
    a: impl IntoIterator<Item = usize>,
    b: impl IntoIterator<Item = usize>,
    compare: impl Fn(usize, usize) -> Ordering,
) -> Ordering {
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match compare(a, b) {
                Ordering::Equal => {}
                order => return order,
            },
        }
    }
}
