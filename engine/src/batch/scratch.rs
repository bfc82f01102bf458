//! Scratch files between the stages of a plan: Parquet, written once, read by any node.
//!
//! In: batches of one of two schemas. Out: staged files, and these batches again. Holds: both schemas. Not here: what the
//! columns mean (`identity`, `losers`).

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use skein_protocol::data_plane::{Failure, StagedFile, StagedKind};
use skein_protocol::problem::Code;

use super::work::{Counters, Work};
use crate::failure::{of_error, of_io};
use crate::files::StagedWriter;

/// Rows of a record batch read from scratch.
const READ_ROWS: usize = 32 * 1024;

/// Losing rows: file, row, rule.
pub(super) fn losers_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("file", DataType::UInt32, false),
        Field::new("row", DataType::UInt64, false),
        Field::new("rule", DataType::UInt32, false),
    ]))
}

/// A scratch file that is written.
pub(super) struct ScratchWriter {
    writer: ArrowWriter<StagedWriter>,
    place: String,
    rows: u64,
}

impl ScratchWriter {
    /// Begins file `number` of the hand-out.
    pub(super) fn new(work: &Work<'_>, number: u32, schema: &SchemaRef) -> Result<Self, Failure> {
        let place = work.path(number)?;
        let sink = work.files.create_new(&place).map_err(|error| of_io("writing a scratch file", &place, &error))?;
        let properties = WriterProperties::builder()
            // Level 1: hashes do not shrink, row numbers do at any level.
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("level 1 exists")))
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true)
            .build();
        let writer = ArrowWriter::try_new(sink, Arc::clone(schema), Some(properties));
        let writer = writer.map_err(|error| of_error("writing a scratch file", &place, &error, Code::Internal))?;
        Ok(Self { writer, place, rows: 0 })
    }

    /// Writes `batch` as a row group, so that nothing waits in memory.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let written = self.writer.write(batch).and_then(|()| self.writer.flush());
        written.map_err(|error| of_error("writing a scratch file", &self.place, &error, Code::Internal))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Ends the file.
    pub(super) fn finish(self, work: &Work<'_>, kind: StagedKind) -> Result<StagedFile, Failure> {
        let sink = self.writer.into_inner();
        let sink = sink.map_err(|error| of_error("writing a scratch file", &self.place, &error, Code::Internal))?;
        let (bytes, content) = sink.finish().map_err(|error| of_io("writing a scratch file", &self.place, &error))?;
        Counters::add(&work.counters.bytes_written, bytes);
        Ok(StagedFile { location: self.place, kind, rows: self.rows, bytes, content, partition: Vec::new() })
    }
}

/// Gives each batch of `staged` to `take`.
pub(super) fn read(
    work: &Work<'_>,
    staged: &StagedFile,
    schema: &SchemaRef,
    mut take: impl FnMut(&RecordBatch) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let place = &staged.location;
    let lost = |why: &str| super::read_back::changed(work.plan(), place, why);
    let file = work.files.open(place).map_err(|error| of_io("reading a scratch file", place, &error))?;
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.with_batch_size(READ_ROWS).build());
    let reader = reader.map_err(|error| lost(&error.to_string()))?;
    let mut rows = 0;
    for batch in reader {
        work.cancel.check()?;
        let batch = batch.map_err(|error| lost(&error.to_string()))?;
        let same = batch
            .schema()
            .fields()
            .iter()
            .map(|field| field.data_type())
            .eq(schema.fields().iter().map(|field| field.data_type()));
        if !same {
            return Err(lost("it has other columns"));
        }
        rows += batch.num_rows() as u64;
        take(&batch)?;
    }
    if rows == staged.rows { Ok(()) } else { Err(lost(&format!("it has {rows} rows, {} were recorded", staged.rows))) }
}
