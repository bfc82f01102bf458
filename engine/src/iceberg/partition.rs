//! Which partition each row belongs to.
//!
//! In: batches over a target's columns. Out: the rows of each partition, the partition as `StagedFile::partition` wants
//! it. Holds: [`Partitioner`]. Not here: the transforms (`transform`), open files (`batch`).

use std::collections::HashMap;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use iceberg::spec::PrimitiveType;
use serde_json::Value;
use skein_protocol::data_plane::Failure;
use skein_protocol::plan::{PlanTarget, Transform};
use skein_protocol::problem::Code;

use super::schema::TableShape;
use super::{transform, value};
use crate::failure;

/// Tells rows of a partitioned table apart.
#[derive(Debug)]
pub struct Partitioner {
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: String,
    column: usize,
    transform: Transform,
    kind: PrimitiveType,
}

/// The rows of one batch that belong to one partition.
#[derive(Debug, Clone)]
pub struct PartitionRows {
    /// The partition's values, in the order of the spec's fields, in Iceberg's JSON single-value form.
    pub partition: Vec<Value>,
    /// Positions of the rows in the batch, ascending. As many as the batch has rows: it is the whole batch as it stands.
    pub rows: UInt32Array,
}

impl Partitioner {
    /// A partitioner for `target`; none if the table has no partitions.
    ///
    /// # Errors
    /// When the partitioning has no meaning in Iceberg.
    pub fn of(target: &PlanTarget) -> Result<Option<Self>, Failure> {
        let kinds = TableShape::of(target)?.partition_primitives();
        let fields = target.partitioning.iter().zip(kinds).map(|(field, kind)| {
            let column = target.columns.iter().position(|column| column.name == field.column);
            let column = column.expect("the shape has looked the column up");
            Field { name: field.name.clone(), column, transform: field.transform, kind }
        });
        let fields: Vec<Field> = fields.collect();
        Ok((!fields.is_empty()).then_some(Self { fields }))
    }

    /// The partitions of a batch over the target's columns, in the order in which they first appear.
    ///
    /// # Errors
    /// When a value has no partition, or the batch is not over the target's columns.
    pub fn split(&self, batch: &RecordBatch) -> Result<Vec<PartitionRows>, Failure> {
        let columns = self.values(batch)?;
        let groups = groups(&columns).map_err(|error| self.failed(&error))?;
        groups
            .into_iter()
            .map(|rows| {
                let first = *rows.first().expect("a group is made for its first row") as usize;
                Ok(PartitionRows { partition: self.partition_of(&columns, first)?, rows: UInt32Array::from(rows) })
            })
            .collect()
    }

    /// The partition of each row, one after the other: for small batches and for checks.
    ///
    /// # Errors
    /// As [`Partitioner::split`].
    pub fn of_rows(&self, batch: &RecordBatch) -> Result<Vec<Vec<Value>>, Failure> {
        let columns = self.values(batch)?;
        (0..batch.num_rows()).map(|row| self.partition_of(&columns, row)).collect()
    }

    /// The positions of the columns that partitions depend on, and the same partitioner over batches of these alone.
    #[must_use]
    pub fn reduced(&self) -> (Vec<usize>, Self) {
        let mut columns: Vec<usize> = self.fields.iter().map(|field| field.column).collect();
        columns.sort_unstable();
        columns.dedup();
        let fields = self.fields.iter().map(|field| {
            let column = columns.binary_search(&field.column).expect("every field's column was just put in");
            Field { name: field.name.clone(), column, transform: field.transform, kind: field.kind.clone() }
        });
        let fields = fields.collect();
        (columns, Self { fields })
    }

    fn values(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, Failure> {
        let columns = self.fields.iter().map(|field| {
            let column = batch.columns().get(field.column);
            let column = column
                .ok_or_else(|| failure::internal("partitioning", format!("a batch has no column {}", field.column)))?;
            transform::apply(field.transform, column).map_err(|error| self.failed(&error))
        });
        columns.collect()
    }

    fn partition_of(&self, columns: &[ArrayRef], row: usize) -> Result<Vec<Value>, Failure> {
        let values = self.fields.iter().zip(columns).map(|(field, column)| {
            let literal = value::from_arrow(&field.kind, column, row)?;
            value::to_json(&field.kind, literal.as_ref())
        });
        values.collect::<Result<_, _>>().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        let names: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
        failure::of_error("finding the partitions of rows", &names.join(", "), error, Code::ValueInvalid)
    }
}

/// Rows with equal values in all columns, group by group.
fn groups(columns: &[ArrayRef]) -> Result<Vec<Vec<u32>>, ArrowError> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(columns)?;
    let mut groups: Vec<Vec<u32>> = Vec::new();
    let mut known: HashMap<Box<[u8]>, usize> = HashMap::new();
    // Rows of a partition mostly follow each other, so the group of the row before is tried first.
    let mut last: Option<(usize, usize)> = None;
    for (position, row) in rows.iter().enumerate() {
        let number = u32::try_from(position)
            .map_err(|_| ArrowError::ComputeError("a batch has more than 2^32 rows".to_owned()))?;
        let group = match last {
            Some((before, group)) if rows.row(before) == row => group,
            _ => match known.get(row.as_ref()) {
                Some(group) => *group,
                None => {
                    groups.push(Vec::new());
                    known.insert(row.as_ref().into(), groups.len() - 1);
                    groups.len() - 1
                }
            },
        };
        groups[group].push(number);
        last = Some((position, group));
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Int32Array, StringArray};
    use serde_json::json;

    use super::*;
    use crate::iceberg::fixture;
    use crate::iceberg::schema::writer_schema;

    #[test]
    fn rows_are_told_apart_by_all_fields_and_keep_their_order() {
        let mut target = fixture::target(&[("n", "int"), ("k", "string"), ("d", "date")]);
        target.partitioning = vec![fixture::field("k", "identity", "k"), fixture::field("d", "month", "d_month")];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5])),
            Arc::new(StringArray::from(vec![Some("a"), Some("a"), None, Some("a"), None])),
            Arc::new(Date32Array::from(vec![Some(0), Some(40), Some(-1), Some(30), Some(-31)])),
        ];
        let schema = Arc::new(arrow::datatypes::Schema::new(writer_schema(&target).fields().clone()));
        let batch = RecordBatch::try_new(schema, columns).unwrap();
        let partitioner = Partitioner::of(&target).unwrap().unwrap();
        let split = partitioner.split(&batch).unwrap();
        let found: Vec<_> = split.iter().map(|part| (json!(part.partition), part.rows.values().to_vec())).collect();
        let expected = [(json!(["a", 0]), vec![0, 3]), (json!(["a", 1]), vec![1]), (json!([null, -1]), vec![2, 4])];
        assert_eq!(found, expected);
        assert_eq!(partitioner.of_rows(&batch).unwrap()[4], [json!(null), json!(-1)]);
    }

    #[test]
    fn a_table_without_partitions_has_no_partitioner() {
        assert!(Partitioner::of(&fixture::target(&[("n", "int")])).unwrap().is_none());
    }
}
