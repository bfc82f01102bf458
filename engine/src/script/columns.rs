//! Column lists in a script's options: `"name" type, "name" type`.
//!
//! In: text. Out: names and types. Names are quoted as in SQL, a quote within doubled; types are Hive's.

use skein_protocol::types::DataType;

/// Reads a list of columns; the error says what is wrong.
pub(super) fn parse(text: &str) -> Result<Vec<(String, DataType)>, String> {
    let mut columns = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = name(rest)?;
        let end = type_end(after);
        let data_type: DataType = after[..end].trim().parse().map_err(|error| format!("column {name}: {error}"))?;
        columns.push((name, data_type));
        rest = after[end..].trim_start_matches(',').trim();
    }
    Ok(columns)
}

fn name(text: &str) -> Result<(String, &str), String> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).ok_or_else(|| format!("{text:?} has no type"))?;
        return Ok((text[..end].to_ascii_lowercase(), &text[end..]));
    };
    let mut name = String::new();
    let mut chars = inner.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (c, chars.peek()) {
            ('"', Some((_, '"'))) => {
                name.push('"');
                chars.next();
            }
            ('"', _) => return Ok((name, &inner[at + 1..])),
            (c, _) => name.push(c),
        }
    }
    Err(format!("{text:?} has a name without an end"))
}

/// Where the type at the start of `text` ends: at the first comma outside of brackets.
fn type_end(text: &str) -> usize {
    let mut depth = 0_i32;
    text.char_indices()
        .find(|(_, c)| {
            match c {
                '<' | '(' => depth += 1,
                '>' | ')' => depth -= 1,
                _ => {}
            }
            *c == ',' && depth <= 0
        })
        .map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything_and_types_may_hold_commas() {
        let found =
            parse(r#""a ""b"", c" decimal(4,2), "m" map<string,struct<x:int,y:array<int>>>, "last" char(3)"#).unwrap();
        let found: Vec<(&str, String)> =
            found.iter().map(|(name, data_type)| (name.as_str(), data_type.to_string())).collect();
        let nested = "map<string,struct<x:int,y:array<int>>>".to_owned();
        assert_eq!(found, [("a \"b\", c", "decimal(4,2)".to_owned()), ("m", nested), ("last", "char(3)".to_owned())]);
        assert_eq!(parse("").unwrap(), []);
        assert!(parse("\"a\" strng").is_err());
        assert!(parse("\"a").is_err());
    }
}
