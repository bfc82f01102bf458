//! The properties of SerDes: from their text in a description to what the reader needs.
//!
//! In: `[field.delim=,, escape.delim=\]` or a JSON object. Out: key-value pairs, the readers' settings.
//! Not here: reading text (`text`).

use std::collections::BTreeMap;

use serde_json::Value;
use skein_protocol::inspection::{JsonLinesFormat, OpenCsvFormat, TextFormat};

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
    refuse_unsupported(properties)?;
    let mut separators = vec![
        byte(&["field.delim", "serialization.format"], 1)?,
        byte(&["colelction.delim", "collection.delim"], 2)?,
        byte(&["mapkey.delim"], 3)?,
    ];
    separators.extend(4..=LEVELS);
    Ok(TextFormat {
        separators,
        escape: get(&["escape.delim"]).map(|text| one_byte("escape.delim", text)).transpose()?,
        null_text: get(&["serialization.null.format"]).unwrap_or("\\N").to_owned(),
        skip_header_lines: skip_header_lines(properties)?,
        last_column_takes_rest: get(&["serialization.last.column.takes.rest"]).is_some_and(is_true),
    })
}

/// The settings of OpenCSVSerde; an error names a property that is not supported and its value.
pub(super) fn open_csv_format(properties: &Properties) -> Result<OpenCsvFormat, String> {
    let usual = OpenCsvFormat::default();
    let character = |name: &str, default: u8| match properties.get(name).map(String::as_bytes) {
        None | Some([]) => Ok(default),
        Some(b"\\t") => Ok(b'\t'),
        // As in Hive, the first character counts.
        Some([byte, ..]) if byte.is_ascii() => Ok(*byte),
        Some(_) => Err(format!("{name}={:?} is not supported: separators are single bytes", properties[name])),
    };
    let format = OpenCsvFormat {
        separator: character("separatorChar", usual.separator)?,
        quote: character("quoteChar", usual.quote)?,
        escape: character("escapeChar", usual.escape)?,
        skip_header_lines: skip_header_lines(properties)?,
    };
    if format.separator == format.quote || format.separator == format.escape {
        return Err("separatorChar is quoteChar or escapeChar, too".to_owned());
    }
    refuse_unplain_lines(properties)?;
    Ok(format)
}

/// The settings of JsonSerDe; an error names a property that is not supported and its value.
pub(super) fn json_lines_format(properties: &Properties) -> Result<JsonLinesFormat, String> {
    refuse_unplain_lines(properties)?;
    let odd = properties.iter().find(|(key, value)| {
        let on = is_true(value);
        match key.as_str() {
            "ignore.malformed.json"
            | "dots.in.keys"
            | "use.null.for.invalid.data"
            | "json.stringify.complex.fields" => on,
            "case.insensitive" => !on,
            "timestamp.formats" => !value.is_empty(),
            key => key.starts_with("mapping."),
        }
    });
    match odd {
        Some((key, value)) => Err(format!("{key}={value:?} is not supported")),
        None => Ok(JsonLinesFormat { skip_header_lines: skip_header_lines(properties)? }),
    }
}

/// The defaults of the fields of a table's own Avro schema, by their names in lower case: `Some(None)` for one that is no
/// plain value. `None` altogether if the schema lies elsewhere.
pub(super) fn avro_defaults(properties: &Properties) -> Result<Option<BTreeMap<String, Option<String>>>, String> {
    let mut defaults = BTreeMap::new();
    let literal = properties.get("avro.schema.literal").filter(|text| !text.is_empty() && *text != "none");
    let Some(literal) = literal else {
        let elsewhere = properties.get("avro.schema.url").is_some_and(|url| !url.is_empty() && url != "none");
        return Ok((!elsewhere).then_some(defaults));
    };
    let schema: Value = serde_json::from_str(literal).map_err(|error| error.to_string())?;
    let fields = schema.get("fields").and_then(Value::as_array).ok_or("it is no record")?;
    for field in fields {
        let name = field.get("name").and_then(Value::as_str).ok_or("a field has no name")?;
        let text = match field.get("default") {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(Value::Bool(flag)) => Some(flag.to_string()),
            Some(_) => None,
        };
        // Bytes are texts of code points, and logical types are numbers in disguise.
        let kind = field.get("type").map(Value::to_string).unwrap_or_default();
        let plain = !kind.contains("logicalType") && !kind.contains("bytes") && !kind.contains("fixed");
        defaults.insert(name.to_lowercase(), text.filter(|_| plain));
    }
    Ok(Some(defaults))
}

fn skip_header_lines(properties: &Properties) -> Result<u32, String> {
    let skip = properties.get("skip.header.line.count").map_or("0", String::as_str);
    skip.trim().parse().map_err(|_| format!("skip.header.line.count={skip} is no number"))
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// Properties of all text: how it is cut into lines, and its encoding.
fn refuse_unplain_lines(properties: &Properties) -> Result<(), String> {
    let line_feed = |value: &str| matches!(value, "\n" | "\\n" | "10" | "");
    refused(properties, "line.delim", &line_feed)?;
    refused(properties, "textinputformat.record.delimiter", &line_feed)?;
    refused(properties, "serialization.encoding", &|value| {
        matches!(value.to_ascii_uppercase().as_str(), "UTF-8" | "UTF8" | "US-ASCII" | "ASCII")
    })?;
    refused(properties, "skip.footer.line.count", &|value| value.trim() == "0")
}

fn refuse_unsupported(properties: &Properties) -> Result<(), String> {
    refuse_unplain_lines(properties)?;
    refused(properties, "timestamp.formats", &str::is_empty)?;
    refused(properties, "hive.lazysimple.extended_boolean_literal", &|value| !is_true(value))?;
    refused(properties, "serialization.extend.nesting.levels", &|value| !is_true(value))?;
    refused(properties, "hive.serialization.extend.nesting.levels", &|value| !is_true(value))
}

fn refused(properties: &Properties, name: &str, fine: &dyn Fn(&str) -> bool) -> Result<(), String> {
    match properties.get(name) {
        Some(value) if !fine(value) => Err(format!("{name}={value:?} is not supported")),
        _ => Ok(()),
    }
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
    fn opencsv_and_json_have_their_own_properties() {
        assert_eq!(open_csv_format(&from_text("[serialization.format=1]")), Ok(OpenCsvFormat::default()));
        let odd = open_csv_format(&from_text("[separatorChar=;, quoteChar=', escapeChar=|, skip.header.line.count=1]"));
        let expected = OpenCsvFormat { separator: b';', quote: b'\'', escape: b'|', skip_header_lines: 1 };
        assert_eq!(odd, Ok(expected));
        assert!(open_csv_format(&from_text("[separatorChar=\"]")).is_err());
        assert!(json_lines_format(&from_text("[serialization.format=1]")).is_ok());
        for text in ["[ignore.malformed.json=true]", "[mapping.a=b]", "[timestamp.formats=yyyy]"] {
            assert!(json_lines_format(&from_text(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn defaults_come_from_the_tables_own_avro_schema() {
        let schema = json!({"type": "record", "name": "r", "fields": [
            {"name": "A", "type": "int", "default": 7}, {"name": "b", "type": ["null", "string"], "default": null},
            {"name": "c", "type": {"type": "int", "logicalType": "date"}, "default": 0},
            {"name": "d", "type": "string", "default": "x, y"}]});
        let literal = parse(&json!({"avro.schema.literal": schema.to_string()})).unwrap();
        let defaults = avro_defaults(&literal).unwrap().unwrap();
        let of = |name: &str| defaults.get(name).cloned();
        assert_eq!((of("a"), of("b"), of("c")), (Some(Some("7".to_owned())), None, Some(None)));
        assert_eq!(of("d"), Some(Some("x, y".to_owned())));
        let elsewhere = parse(&json!({"avro.schema.url": "hdfs:///s.avsc"})).unwrap();
        assert_eq!(avro_defaults(&elsewhere), Ok(None));
    }

    #[test]
    fn properties_may_be_an_object() {
        let properties = parse(&json!({"field.delim": ",", "skip.header.line.count": 1})).unwrap();
        let format = text_format(&properties).unwrap();
        assert_eq!((format.separators[0], format.skip_header_lines), (b',', 1));
        assert!(parse(&json!(["field.delim"])).is_err());
    }
}
