//! Reads a batch's input: all columns of the source in the plan's order, as the plan describes them.
//!
//! In: a plan, one of its files. Out: [`InputReader`], a blocking iterator of record batches. Not here: rules, sums.
//!
//! The file is held against the plan's fingerprint before it is opened and after its last row.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableName;
use skein_protocol::inspection::{SourceColumn, SourceFile, SourceFormat};
use skein_protocol::plan::{BatchInput, Plan};
use skein_protocol::problem::{Code, Problem};

use super::fingerprint::Identity;
use super::parquet::{ParquetFailure, ParquetReader};
use super::partitions::constant;
use super::text::{self, TextError, TextReader, Unparsable};
use crate::types::source_schema;

/// Rows of a batch when the caller has no wish of its own: large enough to be cheap, small enough for a CPU's cache.
pub const DEFAULT_BATCH_ROWS: usize = 8_192;

/// Reads one input of a batch. Yields record batches with the schema `types::source_schema(plan.source.columns)`.
pub struct InputReader {
    schema: SchemaRef,
    decoder: Decoder,
    partitions: Vec<Constant>,
    file: SourceFile,
    path: PathBuf,
    dataset: TableName,
    batch_rows: usize,
    columns: usize,
    done: bool,
}

enum Decoder {
    Parquet(Box<ParquetReader>),
    Text(Box<TextReader>),
}

/// A partition column: one array, sliced for every batch.
struct Constant {
    column: SourceColumn,
    value: Option<String>,
    array: Option<ArrayRef>,
}

/// Opens `input` of `plan`; batches have at most `batch_rows` rows.
///
/// # Errors
/// `SOURCE_CHANGED` if the file is not the planned one, `FILE_DAMAGED`, `SCHEMA_CONFLICT`, `SOURCE_UNREADABLE` (permanent);
/// `IO` (transient).
pub fn read_input(plan: &Plan, input: &BatchInput, batch_rows: usize) -> Result<InputReader, Failure> {
    let source = &plan.source;
    let dataset = &source.dataset;
    let file = source.files.get(input.file as usize).ok_or_else(|| {
        let why = format!("the plan has {} files, the batch reads number {}", source.files.len(), input.file);
        Failure::permanent(
            Problem::new(Code::Internal, "A batch names no file of its plan", why, "Report this").of(dataset),
        )
    })?;
    let path = Path::new(&source.location).join(&file.path);
    verify(&path, file, dataset)?;
    let opened = File::open(&path).map_err(|error| io_failure(&path, &error, dataset))?;
    let (partitions, columns): (Vec<_>, Vec<_>) = source.columns.iter().cloned().partition(|column| column.partition);
    let decoder = match &source.format {
        SourceFormat::Parquet => {
            let reader = ParquetReader::open(opened, &columns, input.row_groups, batch_rows);
            Decoder::Parquet(Box::new(reader.map_err(|error| parquet_failure(error, &path, file, dataset))?))
        }
        SourceFormat::Text(format) => {
            let text = text::open(opened).map_err(|error| io_failure(&path, &error, dataset))?;
            Decoder::Text(Box::new(TextReader::new(text, &columns, format)))
        }
    };
    let constants = partitions.into_iter().zip(file.partition.iter().cloned().chain(std::iter::repeat(None)));
    Ok(InputReader {
        schema: source_schema(&source.columns),
        decoder,
        partitions: constants.map(|(column, value)| Constant { column, value, array: None }).collect(),
        file: file.clone(),
        path,
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
        match &self.decoder {
            Decoder::Parquet(reader) => Some(reader.rows()),
            Decoder::Text(_) => None,
        }
    }

    /// Values read so far that Hive does not show as the file has them, by column of the source; columns
    /// without any are left out.
    #[must_use]
    pub fn unparsable(&self) -> Vec<(String, Unparsable)> {
        let name = |index: usize| self.schema.field(index).name().clone();
        let all: Vec<Unparsable> = match &self.decoder {
            Decoder::Text(reader) => reader.unparsable().to_vec(),
            Decoder::Parquet(reader) => {
                reader.shortened().iter().map(|shortened| Unparsable { nulled: 0, shortened: *shortened }).collect()
            }
        };
        all.into_iter()
            .enumerate()
            .filter(|(_, count)| *count != Unparsable::default())
            .map(|(index, count)| (name(index), count))
            .collect()
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, Failure> {
        let batch = match &mut self.decoder {
            Decoder::Parquet(reader) => {
                reader.next_batch().map_err(|error| parquet_failure(error, &self.path, &self.file, &self.dataset))?
            }
            Decoder::Text(reader) => reader
                .next_batch(self.batch_rows)
                .map_err(|error| text_failure(error, &self.path, &self.file, &self.dataset))?,
        };
        let Some(batch) = batch else {
            verify(&self.path, &self.file, &self.dataset)?;
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

/// Holds the file at `path` against the plan.
fn verify(path: &Path, file: &SourceFile, dataset: &TableName) -> Result<(), Failure> {
    match Identity::at(path) {
        Ok(identity) if identity.is_of(file) => Ok(()),
        Ok(identity) => Err(changed(file, &identity.difference(file), dataset)),
        Err(error) => Err(io_failure(path, &error, dataset)),
    }
}

fn changed(file: &SourceFile, why: &str, dataset: &TableName) -> Failure {
    Failure::permanent(
        Problem::new(
            Code::SourceChanged,
            format!("{:?} is not the file that was planned", file.path),
            why,
            "Plan again, and approve the new plan",
        )
        .of(dataset),
    )
}

fn io_failure(path: &Path, error: &io::Error, dataset: &TableName) -> Failure {
    let what = format!("{} cannot be read", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => Failure::permanent(
            Problem::new(
                Code::SourceChanged,
                what,
                "it was planned, and is gone",
                "Plan again, and approve the new plan",
            )
            .of(dataset),
        ),
        io::ErrorKind::PermissionDenied => Failure::permanent(
            Problem::new(Code::SourceUnreadable, what, error.to_string(), "Let the node's user read it").of(dataset),
        ),
        _ => Failure::transient(
            Problem::new(Code::Io, what, error.to_string(), "Check the disk; the batch is tried again").of(dataset),
        ),
    }
}

/// A decoder's failure. A file that was changed under the decoder looks damaged, so that is looked at first.
fn decoder_failure(
    code: Code,
    why: String,
    next: &str,
    path: &Path,
    file: &SourceFile,
    dataset: &TableName,
) -> Failure {
    if let Err(changed) = verify(path, file, dataset) {
        return changed;
    }
    Failure::permanent(Problem::new(code, format!("{:?} cannot be read", file.path), why, next).of(dataset))
}

fn parquet_failure(error: ParquetFailure, path: &Path, file: &SourceFile, dataset: &TableName) -> Failure {
    let (code, why, next) = match error {
        ParquetFailure::Io(error) => return io_failure(path, &error, dataset),
        ParquetFailure::Damaged(why) => (Code::FileDamaged, why, "Restore the file from its origin and plan again"),
        ParquetFailure::Conflict(why) => (Code::SchemaConflict, why, "Correct the table description and plan again"),
        ParquetFailure::Value(why) => {
            (Code::ValueInvalid, why, "Correct the value in the source, or describe the column as binary")
        }
    };
    decoder_failure(code, why, next, path, file, dataset)
}

fn text_failure(error: TextError, path: &Path, file: &SourceFile, dataset: &TableName) -> Failure {
    let why = error.to_string();
    match error {
        TextError::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            decoder_failure(
                Code::FileDamaged,
                why,
                "Restore the file from its origin and plan again",
                path,
                file,
                dataset,
            )
        }
        TextError::Io(error) => io_failure(path, &error, dataset),
        TextError::LineTooLong { .. } => {
            decoder_failure(Code::FileDamaged, why, "Check whether it is a text file", path, file, dataset)
        }
        TextError::NotUtf8 { .. } => decoder_failure(
            Code::ValueInvalid,
            why,
            "Rewrite the file in UTF-8, or describe the column as binary",
            path,
            file,
            dataset,
        ),
    }
}

fn bad_partition(column: &SourceColumn, value: Option<&str>, file: &SourceFile, dataset: &TableName) -> Failure {
    let why = format!("{:?} is no {}", value.unwrap_or_default(), column.data_type);
    Failure::permanent(
        Problem::new(
            Code::PartitionLayout,
            format!("{:?} has no valid value of {:?} in its path", file.path, column.name),
            why,
            "Plan again",
        )
        .of(dataset),
    )
}

#[cfg(test)]
#[path = "read_tests.rs"]
pub(crate) mod tests;
