//! The value of an added column.
//!
//! In: a YAML value and the column's type. Out: [`DefaultValue`], kept as text so that no digit is lost on the way.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode::{BadText, Decoder};
use super::error::PolicyCode;
use super::scalar::Meaning;
use super::tree::{Node, Value};
use crate::types::DataType;

/// Longest default, in characters: it is written into the plan's script.
pub const MAX_DEFAULT_CHARS: usize = 4_000;

/// The value of an added column in every row: null, or a text that a cast from string reads as the column's type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Form")]
pub struct DefaultValue(Option<String>);

/// The forms in which documents have it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    /// A text, date or timestamp; or any value as text.
    Text(String),
    /// A truth value.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction. Write decimals with many digits as text.
    Fraction(f64),
    /// Null.
    Null(()),
}

impl From<Form> for DefaultValue {
    fn from(form: Form) -> Self {
        Self(match form {
            Form::Text(text) => Some(text),
            Form::Boolean(value) => Some(value.to_string()),
            Form::Integer(value) => Some(value.to_string()),
            Form::Fraction(value) => Some(value.to_string()),
            Form::Null(()) => None,
        })
    }
}

impl JsonSchema for DefaultValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DefaultValue".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "boolean", "number", "null"],
            "description": "A value of the column's type, or null. Any value may be written as text; decimals with many digits should be."
        })
    }
}

impl DefaultValue {
    /// The value as text, as a cast from string reads it; absent for null.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Reads a value of `data_type`.
    pub(super) fn read(node: &Node, data_type: &DataType, decoder: &mut Decoder<'_>) -> Self {
        let Value::Scalar(scalar) = &node.value else {
            decoder.wrong_type(node, "a single value");
            return Self::default();
        };
        match canonical(scalar.text(), scalar.meaning(), data_type) {
            Ok(text) => Self(Some(text)),
            Err(bad) => {
                decoder.report(node.at, PolicyCode::PolicyBadDefault, bad.message, bad.hint);
                Self::default()
            }
        }
    }
}

/// The text of a value in the one form that it has in plans.
fn canonical(text: &str, meaning: Meaning, data_type: &DataType) -> Result<String, BadText> {
    if text.chars().count() > MAX_DEFAULT_CHARS {
        return Err(BadText::new(format!("a default has at most {MAX_DEFAULT_CHARS} characters")));
    }
    let refused = |what: &str| Err(BadText::new(format!("`{text}` is no value of type {data_type}: {what}")));
    match data_type {
        DataType::String if meaning == Meaning::Text => Ok(text.to_owned()),
        DataType::String => {
            refused("a text is expected").map_err(|bad| bad.hint(format!("put it in quotes: \"{text}\"")))
        }
        DataType::Boolean => match text.to_ascii_lowercase().as_str() {
            truth @ ("true" | "false") => Ok(truth.to_owned()),
            _ => refused("true or false is expected"),
        },
        DataType::Int => match whole(text, meaning) {
            Some(value) if i32::try_from(value).is_ok() => Ok(value.to_string()),
            _ => refused("a whole number of 32 bits is expected"),
        },
        DataType::BigInt => match whole(text, meaning) {
            Some(value) => Ok(value.to_string()),
            None => refused("a whole number of 64 bits is expected"),
        },
        DataType::Float => match text.parse::<f32>() {
            Ok(value) if value.is_finite() => Ok(text.to_owned()),
            _ => refused("a finite number is expected"),
        },
        DataType::Double => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(text.to_owned()),
            _ => refused("a finite number is expected"),
        },
        DataType::Decimal { precision, scale } => match decimal(text, usize::from(*precision), usize::from(*scale)) {
            Some(value) => Ok(value),
            None => refused("too many digits, or no plain decimal number"),
        },
        DataType::Date => match is_date(text) {
            true => Ok(text.to_owned()),
            false => refused("a day such as 2024-01-31 is expected"),
        },
        DataType::Timestamp => match timestamp(text) {
            Some(value) => Ok(value),
            None => refused("a time such as 2024-01-31T12:00:00 is expected, without a zone"),
        },
        DataType::TimestampTz => match text.strip_suffix('Z').and_then(timestamp) {
            Some(value) => Ok(format!("{value}Z")),
            None => refused("an instant such as 2024-01-31T12:00:00Z is expected"),
        },
        _ => Err(BadText::new(format!("columns of type {data_type} can be added with null only"))
            .hint("leave `default` out")),
    }
}

/// A whole number: as YAML read it (which knows 0x1F), or from a text.
fn whole(text: &str, meaning: Meaning) -> Option<i64> {
    match meaning {
        Meaning::Integer(value) => value,
        Meaning::Text => text.parse().ok(),
        _ => None,
    }
}

/// A plain decimal number that fits without rounding.
fn decimal(text: &str, precision: usize, scale: usize) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let numeric = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if !numeric(whole) || !numeric(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let needed = fraction.trim_end_matches('0');
    if needed.len() > scale || whole.len() > precision - scale {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    // Zeros beyond the scale are dropped, others kept as written.
    Some(format!("{sign}{whole}{point}{}", &fraction[..fraction.len().min(scale)]).trim_end_matches('.').to_owned())
}

fn number(text: &str, digits: usize, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let formed = text.len() == digits && text.chars().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|value| formed && range.contains(value))
}

/// `YYYY-MM-DD`, a day that exists in the Gregorian calendar.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let (Some(year), Some(month)) = (number(year, 4, 1..=9999), number(month, 2, 1..=12)) else { return false };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    number(day, 2, 1..=days).is_some()
}

/// `YYYY-MM-DD`, `T` or a space, `hh:mm:ss`, and at most six digits of a fraction; with a `T` then.
fn timestamp(text: &str) -> Option<String> {
    let (date, time) = text.split_once(['T', ' '])?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else { return None };
    number(hour, 2, 0..=23)?;
    number(minute, 2, 0..=59)?;
    number(second, 2, 0..=59)?;
    let formed = (1..=6).contains(&fraction.len()) && fraction.chars().all(|c| c.is_ascii_digit());
    (is_date(date) && formed).then(|| format!("{date}T{time}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, meaning: Meaning, data_type: &str) -> Option<String> {
        canonical(text, meaning, &data_type.parse().unwrap()).ok()
    }

    #[test]
    fn values_of_each_type_are_read_and_others_refused() {
        let number = Meaning::Fraction;
        for (text, meaning, data_type, expected) in [
            ("", Meaning::Text, "string", Some("")),
            ("3", Meaning::Integer(Some(3)), "string", None),
            ("TRUE", Meaning::Boolean(true), "boolean", Some("true")),
            ("1", Meaning::Integer(Some(1)), "boolean", None),
            ("0x10", Meaning::Integer(Some(16)), "int", Some("16")),
            ("2147483648", Meaning::Integer(Some(2_147_483_648)), "int", None),
            ("2147483648", Meaning::Integer(Some(2_147_483_648)), "bigint", Some("2147483648")),
            ("1.5", number, "bigint", None),
            ("1.5", number, "double", Some("1.5")),
            (".inf", number, "double", None),
            ("1e300", number, "float", None),
            ("1.50", number, "decimal(4,2)", Some("1.50")),
            ("1.500", number, "decimal(4,2)", Some("1.50")),
            ("1.505", number, "decimal(4,2)", None),
            ("-007", Meaning::Integer(Some(-7)), "decimal(1,0)", Some("-7")),
            ("100", Meaning::Integer(Some(100)), "decimal(4,2)", None),
            (
                "12345678901234567890123456789012345678",
                Meaning::Integer(None),
                "decimal(38,0)",
                Some("12345678901234567890123456789012345678"),
            ),
            ("1e3", number, "decimal(10,2)", None),
            ("5.0", number, "decimal(1,0)", Some("5")),
            ("2024-02-29", Meaning::Text, "date", Some("2024-02-29")),
            ("2023-02-29", Meaning::Text, "date", None),
            ("1900-02-29", Meaning::Text, "date", None),
            ("2024-1-1", Meaning::Text, "date", None),
            ("2024-01-01 10:00:00", Meaning::Text, "timestamp", Some("2024-01-01T10:00:00")),
            ("2024-01-01T10:00:00.123456", Meaning::Text, "timestamp", Some("2024-01-01T10:00:00.123456")),
            ("2024-01-01T10:00:00.1234567", Meaning::Text, "timestamp", None),
            ("2024-01-01T24:00:00", Meaning::Text, "timestamp", None),
            ("2024-01-01T10:00:00Z", Meaning::Text, "timestamp", None),
            ("2024-01-01T10:00:00Z", Meaning::Text, "timestamptz", Some("2024-01-01T10:00:00Z")),
            ("[]", Meaning::Text, "array<int>", None),
            ("x", Meaning::Text, "binary", None),
        ] {
            assert_eq!(read(text, meaning, data_type).as_deref(), expected, "{text} as {data_type}");
        }
    }
}
