//! The rows of a table, read through its metadata.
//!
//! In: a metadata location. Out: batches over the table's columns. Holds: [`Scan`]. Not here: filters, SQL.
//!
//! Columns are found by their field ids, as Iceberg demands, whatever they are called in the files. Reading blocks.

use std::sync::Arc;
use std::vec::IntoIter;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Field, Fields, Schema, SchemaRef};
use iceberg::spec::{NestedFieldRef, PrimitiveType, TableMetadata, Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::schema::types::SchemaDescriptor;
use skein_protocol::data_plane::Failure;
use skein_protocol::problem::Code;
use skein_protocol::types::{DataType, StructField};

use super::Contents;
use crate::failure;
use crate::files::Files;
use crate::types;

/// Rows of a batch: large enough that the work per batch does not count.
const BATCH_ROWS: usize = 8_192;

/// The rows of a table, batch by batch, file by file in the order of the manifests.
#[derive(Debug)]
pub struct Scan {
    from: Files,
    schema: SchemaRef,
    ids: Vec<i32>,
    files: IntoIter<String>,
    current: Option<Opened>,
    failed: bool,
}

#[derive(Debug)]
struct Opened {
    location: String,
    reader: ParquetRecordBatchReader,
    /// For each column of the scan its position in the reader's batches.
    positions: Vec<Option<usize>>,
}

impl Scan {
    /// All rows of the table at `metadata_location`, over all columns or those with the given names.
    ///
    /// # Errors
    /// When the metadata cannot be read or has no such column.
    pub fn open(from: &Files, metadata_location: &str, columns: Option<&[&str]>) -> Result<Self, Failure> {
        let contents = Contents::read(from, metadata_location)?;
        let files = contents.files().map(|file| file.location.clone()).collect();
        Self::of_files(from, &contents.metadata, files, columns)
    }

    /// The rows of some files of a table.
    ///
    /// # Errors
    /// When the table has no such column.
    pub fn of_files(
        from: &Files,
        metadata: &TableMetadata,
        files: Vec<String>,
        columns: Option<&[&str]>,
    ) -> Result<Self, Failure> {
        let all = metadata.current_schema().as_struct().fields();
        let chosen: Vec<&NestedFieldRef> = match columns {
            None => all.iter().collect(),
            Some(names) => names
                .iter()
                .map(|name| {
                    let field = all.iter().find(|field| field.name == *name);
                    field.ok_or_else(|| {
                        failure::internal("reading a table", format!("{} has no column {name}", metadata.location()))
                    })
                })
                .collect::<Result<_, _>>()?,
        };
        let fields = chosen.iter().map(|field| Ok(Field::new(&field.name, arrow_type(&field.field_type)?, true)));
        let schema = Arc::new(Schema::new(fields.collect::<Result<Fields, Failure>>()?));
        Ok(Self {
            from: from.clone(),
            schema,
            ids: chosen.iter().map(|field| field.id).collect(),
            files: files.into_iter(),
            current: None,
            failed: false,
        })
    }

    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Failure> {
        loop {
            if let Some(opened) = &mut self.current {
                if let Some(batch) = opened.reader.next() {
                    let batch = batch.map_err(|error| unreadable(&opened.location, &error))?;
                    return arrange(&self.schema, &opened.positions, &batch)
                        .map(Some)
                        .map_err(|error| unreadable(&opened.location, &error));
                }
                self.current = None;
            }
            let Some(location) = self.files.next() else { return Ok(None) };
            self.current = Some(self.opened(location)?);
        }
    }

    fn opened(&self, location: String) -> Result<Opened, Failure> {
        let file =
            self.from.open(&location).map_err(|error| failure::of_io("reading a staged file", &location, &error))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| unreadable(&location, &error))?;
        let roots = roots(builder.parquet_schema(), &self.ids);
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots.iter().flatten().copied());
        let reader = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| unreadable(&location, &error))?;
        // Projected columns come in the file's order.
        let mut order: Vec<usize> = roots.iter().flatten().copied().collect();
        order.sort_unstable();
        let positions = roots.iter().map(|root| root.and_then(|root| order.binary_search(&root).ok())).collect();
        Ok(Opened { location, reader, positions })
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_batch().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

/// For each field id the top-level column of a file that has it.
fn roots(file: &SchemaDescriptor, ids: &[i32]) -> Vec<Option<usize>> {
    let columns = file.root_schema().get_fields();
    ids.iter()
        .map(|id| {
            columns.iter().position(|column| column.get_basic_info().has_id() && column.get_basic_info().id() == *id)
        })
        .collect()
}

/// A batch over the scan's columns; a column that the file does not have is null.
fn arrange(
    schema: &SchemaRef,
    positions: &[Option<usize>],
    batch: &RecordBatch,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = schema.fields().iter().zip(positions).map(|(field, position)| match position {
        Some(position) if batch.column(*position).data_type() == field.data_type() => {
            Ok(batch.column(*position).clone())
        }
        // The same values: only the labels of nested fields and the spelling of UTC differ.
        Some(position) => cast(batch.column(*position), field.data_type()),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// The Arrow type of a table's column, as [`types::arrow_type`] gives it to columns of plans.
fn arrow_type(kind: &Type) -> Result<ArrowType, Failure> {
    let known = plan_type(kind)
        .ok_or_else(|| failure::internal("reading a table", format!("{kind} is no type that Skein writes")))?;
    Ok(types::arrow_type(&known))
}

fn plan_type(kind: &Type) -> Option<DataType> {
    Some(match kind {
        Type::Primitive(primitive) => match primitive {
            PrimitiveType::Boolean => DataType::Boolean,
            PrimitiveType::Int => DataType::Int,
            PrimitiveType::Long => DataType::BigInt,
            PrimitiveType::Float => DataType::Float,
            PrimitiveType::Double => DataType::Double,
            PrimitiveType::Decimal { precision, scale } => {
                DataType::Decimal { precision: u8::try_from(*precision).ok()?, scale: u8::try_from(*scale).ok()? }
            }
            PrimitiveType::String => DataType::String,
            PrimitiveType::Binary => DataType::Binary,
            PrimitiveType::Date => DataType::Date,
            PrimitiveType::Timestamp => DataType::Timestamp,
            PrimitiveType::Timestamptz => DataType::TimestampTz,
            _ => return None,
        },
        Type::List(list) => DataType::Array(Box::new(plan_type(&list.element_field.field_type)?)),
        Type::Map(map) => DataType::Map(
            Box::new(plan_type(&map.key_field.field_type)?),
            Box::new(plan_type(&map.value_field.field_type)?),
        ),
        Type::Struct(parts) => {
            let field = |field: &NestedFieldRef| {
                Some(StructField { name: field.name.clone(), data_type: plan_type(&field.field_type)? })
            };
            DataType::Struct(parts.fields().iter().map(field).collect::<Option<_>>()?)
        }
    })
}

fn unreadable(location: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    failure::of_error("reading a staged file", location, error, Code::StagedFileChanged)
}
