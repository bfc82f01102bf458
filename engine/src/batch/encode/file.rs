//! A Parquet file: row groups of column chunks, and the footer.
//!
//! In: batches. Out: the file's bytes, in a sink. Holds: when a row group is full. Not here: how a chunk is made (`chunk`).

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{SchemaDescPtr, TypePtr};

use super::Codec;
use super::chunk::Chunk;

/// Rows of a row group: what other engines' defaults are about, and what bounds the work that is lost on a reader's miss.
const GROUP_ROWS: usize = 1024 * 1024;
/// Encoded bytes of a row group, which wait in memory until it is complete.
const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// What all files of a batch have in common.
#[derive(Debug)]
pub(crate) struct FileFormat {
    arrow: SchemaRef,
    root: TypePtr,
    schema: SchemaDescPtr,
    properties: WriterPropertiesPtr,
    /// For each column, whether a dictionary is tried. A column that gave it up once is not asked again.
    dictionaries: Vec<bool>,
    expected_rows: usize,
}

impl FileFormat {
    /// Files of batches of `schema`, whose field ids are in its metadata; they have about `expected_rows` rows.
    ///
    /// # Errors
    /// A type has no form in Parquet.
    pub(crate) fn new(schema: &SchemaRef, codec: &Codec, expected_rows: u64) -> Result<Self> {
        let converted = ArrowSchemaConverter::new().schema_root("table").convert(schema)?;
        let properties = WriterProperties::builder()
            .set_created_by(concat!("skein version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(codec.compression())
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        Ok(Self {
            arrow: Arc::clone(schema),
            root: converted.root_schema_ptr(),
            schema: Arc::new(converted),
            properties: Arc::new(properties),
            dictionaries: vec![true; schema.fields().len()],
            expected_rows: usize::try_from(expected_rows).unwrap_or(GROUP_ROWS).min(GROUP_ROWS),
        })
    }
}

/// How a top-level column is encoded.
enum Column {
    Here(Box<Chunk>),
    /// By the `parquet` crate: a writer for each leaf.
    There(Vec<ArrowColumnWriter>),
}

/// Encodes one file.
pub(crate) struct FileEncoder<W: Write + Send> {
    file: SerializedFileWriter<W>,
    others: ArrowRowGroupWriterFactory,
    group: Vec<Column>,
    group_rows: usize,
    groups: usize,
    rows: u64,
}

impl<W: Write + Send> FileEncoder<W> {
    /// Begins a file in `sink`.
    ///
    /// # Errors
    /// The sink refuses.
    pub(crate) fn new(sink: W, format: &FileFormat) -> Result<Self> {
        let file = SerializedFileWriter::new(sink, Arc::clone(&format.root), Arc::clone(&format.properties))?;
        let others = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&format.arrow));
        Ok(Self { file, others, group: Vec::new(), group_rows: 0, groups: 0, rows: 0 })
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes that the file would have if it ended here, about.
    pub(crate) fn bytes(&self) -> usize {
        self.file.bytes_written() + self.waiting_bytes()
    }

    /// Bytes of memory that hold what is encoded but not written, about.
    pub(crate) fn waiting_bytes(&self) -> usize {
        let of = |column: &Column| match column {
            Column::Here(chunk) => chunk.bytes(),
            Column::There(leaves) => leaves.iter().map(ArrowColumnWriter::memory_size).sum(),
        };
        self.group.iter().map(of).sum()
    }

    /// Appends all rows of `batch`.
    ///
    /// # Errors
    /// The batch has another shape than the format, or the sink refuses.
    pub(crate) fn write(&mut self, batch: &RecordBatch, format: &mut FileFormat, codec: &mut Codec) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if batch.num_columns() != format.arrow.fields().len() {
            return Err(ParquetError::General(format!("{} columns were given", batch.num_columns())));
        }
        if self.group.is_empty() {
            self.group = self.new_group(format)?;
        }
        for ((column, array), field) in self.group.iter_mut().zip(batch.columns()).zip(format.arrow.fields()) {
            match column {
                Column::Here(chunk) => chunk.append(array, codec)?,
                Column::There(leaves) => {
                    for (leaf, values) in leaves.iter_mut().zip(compute_leaves(field, array)?) {
                        leaf.write(&values)?;
                    }
                }
            }
        }
        self.group_rows += batch.num_rows();
        self.rows += batch.num_rows() as u64;
        if self.group_rows >= GROUP_ROWS || self.waiting_bytes() >= GROUP_BYTES {
            self.end_group(format, codec)?;
        }
        Ok(())
    }

    /// Writes what waits as a row group, for memory's sake.
    ///
    /// # Errors
    /// The sink refuses.
    pub(crate) fn flush(&mut self, format: &mut FileFormat, codec: &mut Codec) -> Result<()> {
        self.end_group(format, codec)
    }

    /// Writes what waits and the footer; gives the sink back.
    ///
    /// # Errors
    /// The sink refuses.
    pub(crate) fn finish(mut self, format: &mut FileFormat, codec: &mut Codec) -> Result<W> {
        self.end_group(format, codec)?;
        self.file.into_inner()
    }

    fn new_group(&self, format: &FileFormat) -> Result<Vec<Column>> {
        let nested = |at: usize| format.arrow.field(at).data_type().is_nested();
        let mut leaf = 0;
        let mut columns = Vec::new();
        // Made for all leaves at once, and only if one of them is needed.
        let mut others = None;
        for (at, field) in format.arrow.fields().iter().enumerate() {
            let leaves = (leaf..format.schema.num_columns())
                .take_while(|leaf| format.schema.get_column_root_idx(*leaf) == at)
                .count();
            let column = format.schema.column(leaf);
            let here = if nested(at) {
                None
            } else {
                Chunk::new(&column, field.data_type(), format.dictionaries[at], format.expected_rows)
            };
            columns.push(match here {
                Some(chunk) => Column::Here(Box::new(chunk)),
                None => {
                    if others.is_none() {
                        others = Some(
                            self.others.create_column_writers(self.groups)?.into_iter().map(Some).collect::<Vec<_>>(),
                        );
                    }
                    let writers = others.iter_mut().flatten().skip(leaf).take(leaves).filter_map(Option::take);
                    Column::There(writers.collect())
                }
            });
            leaf += leaves;
        }
        Ok(columns)
    }

    fn end_group(&mut self, format: &mut FileFormat, codec: &mut Codec) -> Result<()> {
        if self.group.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for (at, column) in std::mem::take(&mut self.group).into_iter().enumerate() {
            match column {
                Column::Here(chunk) => {
                    if chunk.gave_up() {
                        format.dictionaries[at] = false;
                    }
                    let (bytes, close) = chunk.finish(codec)?;
                    group.append_column(&bytes, close)?;
                }
                Column::There(leaves) => {
                    for leaf in leaves {
                        leaf.close()?.append_to_row_group(&mut group)?;
                    }
                }
            }
        }
        group.close()?;
        self.groups += 1;
        self.group_rows = 0;
        Ok(())
    }
}
