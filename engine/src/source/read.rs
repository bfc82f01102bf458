//! Reads a batch's input: all columns of the source in the plan's order, as the plan describes them.
//!
//! In: a plan, one of its files. Out: [`InputReader`], a blocking iterator of record batches. Not here: rules, sums.
//!
//! The file is held against the plan's fingerprint before it is opened and after its last row; an object also whenever some of it
//! is fetched.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableName;
use skein_protocol::inspection::{SourceColumn, SourceFile, SourceFormat};
use skein_protocol::plan::{BatchInput, Plan};
use skein_protocol::problem::{Code, Problem};

use super::avro::AvroReader;
use super::decoding::{DecodeFailure, guarded};
use super::orc::OrcReader;
use super::parquet::ParquetReader;
use super::partitions::constant;
use super::places::{Places, place_of};
use super::read_failures::{bad_partition, decode_failure, open, verify};
use super::text::{self, Record, TextError, TextReader, Unparsable};
use crate::files::{Files, Opened};
use crate::types::source_schema;

/// Rows of a batch when the caller has no wish of its own: large enough to be cheap, small enough for a CPU's cache.
pub const DEFAULT_BATCH_ROWS: usize = 8_192;

/// Reads one input of a batch. Yields record batches with the schema `types::source_schema(plan.source.columns)`.
pub struct InputReader {
    schema: SchemaRef,
    decoder: Box<dyn Decode>,
    partitions: Vec<Constant>,
    file: SourceFile,
    path: PathBuf,
    places: Places,
    dataset: TableName,
    batch_rows: usize,
    columns: usize,
    done: bool,
}

/// What decodes one file.
trait Decode: Send {
    /// The next batch of at most `most` rows, with all columns but those of partitions; `None` at the end.
    fn next_batch(&mut self, most: usize) -> Result<Option<RecordBatch>, DecodeFailure>;

    /// Rows that the file promises.
    fn rows(&self) -> Option<u64>;

    /// Values so far that Hive does not show as the file has them, column by column.
    fn unparsable(&self) -> Vec<Unparsable>;
}

/// Readers of files that name their columns and count their rows: batches are as large as they were told on opening.
macro_rules! decode {
    ($reader:ty) => {
        impl Decode for $reader {
            fn next_batch(&mut self, _: usize) -> Result<Option<RecordBatch>, DecodeFailure> {
                <$reader>::next_batch(self)
            }

            fn rows(&self) -> Option<u64> {
                Some(<$reader>::rows(self))
            }

            fn unparsable(&self) -> Vec<Unparsable> {
                self.shortened().iter().map(|shortened| Unparsable { nulled: 0, shortened: *shortened }).collect()
            }
        }
    };
}

decode!(ParquetReader);
decode!(OrcReader);
decode!(AvroReader);

impl Decode for TextReader {
    fn next_batch(&mut self, most: usize) -> Result<Option<RecordBatch>, DecodeFailure> {
        Ok(Self::next_batch(self, most)?)
    }

    fn rows(&self) -> Option<u64> {
        None
    }

    fn unparsable(&self) -> Vec<Unparsable> {
        Self::unparsable(self).to_vec()
    }
}

fn decoder(
    format: &SourceFormat,
    opened: Opened,
    file: &SourceFile,
    columns: &[SourceColumn],
    row_groups: Option<(u32, u32)>,
    batch_rows: usize,
) -> Result<Box<dyn Decode>, DecodeFailure> {
    let text = |opened: Opened, record: Record, header_lines: u32| -> Result<Box<dyn Decode>, DecodeFailure> {
        let text = text::open(&opened, &file.path).map_err(TextError::Io)?;
        Ok(Box::new(TextReader::new(text, columns, record, header_lines)))
    };
    Ok(match format {
        SourceFormat::Parquet => Box::new(ParquetReader::open(opened, columns, row_groups, batch_rows)?),
        SourceFormat::Iceberg(format) => {
            Box::new(ParquetReader::open_by_id(opened, &file.path, columns, format, row_groups, batch_rows)?)
        }
        SourceFormat::Orc => Box::new(OrcReader::open(opened, columns, row_groups, batch_rows)?),
        SourceFormat::Avro(format) => Box::new(AvroReader::open(opened, columns, format, batch_rows)?),
        SourceFormat::Text(format) => text(opened, Record::Delimited(format.clone()), format.skip_header_lines)?,
        SourceFormat::OpenCsv(format) => text(opened, Record::OpenCsv(format.clone()), format.skip_header_lines)?,
        SourceFormat::JsonLines(format) => text(opened, Record::JsonLines, format.skip_header_lines)?,
    })
}

/// A partition column: one array, sliced for every batch.
struct Constant {
    column: SourceColumn,
    value: Option<String>,
    array: Option<ArrayRef>,
}

/// Opens `input` of `plan` through `files`; batches have at most `batch_rows` rows.
///
/// # Errors
/// `SOURCE_CHANGED` if the file is not the planned one, `FILE_DAMAGED`, `SCHEMA_CONFLICT`, `SOURCE_UNREADABLE` (permanent);
/// `IO` (transient).
pub fn read_input(files: &Files, plan: &Plan, input: &BatchInput, batch_rows: usize) -> Result<InputReader, Failure> {
    let source = &plan.source;
    let dataset = &source.dataset;
    let file = source.files.get(input.file as usize).ok_or_else(|| {
        let why = format!("the plan has {} files, the batch reads number {}", source.files.len(), input.file);
        Failure::permanent(
            Problem::new(Code::Internal, "A batch names no file of its plan", why, "Report this").of(dataset),
        )
    })?;
    let (path, places) = (place_of(&source.location, &file.path), Places::from(files.clone()));
    let opened = open(&places, &path, file, dataset)?;
    let (partitions, columns): (Vec<_>, Vec<_>) = source.columns.iter().cloned().partition(|column| column.partition);
    // Decoders have walls of their own; what comes to its end between them is the file's doing as well.
    let decoder = guarded(|| decoder(&source.format, opened, file, &columns, input.row_groups, batch_rows))
        .map_err(|failure| decode_failure(failure, &places, &path, file, dataset))?;
    let constants = partitions.into_iter().zip(file.partition.iter().cloned().chain(std::iter::repeat(None)));
    Ok(InputReader {
        schema: source_schema(&source.columns),
        decoder,
        partitions: constants.map(|(column, value)| Constant { column, value, array: None }).collect(),
        file: file.clone(),
        path,
        places,
        dataset: dataset.clone(),
        batch_rows,
        columns: columns.len(),
        done: false,
    })
}

impl InputReader {
    /// The schema of all batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Rows that the file's footer promises for this input; absent where the format has none.
    #[must_use]
    pub fn footer_rows(&self) -> Option<u64> {
        self.decoder.rows()
    }

    /// Values read so far that Hive does not show as the file has them, by column of the source; columns
    /// without any are left out.
    #[must_use]
    pub fn unparsable(&self) -> Vec<(String, Unparsable)> {
        let name = |index: usize| self.schema.field(index).name().clone();
        self.decoder
            .unparsable()
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count != Unparsable::default())
            .map(|(index, count)| (name(index), count))
            .collect()
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, Failure> {
        let batch = guarded(|| self.decoder.next_batch(self.batch_rows))
            .map_err(|failure| decode_failure(failure, &self.places, &self.path, &self.file, &self.dataset))?;
        let Some(batch) = batch else {
            verify(&self.places, &self.path, &self.file, &self.dataset)?;
            return Ok(None);
        };
        self.with_partitions(&batch).map(Some)
    }

    fn with_partitions(&mut self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let rows = batch.num_rows();
        let mut arrays = batch.columns().to_vec();
        debug_assert_eq!(arrays.len(), self.columns);
        for partition in &mut self.partitions {
            let held = partition.array.take().filter(|array| array.len() >= rows);
            let array = match held {
                Some(array) => array,
                None => constant(partition.value.as_deref(), &partition.column.data_type, rows.max(self.batch_rows))
                    .ok_or_else(|| {
                        bad_partition(&partition.column, partition.value.as_deref(), &self.file, &self.dataset)
                    })?,
            };
            arrays.push(array.slice(0, rows));
            partition.array = Some(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options);
        Ok(batch.expect("the decoder's columns and the constants have the types that the schema was made of"))
    }
}

impl Iterator for InputReader {
    type Item = Result<RecordBatch, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.read().transpose();
        // Nothing sensible follows an error.
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
pub(crate) mod tests;
