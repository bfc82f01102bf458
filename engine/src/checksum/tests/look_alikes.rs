//! Rows that look alike and are not: each must have a hash of its own, and the one that the independent
//! implementation (`tests/data/row128/row128.py`) gives it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray,
    MapArray, RecordBatch, RecordBatchOptions, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{Field, Fields, Schema};

use super::{batch, json, row128};
use crate::checksum::RowHasher;
use crate::checksum::tests::all;
use skein_protocol::evidence::RowSum;

pub(super) fn int(value: impl Into<Option<i32>>) -> ArrayRef {
    Arc::new(Int32Array::from(vec![value.into()]))
}

pub(super) fn bigint(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

pub(super) fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

pub(super) fn binary(value: &[u8]) -> ArrayRef {
    Arc::new(BinaryArray::from(vec![value]))
}

pub(super) fn double(value: f64) -> ArrayRef {
    Arc::new(Float64Array::from(vec![value]))
}

pub(super) fn boolean(value: bool) -> ArrayRef {
    Arc::new(BooleanArray::from(vec![value]))
}

pub(super) fn date(days: i32) -> ArrayRef {
    Arc::new(Date32Array::from(vec![days]))
}

pub(super) fn timestamp(micros: i64) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(vec![micros]))
}

pub(super) fn decimal(precision: u8, scale: i8, unscaled: i128) -> ArrayRef {
    Arc::new(Decimal128Array::from(vec![unscaled]).with_precision_and_scale(precision, scale).unwrap())
}

/// One row: the list of `items`.
pub(super) fn list(items: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new("item", items.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([items.len()]);
    Arc::new(ListArray::new(field, offsets, items, None))
}

fn ints(items: &[Option<i32>]) -> ArrayRef {
    list(Arc::new(Int32Array::from(items.to_vec())))
}

/// One row: a list of lists.
pub(super) fn grid(lists: &[Option<&[i32]>]) -> ArrayRef {
    let items = lists.iter().map(|list| list.map(|list| list.iter().copied().map(Some).collect::<Vec<_>>()));
    list(Arc::new(ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>(items)))
}

fn entries(pairs: &[(&str, Option<i32>)]) -> StructArray {
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(pairs.iter().map(|pair| pair.0)));
    let values: ArrayRef = Arc::new(pairs.iter().map(|pair| pair.1).collect::<Int32Array>());
    let value = Field::new("values", values.data_type().clone(), true);
    let fields = Fields::from(vec![Field::new("keys", keys.data_type().clone(), false), value]);
    StructArray::new(fields, vec![keys, values], None)
}

/// One row: a map.
pub(super) fn map(pairs: &[(&str, Option<i32>)]) -> ArrayRef {
    let entries = entries(pairs);
    let field = Arc::new(Field::new("entries", arrow::array::Array::data_type(&entries).clone(), false));
    let offsets = OffsetBuffer::from_lengths([pairs.len()]);
    Arc::new(MapArray::new(field, offsets, entries, None, false))
}

/// One row: a struct, or null.
pub(super) fn structure(valid: bool, columns: Vec<ArrayRef>) -> ArrayRef {
    let field = |(i, column): (usize, &ArrayRef)| Field::new(format!("f{i}"), column.data_type().clone(), true);
    let fields: Fields = columns.iter().enumerate().map(field).collect();
    Arc::new(StructArray::new(fields, columns, Some(NullBuffer::from(vec![valid]))))
}

/// The rows, under the names that `row128.py` has for them.
fn rows() -> Vec<(&'static str, Vec<ArrayRef>)> {
    let no_text = || -> ArrayRef { Arc::new(StringArray::from(vec![None::<&str>])) };
    let nines = 10_i128.pow(38) - 1;
    let mut rows = vec![
        ("no columns", vec![]),
        ("null", vec![int(None)]),
        ("two nulls", vec![int(None), no_text()]),
        ("empty text", vec![text("")]),
        ("text null", vec![text("null")]),
        ("text NULL", vec![text("NULL")]),
        ("empty binary", vec![binary(b"")]),
        ("texts ab, c", vec![text("ab"), text("c")]),
        ("texts a, bc", vec![text("a"), text("bc")]),
        ("text abc", vec![text("abc")]),
        ("texts empty, abc", vec![text(""), text("abc")]),
        ("texts abc, empty", vec![text("abc"), text("")]),
        ("binary abc", vec![binary(b"abc")]),
        ("text with é", vec![text("é")]),
        ("text with e and accent", vec![text("e\u{301}")]),
        ("text with a zero byte", vec![text("\0")]),
        ("text of a space", vec![text(" ")]),
        ("text of 127", vec![text(&"x".repeat(127))]),
        ("text of 128", vec![text(&"x".repeat(128))]),
        ("text of 16384", vec![text(&"x".repeat(16384))]),
        ("binary of 300", vec![binary(&[b'x'; 300])]),
        ("int 1", vec![int(1)]),
        ("text 1", vec![text("1")]),
        ("true", vec![boolean(true)]),
        ("double 1", vec![double(1.0)]),
        ("decimal 1", vec![decimal(10, 0, 1)]),
        ("decimal 1.0", vec![decimal(10, 1, 10)]),
        ("decimal 1.00", vec![decimal(10, 2, 100)]),
        ("decimal 10", vec![decimal(10, 0, 10)]),
        ("decimal -1", vec![decimal(10, 0, -1)]),
        ("decimal of 38 nines", vec![decimal(38, 0, nines)]),
        ("decimal of 38 nines, negative", vec![decimal(38, 10, -nines)]),
        ("int 0", vec![int(0)]),
        ("double 0", vec![double(0.0)]),
        ("double -0", vec![double(-0.0)]),
        ("double nan", vec![double(f64::NAN)]),
        ("double inf", vec![double(f64::INFINITY)]),
        ("false", vec![boolean(false)]),
        ("decimal 0", vec![decimal(10, 0, 0)]),
        ("date 0", vec![date(0)]),
        ("timestamp 0", vec![timestamp(0)]),
        ("date -1", vec![date(-1)]),
        ("timestamp -1", vec![timestamp(-1)]),
        ("date of 1500", vec![date(-171_605)]),
        ("timestamp of 1500", vec![timestamp(-171_605 * 86_400_000_000 + 3_723_000_004)]),
        ("int -1", vec![int(-1)]),
        ("int 255", vec![int(255)]),
        ("bigint max", vec![bigint(i64::MAX)]),
        ("bigint min", vec![bigint(i64::MIN)]),
    ];
    rows.extend(nested_rows());
    rows
}

fn nested_rows() -> Vec<(&'static str, Vec<ArrayRef>)> {
    let pairs: &[(&str, Option<i32>)] = &[("a", Some(1)), ("b", Some(2))];
    let (long, longer) = ("a".repeat(129), "b".repeat(200));
    vec![
        ("empty list", vec![ints(&[])]),
        ("list of null", vec![ints(&[None])]),
        ("list of two nulls", vec![ints(&[None, None])]),
        ("list of empty text", vec![list(text(""))]),
        ("[1]", vec![ints(&[Some(1)])]),
        ("[1,2]", vec![ints(&[Some(1), Some(2)])]),
        ("[2,1]", vec![ints(&[Some(2), Some(1)])]),
        ("[[1],[2]]", vec![grid(&[Some(&[1]), Some(&[2])])]),
        ("[[1,2]]", vec![grid(&[Some(&[1, 2])])]),
        ("[[1,2],[]]", vec![grid(&[Some(&[1, 2]), Some(&[])])]),
        ("[[1,2],null]", vec![grid(&[Some(&[1, 2]), None])]),
        ("{}", vec![map(&[])]),
        ("{a:null}", vec![map(&[("a", None)])]),
        ("{a:1,b:2}", vec![map(pairs)]),
        ("{a:2,b:1}", vec![map(&[("b", Some(1)), ("a", Some(2))])]),
        ("{aa:1,b:2}", vec![map(&[("aa", Some(1)), ("b", Some(2))])]),
        ("{b:2} thrice as long", vec![map(&[(&longer, Some(2)), (&long, Some(1))])]),
        ("entries of {a:1,b:2}", vec![list(Arc::new(entries(pairs)))]),
        ("struct(null)", vec![structure(true, vec![int(None)])]),
        ("struct(1)", vec![structure(true, vec![int(1)])]),
        ("struct(null, null)", vec![structure(true, vec![int(None), int(None)])]),
        ("struct(struct(null))", vec![structure(true, vec![structure(true, vec![int(None)])])]),
        ("ints 1, 2", vec![int(1), int(2)]),
        ("ints 2, 1", vec![int(2), int(1)]),
        ("ints 1, 1", vec![int(1), int(1)]),
        ("null, 1", vec![int(None), int(1)]),
        ("1, null", vec![int(1), int(None)]),
    ]
}

fn hash_of(columns: Vec<ArrayRef>) -> u128 {
    if columns.is_empty() {
        let one_row = RecordBatchOptions::new().with_row_count(Some(1));
        let schema = Arc::new(Schema::empty());
        return row128(&RecordBatch::try_new_with_options(schema, vec![], &one_row).unwrap())[0];
    }
    row128(&batch(columns))[0]
}

#[test]
fn rows_that_look_alike_have_hashes_of_their_own() {
    let mut seen: HashMap<u128, &str> = HashMap::new();
    for (name, columns) in rows() {
        if let Some(other) = seen.insert(hash_of(columns), name) {
            panic!("{name} and {other} have one hash");
        }
    }
}

#[test]
fn every_row_has_the_hash_that_the_independent_implementation_gives_it() {
    let golden = json("row128/golden.json");
    let golden = golden["rows"].as_object().unwrap();
    let rows = rows();
    for (name, columns) in &rows {
        let expected = golden.get(*name).unwrap_or_else(|| panic!("{name} has no golden value"));
        assert_eq!(format!("{:032x}", hash_of(columns.clone())), expected["hash"], "{name}");
    }
    assert_eq!(rows.len(), golden.len());
}

#[test]
fn a_null_is_the_same_whatever_its_type_and_whatever_lies_under_it() {
    let null = hash_of(vec![int(None)]);
    assert_eq!(hash_of(vec![structure(false, vec![int(7)])]), null);
    assert_eq!(hash_of(vec![Arc::new(arrow::array::NullArray::new(1))]), null);
    let null_struct = structure(true, vec![structure(false, vec![int(7)])]);
    assert_eq!(hash_of(vec![null_struct]), hash_of(vec![structure(true, vec![int(None)])]));
}

#[test]
fn sums_see_swapped_values_and_duplicates_but_no_order() {
    let sum = |rows: &[(&str, i32)]| {
        let (texts, numbers): (Vec<&str>, Vec<i32>) = rows.iter().copied().unzip();
        let rows = batch(vec![Arc::new(StringArray::from(texts)), Arc::new(Int32Array::from(numbers))]);
        let mut sum = RowSum::default();
        RowHasher::new(rows.schema_ref(), &all(&rows)).unwrap().add(&rows, &mut sum).unwrap();
        sum
    };
    assert_eq!(sum(&[("a", 1), ("b", 2)]), sum(&[("b", 2), ("a", 1)]));
    assert_ne!(sum(&[("a", 1), ("b", 2)]), sum(&[("a", 2), ("b", 1)]));
    // An XOR would be the same for these pairs.
    assert_ne!(sum(&[("a", 1), ("a", 1)]).sum, sum(&[("b", 2), ("b", 2)]).sum);
    assert_ne!(sum(&[("a", 1), ("a", 1)]).sum, sum(&[]).sum);
    assert_ne!(sum(&[("a", 1), ("a", 1), ("a", 1)]).sum, sum(&[("a", 1)]).sum);
}
