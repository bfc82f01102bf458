//! Looks at a file's schema before the decoder does.
//!
//! In: the schema's text. Out: whether it ends. A type that holds itself, or types that hold each other many times over,
//! would use up the decoder's stack or memory; no table's columns are like that.

use std::collections::HashMap;

use serde_json::Value;

use super::super::decoding::DecodeFailure;

/// Deepest nesting of types, references followed.
const MAX_DEPTH: usize = 64;
/// Most types, references followed.
const MAX_TYPES: usize = 100_000;

/// Checks a file's schema.
pub(super) fn check(text: &[u8]) -> Result<(), DecodeFailure> {
    let schema: Value = serde_json::from_slice(text)
        .map_err(|error| DecodeFailure::Damaged(format!("its schema cannot be read: {error}")))?;
    if schema.get("type").and_then(Value::as_str) != Some("record") {
        return Err(DecodeFailure::Unsupported("its schema is no record".to_owned()));
    }
    let mut names = HashMap::new();
    collect(&schema, &mut names);
    let mut left = MAX_TYPES;
    if ends(&schema, &names, 0, &mut left) {
        Ok(())
    } else {
        Err(DecodeFailure::Unsupported("its schema's types hold themselves, or nest too deep".to_owned()))
    }
}

/// The last part of a type's name. Two types may share it; then the walk over both is longer, and still ends.
fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn collect<'a>(schema: &'a Value, names: &mut HashMap<&'a str, Vec<&'a Value>>) {
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| collect(branch, names)),
        Value::Object(members) => {
            if let Some(name) = members.get("name").and_then(Value::as_str)
                && members.get("fields").is_some()
            {
                names.entry(short(name)).or_default().push(schema);
            }
            parts(schema).for_each(|part| collect(part, names));
        }
        _ => {}
    }
}

/// The types within an object.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let fields = schema.get("fields").and_then(Value::as_array).into_iter().flatten();
    let own = ["type", "items", "values"].into_iter().filter_map(|key| schema.get(key));
    own.chain(fields.filter_map(|field| field.get("type")))
}

fn ends(schema: &Value, names: &HashMap<&str, Vec<&Value>>, depth: usize, left: &mut usize) -> bool {
    if depth > MAX_DEPTH || *left == 0 {
        return false;
    }
    *left -= 1;
    match schema {
        Value::Array(branches) => branches.iter().all(|branch| ends(branch, names, depth + 1, left)),
        Value::String(name) => {
            let known = names.get(short(name)).into_iter().flatten();
            known.into_iter().all(|known| ends(known, names, depth + 1, left))
        }
        Value::Object(_) => parts(schema).all(|part| ends(part, names, depth + 1, left)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine(text: &str) -> bool {
        check(text.as_bytes()).is_ok()
    }

    #[test]
    fn schemas_that_hold_themselves_are_refused_and_shared_types_are_not() {
        assert!(fine(
            r#"{"type":"record","name":"r","fields":[{"name":"a","type":["null",{"type":"record","name":"x.P",
            "fields":[{"name":"n","type":"int"}]}]},{"name":"b","type":"x.P"}]}"#
        ));
        assert!(!fine(r#"{"type":"record","name":"r","fields":[{"name":"next","type":["null","r"]}]}"#));
        assert!(!fine(r#"{"type":"record","name":"r","fields":[{"name":"m","type":{"type":"map","values":"r"}}]}"#));
        let mut doubling = r#"{"type":"record","name":"r0","fields":[{"name":"a","type":"int"}]}"#.to_owned();
        for level in 1..40 {
            doubling = format!(
                r#"{{"type":"record","name":"r{level}","fields":[{{"name":"a","type":{doubling}}},{{"name":"b","type":"r{}"}}]}}"#,
                level - 1
            );
        }
        assert!(!fine(&doubling));
        assert!(!fine("\"int\"") && !fine("{"));
    }
}
