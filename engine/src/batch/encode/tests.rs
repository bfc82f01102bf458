use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use super::dictionary::expected_distinct;
use super::{Codec, FileEncoder, FileFormat, hybrid};
use crate::batch::fixture::{Random, table};

fn encode(batches: &[RecordBatch], expected: u64) -> Bytes {
    let mut codec = Codec::new(3).unwrap();
    let schema: SchemaRef = batches[0].schema();
    let mut format = FileFormat::new(&schema, &codec, expected).unwrap();
    let mut encoder = FileEncoder::new(Vec::new(), &format).unwrap();
    for batch in batches {
        encoder.write(batch, &mut format, &mut codec).unwrap();
    }
    Bytes::from(encoder.finish(&mut format, &mut codec).unwrap())
}

fn decode(bytes: &Bytes) -> (Vec<RecordBatch>, Arc<ParquetMetaData>) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    let metadata = Arc::clone(builder.metadata());
    (builder.with_batch_size(1000).build().unwrap().map(|batch| batch.unwrap()).collect(), metadata)
}

/// Encodes and decodes; the values must be the same. The file's metadata.
fn survives(batches: &[RecordBatch], expected: u64) -> Arc<ParquetMetaData> {
    let (found, metadata) = decode(&encode(batches, expected));
    let wanted = concat_batches(&batches[0].schema(), batches).unwrap();
    let found = concat_batches(&found[0].schema(), &found).unwrap();
    for ((wanted, found), field) in wanted.columns().iter().zip(found.columns()).zip(batches[0].schema().fields()) {
        assert_eq!(wanted, found, "column {}", field.name());
    }
    metadata
}

fn column(name: &str, values: ArrayRef) -> RecordBatch {
    table(vec![(name, values)])
}

#[test]
fn values_of_every_flat_type_survive_with_and_without_nulls() {
    let mut random = Random(7);
    for (rows, one_null_in) in [(1, 2), (7, 3), (8, 1_000_000), (1000, 2), (5000, 50), (40_000, 1_000_000), (40_000, 3)]
    {
        let mut all = |make: &mut dyn FnMut(&mut Random) -> i64| -> Vec<Option<i64>> {
            (0..rows).map(|_| random.maybe(one_null_in, |random| make(random))).collect()
        };
        let words = all(&mut |random| random.next().cast_signed());
        let few = all(&mut |random| random.below(20).cast_signed() - 10);
        let map =
            |values: &[Option<i64>], f: fn(i64) -> i64| values.iter().map(|value| value.map(f)).collect::<Vec<_>>();
        let text = |value: i64| {
            if value % 5 == 0 { String::new() } else { format!("{value}").repeat((value.unsigned_abs() % 4) as usize) }
        };
        let decimal = |precision, digits: u32| -> ArrayRef {
            let values: Vec<Option<i128>> =
                words.iter().map(|v| v.map(|v| (i128::from(v) * 1_000_000_007) % 10_i128.pow(digits))).collect();
            Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, 2).unwrap())
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("bool", Arc::new(words.iter().map(|v| v.map(|v| v % 3 == 0)).collect::<BooleanArray>())),
            ("i32", Arc::new(words.iter().map(|v| v.map(|v| v as i32)).collect::<Int32Array>())),
            ("i32_few", Arc::new(few.iter().map(|v| v.map(|v| v as i32)).collect::<Int32Array>())),
            ("i64", Arc::new(Int64Array::from(words.clone()))),
            ("i64_few", Arc::new(Int64Array::from(few.clone()))),
            ("f32", Arc::new(few.iter().map(|v| v.map(|v| v as f32 / 3.0)).collect::<Float32Array>())),
            (
                "f64",
                Arc::new(
                    words
                        .iter()
                        .map(|v| v.map(|v| f64::from_bits(v.cast_unsigned() & !(0x7FF << 52))))
                        .collect::<Float64Array>(),
                ),
            ),
            ("date", Arc::new(few.iter().map(|v| v.map(|v| v as i32 * 1000)).collect::<Date32Array>())),
            ("time", Arc::new(TimestampMicrosecondArray::from(map(&words, |v| v / 1000)))),
            ("d9", decimal(9, 9)),
            ("d18", decimal(18, 18)),
            ("d38", decimal(38, 27)),
            ("text", Arc::new(words.iter().map(|v| v.map(text)).collect::<StringArray>())),
            ("text_few", Arc::new(few.iter().map(|v| v.map(text)).collect::<StringArray>())),
            (
                "bytes",
                Arc::new(
                    words
                        .iter()
                        .map(|v| v.map(|v| v.to_le_bytes()[..(v.unsigned_abs() % 9) as usize].to_vec()))
                        .collect::<BinaryArray>(),
                ),
            ),
        ];
        let whole = table(columns);
        let third = rows / 3;
        survives(
            &[whole.slice(0, third), whole.slice(third, third), whole.slice(2 * third, rows - 2 * third)],
            rows as u64,
        );
    }
}

#[test]
fn a_dictionary_stays_where_it_pays_and_goes_where_it_does_not() {
    let mut random = Random(1);
    let rows = 60_000;
    let few: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|_| random.below(1000).cast_signed())));
    let unique: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|_| random.next().cast_signed())));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..rows).map(|n| format!("a text that is longer than sixteen bytes {}", n % 50)),
    ));
    let batch = table(vec![("few", few), ("unique", unique), ("texts", texts)]);
    let metadata = survives(&[batch], rows as u64);
    let indexed = |column: usize| {
        metadata.row_group(0).column(column).encodings().any(|encoding| encoding == Encoding::RLE_DICTIONARY)
    };
    assert_eq!([indexed(0), indexed(1), indexed(2)], [true, false, true]);
    let bytes = |column: usize| metadata.row_group(0).column(column).compressed_size();
    assert!(bytes(2) < 60_000, "{} bytes", bytes(2));
}

#[test]
fn a_dictionary_that_grows_too_large_is_given_up_in_the_middle_of_a_chunk() {
    let rows = 700_000_i64;
    // The first values repeat, so the dictionary begins well.
    let value = |n: i64| if n < 100_000 { n % 500 } else { n * 7919 };
    let batches: Vec<RecordBatch> = (0..7)
        .map(|part| {
            column("n", Arc::new(Int64Array::from_iter_values((part * 100_000..(part + 1) * 100_000).map(value))))
        })
        .collect();
    let metadata = survives(&batches, rows.cast_unsigned());
    let chunk = metadata.row_group(0).column(0);
    assert!(chunk.dictionary_page_offset().is_some());
    assert_eq!(chunk.num_values(), rows);
    let Some(Statistics::Int64(bounds)) = chunk.statistics() else { panic!("bounds") };
    assert_eq!((bounds.min_opt(), bounds.max_opt()), (Some(&0), Some(&((rows - 1) * 7919))));
}

#[test]
fn row_groups_end_at_their_number_of_rows() {
    let batch = column("n", Arc::new(Int32Array::from_iter_values(0..300_000)));
    let metadata = survives(&[batch.clone(), batch.clone(), batch.clone(), batch.clone(), batch], 2_000_000);
    let groups: Vec<i64> = metadata.row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [1_200_000, 300_000]);
}

#[test]
fn values_larger_than_a_page_have_pages_of_their_own() {
    let large = "x".repeat(3 << 20);
    let values: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some(&large), None, Some(&large), Some("z")]));
    survives(&[column("text", values)], 5);
}

#[test]
fn bounds_enclose_all_values() {
    let long = "é".repeat(50);
    let all = table(vec![
        ("text", Arc::new(StringArray::from(vec![Some(long.as_str()), Some("zz"), None, Some("b")]))),
        ("double", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(0.0), Some(-1.5), None]))),
        ("zero", Arc::new(Float32Array::from(vec![Some(-0.0), Some(0.0), None, None]))),
        ("none", Arc::new(Int64Array::from(vec![None, None, None, None]))),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&[255_u8; 70][..]), Some(&[1]), None, None]))),
        (
            "money",
            Arc::new(
                Decimal128Array::from(vec![Some(-5), Some(7), None, None]).with_precision_and_scale(30, 2).unwrap(),
            ),
        ),
    ]);
    let metadata = survives(&[all], 4);
    let statistics = |at: usize| metadata.row_group(0).column(at).statistics().unwrap();
    let Statistics::ByteArray(text) = statistics(0) else { panic!("texts") };
    assert_eq!((text.min_opt().unwrap().data(), text.null_count_opt()), (&b"b"[..], Some(1)));
    // The greatest text is cut, to one that is above it.
    let greatest = std::str::from_utf8(text.max_opt().unwrap().data()).unwrap();
    assert!(greatest > long.as_str() && greatest.len() <= 64 && !text.max_is_exact(), "{greatest}");
    let Statistics::Double(double) = statistics(1) else { panic!("doubles") };
    assert_eq!((double.min_opt(), double.max_opt()), (Some(&-1.5), Some(&0.0)));
    let Statistics::Float(zero) = statistics(2) else { panic!("floats") };
    assert!(zero.min_opt().unwrap().is_sign_negative() && zero.max_opt().unwrap().is_sign_positive());
    assert!(statistics(3).min_bytes_opt().is_none());
    assert_eq!(statistics(3).null_count_opt(), Some(4));
    let Statistics::ByteArray(bytes) = statistics(4) else { panic!("binaries") };
    // Nothing that short is above seventy bytes of the highest kind.
    assert_eq!((bytes.min_opt().unwrap().data(), bytes.max_opt()), (&[1_u8][..], None));
    let Statistics::FixedLenByteArray(money) = statistics(5) else { panic!("decimals") };
    assert_eq!((money.min_opt().unwrap().data()[12], money.max_opt().unwrap().data()[12]), (0xFB, 7));
}

#[test]
fn indexes_survive_packing_whatever_runs_they_have() {
    let mut random = Random(3);
    for most in [1, 2, 3, 100, 5000, 100_000] {
        let mut indexes: Vec<u32> = Vec::new();
        while indexes.len() < 3000 {
            let value = random.below(most) as u32;
            let run = if random.below(4) == 0 { random.below(60) as usize } else { 1 };
            indexes.extend(std::iter::repeat_n(value, run));
        }
        let width = hybrid::width(most as usize);
        let mut bytes = Vec::new();
        hybrid::put_indexes(&mut bytes, &indexes, width);
        assert_eq!(unpacked(&bytes, width, indexes.len()), indexes, "below {most}");
    }
}

/// A slow decoder, written from the format's words.
fn unpacked(bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
    let (mut out, mut at) = (Vec::new(), 0);
    while out.len() < count {
        let (mut head, mut shift) = (0_usize, 0);
        loop {
            head |= usize::from(bytes[at] & 0x7F) << shift;
            shift += 7;
            at += 1;
            if bytes[at - 1] & 0x80 == 0 {
                break;
            }
        }
        let width = usize::from(width);
        if head & 1 == 0 {
            let size = width.div_ceil(8);
            let value = bytes[at..at + size].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
            out.extend(std::iter::repeat_n(value, head >> 1));
            at += size;
        } else {
            let values = (head >> 1) * 8;
            let bit = |n: usize| u32::from(bytes[at + n / 8] >> (n % 8) & 1);
            out.extend((0..values).map(|value| (0..width).fold(0, |sum, n| sum | bit(value * width + n) << n)));
            at += values * width / 8;
        }
    }
    assert_eq!(at, bytes.len());
    out.truncate(count);
    out
}

#[test]
fn the_number_of_distinct_values_is_foreseen_from_a_part() {
    assert_eq!(expected_distinct(100, 100, 5000), 5000);
    let near = |found: usize, wanted: usize| found.abs_diff(wanted) * 50 < wanted;
    // Of 86,400 seconds, 16,384 draws show about 14,926 different ones; 333,333 draws about 84,575.
    assert!(near(expected_distinct(14_926, 16_384, 333_333), 84_575), "{}", expected_distinct(14_926, 16_384, 333_333));
    assert!(near(expected_distinct(24, 16_384, 333_333), 24));
}
