//! Iceberg's partition transforms over Arrow arrays.
//!
//! In: a column. Out: the partition values of its rows, null for null. Holds: the hash that `bucket` uses.
//! Not here: grouping rows by value (`partition`).
//!
//! iceberg-rust's own transforms are not used: `day` of its version 0.10 is wrong in the last second of days
//! before 1970, and its `truncate` stops on overflow.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Date32Array, Int32Array, PrimitiveArray, StringArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use skein_protocol::plan::Transform;

use super::calendar::{self, MICROS_PER_DAY, MICROS_PER_HOUR};
use super::value::shortest_big_endian;

/// Year and month that Iceberg counts from.
const EPOCH_YEAR: i64 = 1970;

/// The partition values of `column` under `transform`.
///
/// # Errors
/// When the transform has no meaning for the column's type, or a value no partition (hours of years past 246,000).
pub fn apply(transform: Transform, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match transform {
        Transform::Identity => Ok(identity(column)),
        Transform::Year => in_time(transform, column, |micros| civil_of(micros).0 - EPOCH_YEAR),
        Transform::Month => in_time(transform, column, |micros| {
            let (year, month, _) = civil_of(micros);
            (year - EPOCH_YEAR) * 12 + month - 1
        }),
        Transform::Day => {
            let days = in_time(transform, column, |micros| micros.div_euclid(i128::from(MICROS_PER_DAY)) as i64)?;
            Ok(Arc::new(Date32Array::new(days.as_primitive::<Int32Type>().values().clone(), days.nulls().cloned())))
        }
        Transform::Hour if *column.data_type() == ArrowType::Date32 => Err(meaningless(transform, column)),
        Transform::Hour => in_time(transform, column, |micros| micros.div_euclid(i128::from(MICROS_PER_HOUR)) as i64),
        Transform::Bucket(buckets) => bucket(transform, buckets, column),
        Transform::Truncate(width) => truncate(transform, width, column),
    }
}

/// The value itself; all NaN are one value, so that they are one partition.
fn identity(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        ArrowType::Float32 => Arc::new(
            column.as_primitive::<Float32Type>().unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v }),
        ),
        ArrowType::Float64 => Arc::new(
            column.as_primitive::<Float64Type>().unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v }),
        ),
        _ => column.clone(),
    }
}

/// Applies `part` to microseconds since 1970. They are given in 128 bits: dates reach further than timestamps.
fn in_time(transform: Transform, column: &ArrayRef, part: impl Fn(i128) -> i64) -> Result<ArrayRef, ArrowError> {
    let narrow = |found: i64| {
        i32::try_from(found).map_err(|_| {
            ArrowError::ComputeError(format!("a value is too far from 1970 for a partition by {transform}"))
        })
    };
    let found: Int32Array = match column.data_type() {
        ArrowType::Date32 => column
            .as_primitive::<Date32Type>()
            .try_unary(|day| narrow(part(i128::from(day) * i128::from(MICROS_PER_DAY))))?,
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().try_unary(|micros| narrow(part(i128::from(micros))))?
        }
        _ => return Err(meaningless(transform, column)),
    };
    Ok(Arc::new(found))
}

fn civil_of(micros: i128) -> (i64, i64, i64) {
    // At most 2^63 microseconds, or 2^31 days: their days fit easily.
    calendar::civil(micros.div_euclid(i128::from(MICROS_PER_DAY)) as i64)
}

fn bucket(transform: Transform, buckets: u32, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let of_hash = |hash: u32| ((hash & 0x7fff_ffff) % buckets) as i32;
    let of_long = |number: i64| of_hash(murmur3(&number.to_le_bytes()));
    let found: Int32Array = match column.data_type() {
        ArrowType::Int32 => column.as_primitive::<Int32Type>().unary(|number| of_long(i64::from(number))),
        ArrowType::Int64 => column.as_primitive::<Int64Type>().unary(of_long),
        ArrowType::Date32 => column.as_primitive::<Date32Type>().unary(|day| of_long(i64::from(day))),
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().unary(of_long)
        }
        ArrowType::Decimal128(..) => {
            column.as_primitive::<Decimal128Type>().unary(|unscaled| of_hash(murmur3(&shortest_big_endian(unscaled))))
        }
        ArrowType::Utf8 => {
            column.as_string::<i32>().iter().map(|text| text.map(|text| of_hash(murmur3(text.as_bytes())))).collect()
        }
        ArrowType::Binary => {
            column.as_binary::<i32>().iter().map(|bytes| bytes.map(|bytes| of_hash(murmur3(bytes)))).collect()
        }
        _ => return Err(meaningless(transform, column)),
    };
    Ok(Arc::new(found))
}

fn truncate(transform: Transform, width: u32, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let wide = i128::from(width);
    Ok(match column.data_type() {
        ArrowType::Int32 => {
            floor(column.as_primitive::<Int32Type>(), |number| i128::from(number).div_euclid(wide) * wide, |n| n as i32)
        }
        ArrowType::Int64 => {
            floor(column.as_primitive::<Int64Type>(), |number| i128::from(number).div_euclid(wide) * wide, |n| n as i64)
        }
        ArrowType::Decimal128(..) => {
            let array = column.as_primitive::<Decimal128Type>();
            let truncated = array.unary::<_, Decimal128Type>(|unscaled| unscaled.div_euclid(wide).wrapping_mul(wide));
            Arc::new(truncated.with_data_type(column.data_type().clone()))
        }
        ArrowType::Utf8 => {
            let texts = column.as_string::<i32>().iter();
            Arc::new(texts.map(|text| text.map(|text| first_characters(text, width as usize))).collect::<StringArray>())
        }
        ArrowType::Binary => {
            let values = column.as_binary::<i32>().iter();
            Arc::new(
                values
                    .map(|bytes| bytes.map(|bytes| &bytes[..bytes.len().min(width as usize)]))
                    .collect::<BinaryArray>(),
            )
        }
        _ => return Err(meaningless(transform, column)),
    })
}

/// Rounds down. Next to the least number the result wraps, as it does in other Iceberg writers.
fn floor<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    down: impl Fn(T::Native) -> i128,
    narrow: impl Fn(i128) -> T::Native,
) -> ArrayRef {
    Arc::new(array.unary::<_, T>(|number| narrow(down(number))))
}

/// The first `count` characters of a text.
#[must_use]
pub fn first_characters(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

fn meaningless(transform: Transform, column: &ArrayRef) -> ArrowError {
    ArrowError::InvalidArgumentError(format!("{transform} has no meaning for {}", column.data_type()))
}

/// Murmur3, 32 bits, seed 0: the hash of Iceberg's `bucket`.
fn murmur3(bytes: &[u8]) -> u32 {
    let scramble = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = 0_u32;
    for block in blocks {
        hash = (hash ^ scramble(u32::from_le_bytes(*block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let mut last = [0; 4];
        last[..tail.len()].copy_from_slice(tail);
        hash ^= scramble(u32::from_le_bytes(last));
    }
    // The specification takes the length modulo 2^32.
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Float64Array, Int64Array, TimestampMicrosecondArray};

    use super::*;

    fn ints(array: &ArrayRef) -> Vec<Option<i32>> {
        match array.data_type() {
            ArrowType::Date32 => array.as_primitive::<Date32Type>().iter().collect(),
            _ => array.as_primitive::<Int32Type>().iter().collect(),
        }
    }

    #[test]
    fn the_hash_is_that_of_the_specifications_examples() {
        assert_eq!(murmur3(&34_i64.to_le_bytes()) as i32, 2_017_239_379);
        assert_eq!(murmur3(&shortest_big_endian(1420)) as i32, -500_754_589);
        assert_eq!(murmur3(&17_486_i64.to_le_bytes()) as i32, -653_330_422);
        assert_eq!(murmur3(&1_510_871_468_000_000_i64.to_le_bytes()) as i32, -2_047_944_441);
        assert_eq!(murmur3(b"iceberg") as i32, 1_210_000_089);
        assert_eq!(murmur3(&[0, 1, 2, 3]) as i32, -188_683_207);
    }

    #[test]
    fn times_before_1970_belong_to_the_period_in_which_they_are() {
        let micros = vec![
            Some(0),
            Some(-1),
            Some(-86_400_000_000),
            Some(-86_400_000_001),
            Some(-86_400_500_000),
            None,
            Some(86_399_999_999),
        ];
        let column: ArrayRef = Arc::new(TimestampMicrosecondArray::from(micros));
        let of = |transform| ints(&apply(transform, &column).unwrap());
        assert_eq!(of(Transform::Day), [Some(0), Some(-1), Some(-1), Some(-2), Some(-2), None, Some(0)]);
        assert_eq!(of(Transform::Hour), [Some(0), Some(-1), Some(-24), Some(-25), Some(-25), None, Some(23)]);
        assert_eq!(of(Transform::Month), [Some(0), Some(-1), Some(-1), Some(-1), Some(-1), None, Some(0)]);
        assert_eq!(of(Transform::Year), [Some(0), Some(-1), Some(-1), Some(-1), Some(-1), None, Some(0)]);
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![i32::MIN, -1, 0, 17_486, i32::MAX]));
        assert_eq!(ints(&apply(Transform::Month, &dates).unwrap())[1..4], [Some(-1), Some(0), Some(574)]);
        assert!(apply(Transform::Hour, &dates).is_err());
    }

    #[test]
    fn numbers_are_truncated_downwards_and_texts_by_characters() {
        let longs: ArrayRef = Arc::new(Int64Array::from(vec![1, -1, 10, -10, -11, i64::MAX]));
        let truncated = apply(Transform::Truncate(10), &longs).unwrap();
        assert_eq!(truncated.as_primitive::<Int64Type>().values(), &[0, -10, 10, -10, -20, 9_223_372_036_854_775_800]);
        let decimals: ArrayRef =
            Arc::new(Decimal128Array::from(vec![1065, -5]).with_precision_and_scale(9, 2).unwrap());
        let truncated = apply(Transform::Truncate(50), &decimals).unwrap();
        assert_eq!(truncated.as_primitive::<Decimal128Type>().values(), &[1050, -50]);
        assert_eq!(truncated.data_type(), decimals.data_type());
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("ice🧊berg"), Some("ab"), None]));
        let truncated = apply(Transform::Truncate(4), &texts).unwrap();
        assert_eq!(truncated.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("ice🧊"), Some("ab"), None]);
    }

    #[test]
    fn all_that_are_not_numbers_are_one_value() {
        let odd = f64::from_bits(f64::NAN.to_bits() | 1);
        let column: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, odd, -0.0]));
        let values = apply(Transform::Identity, &column).unwrap();
        let bits: Vec<u64> =
            values.as_primitive::<Float64Type>().values().iter().map(|value| value.to_bits()).collect();
        assert_eq!((bits[0], bits[2]), (bits[1], (-0.0_f64).to_bits()));
    }

    #[test]
    fn iceberg_rust_agrees_where_it_is_right() {
        let micros: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from((-500..500).map(|n| n * 7_777_777_777_777).collect::<Vec<_>>()));
        let texts: ArrayRef =
            Arc::new((0..300).map(|n| Some("x".repeat(n % 9) + &n.to_string())).collect::<StringArray>());
        let decimals: ArrayRef =
            Arc::new(Decimal128Array::from((-300..300).map(|n| n * 987_654_321_987).collect::<Vec<i128>>()));
        for (column, transform, other) in [
            (&micros, Transform::Bucket(7), iceberg::spec::Transform::Bucket(7)),
            (&micros, Transform::Year, iceberg::spec::Transform::Year),
            (&micros, Transform::Month, iceberg::spec::Transform::Month),
            (&micros, Transform::Hour, iceberg::spec::Transform::Hour),
            (&texts, Transform::Bucket(16), iceberg::spec::Transform::Bucket(16)),
            (&texts, Transform::Truncate(3), iceberg::spec::Transform::Truncate(3)),
            (&decimals, Transform::Bucket(16), iceberg::spec::Transform::Bucket(16)),
        ] {
            let theirs =
                iceberg::transform::create_transform_function(&other).unwrap().transform(column.clone()).unwrap();
            assert_eq!(apply(transform, column).unwrap().as_ref(), theirs.as_ref(), "{transform}");
        }
    }
}
