//! Iceberg's columns in Hive's words, as the metastore shows them.
//!
//! In: fields of a schema. Out: columns. Source: the table "Hive Integration" of Iceberg's documentation.

use iceberg::spec::{NestedField, PrimitiveType, Type};

use crate::metastore::Column;

/// A column.
pub(super) fn column(field: &NestedField) -> Column {
    Column { name: field.name.clone(), type_text: text(&field.field_type), comment: field.doc.clone() }
}

fn text(of: &Type) -> String {
    match of {
        Type::Primitive(primitive) => self::primitive(primitive),
        Type::List(list) => format!("array<{}>", text(&list.element_field.field_type)),
        Type::Map(map) => format!("map<{},{}>", text(&map.key_field.field_type), text(&map.value_field.field_type)),
        Type::Struct(fields) => {
            let fields = fields.fields().iter().map(|field| format!("{}:{}", field.name, text(&field.field_type)));
            format!("struct<{}>", fields.collect::<Vec<_>>().join(","))
        }
    }
}

fn primitive(of: &PrimitiveType) -> String {
    match of {
        PrimitiveType::Boolean => "boolean",
        PrimitiveType::Int => "int",
        PrimitiveType::Long => "bigint",
        PrimitiveType::Float => "float",
        PrimitiveType::Double => "double",
        PrimitiveType::Date => "date",
        PrimitiveType::Timestamp | PrimitiveType::TimestampNs => "timestamp",
        PrimitiveType::Timestamptz | PrimitiveType::TimestamptzNs => "timestamp with local time zone",
        PrimitiveType::Time | PrimitiveType::String | PrimitiveType::Uuid => "string",
        PrimitiveType::Fixed(_) | PrimitiveType::Binary => "binary",
        PrimitiveType::Decimal { precision, scale } => return format!("decimal({precision},{scale})"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use iceberg::spec::Schema;

    #[test]
    fn columns_have_the_types_that_hive_shows() {
        let schema = serde_json::json!({"type": "struct", "schema-id": 0, "fields": [
            {"id": 1, "name": "id", "type": "long", "required": false, "doc": "the number"},
            {"id": 2, "name": "fee", "type": "decimal(12, 3)", "required": false},
            {"id": 3, "name": "at", "type": "timestamptz", "required": false},
            {"id": 4, "name": "crew", "required": false, "type": {"type": "struct", "fields": [
                {"id": 5, "name": "tags", "required": false, "type":
                    {"type": "list", "element-id": 6, "element": "string", "element-required": false}},
                {"id": 7, "name": "votes", "required": false, "type":
                    {"type": "map", "key-id": 8, "key": "string", "value-id": 9, "value": "int", "value-required": false}},
            ]}},
        ]});
        let schema: Schema = serde_json::from_value(schema).unwrap();
        let columns: Vec<Column> = schema.as_struct().fields().iter().map(|field| column(field)).collect();
        let types: Vec<&str> = columns.iter().map(|column| column.type_text.as_str()).collect();
        let expected = [
            "bigint",
            "decimal(12,3)",
            "timestamp with local time zone",
            "struct<tags:array<string>,votes:map<string,int>>",
        ];
        assert_eq!(types, expected);
        assert_eq!(columns[0].comment.as_deref(), Some("the number"));
    }
}
