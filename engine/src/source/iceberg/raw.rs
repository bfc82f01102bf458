//! What a metadata file says before it is parsed as a whole: whether it can be read at all, and what prevents it by name.
//!
//! In: a metadata file as JSON. Out: problems; fields' defaults, which iceberg-rust drops without a word where it cannot read them.
//! Not here: everything else (`table`).

use std::collections::BTreeMap;

use serde_json::Value;
use skein_protocol::problem::Code;

use super::super::findings::Findings;

/// Versions of Iceberg's format that are read.
const FORMAT_VERSIONS: std::ops::RangeInclusive<u64> = 1..=3;
/// Types that are read; `decimal(p, s)` and `fixed[n]` by their beginning.
const TYPES: [&str; 10] =
    ["boolean", "int", "long", "float", "double", "date", "timestamp", "timestamptz", "string", "binary"];
/// Properties that say that the table's files are encrypted.
const ENCRYPTION: [&str; 2] = ["encryption.key-id", "encryption.table.key-id"];

/// Reports what prevents reading the table; the top-level columns' defaults by their ids.
pub(super) fn check(metadata: &Value, findings: &mut Findings) -> BTreeMap<i64, Value> {
    let version = metadata["format-version"].as_u64();
    if !version.is_some_and(|version| FORMAT_VERSIONS.contains(&version)) {
        let version = version.map_or_else(|| "none".to_owned(), |version| version.to_string());
        findings.problem(
            Code::FormatUnsupported,
            "The version of the table's format is not known",
            format!("it is {version}; 1, 2 and 3 are read"),
            "Leave the table out",
        );
        return BTreeMap::new();
    }
    let encrypted = ENCRYPTION.iter().any(|name| !metadata["properties"][name].is_null());
    if encrypted || metadata["encryption-keys"].as_array().is_some_and(|keys| !keys.is_empty()) {
        findings.problem(
            Code::LayoutUnsupported,
            "The table is encrypted",
            "its metadata names encryption keys, which Skein has not",
            "Copy it to a table without encryption in its engine first",
        );
    }
    let mut defaults = BTreeMap::new();
    for field in fields(current_schema(metadata)) {
        let name = field["name"].as_str().unwrap_or("?");
        if let (Some(id), Some(default)) = (field["id"].as_i64(), present(&field["initial-default"])) {
            defaults.insert(id, default.clone());
        }
        check_type(name, &field["type"], findings);
    }
    defaults
}

fn present(value: &Value) -> Option<&Value> {
    Some(value).filter(|value| !value.is_null())
}

/// The schema whose columns the table has; of old writers it is the only one.
fn current_schema(metadata: &Value) -> &Value {
    let current = metadata["current-schema-id"].as_i64();
    let schemas = metadata["schemas"].as_array().into_iter().flatten();
    schemas.into_iter().find(|schema| schema["schema-id"].as_i64() == current).unwrap_or(&metadata["schema"])
}

fn fields(of: &Value) -> impl Iterator<Item = &Value> {
    of["fields"].as_array().into_iter().flatten()
}

fn check_type(name: &str, kind: &Value, findings: &mut Findings) {
    if let Some(text) = kind.as_str() {
        let plain = text.starts_with("decimal(") || text.starts_with("fixed[") || TYPES.contains(&text);
        if !plain {
            findings.problem(
                Code::TypeUnsupported,
                format!("Column {name:?} has the type {text}"),
                "Skein has no type for it",
                "Copy the table without it, or with another type, in its engine first",
            );
        }
        return;
    }
    match kind["type"].as_str() {
        Some("struct") => {
            for field in fields(kind) {
                let name = format!("{name}.{}", field["name"].as_str().unwrap_or("?"));
                if present(&field["initial-default"]).is_some() {
                    findings.problem(
                        Code::TypeUnsupported,
                        format!("Field {name:?} has a default"),
                        "values that files lack are put into columns only, not into parts of them",
                        "Rewrite the table's files in its engine (rewrite_data_files), and drop the default",
                    );
                }
                check_type(&name, &field["type"], findings);
            }
        }
        Some("list") => check_type(&format!("{name}.element"), &kind["element"], findings),
        Some("map") => {
            check_type(&format!("{name}.key"), &kind["key"], findings);
            check_type(&format!("{name}.value"), &kind["value"], findings);
        }
        other => findings.problem(
            Code::TypeUnsupported,
            format!("Column {name:?} has the type {}", other.unwrap_or("?")),
            "Skein has no type for it",
            "Copy the table without it, or with another type, in its engine first",
        ),
    }
}
