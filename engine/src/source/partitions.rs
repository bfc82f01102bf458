//! Partition folders: `key=value` names decoded once, and values typed as described.
//!
//! In: folder names, described types. Out: keys, values, constant columns. Not here: walking folders (`listing`).

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::take;
use skein_protocol::inspection::HIVE_NULL_PARTITION;
use skein_protocol::types::DataType;

use super::scalars::{self, Read};
use super::text::pad;
use crate::types::{UTC, arrow_type};

/// One level of a partition's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyValue {
    /// The key, decoded.
    pub(super) key: String,
    /// The value, decoded; none for Hive's null folder.
    pub(super) value: Option<String>,
}

/// Reads a folder's name; `None` if it is not of the form `key=value`, an error if its escapes make no text.
pub(super) fn key_value(name: &str) -> Option<Result<KeyValue, String>> {
    let (key, value) = name.split_once('=')?;
    if key.is_empty() {
        return None;
    }
    let value = if value == HIVE_NULL_PARTITION { Ok(None) } else { decode(value).map(Some) };
    Some(decode(key).and_then(|key| Ok(KeyValue { key, value: value? })))
}

/// All levels of a partition as the metastore writes it: `country=01/n=0`.
pub(super) fn specification(text: &str) -> Result<Vec<KeyValue>, String> {
    text.split('/')
        .map(|level| key_value(level).unwrap_or_else(|| Err(format!("{level:?} is not of the form key=value"))))
        .collect()
}

/// Decodes `%XX` exactly once. A percent sign without two hexadecimal digits stands for itself, as in Hive.
fn decode(text: &str) -> Result<String, String> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten().and_then(hexadecimal);
        decoded.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).map_err(|_| format!("the escapes in {text:?} make no UTF-8 text"))
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}

/// `rows` rows that hold a partition's value as `data_type`; `None` if the text is no such value.
pub(super) fn constant(value: Option<&str>, data_type: &DataType, rows: usize) -> Option<ArrayRef> {
    let Some(text) = value else {
        return Some(new_null_array(&arrow_type(data_type), rows));
    };
    let one = single(text, data_type)?;
    let repeated = take(&one, &UInt32Array::from(vec![0; rows]), None);
    Some(repeated.expect("row 0 exists, and take has all of these types"))
}

/// Whether `value` is a value of `data_type`.
pub(super) fn is_valid(value: Option<&str>, data_type: &DataType) -> bool {
    value.is_none_or(|text| single(text, data_type).is_some())
}

fn whole<T>(read: Read<T>) -> Option<T> {
    // Half a value in a folder's name is a mistake, not a habit of the format.
    (!read.shortened).then_some(read.value)
}

fn single(text: &str, data_type: &DataType) -> Option<ArrayRef> {
    let bytes = text.as_bytes();
    let integer = || scalars::integer(bytes).and_then(whole);
    Some(match data_type {
        DataType::Boolean => Arc::new(BooleanArray::from(vec![scalars::boolean(bytes)?])),
        DataType::TinyInt => Arc::new(Int8Array::from(vec![i8::try_from(integer()?).ok()?])),
        DataType::SmallInt => Arc::new(Int16Array::from(vec![i16::try_from(integer()?).ok()?])),
        DataType::Int => Arc::new(Int32Array::from(vec![i32::try_from(integer()?).ok()?])),
        DataType::BigInt => Arc::new(Int64Array::from(vec![integer()?])),
        DataType::Float => Arc::new(Float32Array::from(vec![scalars::float(bytes)?])),
        DataType::Double => Arc::new(Float64Array::from(vec![scalars::double(bytes)?])),
        DataType::Decimal { precision, scale } => {
            let value = scalars::decimal(bytes, *precision, *scale).and_then(whole)?;
            let scale = i8::try_from(*scale).ok()?;
            Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(*precision, scale).ok()?)
        }
        DataType::String => Arc::new(StringArray::from(vec![text])),
        DataType::Varchar { length } => {
            (text.chars().count() <= *length as usize).then_some(())?;
            Arc::new(StringArray::from(vec![text]))
        }
        DataType::Char { length } => {
            (text.trim_end_matches(' ').chars().count() <= *length as usize).then_some(())?;
            Arc::new(StringArray::from_iter_values([pad(text, *length)]))
        }
        DataType::Binary => Arc::new(BinaryArray::from_vec(vec![bytes])),
        DataType::Date => Arc::new(Date32Array::from(vec![scalars::date(bytes)?])),
        DataType::Timestamp => {
            Arc::new(TimestampMicrosecondArray::from(vec![scalars::timestamp(bytes).and_then(whole)?]))
        }
        // The wall clock in UTC.
        DataType::TimestampTz => {
            let instant = TimestampMicrosecondArray::from(vec![scalars::timestamp(bytes).and_then(whole)?]);
            Arc::new(instant.with_timezone(UTC))
        }
        DataType::Array(_) | DataType::Map(..) | DataType::Struct(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};

    #[test]
    fn folder_names_are_decoded_exactly_once() {
        let table: &[(&str, &str, Option<&str>)] = &[
            ("dt=2024-01-01", "dt", Some("2024-01-01")),
            ("country=São%2FP%3D1 x", "country", Some("São/P=1 x")),
            ("country=__HIVE_DEFAULT_PARTITION__", "country", None),
            ("k=__HIVE_DEFAULT_PARTITION__x", "k", Some("__HIVE_DEFAULT_PARTITION__x")),
            ("a=%2541", "a", Some("%41")),
            ("a=100%", "a", Some("100%")),
            ("a=%zz%4", "a", Some("%zz%4")),
            ("a=S%C3%A3o", "a", Some("São")),
            ("a=b=c", "a", Some("b=c")),
            ("a%3Db=c", "a=b", Some("c")),
            ("a=", "a", Some("")),
            ("a=01", "a", Some("01")),
        ];
        for (name, key, value) in table {
            let expected = KeyValue { key: (*key).to_owned(), value: value.map(str::to_owned) };
            assert_eq!(key_value(name), Some(Ok(expected)), "{name}");
        }
        assert_eq!(key_value("plain"), None);
        assert_eq!(key_value("=x"), None);
        assert!(key_value("a=%ff").unwrap().is_err());
        assert_eq!(specification("a=1/b=%2F").unwrap()[1].value.as_deref(), Some("/"));
        assert!(specification("a=1/b").is_err());
    }

    #[test]
    fn values_are_typed_as_described_and_never_guessed() {
        let constant = |text, data_type: &str| constant(Some(text), &data_type.parse().unwrap(), 2);
        assert_eq!(constant("01", "string").unwrap().as_string::<i32>().value(1), "01");
        assert_eq!(constant("01", "int").unwrap().as_ref(), &Int32Array::from(vec![1, 1]));
        assert_eq!(constant("2024-1-1", "date").unwrap().as_ref(), &Date32Array::from(vec![19_723, 19_723]));
        assert_eq!(constant("b ", "char(3)").unwrap().as_string::<i32>().value(0), "b  ");
        let refused = [
            ("x", "int"),
            ("1.5", "int"),
            ("300", "tinyint"),
            ("", "int"),
            ("2024-02-30", "date"),
            ("1.005", "decimal(5,2)"),
            ("abcd", "varchar(3)"),
            ("yes", "boolean"),
        ];
        for (text, data_type) in refused {
            assert!(constant(text, data_type).is_none(), "{text} {data_type}");
            assert!(!is_valid(Some(text), &data_type.parse().unwrap()));
        }
        let null = super::constant(None, &DataType::Int, 3).unwrap();
        assert_eq!((null.len(), null.null_count()), (3, 3));
    }
}
