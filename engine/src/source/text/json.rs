//! One JSON object a line, as Hive's JsonSerDe reads it.
//!
//! In: lines. Out: values for columns, found by keys whose case does not count. A missing key is null.
//!
//! Hive's versions differ in what they make of a value that does not fit its column: null, zero, or an error. Such a value
//! stops the reading here, with its line: nothing is guessed.

use skein_protocol::inspection::TextFormat;
use skein_protocol::types::DataType;

use super::Unparsable;
use super::columns::{NotUtf8, TextColumn, Values};
use super::json_tree::Json;

/// What is wrong with a value.
type Misfit = String;

/// The member of `object` called `name` when case does not count; of several, the last, as in Hive.
pub(super) fn member<'a, 'b>(members: &'b [(std::borrow::Cow<'a, str>, Json<'a>)], name: &str) -> Option<&'b Json<'a>> {
    let same =
        |key: &str| key.eq_ignore_ascii_case(name) || (!key.is_ascii() && key.to_lowercase() == name.to_lowercase());
    members.iter().rev().find(|(key, _)| same(key)).map(|(_, value)| value)
}

/// The type within `data_type` that JSON has no agreed form for, if there is one.
pub(in crate::source) fn unclear_type(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::Binary | DataType::TimestampTz => Some(data_type),
        DataType::Array(element) => unclear_type(element),
        DataType::Map(key, value) => unclear_type(key).or_else(|| unclear_type(value)),
        DataType::Struct(fields) => fields.iter().find_map(|field| unclear_type(&field.data_type)),
        _ => None,
    }
}

/// Adds `value` to `column`, which is a `data_type`.
pub(super) fn push(
    column: &mut TextColumn,
    value: Option<&Json<'_>>,
    data_type: &DataType,
    format: &TextFormat,
    tally: &mut Unparsable,
) -> Result<(), Misfit> {
    let misfit = || Err(format!("{} is no {data_type}", value.map_or_else(String::new, shown)));
    let value = value.filter(|value| **value != Json::Null);
    match (&mut column.values, data_type) {
        (Values::List(parts, child), DataType::Array(element)) => {
            let items = match value {
                None => None,
                Some(Json::Array(items)) => Some(items),
                Some(_) => return misfit(),
            };
            for item in items.into_iter().flatten() {
                push(child, Some(item), element, format, tally)?;
            }
            parts.nulls.append(items.is_some());
            parts.close(items.map(Vec::len));
        }
        (Values::Map(parts, children), DataType::Map(key_type, value_type)) => {
            let members = match value {
                None => None,
                Some(Json::Object(members)) => Some(members),
                Some(_) => return misfit(),
            };
            let mut kept = 0;
            for (position, (key, value)) in members.into_iter().flatten().enumerate() {
                // Of equal keys the last counts.
                if members.is_some_and(|members| members[position + 1..].iter().any(|(later, _)| later == key)) {
                    continue;
                }
                scalar(&mut children[0], Some(key), key_type, format, tally)?;
                push(&mut children[1], Some(value), value_type, format, tally)?;
                kept += 1;
            }
            parts.nulls.append(members.is_some());
            parts.close(Some(kept));
        }
        (Values::Struct(parts, children), DataType::Struct(fields)) => {
            let members = match value {
                None => None,
                Some(Json::Object(members)) => Some(members),
                Some(_) => return misfit(),
            };
            for (child, field) in children.iter_mut().zip(fields) {
                let value = members.and_then(|members| member(members, &field.name));
                push(child, value, &field.data_type, format, tally)?;
            }
            parts.nulls.append(members.is_some());
        }
        _ => {
            let text = match (value, is_number(data_type), data_type) {
                (None, ..) => None,
                (Some(Json::Bool(flag)), _, DataType::Boolean) => Some(if *flag { "true" } else { "false" }),
                (Some(Json::Number(digits)), true, _) => Some(*digits),
                (Some(Json::Text(text)), false, of) if *of != DataType::Boolean => Some(text.as_ref()),
                // Java's names of what JSON has no numbers for, and decimals that must keep their digits.
                (Some(Json::Text(text)), true, DataType::Float | DataType::Double | DataType::Decimal { .. }) => {
                    Some(text.as_ref())
                }
                (Some(_), ..) => return misfit(),
            };
            scalar(column, text, data_type, format, tally)?;
        }
    }
    Ok(())
}

fn is_number(data_type: &DataType) -> bool {
    use DataType as D;
    matches!(data_type, D::TinyInt | D::SmallInt | D::Int | D::BigInt | D::Float | D::Double | D::Decimal { .. })
}

fn scalar(
    column: &mut TextColumn,
    text: Option<&str>,
    data_type: &DataType,
    format: &TextFormat,
    tally: &mut Unparsable,
) -> Result<(), Misfit> {
    let mut own = Unparsable::default();
    let is_text = matches!(data_type, DataType::String | DataType::Char { .. } | DataType::Varchar { .. });
    // The readers of text take an empty field for a null.
    if text.is_some_and(str::is_empty) && !is_text {
        return Err(format!("an empty text is no {data_type}"));
    }
    let pushed = column.push_value(text.map(str::as_bytes), 0, format, &mut own);
    pushed.map_err(|NotUtf8| "it is not UTF-8".to_owned())?;
    let whole = matches!(data_type, DataType::TinyInt | DataType::SmallInt | DataType::Int | DataType::BigInt);
    if own.nulled > 0 || (own.shortened > 0 && whole) {
        return Err(format!("{:?} is no {data_type}", text.unwrap_or_default()));
    }
    tally.shortened += own.shortened;
    Ok(())
}

fn shown(value: &Json<'_>) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(digits) => (*digits).to_owned(),
        Json::Text(text) => format!("{text:?}"),
        Json::Array(_) => "an array".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    }
}
