//! Column types as Arrow has them.
//!
//! In: types of the protocol. Out: Arrow types and schemas. Not here: conversions between types (`transform`),
//! Iceberg's schemas (`iceberg`).
//!
//! Names and nullability of nested parts are those that iceberg-rust gives its own Arrow schemas, so that
//! batches need no cast between source and target. One difference: `binary` has 32-bit offsets here.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Fields, Schema, SchemaRef, TimeUnit};
use skein_protocol::inspection::SourceColumn;
use skein_protocol::types::DataType;

/// The zone of instants, spelt as iceberg-rust spells it.
pub const UTC: &str = "+00:00";

/// The Arrow type of `data_type`. Everything within is nullable, except for maps' keys.
#[must_use]
pub fn arrow_type(data_type: &DataType) -> ArrowType {
    match data_type {
        DataType::Boolean => ArrowType::Boolean,
        DataType::TinyInt => ArrowType::Int8,
        DataType::SmallInt => ArrowType::Int16,
        DataType::Int => ArrowType::Int32,
        DataType::BigInt => ArrowType::Int64,
        DataType::Float => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::Decimal { precision, scale } => {
            let scale = i8::try_from(*scale).expect("a decimal's scale is at most 38");
            ArrowType::Decimal128(*precision, scale)
        }
        DataType::String | DataType::Char { .. } | DataType::Varchar { .. } => ArrowType::Utf8,
        DataType::Binary => ArrowType::Binary,
        DataType::Date => ArrowType::Date32,
        DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        DataType::TimestampTz => ArrowType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        DataType::Array(element) => ArrowType::List(Arc::new(Field::new("element", arrow_type(element), true))),
        DataType::Map(key, value) => {
            let entries = Fields::from(vec![
                Field::new("key", arrow_type(key), false),
                Field::new("value", arrow_type(value), true),
            ]);
            ArrowType::Map(Arc::new(Field::new("key_value", ArrowType::Struct(entries), false)), false)
        }
        DataType::Struct(fields) => ArrowType::Struct(
            fields.iter().map(|field| Field::new(&field.name, arrow_type(&field.data_type), true)).collect(),
        ),
    }
}

/// The schema of batches that hold all `columns` of a source, in their order; every column is nullable.
#[must_use]
pub fn source_schema(columns: &[SourceColumn]) -> SchemaRef {
    let fields: Fields =
        columns.iter().map(|column| Field::new(&column.name, arrow_type(&column.data_type), true)).collect();
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_types_have_the_names_and_nullability_of_iceberg() {
        let map: DataType = "map<string,array<struct<x:int>>>".parse().unwrap();
        let ArrowType::Map(entries, false) = arrow_type(&map) else { panic!("a map") };
        assert_eq!((entries.name().as_str(), entries.is_nullable()), ("key_value", false));
        let ArrowType::Struct(parts) = entries.data_type() else { panic!("entries") };
        assert_eq!((parts[0].name().as_str(), parts[0].is_nullable()), ("key", false));
        assert_eq!((parts[1].name().as_str(), parts[1].is_nullable()), ("value", true));
        let ArrowType::List(element) = parts[1].data_type() else { panic!("a list") };
        assert_eq!((element.name().as_str(), element.is_nullable()), ("element", true));
    }

    #[test]
    fn a_sources_schema_keeps_the_order_of_its_columns() {
        let column = |name: &str, text: &str| SourceColumn {
            name: name.to_owned(),
            data_type: text.parse().unwrap(),
            partition: false,
        };
        let schema = source_schema(&[column("B", "decimal(38,10)"), column("a", "char(3)")]);
        assert_eq!(schema.field(0), &Field::new("B", ArrowType::Decimal128(38, 10), true));
        assert_eq!(schema.field(1), &Field::new("a", ArrowType::Utf8, true));
    }
}
