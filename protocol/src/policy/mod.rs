//! The policy: the document that says how a set of datasets is migrated.
//!
//! In: YAML (or JSON, which is YAML). Out: a [`Policy`] with all defaults filled in, or everything that is wrong with the
//! text, with line and column. Holds: the document's types, its JSON Schema ([`json_schema`]).
//! Not here: datasets (`planner` applies a policy to one), connections (`connection`), SQL (`expr`).
//!
//! The walk: `tree` (YAML with places) → `decode` (types, all errors) → `contradictions` (what cannot be meant together).

mod clean;
mod contradictions;
mod criteria;
mod decode;
mod default_value;
mod document;
mod error;
mod fields;
mod names;
mod properties;
mod quantity;
mod rules;
mod scalar;
mod selection;
mod target;
#[cfg(test)]
mod tests;
mod tree;
mod values;

pub use clean::{CleanRule, Direction, Duplicates, KeepOne, Nulls, OrderBy};
pub use criteria::{
    Approval, Approver, BatchComparison, Check, FinalComparison, MAX_AFTER, MAX_APPROVALS, MAX_ATTEMPTS, MAX_PARALLEL,
    MAX_PRIORITY, OnDifference, Run, Tolerances, Validate,
};
pub use decode::BadText;
pub use default_value::{DefaultValue, MAX_DEFAULT_CHARS};
pub use document::{ApiVersion, Kind, Metadata, Policy, Spec, Strategy};
pub use error::{PolicyCode, PolicyError};
pub use names::{MAX_COLUMN_CHARS, MAX_LABEL_CHARS, MAX_NAME_CHARS, MAX_OWNER_CHARS, MAX_PROSE_CHARS, check_owner};
pub use properties::{MAX_PROPERTIES, MAX_PROPERTY_CHARS};
pub use quantity::{FileSize, MAX_FILE_BYTES, MAX_MEMORY_BYTES, MIN_FILE_BYTES, MIN_MEMORY_BYTES, MemorySize, Percent};
pub use rules::{
    AddColumn, CastColumn, CharRule, DropColumn, IfExists, IfMissing, IntegerRule, RenameColumn, SchemaRules,
    TimestampRule, TypeRules,
};
pub use selection::{Glob, MAX_GLOB_CHARS, Source};
pub use target::{
    MAX_FORMAT_VERSION, MAX_TEMPLATE_CHARS, MAX_ZSTD_LEVEL, MIN_FORMAT_VERSION, MIN_ZSTD_LEVEL, NameTemplate,
    PartitionBy, Partitioning, PartitioningMode, Target,
};
pub use tree::{MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, MAX_DOCUMENT_VALUES};

use decode::{Decode as _, Decoder};

/// Most errors that are reported of one document; what follows is rarely news.
pub const MAX_ERRORS: usize = 100;

/// Reads a policy document.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text; never empty. YAML that cannot be read gives one error.
pub fn parse(text: &str) -> Result<Policy, Vec<PolicyError>> {
    // A byte order mark at the start is no part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut decoder = Decoder::new(text);
    let root = match tree::read(text, &mut decoder.errors) {
        Ok(root) => root,
        Err(fatal) => {
            decoder.errors.push(fatal);
            return Err(in_order(decoder.errors));
        }
    };
    let policy = Policy::decode(&root, &mut decoder);
    let mut errors = decoder.errors;
    for finding in contradictions::find(&policy) {
        let path = finding.path.to_string();
        // What is broken already is not looked at for its meaning.
        if errors.iter().any(|error| is_within(&path, &error.path)) {
            continue;
        }
        let node = root.locate(&finding.path);
        let at = match (&node.value, finding.within) {
            (tree::Value::Scalar(scalar), Some((line, column))) => scalar.position_of(text, line, column),
            _ => node.at,
        };
        let (code, message, hint) = (finding.code, finding.message, finding.hint);
        errors.push(PolicyError { code, message, path, line: at.line, column: at.column, hint });
    }
    if errors.is_empty() { Ok(policy) } else { Err(in_order(errors)) }
}

/// The JSON Schema of policy documents, for editors. It says less than [`parse`] checks, and nothing that [`parse`] does not.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    let mut schema = settings.into_generator().into_root_schema_for::<Policy>().to_value();
    let mut named = serde_json::Map::new();
    for key in ["$schema", "title", "description"] {
        let value = if key == "title" { Some("Skein migration policy".into()) } else { schema.get(key).cloned() };
        named.extend(value.map(|value| (key.to_owned(), value)));
    }
    for (key, value) in schema.as_object_mut().into_iter().flatten() {
        named.entry(key.as_str()).or_insert_with(|| value.take());
    }
    serde_json::Value::Object(named)
}

fn in_order(mut errors: Vec<PolicyError>) -> Vec<PolicyError> {
    errors.sort_by_key(|error| (error.line, error.column));
    errors.truncate(MAX_ERRORS);
    errors
}

/// True when `path` is `outer` or lies below it. The document's root is not meant.
fn is_within(path: &str, outer: &str) -> bool {
    !outer.is_empty() && path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
