//! One logical value has one hash, however Arrow holds it; and the quick loops over columns write the same
//! codes as the encoding of single values.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Date32Array, Date64Array, Decimal32Array, Decimal64Array, Decimal128Array,
    DictionaryArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    StringArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
    UInt16Array, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use skein_protocol::evidence::RowSum;
use skein_protocol::problem::Code;

use super::look_alikes::{int, list, map, text};
use super::{all, batch, parquet, row128, spark64};
use crate::checksum::row_bytes::CODE_SLACK;
use crate::checksum::values::Values;
use crate::checksum::{ChecksumError, RowHasher, SparkHasher};

fn assert_equal(arrays: Vec<ArrayRef>) {
    let expected = row128(&batch(vec![arrays[0].clone()]));
    for array in arrays {
        assert_eq!(row128(&batch(vec![array.clone()])), expected, "{}", array.data_type());
    }
}

#[test]
fn lossless_widenings_keep_row128() {
    assert_equal(vec![
        Arc::new(Int8Array::from(vec![Some(5), None, Some(-3)])),
        Arc::new(Int16Array::from(vec![Some(5), None, Some(-3)])),
        Arc::new(Int32Array::from(vec![Some(5), None, Some(-3)])),
        Arc::new(Int64Array::from(vec![Some(5), None, Some(-3)])),
    ]);
    assert_equal(vec![Arc::new(UInt16Array::from(vec![65535])), Arc::new(Int64Array::from(vec![65535]))]);
    let floats =
        [1.5, -0.0, f32::MIN_POSITIVE / 2.0, f32::NAN, -f32::NAN, f32::from_bits(0x7F80_0001), f32::NEG_INFINITY];
    assert_equal(vec![
        Arc::new(Float64Array::from_iter_values(floats.map(f64::from))),
        Arc::new(Float32Array::from_iter_values(floats)),
    ]);
    assert_equal(vec![
        Arc::new(Decimal128Array::from(vec![-123]).with_precision_and_scale(38, 2).unwrap()),
        Arc::new(Decimal128Array::from(vec![-123]).with_precision_and_scale(5, 2).unwrap()),
        Arc::new(Decimal64Array::from(vec![-123]).with_precision_and_scale(18, 2).unwrap()),
        Arc::new(Decimal32Array::from(vec![-123]).with_precision_and_scale(9, 2).unwrap()),
    ]);
}

#[test]
fn every_way_to_hold_texts_and_binaries_has_one_hash() {
    let long = "x".repeat(200);
    let values = vec![Some("a"), None, Some(""), Some("twelve bytes"), Some("more than twelve bytes"), Some(&long)];
    let plain: ArrayRef = Arc::new(StringArray::from(values.clone()));
    let dictionary: DictionaryArray<Int32Type> = values.clone().into_iter().collect();
    let views = cast(&plain, &DataType::Utf8View).unwrap();
    let texts = vec![
        plain.clone(),
        cast(&plain, &DataType::LargeUtf8).unwrap(),
        views.clone(),
        Arc::new(dictionary) as ArrayRef,
    ];
    assert_eq!(spark64(&batch(vec![views])), spark64(&batch(vec![plain.clone()])));
    assert_equal(texts);
    let plain = cast(&plain, &DataType::Binary).unwrap();
    assert_equal(vec![
        plain.clone(),
        cast(&plain, &DataType::LargeBinary).unwrap(),
        cast(&plain, &DataType::BinaryView).unwrap(),
    ]);
    let fixed = FixedSizeBinaryArray::try_from_iter([b"abc", b"def", b"ghi"].iter()).unwrap().slice(1, 2);
    assert_equal(vec![Arc::new(BinaryArray::from(vec![&b"def"[..], b"ghi"])), Arc::new(fixed)]);
}

#[test]
fn every_unit_of_time_has_one_hash_and_no_zone() {
    let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![Some(-14_000_000_000), None, Some(7)]));
    let micros = TimestampMicrosecondArray::from(vec![Some(-14_000_000_000_000_000), None, Some(7_000_000)]);
    assert_equal(vec![
        Arc::new(micros.clone()),
        Arc::new(micros.with_timezone("UTC")),
        Arc::new(TimestampMillisecondArray::from(vec![Some(-14_000_000_000_000), None, Some(7_000)])),
        seconds,
    ]);
    assert_equal(vec![
        Arc::new(TimestampMicrosecondArray::from(vec![-1, 7])),
        Arc::new(TimestampNanosecondArray::from(vec![-1_000, 7_000])),
    ]);
    assert_equal(vec![
        Arc::new(Date32Array::from(vec![-1, 5])),
        Arc::new(Date64Array::from(vec![-86_400_000, 432_000_000])),
    ]);
}

#[test]
fn times_that_are_not_exact_are_refused_but_not_under_a_null() {
    let nanos = TimestampNanosecondArray::from(vec![1_000, 1_001]);
    let rows = batch(vec![Arc::new(nanos)]);
    let error = RowHasher::new(rows.schema_ref(), &[0]).unwrap().hash(&rows, &mut Vec::new()).unwrap_err();
    assert!(matches!(&error, ChecksumError::NotExact { column, value: 1_001, .. } if column == "c0"), "{error}");
    assert_eq!(error.code(), Code::ValueInvalid);
    let far = batch(vec![Arc::new(TimestampSecondArray::from(vec![i64::MAX]))]);
    assert!(SparkHasher::new(far.schema_ref(), &[0]).unwrap().hash(&far, &mut Vec::new()).is_err());

    let valid = arrow::buffer::NullBuffer::from(vec![true, false]);
    let under_a_null = TimestampNanosecondArray::new(vec![1_000, 1_001].into(), Some(valid));
    assert_eq!(row128(&batch(vec![Arc::new(under_a_null)])).len(), 2);
}

#[test]
fn types_without_a_checksum_are_refused_before_any_row() {
    let nested = DataType::List(Arc::new(Field::new("item", DataType::UInt64, true)));
    for refused in [DataType::UInt64, nested, DataType::Decimal256(50, 2), DataType::Float16] {
        let schema = Schema::new(vec![Field::new("c", refused, true)]);
        assert_eq!(RowHasher::new(&schema, &[0]).unwrap_err().code(), Code::TypeUnsupported);
        assert_eq!(SparkHasher::new(&schema, &[0]).unwrap_err().code(), Code::TypeUnsupported);
    }
    let rows = batch(vec![int(1), Arc::new(UInt64Array::from(vec![1]))]);
    assert!(RowHasher::new(rows.schema_ref(), &[0]).is_ok());
    assert!(matches!(RowHasher::new(rows.schema_ref(), &[2]), Err(ChecksumError::Shape { .. })));
}

#[test]
fn every_kind_of_list_has_one_hash() {
    let small = list(Arc::new(Int32Array::from(vec![1, 2, 3])));
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let large = cast(&small, &DataType::LargeList(item.clone())).unwrap();
    let fixed = cast(&small, &DataType::FixedSizeList(item, 3)).unwrap();
    assert_eq!(spark64(&batch(vec![fixed.clone()])), spark64(&batch(vec![small.clone()])));
    assert_equal(vec![small, large, fixed]);
}

#[test]
fn map_entries_may_come_in_any_order() {
    let one = map(&[("b", Some(1)), ("a", None), ("ab", Some(3))]);
    let two = map(&[("ab", Some(3)), ("b", Some(1)), ("a", None)]);
    assert_eq!(spark64(&batch(vec![one.clone()])), spark64(&batch(vec![two.clone()])));
    assert_equal(vec![one, two]);
    // Spark writes no key twice, other writers do.
    assert_equal(vec![map(&[("a", Some(1)), ("a", Some(0))]), map(&[("a", Some(0)), ("a", Some(1))])]);
    assert_ne!(
        row128(&batch(vec![map(&[("a", Some(1)), ("a", Some(1))])])),
        row128(&batch(vec![map(&[("a", Some(1))])]))
    );
}

/// The hash of row `row` by encoding one value after the other.
fn one_by_one(columns: &[Values], row: usize) -> u128 {
    let room: usize = columns.iter().map(|column| column.bound(row, row + 1)).sum();
    let mut code = vec![0; room + CODE_SLACK];
    let end = columns.iter().fold(0, |at, column| column.encode(row, &mut code, at));
    xxhash_rust::xxh3::xxh3_128(&code[..end])
}

#[test]
fn columns_at_once_and_values_one_by_one_give_the_same_hashes() {
    let sample = parquet("spark64/sample.parquet");
    let copies = vec![&sample; 5];
    let rows = arrow::compute::concat_batches(sample.schema_ref(), copies).unwrap();
    let whole = row128(&rows);
    for (from, count) in [(0, rows.num_rows()), (1, 256), (255, 258), (700, 0), (700, 1)] {
        let slice = rows.slice(from, count);
        let columns: Vec<Values> = slice.columns().iter().map(|c| Values::new("c", c).unwrap()).collect();
        let expected: Vec<u128> = (0..count).map(|row| one_by_one(&columns, row)).collect();
        assert_eq!(row128(&slice), expected);
        assert_eq!(expected, whole[from..from + count]);
        assert_eq!(spark64(&slice), spark64(&rows)[from..from + count]);
    }
}

#[test]
fn values_larger_than_the_buffer_are_hashed_like_any_other() {
    let huge = "y".repeat(3 << 20);
    let values = ["a", &huge, "b", &huge, "", "c"];
    let rows =
        batch(vec![Arc::new(StringArray::from_iter_values(values)), Arc::new(Int32Array::from_iter_values(0..6))]);
    let expected: Vec<u128> = (0..6).flat_map(|n| row128(&batch(vec![text(values[n]), int(n as i32)]))).collect();
    assert_eq!(row128(&rows), expected);
}

#[test]
fn a_hasher_selects_columns_by_index_in_the_order_given() {
    let rows = batch(vec![int(1), text("a"), int(2)]);
    let mut hashes = Vec::new();
    RowHasher::new(rows.schema_ref(), &[2, 0]).unwrap().hash(&rows, &mut hashes).unwrap();
    assert_eq!(hashes, row128(&batch(vec![int(2), int(1)])));
    let mut hashes = Vec::new();
    SparkHasher::new(rows.schema_ref(), &[2, 0]).unwrap().hash(&rows, &mut hashes).unwrap();
    assert_eq!(hashes, spark64(&batch(vec![int(2), int(1)])));
}

#[test]
fn sums_of_each_column_are_sums_of_rows_of_one_column() {
    let rows = parquet("spark64/sample.parquet");
    let mut hasher = RowHasher::new(rows.schema_ref(), &all(&rows)).unwrap();
    let mut sums = vec![RowSum::default(); rows.num_columns()];
    hasher.add_each(&rows, &mut sums).unwrap();
    for (column, sum) in rows.columns().iter().zip(&sums) {
        let mut expected = RowSum::default();
        row128(&batch(vec![column.clone()])).into_iter().for_each(|hash| expected.add(hash));
        assert_eq!(*sum, expected);
    }
    assert!(matches!(hasher.add_each(&rows, &mut sums[1..]), Err(ChecksumError::Shape { .. })));
}

#[test]
fn a_sliced_text_column_is_read_where_it_is_and_not_from_the_begin_of_its_buffer() {
    let plain: ArrayRef = Arc::new(StringArray::from(vec!["zero", "one", "two", "three"]));
    let slice = plain.slice(2, 2);
    assert_eq!(slice.as_string::<i32>().value(0), "two");
    assert_eq!(row128(&batch(vec![slice])), row128(&batch(vec![plain]))[2..]);
}
