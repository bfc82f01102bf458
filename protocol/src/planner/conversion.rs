//! How one type becomes another: what Iceberg has instead of Hive's types, and what a cast may lose.
//!
//! In: types and the policy's type rules. Out: target types and [`Conversion`]s. Not here: casting (the engine).

use crate::plan::Conversion;
use crate::policy::{CharRule, IntegerRule, TimestampRule, TypeRules};
use crate::types::{DataType, StructField};

/// The type that a column of `source` gets when no rule casts it.
pub(super) fn natural(source: &DataType, rules: &TypeRules) -> DataType {
    let integer = |rule: IntegerRule| match rule {
        IntegerRule::Int => DataType::Int,
        IntegerRule::BigInt => DataType::BigInt,
    };
    match source {
        DataType::TinyInt => integer(rules.tinyint),
        DataType::SmallInt => integer(rules.smallint),
        DataType::Char { .. } | DataType::Varchar { .. } => DataType::String,
        DataType::Timestamp if rules.timestamp == TimestampRule::TimestampTz => DataType::TimestampTz,
        DataType::Array(element) => DataType::Array(Box::new(natural(element, rules))),
        DataType::Map(key, value) => DataType::Map(Box::new(natural(key, rules)), Box::new(natural(value, rules))),
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| StructField { name: field.name.clone(), data_type: natural(&field.data_type, rules) })
                .collect(),
        ),
        other => other.clone(),
    }
}

/// What happens to values on the way to their natural type, and what people should know of it.
pub(super) fn natural_conversion(source: &DataType, rules: &TypeRules) -> (Conversion, Option<String>) {
    let target = natural(source, rules);
    if matches!(source, DataType::Char { .. }) && rules.char == CharRule::Trim {
        let note = format!("{source} becomes string without the spaces at the end");
        return (Conversion::TrimPadding, Some(note));
    }
    if *source == target {
        return (Conversion::Same, None);
    }
    let note = match source {
        DataType::Char { .. } => format!("{source} becomes string; values keep the spaces that fill them up"),
        DataType::Timestamp => "timestamp becomes timestamptz; the wall-clock time is taken as UTC".to_owned(),
        _ => format!("{source} becomes {target}; nothing is lost"),
    };
    (Conversion::Widen, Some(note))
}

/// What a cast that a rule asks for does; an error says why it cannot be done.
pub(super) fn cast(source: &DataType, target: &DataType) -> Result<Conversion, String> {
    use DataType as T;
    if source == target {
        return Ok(Conversion::Same);
    }
    if !source.is_primitive() || !target.is_primitive() {
        return Err(format!("{source} cannot be cast to {target}: lists, maps and structs keep their type"));
    }
    let may = |why: &str| Ok(Conversion::Cast { why: why.to_owned() });
    match (integer_bits(source), integer_bits(target)) {
        (Some(from), Some(to)) if from <= to => return Ok(Conversion::Widen),
        (Some(_), Some(_)) => return may("a value outside of the narrower type's range stops the batch"),
        _ => {}
    }
    match (source, target) {
        (T::Float, T::Double)
        | (T::Char { .. } | T::Varchar { .. }, T::String)
        // An instant is the wall clock in UTC, both ways.
        | (T::Timestamp, T::TimestampTz)
        | (T::TimestampTz, T::Timestamp) => Ok(Conversion::Widen),
        (T::Decimal { precision: p, scale: s }, T::Decimal { precision: q, scale: t }) => {
            if s == t && p <= q {
                Ok(Conversion::Widen)
            } else if t >= s && q - t >= p - s {
                may("the scale changes; no digit is lost")
            } else {
                may("digits behind the point may be rounded; a value with too many digits stops the batch")
            }
        }
        (T::Double, T::Float) => may("values are rounded to 32 bits"),
        (from, T::Float | T::Double) if is_number(from) => {
            may("values are rounded to what a floating-point number can hold")
        }
        (T::Float | T::Double, to) if integer_bits(to).is_some() => {
            may("fractions are cut off; a value out of range, NaN or infinity stops the batch")
        }
        (T::Float | T::Double, T::Decimal { .. }) => {
            may("values are rounded to the scale; a value that does not fit stops the batch")
        }
        (T::Decimal { .. }, to) if integer_bits(to).is_some() => {
            may("fractions are cut off; a value out of range stops the batch")
        }
        (from, T::Decimal { .. }) if integer_bits(from).is_some() => {
            may("a value with too many digits stops the batch")
        }
        (T::Boolean, to) if integer_bits(to).is_some() => may("true becomes 1 and false 0"),
        (from, T::Boolean) if integer_bits(from).is_some() => may("0 becomes false and every other number true"),
        (from, T::String) if is_number(from) || matches!(from, T::Boolean | T::Date | T::Timestamp) => {
            may("values become their text")
        }
        (T::String | T::Char { .. } | T::Varchar { .. }, to)
            if is_number(to) || matches!(to, T::Boolean | T::Date | T::Timestamp | T::TimestampTz) =>
        {
            may("a text that is no such value stops the batch")
        }
        (T::String | T::Char { .. } | T::Varchar { .. }, T::Binary) => may("texts become their UTF-8 bytes"),
        (T::Binary, T::String) => may("bytes that are no UTF-8 text stop the batch"),
        (T::Date, T::Timestamp | T::TimestampTz) => may("dates become midnight"),
        (T::Timestamp, T::Date) => may("the time of day is cut off"),
        _ => Err(format!("{source} cannot be cast to {target}")),
    }
}

fn integer_bits(data_type: &DataType) -> Option<u32> {
    match data_type {
        DataType::TinyInt => Some(8),
        DataType::SmallInt => Some(16),
        DataType::Int => Some(32),
        DataType::BigInt => Some(64),
        _ => None,
    }
}

fn is_number(data_type: &DataType) -> bool {
    integer_bits(data_type).is_some()
        || matches!(data_type, DataType::Float | DataType::Double | DataType::Decimal { .. })
}
