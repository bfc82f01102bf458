//! Properties that a policy gives its tables.
//!
//! In: a mapping of names to texts. Out: [`Properties`]. Holds: which names are Iceberg's, the catalogs' or Skein's own.
//! Not here: the properties that every table gets (the engine).

use std::collections::BTreeMap;

use super::decode::{BadText, Decode, Decoder};
use super::error::PolicyCode;
use super::tree::Node;
use super::values::texts_by_name;

/// Most properties of a table: a metadata file is read whole, by every reader.
pub const MAX_PROPERTIES: usize = 100;
/// Longest name or value: what a Hive Metastore's own columns hold.
pub const MAX_PROPERTY_CHARS: usize = 256;

/// Names that say what somebody else decides, and who.
const TAKEN: [(&str, &str); 24] = [
    ("write.format.default", "data files are Parquet"),
    ("write.parquet.compression-codec", "data files are compressed with zstd"),
    ("write.parquet.compression-level", "say it as zstdLevel"),
    ("write.target-file-size-bytes", "say it as fileSize"),
    // Iceberg's reserved names.
    ("format-version", "say it as formatVersion"),
    ("uuid", ICEBERGS),
    ("snapshot-count", ICEBERGS),
    ("current-snapshot-id", ICEBERGS),
    ("current-snapshot-summary", ICEBERGS),
    ("current-snapshot-timestamp-ms", ICEBERGS),
    ("current-schema", ICEBERGS),
    ("default-partition-spec", ICEBERGS),
    ("default-sort-order", ICEBERGS),
    // What a Hive Metastore keeps in the same place.
    ("metadata_location", METASTORES),
    ("previous_metadata_location", METASTORES),
    ("table_type", METASTORES),
    ("external", METASTORES),
    ("external.table.purge", METASTORES),
    ("storage_handler", METASTORES),
    ("transient_lastddltime", METASTORES),
    ("transactional", METASTORES),
    ("numfiles", METASTORES),
    ("numrows", METASTORES),
    ("totalsize", METASTORES),
];
const ICEBERGS: &str = "Iceberg gives it its value";
const METASTORES: &str = "a Hive Metastore gives it its value";
/// What begins so is Skein's.
const OWN: &str = "skein.";

/// Properties of target tables.
#[derive(Debug, Default)]
pub(super) struct Properties(pub(super) BTreeMap<String, String>);

impl Decode for Properties {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        let properties = texts_by_name(node, decoder, name, PolicyCode::PolicyOutOfRange, value);
        if properties.len() > MAX_PROPERTIES {
            let message =
                format!("a table has at most {MAX_PROPERTIES} properties, and these are {}", properties.len());
            decoder.report(node.at, PolicyCode::PolicyOutOfRange, message, None);
        }
        Self(properties)
    }

    fn blank() -> Self {
        Self::default()
    }
}

fn name(text: &str) -> Result<(), BadText> {
    let formed = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:".contains(c));
    if text.is_empty() || !formed || text.len() > MAX_PROPERTY_CHARS {
        return Err(BadText::new(format!(
            "{text:?} is no property: 1 to {MAX_PROPERTY_CHARS} letters, digits and -_./:"
        )));
    }
    // A metastore's database may compare without regard to case.
    let lower = text.to_ascii_lowercase();
    if lower.starts_with(OWN) {
        return Err(BadText::new(format!("`{text}`: names that begin with {OWN} are Skein's")));
    }
    match TAKEN.iter().find(|(taken, _)| *taken == lower) {
        Some((_, why)) => Err(BadText::new(format!("`{text}` cannot be set")).hint(*why)),
        None => Ok(()),
    }
}

fn value(text: &str) -> Result<String, BadText> {
    if text.chars().count() <= MAX_PROPERTY_CHARS && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(BadText::new(format!("a property's value has at most {MAX_PROPERTY_CHARS} characters, in one line")))
}
