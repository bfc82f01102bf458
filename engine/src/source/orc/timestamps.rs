//! ORC's timestamps: seconds and nanoseconds, which the decoder gives as decimals, because its own 64 bits overflow.
//!
//! In: arrays as decoded, the types that the file's columns have for us. Out: arrays with timestamps in microseconds.
//!
//! A timestamp lies in the microsecond that begins at or before it, as everywhere.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, ListArray, MapArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType as ArrowType, Decimal128Type, Field, FieldRef, Fields};

use super::super::decoding::DecodeFailure;

/// Digits behind the point of the decimals that stand for seconds.
const NANO_DIGITS: i8 = 9;
const NANOS_A_MICRO: i128 = 1_000;
/// Microseconds of the years 1 to 9999, in either calendar; what lies beyond is no date of any reader.
const MICROS: std::ops::Range<i128> = -62_135_769_600_000_000..253_402_300_800_000_000;

/// `data_type` as the decoder shall give it.
pub(super) fn decoded(data_type: &ArrowType) -> ArrowType {
    let inner =
        |field: &FieldRef| -> FieldRef { Arc::new(Field::clone(field).with_data_type(decoded(field.data_type()))) };
    match data_type {
        ArrowType::Timestamp(..) => ArrowType::Decimal128(DECIMAL128_MAX_PRECISION, NANO_DIGITS),
        ArrowType::List(element) => ArrowType::List(inner(element)),
        ArrowType::Map(entries, sorted) => ArrowType::Map(inner(entries), *sorted),
        ArrowType::Struct(fields) => ArrowType::Struct(fields.iter().map(inner).collect::<Fields>()),
        other => other.clone(),
    }
}

/// `array`, which was decoded, as `data_type`.
pub(super) fn settled(array: &ArrayRef, data_type: &ArrowType) -> Result<ArrayRef, DecodeFailure> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    Ok(match data_type {
        ArrowType::Timestamp(_, zone) => {
            let decimals: &Decimal128Array =
                array.as_primitive_opt::<Decimal128Type>().ok_or_else(|| unexpected(array, data_type))?;
            let micros: TimestampMicrosecondArray = decimals.try_unary(|nanos| {
                let micros = nanos.div_euclid(NANOS_A_MICRO);
                let within = i64::try_from(micros).ok().filter(|_| MICROS.contains(&micros));
                within.ok_or_else(|| DecodeFailure::Value(format!("{nanos} nanoseconds from 1970 are no timestamp")))
            })?;
            Arc::new(micros.with_timezone_opt(zone.clone()))
        }
        ArrowType::List(element) => {
            let list = array.as_list_opt::<i32>().ok_or_else(|| unexpected(array, data_type))?;
            let values = settled(list.values(), element.data_type())?;
            let made = ListArray::try_new(Arc::clone(element), list.offsets().clone(), values, list.nulls().cloned());
            Arc::new(made.map_err(|error| DecodeFailure::Damaged(error.to_string()))?)
        }
        ArrowType::Map(entries, sorted) => {
            let map = array.as_map_opt().ok_or_else(|| unexpected(array, data_type))?;
            let inner: ArrayRef = Arc::new(map.entries().clone());
            let inner = settled(&inner, entries.data_type())?;
            let made = MapArray::try_new(
                Arc::clone(entries),
                map.offsets().clone(),
                inner.as_struct().clone(),
                map.nulls().cloned(),
                *sorted,
            );
            Arc::new(made.map_err(|error| DecodeFailure::Damaged(error.to_string()))?)
        }
        ArrowType::Struct(fields) => {
            let from = array.as_struct_opt().filter(|from| from.num_columns() == fields.len());
            let from = from.ok_or_else(|| unexpected(array, data_type))?;
            let columns = from.columns().iter().zip(fields).map(|(column, field)| settled(column, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let made = StructArray::try_new(fields.clone(), columns, from.nulls().cloned());
            Arc::new(made.map_err(|error| DecodeFailure::Damaged(error.to_string()))?)
        }
        _ => return Err(unexpected(array, data_type)),
    })
}

fn unexpected(array: &ArrayRef, data_type: &ArrowType) -> DecodeFailure {
    DecodeFailure::Damaged(format!("the decoder gave {} for {data_type}", array.data_type()))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{TimeUnit, TimestampMicrosecondType};

    use super::*;

    fn micros(nanos: Vec<Option<i128>>) -> Result<Vec<Option<i64>>, DecodeFailure> {
        let decimals = Decimal128Array::from(nanos).with_precision_and_scale(38, NANO_DIGITS).unwrap();
        let settled = settled(&(Arc::new(decimals) as ArrayRef), &ArrowType::Timestamp(TimeUnit::Microsecond, None))?;
        Ok(settled.as_primitive::<TimestampMicrosecondType>().iter().collect())
    }

    #[test]
    fn timestamps_before_1970_and_beyond_64_bits_of_nanoseconds_keep_their_microsecond() {
        let year_0001 = -62_135_596_800_000_000_000_i128;
        let year_9999 = 253_402_300_799_999_999_999_i128;
        assert_eq!(
            micros(vec![Some(-1), Some(-1_000), Some(1_999), None, Some(year_0001), Some(year_9999)]).unwrap(),
            [Some(-1), Some(-1), Some(1), None, Some(-62_135_596_800_000_000), Some(253_402_300_799_999_999)]
        );
        assert!(matches!(micros(vec![Some(i128::MAX)]), Err(DecodeFailure::Value(_))));
    }

    #[test]
    fn nested_timestamps_are_settled_too() {
        let stamp = ArrowType::Timestamp(TimeUnit::Microsecond, None);
        let nested = ArrowType::new_list(ArrowType::Struct(vec![Field::new("at", stamp, true)].into()), true);
        let made = arrow::array::new_null_array(&decoded(&nested), 3);
        assert_ne!(made.data_type(), &nested);
        assert_eq!(settled(&made, &nested).unwrap().data_type(), &nested);
    }
}
