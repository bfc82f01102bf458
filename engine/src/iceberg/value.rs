//! Single values as Iceberg writes them: as JSON in the ledger, as bytes in bounds, out of Arrow arrays.
//!
//! In: values of partition fields and statistics. Out: their forms. Holds: nothing.
//! Not here: which value a row has (`transform`), truncation of bounds (`bounds`).
//!
//! The JSON form is Iceberg's single-value form (dates and times as ISO 8601, decimals as text, bytes as
//! hexadecimal digits), with two additions that it has no words for: floating-point numbers that are not finite
//! are the texts `NaN`, `Infinity` and `-Infinity`, and years beyond four digits carry a sign.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use iceberg::spec::{PrimitiveLiteral, PrimitiveType};
use serde_json::Value;

use super::calendar;

/// A value that does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value} is no {kind}")]
pub struct NotAValue {
    /// The value as it was found.
    pub value: String,
    /// The type that it should have.
    pub kind: String,
}

impl NotAValue {
    fn new(kind: &PrimitiveType, value: impl ToString) -> Self {
        Self { value: value.to_string(), kind: kind.to_string() }
    }
}

/// The JSON form of a value; null for none.
///
/// # Errors
/// When the value is not of this type.
pub fn to_json(kind: &PrimitiveType, value: Option<&PrimitiveLiteral>) -> Result<Value, NotAValue> {
    use PrimitiveLiteral as L;
    use PrimitiveType as T;
    let Some(value) = value else { return Ok(Value::Null) };
    Ok(match (kind, value) {
        (T::Boolean, L::Boolean(truth)) => Value::Bool(*truth),
        (T::Int, L::Int(number)) => Value::from(*number),
        (T::Long, L::Long(number)) => Value::from(*number),
        (T::Float, L::Float(number)) => float_json(f64::from(number.0)),
        (T::Double, L::Double(number)) => float_json(number.0),
        (T::Decimal { scale, .. }, L::Int128(unscaled)) => Value::String(decimal_text(*unscaled, *scale)),
        (T::String, L::String(text)) => Value::String(text.clone()),
        (T::Binary, L::Binary(bytes)) => Value::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        (T::Date, L::Int(days)) => Value::String(calendar::date_text(i64::from(*days))),
        (T::Timestamp, L::Long(micros)) => Value::String(calendar::timestamp_text(*micros)),
        (T::Timestamptz, L::Long(micros)) => Value::String(calendar::timestamp_text(*micros) + "+00:00"),
        (_, other) => return Err(NotAValue::new(kind, format!("{other:?}"))),
    })
}

/// The value of a JSON form.
///
/// # Errors
/// When it is not a value of this type.
pub fn from_json(kind: &PrimitiveType, json: &Value) -> Result<Option<PrimitiveLiteral>, NotAValue> {
    use PrimitiveLiteral as L;
    use PrimitiveType as T;
    if json.is_null() {
        return Ok(None);
    }
    let text = json.as_str();
    let value = match kind {
        T::Boolean => json.as_bool().map(L::Boolean),
        T::Int => json.as_i64().and_then(|number| i32::try_from(number).ok()).map(L::Int),
        T::Long => json.as_i64().map(L::Long),
        T::Float => json_float(json).map(|number| L::Float((number as f32).into())),
        T::Double => json_float(json).map(|number| L::Double(number.into())),
        T::Decimal { scale, .. } => text.and_then(|text| decimal_of(text, *scale)).map(L::Int128),
        T::String => text.map(|text| L::String(text.to_owned())),
        T::Binary => text.and_then(bytes_of_hex).map(L::Binary),
        T::Date => text.and_then(calendar::date_of).and_then(|days| i32::try_from(days).ok()).map(L::Int),
        T::Timestamp => text.and_then(calendar::timestamp_of).map(L::Long),
        T::Timestamptz => {
            text.and_then(|text| text.strip_suffix("+00:00")).and_then(calendar::timestamp_of).map(L::Long)
        }
        _ => None,
    };
    value.map(Some).ok_or_else(|| NotAValue::new(kind, json))
}

/// The binary single-value form, which bounds are kept in.
///
/// # Errors
/// When no such value is ever written (uuid and fixed are no target types).
pub fn to_bytes(kind: &PrimitiveType, value: &PrimitiveLiteral) -> Result<Vec<u8>, NotAValue> {
    use PrimitiveLiteral as L;
    Ok(match value {
        L::Boolean(truth) => vec![u8::from(*truth)],
        L::Int(number) => number.to_le_bytes().to_vec(),
        L::Long(number) => number.to_le_bytes().to_vec(),
        L::Float(number) => number.0.to_le_bytes().to_vec(),
        L::Double(number) => number.0.to_le_bytes().to_vec(),
        L::String(text) => text.as_bytes().to_vec(),
        L::Binary(bytes) => bytes.clone(),
        L::Int128(unscaled) => shortest_big_endian(*unscaled).to_vec(),
        other => return Err(NotAValue::new(kind, format!("{other:?}"))),
    })
}

/// The value in row `row` of an array of partition values; none for null.
///
/// # Errors
/// When the array holds values of another type.
pub fn from_arrow(kind: &PrimitiveType, array: &dyn Array, row: usize) -> Result<Option<PrimitiveLiteral>, NotAValue> {
    use PrimitiveLiteral as L;
    use PrimitiveType as T;
    if array.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match (kind, array.data_type()) {
        (T::Boolean, ArrowType::Boolean) => L::Boolean(array.as_boolean().value(row)),
        (T::Int, ArrowType::Int32) => L::Int(array.as_primitive::<Int32Type>().value(row)),
        (T::Long, ArrowType::Int64) => L::Long(array.as_primitive::<Int64Type>().value(row)),
        (T::Float, ArrowType::Float32) => L::Float(array.as_primitive::<Float32Type>().value(row).into()),
        (T::Double, ArrowType::Float64) => L::Double(array.as_primitive::<Float64Type>().value(row).into()),
        (T::Decimal { .. }, ArrowType::Decimal128(..)) => L::Int128(array.as_primitive::<Decimal128Type>().value(row)),
        (T::String, ArrowType::Utf8) => L::String(array.as_string::<i32>().value(row).to_owned()),
        (T::Binary, ArrowType::Binary) => L::Binary(array.as_binary::<i32>().value(row).to_vec()),
        (T::Date, ArrowType::Date32) => L::Int(array.as_primitive::<Date32Type>().value(row)),
        (T::Timestamp | T::Timestamptz, ArrowType::Timestamp(TimeUnit::Microsecond, _)) => {
            L::Long(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        (_, other) => return Err(NotAValue::new(kind, other)),
    }))
}

/// The fewest bytes that hold `value` in two's complement, most significant first.
#[must_use]
pub fn shortest_big_endian(value: i128) -> ShortBytes {
    let bytes = value.to_be_bytes();
    let sign = if value < 0 { 0xff } else { 0 };
    let needless = bytes.windows(2).take_while(|pair| pair[0] == sign && (pair[1] ^ sign) & 0x80 == 0).count();
    ShortBytes { bytes, start: needless }
}

/// Up to sixteen bytes.
#[derive(Debug, Clone, Copy)]
pub struct ShortBytes {
    bytes: [u8; 16],
    start: usize,
}

impl std::ops::Deref for ShortBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

fn float_json(number: f64) -> Value {
    match serde_json::Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => Value::from("NaN"),
        None if number > 0.0 => Value::from("Infinity"),
        None => Value::from("-Infinity"),
    }
}

fn json_float(json: &Value) -> Option<f64> {
    match json.as_str() {
        None => json.as_f64(),
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
    }
}

fn decimal_text(unscaled: i128, scale: u32) -> String {
    let scale = scale as usize;
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn decimal_of(text: &str, scale: u32) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let fits = fraction.len() == scale as usize && !digits.is_empty();
    let plain = digits.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if fits && plain { format!("{whole}{fraction}").parse().ok() } else { None }
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    text.as_bytes().chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_survives_its_json_form() {
        use PrimitiveLiteral as L;
        use PrimitiveType as T;
        let decimal = T::Decimal { precision: 38, scale: 2 };
        let table: &[(T, L, &str)] = &[
            (T::Boolean, L::Boolean(true), "true"),
            (T::Int, L::Int(i32::MIN), "-2147483648"),
            (T::Long, L::Long(i64::MAX), "9223372036854775807"),
            (T::Float, L::Float(0.1.into()), "0.10000000149011612"),
            (T::Double, L::Double((-0.0).into()), "-0.0"),
            (T::Double, L::Double(f64::NAN.into()), "\"NaN\""),
            (T::Float, L::Float(f32::NEG_INFINITY.into()), "\"-Infinity\""),
            (decimal.clone(), L::Int128(1420), "\"14.20\""),
            (decimal.clone(), L::Int128(-5), "\"-0.05\""),
            (
                T::Decimal { precision: 38, scale: 0 },
                L::Int128(-(10_i128.pow(38) - 1)),
                "\"-99999999999999999999999999999999999999\"",
            ),
            (T::String, L::String("a\"b".to_owned()), "\"a\\\"b\""),
            (T::Binary, L::Binary(vec![0, 1, 0xff]), "\"0001ff\""),
            (T::Date, L::Int(17486), "\"2017-11-16\""),
            (T::Date, L::Int(-1), "\"1969-12-31\""),
            (T::Timestamp, L::Long(1_510_871_468_123_456), "\"2017-11-16T22:31:08.123456\""),
            (T::Timestamp, L::Long(-1), "\"1969-12-31T23:59:59.999999\""),
            (T::Timestamptz, L::Long(0), "\"1970-01-01T00:00:00+00:00\""),
        ];
        for (kind, value, text) in table {
            let json = to_json(kind, Some(value)).unwrap();
            assert_eq!(json.to_string(), *text);
            let parsed: Value = serde_json::from_str(text).unwrap();
            assert_eq!(from_json(kind, &parsed).unwrap().as_ref(), Some(value), "{text}");
        }
        assert_eq!(from_json(&T::Int, &Value::Null).unwrap(), None);
    }

    #[test]
    fn json_of_another_type_is_refused() {
        use PrimitiveType as T;
        let decimal = T::Decimal { precision: 9, scale: 2 };
        for (kind, text) in [
            (T::Int, "2147483648"),
            (T::Int, "\"1\""),
            (decimal.clone(), "\"1.234\""),
            (decimal, "\"+1.00\""),
            (T::Date, "\"2017-13-01\""),
            (T::Date, "\"2017-02-29\""),
            (T::Timestamptz, "\"2017-01-01T00:00:00\""),
            (T::Binary, "\"0\""),
        ] {
            assert!(from_json(&kind, &serde_json::from_str(text).unwrap()).is_err(), "{text}");
        }
    }

    #[test]
    fn decimals_take_the_fewest_bytes() {
        let table: &[(i128, &[u8])] = &[
            (0, &[0]),
            (1, &[1]),
            (-1, &[0xff]),
            (127, &[0x7f]),
            (128, &[0, 0x80]),
            (-128, &[0x80]),
            (-129, &[0xff, 0x7f]),
            (1420, &[5, 0x8c]),
        ];
        for (value, bytes) in table {
            assert_eq!(&*shortest_big_endian(*value), *bytes, "{value}");
        }
        assert_eq!(shortest_big_endian(i128::MIN).len(), 16);
    }
}
