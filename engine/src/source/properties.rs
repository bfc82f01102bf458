//! The properties of LazySimpleSerDe: from their text in a description to what the reader needs.
//!
//! In: `[field.delim=,, escape.delim=\]` or a JSON object. Out: key-value pairs, [`TextFormat`].
//! Not here: reading text (`text`).

use std::collections::BTreeMap;

use serde_json::Value;
use skein_protocol::inspection::TextFormat;

/// Properties by their names.
pub(super) type Properties = BTreeMap<String, String>;

/// Most levels of separators that Hive has.
const LEVELS: u8 = 8;

/// Reads properties from a description: an object, or the text that `DESCRIBE FORMATTED` prints.
pub(super) fn parse(value: &Value) -> Result<Properties, String> {
    match value {
        Value::Null => Ok(Properties::new()),
        Value::String(text) => Ok(from_text(text)),
        Value::Object(map) => map.iter().map(|(key, value)| Ok((key.clone(), plain(key, value)?))).collect(),
        _ => Err("storage properties are an object or a text like [key=value, key=value]".to_owned()),
    }
}

fn plain(key: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(format!("property {key:?} is neither text, number nor boolean")),
    }
}

/// Splits `[k=v, k=v]`. Values may be anything, a comma or `=` included: a pair starts only at the start or after
/// a comma and a space, with a name followed by `=`.
fn from_text(text: &str) -> Properties {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let mut starts = Vec::new();
    let mut at = 0;
    while at < inner.len() {
        if name_length(&inner[at..]).is_some() {
            starts.push(at);
        }
        match inner[at..].find(", ") {
            Some(comma) => at += comma + 2,
            None => break,
        }
    }
    let mut properties = Properties::new();
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).map_or(inner.len(), |next| next - 2);
        let length = name_length(&inner[*start..]).expect("a start has a name");
        properties.insert(inner[*start..start + length].to_owned(), inner[start + length + 1..end].to_owned());
    }
    properties
}

/// Length of the property's name that `text` starts with, if `=` follows it.
fn name_length(text: &str) -> Option<usize> {
    let length = text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))?;
    (text.starts_with(|c: char| c.is_ascii_alphabetic()) && text[length..].starts_with('=')).then_some(length)
}

/// The reader's settings; an error names a property that is not supported and its value.
pub(super) fn text_format(properties: &Properties) -> Result<TextFormat, String> {
    let get = |names: &[&str]| names.iter().find_map(|name| properties.get(*name)).map(String::as_str);
    let byte = |names: &[&str], default: u8| get(names).map_or(Ok(default), |text| one_byte(names[0], text));
    refuse_unsupported(&get)?;
    let mut separators = vec![
        byte(&["field.delim", "serialization.format"], 1)?,
        byte(&["colelction.delim", "collection.delim"], 2)?,
        byte(&["mapkey.delim"], 3)?,
    ];
    separators.extend(4..=LEVELS);
    let skip = get(&["skip.header.line.count"]).unwrap_or("0");
    Ok(TextFormat {
        separators,
        escape: get(&["escape.delim"]).map(|text| one_byte("escape.delim", text)).transpose()?,
        null_text: get(&["serialization.null.format"]).unwrap_or("\\N").to_owned(),
        skip_header_lines: skip.trim().parse().map_err(|_| format!("skip.header.line.count={skip} is no number"))?,
        last_column_takes_rest: get(&["serialization.last.column.takes.rest"]).is_some_and(is_true),
    })
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

fn refuse_unsupported<'a>(get: &impl Fn(&[&str]) -> Option<&'a str>) -> Result<(), String> {
    let refused = |name: &str, fine: &dyn Fn(&str) -> bool| match get(&[name]) {
        Some(value) if !fine(value) => Err(format!("{name}={value:?} is not supported")),
        _ => Ok(()),
    };
    let line_feed = |value: &str| matches!(value, "\n" | "\\n" | "10" | "");
    refused("line.delim", &line_feed)?;
    refused("textinputformat.record.delimiter", &line_feed)?;
    refused("serialization.encoding", &|value| {
        matches!(value.to_ascii_uppercase().as_str(), "UTF-8" | "UTF8" | "US-ASCII" | "ASCII")
    })?;
    refused("skip.footer.line.count", &|value| value.trim() == "0")?;
    refused("timestamp.formats", &str::is_empty)?;
    refused("hive.lazysimple.extended_boolean_literal", &|value| !is_true(value))?;
    refused("serialization.extend.nesting.levels", &|value| !is_true(value))?;
    refused("hive.serialization.extend.nesting.levels", &|value| !is_true(value))
}

/// A separator as Hive reads it: a number from -128 to 127, else the text's first byte.
fn one_byte(name: &str, text: &str) -> Result<u8, String> {
    if let Ok(number) = text.parse::<i8>() {
        return Ok(number.to_ne_bytes()[0]);
    }
    // Tools print control characters in several ways.
    match text {
        "\\t" => Ok(b'\t'),
        "\\n" => Ok(b'\n'),
        _ => match text.as_bytes() {
            [] => Err(format!("{name} is empty")),
            [byte, ..] if byte.is_ascii() => Ok(*byte),
            _ => Err(format!("{name}={text:?} is not supported: separators are single bytes")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pairs(text: &str) -> Vec<(String, String)> {
        from_text(text).into_iter().collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn values_of_printed_properties_may_be_commas() {
        let expected = [pair("escape.delim", "\\"), pair("field.delim", ","), pair("serialization.format", ",")];
        assert_eq!(pairs("[escape.delim=\\, serialization.format=,, field.delim=,]"), expected);
        assert_eq!(pairs("[serialization.format=1]"), [pair("serialization.format", "1")]);
        assert_eq!(pairs("[field.delim=\u{1}, serialization.format=\u{1}]")[0], pair("field.delim", "\u{1}"));
        assert_eq!(pairs("[field.delim==, x=]"), [pair("field.delim", "="), pair("x", "")]);
        assert_eq!(pairs("[field.delim= , a=b]"), [pair("a", "b"), pair("field.delim", " ")]);
        assert_eq!(pairs("[]"), []);
    }

    #[test]
    fn separators_are_numbers_or_first_bytes() {
        let format = |text: &str| text_format(&from_text(text)).unwrap();
        assert_eq!(format("[]"), TextFormat::default());
        assert_eq!(format("[field.delim=9]").separators[0], b'\t');
        assert_eq!(format("[field.delim=\t]").separators[0], b'\t');
        assert_eq!(format("[serialization.format=|]").separators[0], b'|');
        assert_eq!(format("[colelction.delim=;, mapkey.delim=:]").separators[..4], [1, b';', b':', 4]);
        assert_eq!(format("[escape.delim=\\]").escape, Some(b'\\'));
        assert_eq!(format("[serialization.null.format=]").null_text, "");
        assert_eq!(format("[skip.header.line.count=2]").skip_header_lines, 2);
    }

    #[test]
    fn what_the_reader_cannot_do_is_refused_by_name() {
        for text in [
            "[line.delim=;]",
            "[serialization.encoding=GBK]",
            "[timestamp.formats=yyyy]",
            "[field.delim=é]",
            "[skip.footer.line.count=1]",
        ] {
            let why = text_format(&from_text(text)).unwrap_err();
            assert!(why.contains(&text[1..text.find('=').unwrap()]), "{why}");
        }
        assert!(text_format(&from_text("[line.delim=\n, serialization.encoding=UTF-8]")).is_ok());
    }

    #[test]
    fn properties_may_be_an_object() {
        let properties = parse(&json!({"field.delim": ",", "skip.header.line.count": 1})).unwrap();
        let format = text_format(&properties).unwrap();
        assert_eq!((format.separators[0], format.skip_header_lines), (b',', 1));
        assert!(parse(&json!(["field.delim"])).is_err());
    }
}
