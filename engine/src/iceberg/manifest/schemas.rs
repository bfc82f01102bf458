//! The Avro schemas of manifests and manifest lists, with Iceberg's field ids.
//!
//! In: a table's partition fields. Out: JSON texts. Holds: the fixed parts. Not here: values.

use iceberg::spec::PrimitiveType;
use serde_json::{Value, json};

use super::super::schema::TableShape;

/// The schema of a manifest list's records in format version 2.
const MANIFEST_FILE: &str = r#"{"type":"record","name":"manifest_file","fields":[{"name":"manifest_path","type":"string","field-id":500},{"name":"manifest_length","type":"long","field-id":501},{"name":"partition_spec_id","type":"int","field-id":502},{"name":"content","type":"int","field-id":517},{"name":"sequence_number","type":"long","field-id":515},{"name":"min_sequence_number","type":"long","field-id":516},{"name":"added_snapshot_id","type":"long","field-id":503},{"name":"added_files_count","type":"int","field-id":504},{"name":"existing_files_count","type":"int","field-id":505},{"name":"deleted_files_count","type":"int","field-id":506},{"name":"added_rows_count","type":"long","field-id":512},{"name":"existing_rows_count","type":"long","field-id":513},{"name":"deleted_rows_count","type":"long","field-id":514},{"name":"partitions","type":["null",{"type":"array","items":{"type":"record","name":"r508","fields":[{"name":"contains_null","type":"boolean","field-id":509},{"name":"contains_nan","type":["null","boolean"],"default":null,"field-id":518},{"name":"lower_bound","type":["null","bytes"],"default":null,"field-id":510},{"name":"upper_bound","type":["null","bytes"],"default":null,"field-id":511}]},"element-id":508}],"default":null,"field-id":507},{"name":"key_metadata","type":["null","bytes"],"default":null,"field-id":519}]}"#;

/// The schema of a manifest list's records.
pub(super) fn manifest_file(shape: &TableShape) -> String {
    const END: &str = "]}";
    let fields = MANIFEST_FILE.strip_suffix(END).expect("the constant ends with its fields");
    let first_row_id = r#",{"name":"first_row_id","type":["null","long"],"default":null,"field-id":520}"#;
    let added = if shape.has_row_lineage() { first_row_id } else { "" };
    format!("{fields}{added}{END}")
}

/// The schema of a manifest's records.
pub(super) fn manifest_entry(shape: &TableShape) -> String {
    let optional = |name: &str, kind: Value, id: i32| json!({"name": name, "type": ["null", kind], "default": null, "field-id": id});
    let required = |name: &str, kind: Value, id: i32| json!({"name": name, "type": kind, "field-id": id});
    let partition = json!({"type": "record", "name": "r102", "fields": partition_fields(shape)});
    let mut data_file = vec![
        required("content", json!("int"), 134),
        required("file_path", json!("string"), 100),
        required("file_format", json!("string"), 101),
        required("partition", partition, 102),
        required("record_count", json!("long"), 103),
        required("file_size_in_bytes", json!("long"), 104),
        optional("column_sizes", id_map("long", 117), 108),
        optional("value_counts", id_map("long", 119), 109),
        optional("null_value_counts", id_map("long", 121), 110),
        optional("nan_value_counts", id_map("long", 138), 137),
        optional("lower_bounds", id_map("bytes", 126), 125),
        optional("upper_bounds", id_map("bytes", 129), 128),
        optional("key_metadata", json!("bytes"), 131),
        optional("split_offsets", json!({"type": "array", "items": "long", "element-id": 133}), 132),
        optional("equality_ids", json!({"type": "array", "items": "int", "element-id": 136}), 135),
        optional("sort_order_id", json!("int"), 140),
    ];
    if shape.has_row_lineage() {
        data_file.extend([
            optional("first_row_id", json!("long"), 142),
            optional("referenced_data_file", json!("string"), 143),
            optional("content_offset", json!("long"), 144),
            optional("content_size_in_bytes", json!("long"), 145),
        ]);
    }
    json!({"type": "record", "name": "manifest_entry", "fields": [
        required("status", json!("int"), 0),
        optional("snapshot_id", json!("long"), 1),
        optional("sequence_number", json!("long"), 3),
        optional("file_sequence_number", json!("long"), 4),
        required("data_file", json!({"type": "record", "name": "r2", "fields": data_file}), 2),
    ]})
    .to_string()
}

/// Bytes of the fixed type that holds a decimal partition value: the fewest that hold all its digits.
pub(super) fn decimal_bytes(kind: &PrimitiveType) -> usize {
    let PrimitiveType::Decimal { precision, .. } = kind else { return 16 };
    let greatest = 10_i128.pow(*precision) - 1;
    super::shortest_big_endian(greatest).len()
}

/// A map from field ids, which Avro has as an array of pairs.
fn id_map(value: &str, key_id: i32) -> Value {
    let value_id = key_id + 1;
    let pair = json!({"type": "record", "name": format!("k{key_id}_v{value_id}"), "fields": [
        {"name": "key", "type": "int", "field-id": key_id},
        {"name": "value", "type": value, "field-id": value_id},
    ]});
    json!({"type": "array", "items": pair, "logicalType": "map"})
}

fn partition_fields(shape: &TableShape) -> Vec<Value> {
    let fields = shape.partition_type.fields().iter().zip(shape.partition_primitives());
    fields
        .map(|(field, kind)| {
            let kind = avro_type(&kind, field.id);
            json!({"name": field.name, "type": ["null", kind], "default": null, "field-id": field.id})
        })
        .collect()
}

fn avro_type(kind: &PrimitiveType, id: i32) -> Value {
    match kind {
        PrimitiveType::Boolean => json!("boolean"),
        PrimitiveType::Int => json!("int"),
        PrimitiveType::Float => json!("float"),
        PrimitiveType::Double => json!("double"),
        PrimitiveType::String => json!("string"),
        PrimitiveType::Date => json!({"type": "int", "logicalType": "date"}),
        PrimitiveType::Timestamp => json!({"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": false}),
        PrimitiveType::Timestamptz => json!({"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": true}),
        PrimitiveType::Decimal { precision, scale } => json!({
            "type": "fixed",
            // A name is defined once in a schema, so it carries the field's id.
            "name": format!("decimal_{precision}_{scale}_{id}"),
            "size": decimal_bytes(kind),
            "logicalType": "decimal",
            "precision": precision,
            "scale": scale,
        }),
        PrimitiveType::Binary => json!("bytes"),
        _ => json!("long"),
    }
}
