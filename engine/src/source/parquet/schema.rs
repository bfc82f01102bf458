//! A Parquet file's columns as Arrow types, and as types of the protocol.
//!
//! In: Parquet schemas. Out: [`FileSchema`]. Not here: differences from a description (`adapter`).

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::SchemaDescriptor;
use skein_protocol::types::{DataType, StructField};

/// A file's columns as the reader will give them.
#[derive(Debug, Clone)]
pub(in crate::source) struct FileSchema {
    /// Arrow fields by position; INT96 timestamps in microseconds.
    pub(in crate::source) fields: Fields,
    /// Position of the column that holds INT96 values, by top-level column.
    pub(in crate::source) has_int96: Vec<bool>,
}

impl FileSchema {
    /// The columns of `descriptor`. What an Arrow writer left in the footer is ignored: Hive does not know it.
    pub(in crate::source) fn of(descriptor: &SchemaDescriptor) -> Result<Self, ParquetError> {
        let plain = parquet_to_arrow_schema(descriptor, None)?;
        let mut leaf = 0;
        let mut has_int96 = Vec::with_capacity(plain.fields().len());
        let fields = plain.fields().iter().map(|field| {
            let mut found = false;
            let field = in_micros(field, descriptor, &mut leaf, &mut found);
            has_int96.push(found);
            field
        });
        let fields = fields.collect();
        Ok(Self { fields, has_int96 })
    }

    /// Metadata for a reader that gives these columns.
    pub(super) fn reader_metadata(&self, metadata: Arc<ParquetMetaData>) -> Result<ArrowReaderMetadata, ParquetError> {
        let schema: SchemaRef = Arc::new(Schema::new(self.fields.clone()));
        ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new().with_schema(schema))
    }

    /// Positions of the columns called `name` when case does not count.
    pub(in crate::source) fn positions(&self, name: &str) -> Vec<usize> {
        let equal = |field: &FieldRef| {
            field.name().eq_ignore_ascii_case(name) || field.name().to_lowercase() == name.to_lowercase()
        };
        (0..self.fields.len()).filter(|position| equal(&self.fields[*position])).collect()
    }
}

/// The same field with INT96 leaves in microseconds: as nanoseconds they overflow before 1677 and after 2262.
/// (64-bit nanoseconds must not be touched: the reader would take them for microseconds.)
fn in_micros(field: &FieldRef, descriptor: &SchemaDescriptor, leaf: &mut usize, found: &mut bool) -> FieldRef {
    let data_type = match field.data_type() {
        ArrowType::List(element) => ArrowType::List(in_micros(element, descriptor, leaf, found)),
        ArrowType::Map(entries, sorted) => ArrowType::Map(in_micros(entries, descriptor, leaf, found), *sorted),
        ArrowType::Struct(fields) => {
            ArrowType::Struct(fields.iter().map(|field| in_micros(field, descriptor, leaf, found)).collect())
        }
        other => {
            let int96 =
                *leaf < descriptor.num_columns() && descriptor.column(*leaf).physical_type() == PhysicalType::INT96;
            *leaf += 1;
            *found |= int96;
            if int96 { ArrowType::Timestamp(TimeUnit::Microsecond, None) } else { other.clone() }
        }
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// The type that a file's column has when nothing describes it; an error says what has no counterpart.
pub(in crate::source) fn type_in_file(arrow: &ArrowType) -> Result<DataType, String> {
    Ok(match arrow {
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int8 => DataType::TinyInt,
        ArrowType::Int16 | ArrowType::UInt8 => DataType::SmallInt,
        ArrowType::Int32 | ArrowType::UInt16 => DataType::Int,
        ArrowType::Int64 | ArrowType::UInt32 => DataType::BigInt,
        ArrowType::Float32 => DataType::Float,
        ArrowType::Float64 => DataType::Double,
        ArrowType::Decimal128(precision, scale) => match u8::try_from(*scale) {
            Ok(scale) if *precision > 0 && scale <= *precision => DataType::Decimal { precision: *precision, scale },
            _ => return Err(format!("decimal({precision},{scale})")),
        },
        ArrowType::Utf8 => DataType::String,
        ArrowType::Binary | ArrowType::FixedSizeBinary(_) => DataType::Binary,
        ArrowType::Date32 => DataType::Date,
        ArrowType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, _) => {
            DataType::Timestamp
        }
        ArrowType::List(element) => DataType::Array(Box::new(type_in_file(element.data_type())?)),
        ArrowType::Map(entries, _) => match entries.data_type() {
            ArrowType::Struct(parts) if parts.len() == 2 => DataType::Map(
                Box::new(type_in_file(parts[0].data_type())?),
                Box::new(type_in_file(parts[1].data_type())?),
            ),
            other => return Err(other.to_string()),
        },
        ArrowType::Struct(fields) => {
            let field = |field: &FieldRef| {
                Ok(StructField { name: field.name().clone(), data_type: type_in_file(field.data_type())? })
            };
            DataType::Struct(fields.iter().map(field).collect::<Result<_, String>>()?)
        }
        other => return Err(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::schema::parser::parse_message_type;

    fn schema(message: &str) -> FileSchema {
        FileSchema::of(&SchemaDescriptor::new(Arc::new(parse_message_type(message).unwrap()))).unwrap()
    }

    #[test]
    fn types_of_hives_own_writer_are_recognised() {
        let schema = schema(
            "message hive_schema {
                optional int32 ti (INTEGER(8,true)); optional int32 i; optional int96 ts; optional binary s (UTF8);
                optional fixed_len_byte_array(8) m (DECIMAL(18,4)); optional int32 dd (DATE);
                optional group arr (LIST) { repeated group bag { optional int96 array_element; } }
                optional group mp (MAP) { repeated group map (MAP_KEY_VALUE) { required binary key (UTF8); optional int64 value; } }
                optional group st { optional int32 x; optional binary y; }
                optional int64 nanos (TIMESTAMP(NANOS,false));
            }",
        );
        let types: Vec<String> =
            schema.fields.iter().map(|field| type_in_file(field.data_type()).unwrap().to_string()).collect();
        assert_eq!(
            types,
            [
                "tinyint",
                "int",
                "timestamp",
                "string",
                "decimal(18,4)",
                "date",
                "array<timestamp>",
                "map<string,bigint>",
                "struct<x:int,y:binary>",
                "timestamp"
            ]
        );
        assert_eq!(schema.has_int96, [false, false, true, false, false, false, true, false, false, false]);
        assert_eq!(schema.fields[2].data_type(), &ArrowType::Timestamp(TimeUnit::Microsecond, None));
        assert_eq!(schema.fields[9].data_type(), &ArrowType::Timestamp(TimeUnit::Nanosecond, None));
    }

    #[test]
    fn columns_are_found_whatever_their_case() {
        let schema = schema("message m { optional int32 A; optional int32 a; optional int32 Straße; }");
        assert_eq!(schema.positions("a"), [0, 1]);
        assert_eq!(schema.positions("STRAßE"), [2]);
        assert!(schema.positions("b").is_empty());
    }

    #[test]
    fn what_has_no_counterpart_is_named() {
        for (message, name) in
            [("optional int64 t (TIME(MICROS,false));", "Time64"), ("optional int64 u (INTEGER(64,false));", "UInt64")]
        {
            let schema = schema(&format!("message m {{ {message} }}"));
            assert!(type_in_file(schema.fields[0].data_type()).unwrap_err().contains(name));
        }
    }
}
