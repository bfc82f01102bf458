//! A file's columns as Arrow types, and as types of the protocol, whatever its format.
//!
//! In: Arrow types. Out: [`FileSchema`]. Not here: how a format's own schema becomes one (`parquet`, `orc`, `avro`),
//! differences from a description (`adapter`).

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields, TimeUnit};
use skein_protocol::types::{DataType, StructField};

/// A file's columns as its reader gives them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FileSchema {
    /// Arrow fields by position; timestamps of unlimited range in microseconds.
    pub(super) fields: Fields,
    /// Whether the column's timestamps were turned to UTC from the writer's zone, by top-level column: INT96 values of
    /// Parquet, and all of Avro.
    pub(super) has_int96: Vec<bool>,
}

impl FileSchema {
    /// The columns of a file whose timestamps are wall clocks.
    pub(super) fn new(fields: Fields) -> Self {
        Self { has_int96: vec![false; fields.len()], fields }
    }

    /// The columns of a file whose writer turned all timestamps to UTC from its own zone.
    pub(super) fn in_writer_zone(fields: Fields) -> Self {
        Self { has_int96: vec![true; fields.len()], fields }
    }

    /// Whether the file's writer did not know the columns' names: they are `_col0`, `_col1` and so on.
    pub(super) fn is_positional(&self) -> bool {
        let placeholder = |(position, field): (usize, &FieldRef)| *field.name() == format!("_col{position}");
        !self.fields.is_empty() && self.fields.iter().enumerate().all(placeholder)
    }

    /// The same columns; where the writer did not know their names, they get `names` in their order.
    pub(super) fn named_by_position(&self, names: &[&str]) -> Self {
        let known = |name: &&str| !self.positions(name).is_empty();
        if !self.is_positional() || names.iter().any(known) {
            return self.clone();
        }
        let named = self.fields.iter().enumerate().map(|(position, field)| match names.get(position) {
            Some(name) => Arc::new(Field::clone(field).with_name(*name)),
            None => Arc::clone(field),
        });
        Self { fields: named.collect(), has_int96: self.has_int96.clone() }
    }

    /// Positions of the columns called `name` when case does not count.
    pub(super) fn positions(&self, name: &str) -> Vec<usize> {
        let equal = |field: &FieldRef| {
            field.name().eq_ignore_ascii_case(name) || field.name().to_lowercase() == name.to_lowercase()
        };
        (0..self.fields.len()).filter(|position| equal(&self.fields[*position])).collect()
    }
}

/// The type that a file's column has when nothing describes it; an error says what has no counterpart.
pub(super) fn type_in_file(arrow: &ArrowType) -> Result<DataType, String> {
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
        ArrowType::Dictionary(_, symbols) if **symbols == ArrowType::Utf8 => DataType::String,
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
