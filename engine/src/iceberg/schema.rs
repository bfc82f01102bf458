//! The schema of a target: Iceberg's, its partition spec, and the Arrow schema of its data files.
//!
//! In: a plan's target. Out: [`TableShape`], [`writer_schema`]. Holds: the numbering of fields: a top-level column has
//! its position plus one, parts of nested types follow depth-first; partition fields start at 1000. All fields are
//! optional, except for maps' keys. Not here: values (`value`).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{
    DataType as ArrowType, Field, FieldRef, Fields, Schema as ArrowSchema, SchemaRef as ArrowSchemaRef,
};
use iceberg::spec::{
    ListType, MapType, NestedField, NestedFieldRef, NullOrder, PartitionSpec, PrimitiveType, Schema, SchemaRef,
    SortDirection, SortField, SortOrder, StructType, Transform as IcebergTransform, Type, UnboundPartitionField,
};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use skein_protocol::data_plane::Failure;
use skein_protocol::plan::{PlanTarget, TargetColumn, Transform};
use skein_protocol::problem::{Code, Problem};
use skein_protocol::types::DataType;

use crate::types::arrow_type;

/// The versions of Iceberg's format that are written.
const FORMAT_VERSIONS: [u8; 2] = [2, WITH_ROW_LINEAGE];
/// The version of Iceberg's format that numbers rows.
const WITH_ROW_LINEAGE: u8 = 3;
/// Id of the one schema that a new table has.
pub const SCHEMA_ID: i32 = 0;
/// Id of the one partition spec that a new table has.
pub const SPEC_ID: i32 = 0;
/// Id of the one sort order that a sorted table has.
pub const SORT_ORDER_ID: i64 = 1;
/// Id of the first partition field; Iceberg's convention.
pub const FIRST_PARTITION_FIELD_ID: i32 = 1000;

/// A target's schema, spec and partition type in Iceberg's terms.
#[derive(Debug, Clone)]
pub struct TableShape {
    /// The schema.
    pub schema: SchemaRef,
    /// The partition spec; without fields for unpartitioned tables.
    pub spec: PartitionSpec,
    /// The partition fields' ids, names and types, in the spec's order.
    pub partition_type: StructType,
    /// The sort order; with id 0 and without fields for tables that have none.
    pub sort: SortOrder,
    /// Version of the format.
    pub format_version: u8,
}

impl TableShape {
    /// The shape of `target`.
    ///
    /// # Errors
    /// When Iceberg has no such type, name or partitioning; plans are checked for that, so it is a defect then.
    pub fn of(target: &PlanTarget) -> Result<Self, Failure> {
        if !FORMAT_VERSIONS.contains(&target.format_version) {
            return Err(refused(target, format!("format version {} is not written", target.format_version)));
        }
        let schema = Arc::new(iceberg_schema(&target.columns).map_err(|why| refused(target, why))?);
        let spec = partition_spec(target, &schema).map_err(|why| refused(target, why))?;
        let partition_type = spec.partition_type(&schema).map_err(|error| refused(target, error.to_string()))?;
        let sort = sort_order(target).map_err(|why| refused(target, why))?;
        Ok(Self { schema, spec, partition_type, sort, format_version: target.format_version })
    }

    /// Whether rows have numbers that they keep.
    #[must_use]
    pub fn has_row_lineage(&self) -> bool {
        self.format_version >= WITH_ROW_LINEAGE
    }

    /// The type of each partition field's values, in the spec's order.
    #[must_use]
    pub fn partition_primitives(&self) -> Vec<PrimitiveType> {
        let fields = self.partition_type.fields().iter();
        fields
            .map(|field| {
                field
                    .field_type
                    .as_primitive_type()
                    .expect("partition fields are primitive: the spec checks it")
                    .clone()
            })
            .collect()
    }

    /// Greatest id of a partition field, or the one before the first.
    #[must_use]
    pub fn last_partition_id(&self) -> i32 {
        self.spec.highest_field_id().unwrap_or(FIRST_PARTITION_FIELD_ID - 1)
    }
}

/// The Arrow schema that data files of `target` are written with: every field carries its id as `PARQUET:field_id`,
/// which is what readers find columns by.
#[must_use]
pub fn writer_schema(target: &PlanTarget) -> ArrowSchemaRef {
    let mut ids = Ids::after(target.columns.len());
    let fields = target.columns.iter().enumerate().map(|(position, column)| {
        let data_type = with_ids(&arrow_type(&column.data_type), &mut ids);
        field_with_id(&column.name, data_type, true, top_level_id(position))
    });
    Arc::new(ArrowSchema::new(fields.collect::<Fields>()))
}

/// The id of the column at `position`.
#[must_use]
pub fn top_level_id(position: usize) -> i32 {
    i32::try_from(position + 1).expect("a table has fewer than 2^31 columns")
}

/// The name of a partition field as files can carry it: Avro's names have letters, digits and `_` only. Other
/// characters become `_x` and their number, as in other Iceberg writers.
#[must_use]
pub fn avro_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (position, c) in name.chars().enumerate() {
        match c {
            'a'..='z' | 'A'..='Z' | '_' => out.push(c),
            '0'..='9' if position > 0 => out.push(c),
            '0'..='9' => {
                out.push('_');
                out.push(c);
            }
            other => out.push_str(&format!("_x{:X}", u32::from(other))),
        }
    }
    out
}

/// Hands out the ids of nested fields.
struct Ids(i32);

impl Ids {
    fn after(columns: usize) -> Self {
        Self(top_level_id(columns))
    }

    fn next(&mut self) -> i32 {
        self.0 += 1;
        self.0 - 1
    }
}

fn iceberg_schema(columns: &[TargetColumn]) -> Result<Schema, String> {
    let mut ids = Ids::after(columns.len());
    let fields = columns.iter().enumerate().map(|(position, column)| {
        let field_type = iceberg_type(&column.data_type, &mut ids)?;
        let field = NestedField::optional(top_level_id(position), &column.name, field_type);
        Ok(Arc::new(match &column.doc {
            Some(doc) => field.with_doc(doc),
            None => field,
        }))
    });
    let fields: Vec<NestedFieldRef> = fields.collect::<Result<_, String>>()?;
    Schema::builder().with_schema_id(SCHEMA_ID).with_fields(fields).build().map_err(|error| error.to_string())
}

fn iceberg_type(data_type: &DataType, ids: &mut Ids) -> Result<Type, String> {
    Ok(match data_type {
        DataType::Array(element) => {
            let id = ids.next();
            let element = NestedField::list_element(id, iceberg_type(element, ids)?, false);
            Type::List(ListType::new(Arc::new(element)))
        }
        DataType::Map(key, value) => {
            let (key_id, value_id) = (ids.next(), ids.next());
            let key = NestedField::map_key_element(key_id, iceberg_type(key, ids)?);
            let value = NestedField::map_value_element(value_id, iceberg_type(value, ids)?, false);
            Type::Map(MapType::new(Arc::new(key), Arc::new(value)))
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| {
                let id = ids.next();
                Ok(Arc::new(NestedField::optional(id, &field.name, iceberg_type(&field.data_type, ids)?)))
            });
            Type::Struct(StructType::new(fields.collect::<Result<_, String>>()?))
        }
        primitive => Type::Primitive(iceberg_primitive(primitive)?),
    })
}

fn iceberg_primitive(data_type: &DataType) -> Result<PrimitiveType, String> {
    Ok(match data_type {
        DataType::Boolean => PrimitiveType::Boolean,
        DataType::Int => PrimitiveType::Int,
        DataType::BigInt => PrimitiveType::Long,
        DataType::Float => PrimitiveType::Float,
        DataType::Double => PrimitiveType::Double,
        DataType::Decimal { precision, scale } => {
            PrimitiveType::Decimal { precision: u32::from(*precision), scale: u32::from(*scale) }
        }
        DataType::String => PrimitiveType::String,
        DataType::Binary => PrimitiveType::Binary,
        DataType::Date => PrimitiveType::Date,
        DataType::Timestamp => PrimitiveType::Timestamp,
        DataType::TimestampTz => PrimitiveType::Timestamptz,
        other => return Err(format!("Iceberg has no type {other}")),
    })
}

/// The same walk over the Arrow type as [`iceberg_type`] over the column's type, so that both hand out the same ids.
fn with_ids(data_type: &ArrowType, ids: &mut Ids) -> ArrowType {
    match data_type {
        ArrowType::List(element) => ArrowType::List(nested(element, ids)),
        ArrowType::Map(entries, sorted) => {
            let ArrowType::Struct(parts) = entries.data_type() else { return data_type.clone() };
            let numbers: Vec<i32> = parts.iter().map(|_| ids.next()).collect();
            let parts: Fields = parts
                .iter()
                .zip(numbers)
                .map(|(part, id)| field_with_id(part.name(), with_ids(part.data_type(), ids), part.is_nullable(), id))
                .collect();
            let entries = Field::new(entries.name(), ArrowType::Struct(parts), entries.is_nullable());
            ArrowType::Map(Arc::new(entries), *sorted)
        }
        ArrowType::Struct(fields) => ArrowType::Struct(fields.iter().map(|field| nested(field, ids)).collect()),
        primitive => primitive.clone(),
    }
}

fn nested(field: &FieldRef, ids: &mut Ids) -> FieldRef {
    let id = ids.next();
    Arc::new(field_with_id(field.name(), with_ids(field.data_type(), ids), field.is_nullable(), id))
}

fn field_with_id(name: &str, data_type: ArrowType, nullable: bool, id: i32) -> Field {
    let metadata = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
    Field::new(name, data_type, nullable).with_metadata(metadata)
}

fn partition_spec(target: &PlanTarget, schema: &SchemaRef) -> Result<PartitionSpec, String> {
    let mut builder = PartitionSpec::builder(schema.clone()).with_spec_id(SPEC_ID);
    for (position, field) in target.partitioning.iter().enumerate() {
        let column = target.columns.iter().position(|column| column.name == field.column);
        let column =
            column.ok_or_else(|| format!("it is to be partitioned by {:?}, which is no column of it", field.column))?;
        let offset = i32::try_from(position).map_err(|error| error.to_string())?;
        let field = UnboundPartitionField {
            source_id: top_level_id(column),
            field_id: Some(FIRST_PARTITION_FIELD_ID + offset),
            name: avro_name(&field.name),
            transform: iceberg_transform(field.transform),
        };
        builder = builder.add_unbound_field(field).map_err(|error| error.to_string())?;
    }
    builder.build().map_err(|error| error.to_string())
}

fn sort_order(target: &PlanTarget) -> Result<SortOrder, String> {
    let fields = target.sort.iter().map(|order| {
        let position = target.columns.iter().position(|column| column.name == order.column);
        let position = position.ok_or_else(|| format!("it is to be sorted by {:?}, no column of it", order.column))?;
        Ok(SortField {
            source_id: top_level_id(position),
            transform: IcebergTransform::Identity,
            direction: if order.descending { SortDirection::Descending } else { SortDirection::Ascending },
            null_order: if order.nulls_first { NullOrder::First } else { NullOrder::Last },
        })
    });
    let fields = fields.collect::<Result<Vec<_>, String>>()?;
    let order_id = if fields.is_empty() { SortOrder::unsorted_order().order_id } else { SORT_ORDER_ID };
    Ok(SortOrder { order_id, fields })
}

fn iceberg_transform(transform: Transform) -> IcebergTransform {
    match transform {
        Transform::Identity => IcebergTransform::Identity,
        Transform::Year => IcebergTransform::Year,
        Transform::Month => IcebergTransform::Month,
        Transform::Day => IcebergTransform::Day,
        Transform::Hour => IcebergTransform::Hour,
        Transform::Bucket(buckets) => IcebergTransform::Bucket(buckets),
        Transform::Truncate(width) => IcebergTransform::Truncate(width),
    }
}

fn refused(target: &PlanTarget, why: String) -> Failure {
    let what = format!("making the Iceberg schema of {} failed", target.name);
    Failure::permanent(Problem::new(
        Code::TypeUnsupported,
        what,
        why,
        "Change the policy's types or partitioning for this table",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iceberg::fixture;

    #[test]
    fn iceberg_and_arrow_give_every_field_the_same_id() {
        let target = fixture::target(&[
            ("a", "int"),
            ("m", "map<string,array<struct<x:int,y:map<int,date>>>>"),
            ("s", "struct<p:array<string>,q:double>"),
            ("z", "timestamptz"),
        ]);
        let shape = TableShape::of(&target).unwrap();
        let arrow = writer_schema(&target);
        let converted = iceberg::arrow::arrow_schema_to_schema(&arrow).unwrap();
        assert_eq!(converted.as_struct(), shape.schema.as_struct());
        let ids = ["a", "m", "s", "z", "m.key", "m.value", "m.value.element", "m.value.element.x", "m.value.element.y"];
        let found: Vec<i32> = ids.iter().map(|name| shape.schema.field_id_by_name(name).unwrap()).collect();
        assert_eq!(found, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn all_types_of_targets_have_an_iceberg_type() {
        let target = fixture::all_types();
        let shape = TableShape::of(&target).unwrap();
        for (column, field) in target.columns.iter().zip(shape.schema.as_struct().fields()) {
            if let Some(name) = column.data_type.iceberg_primitive() {
                assert_eq!(field.field_type.to_string().replace(", ", ","), name.replace(", ", ","));
            }
            assert!(!field.required);
        }
    }

    #[test]
    fn partition_fields_are_numbered_from_1000_and_have_names_that_avro_takes() {
        let mut target = fixture::target(&[("größe", "int"), ("at", "timestamp")]);
        target.partitioning = vec![fixture::field("größe", "identity", "größe"), fixture::field("at", "day", "at_day")];
        let shape = TableShape::of(&target).unwrap();
        let fields: Vec<_> =
            shape.spec.fields().iter().map(|field| (field.field_id, field.source_id, field.name.as_str())).collect();
        assert_eq!(fields, [(1000, 1, "gr_xF6_xDFe"), (1001, 2, "at_day")]);
        assert_eq!(shape.partition_primitives(), [PrimitiveType::Int, PrimitiveType::Date]);
        assert_eq!((avro_name("1a-b"), avro_name("ok_1")), ("_1a_x2Db".to_owned(), "ok_1".to_owned()));
    }

    #[test]
    fn a_type_that_iceberg_lacks_is_refused() {
        assert_eq!(TableShape::of(&fixture::target(&[("a", "tinyint")])).unwrap_err().code(), Code::TypeUnsupported);
    }
}
