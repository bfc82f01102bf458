//! Reads batches of a Parquet file's columns as described.
//!
//! In: a file, described columns, row groups. Out: record batches of the described types.
//! Not here: partition columns and checks for changed files (`read`).

use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{ParquetMetaData, ParquetStatisticsPolicy};
use skein_protocol::inspection::{IcebergFormat, SourceColumn};

use super::super::adapted::Adapted;
use super::super::calendar::WriterCalendar;
use super::super::decoding::{DecodeFailure, guarded};
use super::super::file_schema::FileSchema;
use super::super::iceberg::by_id;
use super::super::watched::Watched;
use super::footer::load;
use crate::files::Opened;

/// Reads batches of a Parquet file.
pub(in crate::source) struct ParquetReader {
    batches: ParquetRecordBatchReader,
    watched: Watched,
    adapted: Adapted,
    rows: u64,
}

impl ParquetReader {
    /// A reader of `columns` in `row_groups` (first and number; all by default) of `file`.
    pub(in crate::source) fn open(
        file: Opened,
        columns: &[SourceColumn],
        row_groups: Option<(u32, u32)>,
        batch_rows: usize,
    ) -> Result<Self, DecodeFailure> {
        let watched = Watched::new(file);
        let metadata = guarded(|| load(watched.file(), ParquetStatisticsPolicy::SkipAll))?;
        let about = metadata.file_metadata();
        let file_schema = guarded(|| FileSchema::of(about.schema_descr()))?;
        let calendar = WriterCalendar::of(about.created_by(), about.key_value_metadata());
        let (adapted, positions) = Adapted::find(columns, &file_schema, &calendar)?;
        Self::of(watched, metadata, &file_schema, (adapted, positions), row_groups, batch_rows)
    }

    /// The same for the file called `path` of an Iceberg table: its columns are found by their ids.
    pub(in crate::source) fn open_by_id(
        file: Opened,
        path: &str,
        columns: &[SourceColumn],
        format: &IcebergFormat,
        row_groups: Option<(u32, u32)>,
        batch_rows: usize,
    ) -> Result<Self, DecodeFailure> {
        let watched = Watched::new(file);
        let metadata = guarded(|| load(watched.file(), ParquetStatisticsPolicy::SkipAll))?;
        let file_schema = guarded(|| FileSchema::of(metadata.file_metadata().schema_descr()))?;
        let matched = by_id::matched(columns, &format.fields, &file_schema).map_err(DecodeFailure::Conflict)?;
        let (adapted, positions) = Adapted::find(columns, &matched.schema, &by_id::calendar())?;
        let adapted = adapted.with_defaults(columns, &by_id::values(format, columns, path))?;
        Self::of(watched, metadata, &file_schema, (adapted, positions), row_groups, batch_rows)
    }

    fn of(
        watched: Watched,
        metadata: Arc<ParquetMetaData>,
        file_schema: &FileSchema,
        (adapted, positions): (Adapted, Vec<usize>),
        row_groups: Option<(u32, u32)>,
        batch_rows: usize,
    ) -> Result<Self, DecodeFailure> {
        let groups = selected(&metadata, row_groups)?;
        let rows = groups.iter().map(|group| u64::try_from(metadata.row_group(*group).num_rows()).unwrap_or(0)).sum();
        let mask = ProjectionMask::roots(metadata.file_metadata().schema_descr(), positions);
        let batches = guarded(|| {
            let reader_metadata = file_schema.reader_metadata(Arc::clone(&metadata))?;
            ParquetRecordBatchReaderBuilder::new_with_metadata(watched.clone(), reader_metadata)
                .with_projection(mask)
                .with_row_groups(groups)
                .with_batch_size(batch_rows)
                .build()
        })?;
        Ok(Self { batches, watched, adapted, rows })
    }

    /// Rows that the footer promises in the row groups that are read.
    pub(in crate::source) fn rows(&self) -> u64 {
        self.rows
    }

    /// Strings that were cut to their described length so far, column by column.
    pub(in crate::source) fn shortened(&self) -> &[u64] {
        self.adapted.shortened()
    }

    /// The next batch; `None` at the end.
    pub(in crate::source) fn next_batch(&mut self) -> Result<Option<RecordBatch>, DecodeFailure> {
        let next = guarded(|| Ok::<_, DecodeFailure>(self.batches.next()));
        match next {
            Err(error) => Err(self.failed(error.to_string())),
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => Err(self.failed(error.to_string())),
            Ok(Some(Ok(batch))) => self.adapted.apply(&batch).map(Some),
        }
    }

    fn failed(&self, why: String) -> DecodeFailure {
        if let Some(error) = self.watched.take_failure() {
            return DecodeFailure::Io(error);
        }
        DecodeFailure::of_text(why)
    }
}

fn selected(metadata: &ParquetMetaData, row_groups: Option<(u32, u32)>) -> Result<Vec<usize>, DecodeFailure> {
    let all = metadata.num_row_groups();
    let Some((first, number)) = row_groups else { return Ok((0..all).collect()) };
    let (first, end) = (first as usize, first as usize + number as usize);
    if end > all {
        return Err(DecodeFailure::Damaged(format!("it has {all} row groups, and {end} were planned")));
    }
    Ok((first..end).collect())
}
