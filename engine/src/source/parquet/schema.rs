//! A Parquet file's columns as Arrow types.
//!
//! In: Parquet schemas. Out: [`FileSchema`]. Not here: differences from a description (`adapter`).

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::SchemaDescriptor;

use super::super::file_schema::FileSchema;

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

#[cfg(test)]
mod tests {
    use super::super::super::file_schema::type_in_file;
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
