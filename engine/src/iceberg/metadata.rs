//! A table's metadata file.
//!
//! In: a target's shape, its snapshot. Out: the document as bytes. Holds: the properties that every table gets.
//! Not here: names and the disk (`stage`, `tombstone`), the catalog.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use skein_protocol::ids::{Run, TableUuid};
use skein_protocol::plan::Plan;

use super::manifest::{FIRST_ROW_ID, schema_value};
use super::schema::{SCHEMA_ID, SPEC_ID, TableShape};

/// Sequence number of the only snapshot of a new table.
pub(super) const FIRST_SEQUENCE_NUMBER: i64 = 1;
/// Property that marks a table that only keeps a name.
pub(super) const TOMBSTONE_PROPERTY: &str = "skein.tombstone";

/// The snapshot of a table with rows.
#[derive(Debug, Clone)]
pub(super) struct SnapshotPart {
    /// Its id.
    pub(super) id: i64,
    /// Location of its manifest list.
    pub(super) manifest_list: String,
    /// Its rows.
    pub(super) rows: u64,
    /// What it did.
    pub(super) summary: BTreeMap<String, String>,
}

/// Everything that a metadata file is made from.
#[derive(Debug)]
pub(super) struct MetadataPart<'a> {
    /// The plan.
    pub(super) plan: &'a Plan,
    /// The run.
    pub(super) run: Run,
    /// Where the table lies.
    pub(super) location: &'a str,
    /// The target's shape.
    pub(super) shape: &'a TableShape,
    /// The table's uuid.
    pub(super) uuid: TableUuid,
    /// Milliseconds since 1970.
    pub(super) at_millis: i64,
    /// The snapshot, unless the table has none.
    pub(super) snapshot: Option<SnapshotPart>,
    /// Whether the table only keeps a name.
    pub(super) tombstone: bool,
}

/// The document.
pub(super) fn document(part: &MetadataPart<'_>) -> Vec<u8> {
    let has_snapshot = part.snapshot.is_some();
    let mut document = json!({
        "format-version": part.shape.format_version,
        "table-uuid": part.uuid.to_string(),
        "location": part.location,
        "last-sequence-number": if has_snapshot { FIRST_SEQUENCE_NUMBER } else { 0 },
        "last-updated-ms": part.at_millis,
        "last-column-id": part.shape.schema.highest_field_id(),
        "current-schema-id": SCHEMA_ID,
        "schemas": [schema_value(&part.shape.schema)],
        "default-spec-id": SPEC_ID,
        "partition-specs": [{"spec-id": SPEC_ID, "fields": part.shape.spec.fields()}],
        "last-partition-id": part.shape.last_partition_id(),
        "default-sort-order-id": part.shape.sort.order_id,
        "sort-orders": [part.shape.sort],
        "properties": properties(part),
        "current-snapshot-id": -1,
        "refs": {},
        "snapshots": [],
        "statistics": [],
        "partition-statistics": [],
        "snapshot-log": [],
        "metadata-log": [],
    });
    if let Some(snapshot) = &part.snapshot {
        document["current-snapshot-id"] = json!(snapshot.id);
        document["refs"] = json!({"main": {"snapshot-id": snapshot.id, "type": "branch"}});
        document["snapshots"] = json!([{
            "snapshot-id": snapshot.id,
            "sequence-number": FIRST_SEQUENCE_NUMBER,
            "timestamp-ms": part.at_millis,
            "manifest-list": snapshot.manifest_list,
            "summary": snapshot.summary,
            "schema-id": SCHEMA_ID,
        }]);
        document["snapshot-log"] = json!([{"snapshot-id": snapshot.id, "timestamp-ms": part.at_millis}]);
    }
    if part.shape.has_row_lineage() {
        let rows = part.snapshot.as_ref().map_or(0, |snapshot| snapshot.rows);
        document["next-row-id"] = json!(FIRST_ROW_ID + rows);
        if has_snapshot {
            document["snapshots"][0]["first-row-id"] = json!(FIRST_ROW_ID);
            document["snapshots"][0]["added-rows"] = json!(rows);
        }
    }
    document.to_string().into_bytes()
}

fn properties(part: &MetadataPart<'_>) -> Map<String, Value> {
    let (plan, target) = (part.plan, &part.plan.target);
    let carried = target.properties.iter().map(|(name, value)| (name.clone(), Value::String(value.clone())));
    let mut properties: Map<String, Value> = carried.collect();
    let mut set = |name: &str, value: String| properties.insert(name.to_owned(), Value::String(value));
    set("write.format.default", "parquet".to_owned());
    set("write.parquet.compression-codec", "zstd".to_owned());
    set("write.parquet.compression-level", target.zstd_level.to_string());
    set("write.target-file-size-bytes", target.file_bytes.to_string());
    set("skein.policy", plan.policy.to_string());
    set("skein.generation", plan.generation.to_string());
    set("skein.migration", plan.migration.to_string());
    set("skein.run", part.run.to_string());
    set("skein.source", plan.source.dataset.to_string());
    if part.tombstone {
        set(TOMBSTONE_PROPERTY, "true".to_owned());
    }
    properties
}
