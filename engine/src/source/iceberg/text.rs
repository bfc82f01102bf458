//! Single values of Iceberg's JSON form as the text that a column's value is written in.
//!
//! In: JSON values, types. Out: texts that `partitions::constant` reads as the same value. Not here: where they come from.

use serde_json::Value;
use skein_protocol::types::DataType;

use super::super::partitions::is_valid;

/// The text of a value; none if there is none that means the same.
pub(super) fn of_json(value: &Value, data_type: &DataType) -> Option<String> {
    let text = match (value, data_type) {
        (Value::Bool(value), DataType::Boolean) => value.to_string(),
        (Value::Number(value), DataType::Int | DataType::BigInt) => value.to_string(),
        (Value::String(text), DataType::String | DataType::Date | DataType::Decimal { .. }) => text.clone(),
        (Value::String(text), DataType::Timestamp) => text.replacen('T', " ", 1),
        (Value::String(text), DataType::TimestampTz) => {
            let clock = text.strip_suffix("+00:00").or_else(|| text.strip_suffix('Z'))?;
            clock.replacen('T', " ", 1)
        }
        // Texts of floating-point numbers and of bytes do not always mean the same value again.
        _ => return None,
    };
    is_valid(Some(&text), data_type).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_become_texts_that_are_read_as_the_same_values() {
        for (value, data_type, text) in [
            (json!(true), "boolean", "true"),
            (json!(-7), "int", "-7"),
            (json!(9_000_000_000_i64), "bigint", "9000000000"),
            (json!(" São "), "string", " São "),
            (json!("14.20"), "decimal(9,2)", "14.20"),
            (json!("2017-11-16"), "date", "2017-11-16"),
            (json!("2017-11-16T22:31:08.000123"), "timestamp", "2017-11-16 22:31:08.000123"),
            (json!("2017-11-16T22:31:08.000123+00:00"), "timestamptz", "2017-11-16 22:31:08.000123"),
        ] {
            assert_eq!(of_json(&value, &data_type.parse().unwrap()).as_deref(), Some(text), "{data_type}");
        }
    }

    #[test]
    fn values_without_such_a_text_have_none() {
        for (value, data_type) in [
            (json!(3_000_000_000_i64), "int"),
            (json!("2017-11-16T22:31:08+01:00"), "timestamptz"),
            (json!("00ff"), "binary"),
            (json!(1.5), "double"),
            (json!("x"), "date"),
            (json!([1]), "array<int>"),
        ] {
            assert_eq!(of_json(&value, &data_type.parse().unwrap()), None, "{value} {data_type}");
        }
    }
}
