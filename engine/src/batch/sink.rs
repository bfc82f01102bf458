//! Where kept rows go: data files, a series for each partition.
//!
//! In: batches in the target's schema. Out: staged files. Holds: the open files, and rows that wait for one. Not here: how a
//! file is encoded (`encode`), which partition a row has (`iceberg::partition`).
//!
//! Most sources are partitioned as their targets, so one partition follows the other: a file is open until the next begins.
//! Rows that come mixed go to the files that are open; those of further partitions wait in memory and are
//! written partition by partition, so that neither open files nor tiny ones get out of hand. Where the plan has an order, all rows
//! wait, and what waits of a partition is sorted and becomes files of its own.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use serde_json::Value;
use skein_protocol::data_plane::{Failure, StagedFile, StagedKind};
use skein_protocol::plan::{Origin, Plan};
use skein_protocol::problem::Code;

use super::encode::{Codec, FileEncoder, FileFormat};
use super::sorter::Sorter;
use super::work::{Counters, Work};
use crate::failure::{internal, of_error, of_io};
use crate::files::StagedWriter;
use crate::iceberg::partition::Partitioner;
use crate::iceberg::schema::writer_schema;

/// Files that are open at once: each holds up to a row group of encoded pages.
const MAX_OPEN: usize = 8;
/// Part of the batch's memory that open files may take.
const OPEN_SHARE: usize = 4;
/// Part of the batch's memory that waiting rows may take.
const WAITING_SHARE: usize = 4;
/// Most bytes that wait to be sorted, whatever memory there is: texts of one array have 31-bit offsets.
const MAX_SORTED_BYTES: usize = 1024 * 1024 * 1024;
/// Columns of a row group that are encoded at most with this many bytes each before anything is flushed for memory's sake:
/// below it, row groups would be too small for readers.
const LEAST_GROUP_BYTES: usize = 1024 * 1024;

/// Writes the data files of a batch.
pub(super) struct Sink<'a> {
    work: &'a Work<'a>,
    codec: Codec,
    format: FileFormat,
    partitioner: Option<Partitioner>,
    sorter: Option<Sorter>,
    /// Whether all rows of one source file have one partition.
    uniform: bool,
    /// The file that was written last is at the end.
    open: Vec<OpenFile>,
    waiting: BTreeMap<String, Waiting>,
    waiting_bytes: usize,
    next: u32,
    done: Vec<(u32, StagedFile)>,
}

struct OpenFile {
    number: u32,
    /// The partition as text: what rows are told apart by.
    name: String,
    partition: Vec<Value>,
    encoder: FileEncoder<StagedWriter>,
    place: String,
}

/// Rows of a partition without an open file.
#[derive(Default)]
struct Waiting {
    partition: Vec<Value>,
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl<'a> Sink<'a> {
    pub(super) fn new(work: &'a Work<'a>) -> Result<Self, Failure> {
        let plan = work.plan();
        let schema: SchemaRef = writer_schema(&plan.target);
        let broken = |error: ParquetError| internal("preparing data files", error.to_string());
        let codec = Codec::new(plan.target.zstd_level).map_err(broken)?;
        let format = FileFormat::new(&schema, &codec, expected_rows(work)?).map_err(broken)?;
        Ok(Self {
            work,
            codec,
            format,
            partitioner: Partitioner::of(&plan.target)?,
            sorter: Sorter::of(&plan.target),
            uniform: is_uniform(plan),
            open: Vec::new(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            next: 0,
            done: Vec::new(),
        })
    }

    /// Writes `batch`, or keeps it for later.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let Some(partitioner) = &self.partitioner else {
            return self.write_whole(String::new(), Vec::new(), batch);
        };
        // One row tells the partition where all have the same.
        let looked_at = if self.uniform { batch.slice(0, 1) } else { batch.clone() };
        let mut parts = partitioner.split(&looked_at)?;
        if parts.len() == 1
            && let Some(part) = parts.pop()
        {
            return self.write_whole(name_of(&part.partition), part.partition, batch);
        }
        for part in parts {
            let rows = take_record_batch(batch, &part.rows)
                .map_err(|error| internal("telling partitions apart", error.to_string()))?;
            let name = name_of(&part.partition);
            let has_room = self.open.len() < MAX_OPEN && self.waiting.is_empty();
            if self.sorter.is_none() && (has_room || self.open.iter().any(|file| file.name == name)) {
                self.write_to(name, part.partition, &rows)?;
            } else {
                self.wait(name, part.partition, rows);
            }
        }
        self.write_waiting_if_many()
    }

    /// Writes a batch of one partition, or keeps it to be sorted.
    fn write_whole(&mut self, name: String, partition: Vec<Value>, batch: &RecordBatch) -> Result<(), Failure> {
        if self.sorter.is_none() {
            return self.write_to(name, partition, batch);
        }
        self.wait(name, partition, batch.clone());
        self.write_waiting_if_many()
    }

    fn write_waiting_if_many(&mut self) -> Result<(), Failure> {
        let most = (self.work.memory() / WAITING_SHARE).min(MAX_SORTED_BYTES);
        if self.waiting_bytes > most { self.write_waiting() } else { Ok(()) }
    }

    /// Ends all files; those that have rows, in the order of their numbers.
    pub(super) fn finish(mut self) -> Result<Vec<StagedFile>, Failure> {
        self.write_waiting()?;
        while let Some(file) = self.open.pop() {
            self.close(file)?;
        }
        if !self.done.is_empty() {
            let place = self.work.path(0)?;
            let synced = self.work.files.sync_folder_of(&place);
            synced.map_err(|error| of_io("writing data files", &place, &error))?;
        }
        self.done.sort_by_key(|(number, _)| *number);
        Ok(self.done.into_iter().map(|(_, file)| file).collect())
    }

    fn wait(&mut self, name: String, partition: Vec<Value>, rows: RecordBatch) {
        let bytes = rows.get_array_memory_size();
        let waiting = self.waiting.entry(name).or_default();
        waiting.partition = partition;
        waiting.batches.push(rows);
        waiting.bytes += bytes;
        self.waiting_bytes += bytes;
    }

    fn write_waiting(&mut self) -> Result<(), Failure> {
        let sorter = self.sorter.take();
        for (name, waiting) in std::mem::take(&mut self.waiting) {
            let Waiting { partition, batches, .. } = waiting;
            match &sorter {
                None => batches.iter().try_for_each(|batch| self.write_next(&name, &partition, batch))?,
                Some(sorter) => {
                    let unsorted = |error: ArrowError| internal("sorting rows", error.to_string());
                    let sorted = sorter.sorted(batches).map_err(unsorted)?;
                    for piece in sorted {
                        self.write_next(&name, &partition, &piece.map_err(unsorted)?)?;
                    }
                }
            }
            // What else comes of this partition waits again: its file would be one of many open ones.
            if let Some(at) = self.open.iter().position(|file| file.name == name) {
                let file = self.open.remove(at);
                self.close(file)?;
            }
        }
        self.waiting_bytes = 0;
        self.sorter = sorter;
        Ok(())
    }

    fn write_next(&mut self, name: &str, partition: &[Value], batch: &RecordBatch) -> Result<(), Failure> {
        self.work.cancel.check()?;
        self.write_to(name.to_owned(), partition.to_vec(), batch)
    }

    /// Appends `batch` to the open file of its partition, or to a new one.
    fn write_to(&mut self, name: String, partition: Vec<Value>, batch: &RecordBatch) -> Result<(), Failure> {
        let mut file = match self.open.iter().position(|file| file.name == name) {
            Some(at) => self.open.remove(at),
            None => {
                // With uniform files a partition is over when another begins: their inputs are sorted.
                let most = if self.uniform { 1 } else { MAX_OPEN };
                if self.open.len() >= most {
                    let oldest = self.open.remove(0);
                    self.close(oldest)?;
                }
                self.create(name, partition)?
            }
        };
        file.encoder.write(batch, &mut self.format, &mut self.codec).map_err(|error| broken(&file.place, &error))?;
        let full = file.encoder.bytes() as u64 >= self.work.plan().target.file_bytes;
        if full { self.close(file) } else { self.keep(file) }
    }

    fn keep(&mut self, file: OpenFile) -> Result<(), Failure> {
        self.open.push(file);
        let most = self.work.memory() / OPEN_SHARE;
        while self.open.iter().map(|file| file.encoder.waiting_bytes()).sum::<usize>() > most {
            let largest = self.open.iter_mut().max_by_key(|file| file.encoder.waiting_bytes());
            let Some(largest) = largest.filter(|file| file.encoder.waiting_bytes() > LEAST_GROUP_BYTES) else { break };
            largest.encoder.flush(&mut self.format, &mut self.codec).map_err(|error| broken(&largest.place, &error))?;
        }
        Ok(())
    }

    fn create(&mut self, name: String, partition: Vec<Value>) -> Result<OpenFile, Failure> {
        let place = self.work.path(self.next)?;
        let sink = self.work.files.create_new(&place).map_err(|error| of_io("writing a data file", &place, &error))?;
        let encoder = FileEncoder::new(sink, &self.format).map_err(|error| broken(&place, &error))?;
        let number = self.next;
        self.next += 1;
        Ok(OpenFile { number, name, partition, encoder, place })
    }

    fn close(&mut self, file: OpenFile) -> Result<(), Failure> {
        let OpenFile { number, partition, encoder, place, .. } = file;
        let rows = encoder.rows();
        let sink = encoder.finish(&mut self.format, &mut self.codec).map_err(|error| broken(&place, &error))?;
        let (bytes, content) =
            sink.finish_before_folder().map_err(|error| of_io("writing a data file", &place, &error))?;
        Counters::add(&self.work.counters.rows_written, rows);
        Counters::add(&self.work.counters.bytes_written, bytes);
        self.done
            .push((number, StagedFile { location: place, kind: StagedKind::Data, rows, bytes, content, partition }));
        Ok(())
    }
}

fn broken(place: &str, error: &ParquetError) -> Failure {
    of_error("writing a data file", place, error, Code::Internal)
}

fn name_of(partition: &[Value]) -> String {
    partition.iter().map(Value::to_string).collect::<Vec<_>>().join(",")
}

/// Whether every partition field comes from a column that has one value in each source file.
fn is_uniform(plan: &Plan) -> bool {
    plan.target.partitioning.iter().all(|field| {
        let column = plan.target.columns.iter().find(|column| column.name == field.column);
        column.is_some_and(|column| match &column.origin {
            Origin::Constant { .. } => true,
            Origin::Source { column } => {
                plan.source.columns.iter().any(|source| source.name == *column && source.partition)
            }
        })
    })
}

/// Rows that a file will have, about: a hint for the encoder.
fn expected_rows(work: &Work<'_>) -> Result<u64, Failure> {
    let batch = work.batch()?;
    let plan = work.plan();
    let rows = batch.rows.unwrap_or(u64::from(u32::MAX));
    if plan.target.partitioning.is_empty() {
        return Ok(rows);
    }
    let mut partitions: Vec<_> =
        batch.inputs.iter().filter_map(|input| Some(&plan.source.files.get(input.file as usize)?.partition)).collect();
    partitions.sort_unstable();
    partitions.dedup();
    Ok(rows / (partitions.len() as u64).max(1))
}
