//! Reads batches of a Parquet file's columns as described.
//!
//! In: a file, described columns, row groups. Out: record batches of the described types.
//! Not here: partition columns and checks for changed files (`read`).

use std::fs::File;
use std::io;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{ParquetMetaData, ParquetStatisticsPolicy};
use skein_protocol::inspection::SourceColumn;

use super::super::calendar::WriterCalendar;
use super::adapter::{Adapter, RowsContext};
use super::footer::{FooterError, guarded, load};
use super::schema::FileSchema;
use super::watched::Watched;
use crate::types::source_schema;

/// Why a Parquet file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(in crate::source) enum ParquetFailure {
    /// The system fails to read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is damaged.
    #[error("{0}")]
    Damaged(String),
    /// A column has another type than was planned for.
    #[error("{0}")]
    Conflict(String),
    /// A value has no place in its column's type.
    #[error("{0}")]
    Value(String),
}

impl From<FooterError> for ParquetFailure {
    fn from(error: FooterError) -> Self {
        match error {
            FooterError::Io(error) => Self::Io(error),
            FooterError::Damaged(why) => Self::Damaged(why),
        }
    }
}

/// How one described column is made.
struct Column {
    name: String,
    /// Position among the columns that are read, and what is done to them; `None` where the file has no such column.
    found: Option<(usize, Adapter)>,
}

/// Reads batches of a Parquet file.
pub(in crate::source) struct ParquetReader {
    batches: ParquetRecordBatchReader,
    watched: Watched,
    schema: SchemaRef,
    columns: Vec<Column>,
    /// Strings cut to their described length, column by column.
    shortened: Vec<u64>,
    rows: u64,
}

impl ParquetReader {
    /// A reader of `columns` in `row_groups` (first and number; all by default) of `file`.
    pub(in crate::source) fn open(
        file: File,
        columns: &[SourceColumn],
        row_groups: Option<(u32, u32)>,
        batch_rows: usize,
    ) -> Result<Self, ParquetFailure> {
        let watched = Watched::new(file)?;
        let metadata = guarded(|| load(watched.file(), ParquetStatisticsPolicy::SkipAll))?;
        let about = metadata.file_metadata();
        let file_schema = guarded(|| FileSchema::of(about.schema_descr()))?;
        let calendar = WriterCalendar::of(about.created_by(), about.key_value_metadata());
        let (found, positions) = find(columns, &file_schema, &calendar)?;
        let groups = selected(&metadata, row_groups)?;
        let rows = groups.iter().map(|group| u64::try_from(metadata.row_group(*group).num_rows()).unwrap_or(0)).sum();
        let mask = ProjectionMask::roots(about.schema_descr(), positions);
        let batches = guarded(|| {
            let reader_metadata = file_schema.reader_metadata(Arc::clone(&metadata))?;
            ParquetRecordBatchReaderBuilder::new_with_metadata(watched.clone(), reader_metadata)
                .with_projection(mask)
                .with_row_groups(groups)
                .with_batch_size(batch_rows)
                .build()
        })?;
        Ok(Self {
            batches,
            watched,
            schema: source_schema(columns),
            shortened: vec![0; columns.len()],
            columns: found,
            rows,
        })
    }

    /// Rows that the footer promises in the row groups that are read.
    pub(in crate::source) fn rows(&self) -> u64 {
        self.rows
    }

    /// Strings that were cut to their described length so far, column by column.
    pub(in crate::source) fn shortened(&self) -> &[u64] {
        &self.shortened
    }

    /// The next batch; `None` at the end.
    pub(in crate::source) fn next_batch(&mut self) -> Result<Option<RecordBatch>, ParquetFailure> {
        let next = guarded(|| Ok::<_, FooterError>(self.batches.next()));
        match next {
            Err(error) => Err(self.failed(error.to_string())),
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => Err(self.failed(error.to_string())),
            Ok(Some(Ok(batch))) => self.adapt(&batch).map(Some),
        }
    }

    fn failed(&self, why: String) -> ParquetFailure {
        if let Some(error) = self.watched.take_failure() {
            return ParquetFailure::Io(error);
        }
        if why.to_ascii_lowercase().contains("utf") { ParquetFailure::Value(why) } else { ParquetFailure::Damaged(why) }
    }

    fn adapt(&mut self, batch: &RecordBatch) -> Result<RecordBatch, ParquetFailure> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            let array = match &column.found {
                Some((position, adapter)) => adapter.apply(batch.column(*position), &mut self.shortened[index]),
                None => Ok(new_null_array(self.schema.field(index).data_type(), batch.num_rows())),
            };
            arrays.push(
                array.map_err(|error| ParquetFailure::Value(format!("column {:?}: {}", column.name, plain(error))))?,
            );
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| ParquetFailure::Damaged(plain(error)))
    }
}

/// An Arrow error's text without its kind.
fn plain(error: ArrowError) -> String {
    match error {
        ArrowError::CastError(why)
        | ArrowError::ComputeError(why)
        | ArrowError::InvalidArgumentError(why)
        | ArrowError::ArithmeticOverflow(why) => why,
        other => other.to_string(),
    }
}

/// The described columns, and the positions in the file that must be read, ascending.
fn find(
    columns: &[SourceColumn],
    file: &FileSchema,
    calendar: &WriterCalendar,
) -> Result<(Vec<Column>, Vec<usize>), ParquetFailure> {
    let mut found = Vec::with_capacity(columns.len());
    for column in columns {
        let position = match file.positions(&column.name).as_slice() {
            [] => None,
            [position] => Some(*position),
            _ => {
                return Err(ParquetFailure::Conflict(format!(
                    "column {:?} is there twice when case does not count",
                    column.name
                )));
            }
        };
        found.push(position);
    }
    let mut positions: Vec<usize> = found.iter().flatten().copied().collect();
    positions.sort_unstable();
    positions.dedup();
    let adapted = columns.iter().zip(found).map(|(column, position)| {
        let adapted = position.map(|position| {
            let context = RowsContext { calendar, int96: file.has_int96[position] };
            let adapter = Adapter::plan(file.fields[position].data_type(), &column.data_type, &context)
                .map_err(|why| ParquetFailure::Conflict(format!("column {:?}: {why}", column.name)))?;
            let index = positions.binary_search(&position).expect("the position was collected above");
            Ok::<_, ParquetFailure>((index, adapter))
        });
        Ok(Column { name: column.name.clone(), found: adapted.transpose()? })
    });
    Ok((adapted.collect::<Result<_, ParquetFailure>>()?, positions))
}

fn selected(metadata: &ParquetMetaData, row_groups: Option<(u32, u32)>) -> Result<Vec<usize>, ParquetFailure> {
    let all = metadata.num_row_groups();
    let Some((first, number)) = row_groups else { return Ok((0..all).collect()) };
    let (first, end) = (first as usize, first as usize + number as usize);
    if end > all {
        return Err(ParquetFailure::Damaged(format!("it has {all} row groups, and {end} were planned")));
    }
    Ok((first..end).collect())
}
