//! What is shipped beside the code agrees with it: the JSON Schema and the reference for users.

#![allow(clippy::disallowed_methods, reason = "a test compares a file of the repository")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::documented;
use crate::expr::{aggregate_names, function_names};
use crate::policy::{PolicyCode, json_schema, parse};

const REFERENCE: &str = include_str!("../../../../docs/policy.md");

#[test]
fn the_shipped_schema_is_the_generated_one() {
    let generated = format!("{}\n", serde_json::to_string_pretty(&json_schema()).unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy.schema.json");
    if std::env::var_os("SKEIN_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let shipped = std::fs::read_to_string(&path).unwrap();
    assert!(shipped == generated, "docs/policy.schema.json is out of date; run this test with SKEIN_BLESS=1");
}

/// Property names of all objects in a schema.
fn properties(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (key, member) in members {
                if let ("properties", Value::Object(properties)) = (key.as_str(), member) {
                    found.extend(properties.keys().cloned());
                }
                properties(member, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, found)),
        _ => {}
    }
}

/// Keys of all mappings in a document.
fn keys(document: &Value, found: &mut BTreeSet<String>) {
    match document {
        Value::Object(members) => {
            for (key, member) in members {
                found.insert(key.clone());
                keys(member, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn the_complete_example_uses_every_key_of_the_schema() {
    let (mut known, mut used) = (BTreeSet::new(), BTreeSet::new());
    properties(&json_schema(), &mut known);
    let text = documented()[1];
    let policy = parse(text).unwrap_or_else(|errors| panic!("{errors:#?}"));
    keys(&serde_json::to_value(&policy).unwrap(), &mut used);
    // Labels and properties of tables have keys of their own.
    for key in ["wave", "tier", "gc.enabled", "domain"] {
        used.remove(key);
    }
    assert_eq!(used, known);
    let missing: Vec<_> = known.iter().filter(|key| !text.contains(&format!("{key}:"))).collect();
    assert!(missing.is_empty(), "the example in docs/policy.md does not show {missing:?}");
}

#[test]
fn every_property_of_the_schema_is_documented_and_no_object_is_open() {
    fn walk(schema: &Value, path: &str) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            assert_eq!(schema.get("additionalProperties"), Some(&Value::Bool(false)), "{path}");
            for (key, property) in properties {
                assert!(
                    property.get("description").is_some() || property.get("$ref").is_some(),
                    "{path}.{key} has no description"
                );
            }
        }
        match schema {
            Value::Object(members) => members.iter().for_each(|(key, member)| walk(member, &format!("{path}.{key}"))),
            Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| walk(item, &format!("{path}[{n}]"))),
            _ => {}
        }
    }
    walk(&json_schema(), "");
}

#[test]
fn the_reference_lists_the_allowed_functions_and_all_codes() {
    let list = |name: &str| -> Vec<&str> {
        let rest = REFERENCE.split(&format!("<!-- {name} -->")).nth(1).unwrap();
        let list = rest.split("<!--").next().unwrap();
        list.split(',').map(str::trim).collect()
    };
    let sorted = |names: Vec<&'static str>| {
        let names: BTreeSet<&str> = names.into_iter().collect();
        names.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(list("functions"), sorted(function_names().collect()));
    assert_eq!(list("aggregates"), sorted(aggregate_names().collect()));
    let schema = schemars::schema_for!(PolicyCode).to_value().to_string();
    for row in REFERENCE.lines().filter_map(|line| line.strip_prefix("| `POLICY_")) {
        let code = format!("POLICY_{}", row.split('`').next().unwrap());
        assert!(schema.contains(&format!("\"{code}\"")), "{code} is no code");
        assert_eq!(serde_json::from_value::<PolicyCode>(Value::String(code.clone())).unwrap().as_str(), code);
    }
    assert_eq!(REFERENCE.matches("| `POLICY_").count(), schema.matches("\"POLICY_").count());
}
