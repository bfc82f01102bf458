//! Reads batches of an Avro file's columns as described.
//!
//! In: a file, described columns, their values in files that lack them. Out: record batches of the described types.
//! Not here: partition columns and checks for changed files (`read`).

use std::io::BufReader;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::error::ArrowError;
use arrow_avro::reader::{Reader, ReaderBuilder};
use skein_protocol::inspection::{AvroFormat, SourceColumn};

use super::super::adapted::{Adapted, plain};
use super::super::calendar::WriterCalendar;
use super::super::decoding::{DecodeFailure, guarded};
use super::super::file_schema::FileSchema;
use super::super::tails::{Shapes, Tail};
use super::super::watched::Watched;
use super::blocks::{PlainBlocks, rows};
use super::header::Header;
use crate::files;

impl From<ArrowError> for DecodeFailure {
    fn from(error: ArrowError) -> Self {
        // What the system refused is remembered by the watched file.
        Self::Damaged(plain(error))
    }
}

/// What a file tells.
pub(in crate::source) fn tail(file: files::Opened, shapes: &mut Shapes) -> Result<Tail, DecodeFailure> {
    let opened = Opened::open(file, 1)?;
    Ok(Tail {
        rows: opened.rows,
        row_groups: Vec::new(),
        schema: shapes.shared(opened.schema),
        calendar: opened.calendar,
    })
}

struct Opened {
    watched: Watched,
    reader: Reader<PlainBlocks>,
    schema: FileSchema,
    calendar: WriterCalendar,
    rows: u64,
}

impl Opened {
    /// Opens `file`, counts its rows, and lets the decoder see its schema.
    fn open(file: files::Opened, batch_rows: usize) -> Result<Self, DecodeFailure> {
        let watched = Watched::new(file);
        let opened = Self::look_at(&watched, batch_rows);
        opened.map_err(|failure| watched.take_failure().map_or(failure, DecodeFailure::Io))
    }

    fn look_at(watched: &Watched, batch_rows: usize) -> Result<Self, DecodeFailure> {
        let header = Header::read(BufReader::new(watched.from(0)))?;
        let rows = rows(watched, &header)?;
        let calendar = header.calendar.clone();
        let blocks = PlainBlocks::new(watched, header)?;
        let reader = guarded(|| ReaderBuilder::new().with_batch_size(batch_rows).build(blocks))?;
        let fields = RecordBatchReader::schema(&reader).fields().clone();
        let schema = FileSchema::in_writer_zone(fields);
        Ok(Self { watched: watched.clone(), reader, schema, calendar, rows })
    }
}

/// Reads batches of an Avro file.
pub(in crate::source) struct AvroReader {
    batches: Reader<PlainBlocks>,
    watched: Watched,
    adapted: Adapted,
    /// Positions in the file of the columns that are made something of.
    positions: Vec<usize>,
    rows: u64,
}

impl AvroReader {
    /// A reader of `columns` of `file`.
    pub(in crate::source) fn open(
        file: files::Opened,
        columns: &[SourceColumn],
        format: &AvroFormat,
        batch_rows: usize,
    ) -> Result<Self, DecodeFailure> {
        let opened = Opened::open(file, batch_rows)?;
        let (adapted, positions) = Adapted::find(columns, &opened.schema, &opened.calendar)?;
        let adapted = adapted.with_defaults(columns, &format.defaults)?;
        Ok(Self { batches: opened.reader, watched: opened.watched, adapted, positions, rows: opened.rows })
    }

    /// Rows that the file's blocks promise.
    pub(in crate::source) fn rows(&self) -> u64 {
        self.rows
    }

    /// Strings that were cut to their described length so far, column by column.
    pub(in crate::source) fn shortened(&self) -> &[u64] {
        self.adapted.shortened()
    }

    /// The next batch; `None` at the end.
    pub(in crate::source) fn next_batch(&mut self) -> Result<Option<RecordBatch>, DecodeFailure> {
        match guarded(|| self.batches.next().transpose()) {
            Ok(None) => Ok(None),
            Ok(Some(batch)) => self.adapted.apply(&batch.project(&self.positions)?).map(Some),
            Err(error) => match self.watched.take_failure() {
                Some(error) => Err(DecodeFailure::Io(error)),
                None => Err(DecodeFailure::of_text(error.to_string())),
            },
        }
    }
}
