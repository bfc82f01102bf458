//! Delimited text as Hive's LazySimpleSerDe reads it.
//!
//! In: a stream of bytes, column types, separators. Out: record batches, and how many values were unreadable.
//! Not here: partition columns and checks for changed files (`read`).
//!
//! Unreadable values of other types than strings are null, because that is what Hive shows; they are counted.
//! Strings that are not UTF-8 stop the reading: no target could hold them.

mod columns;
mod fields;
mod lines;

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use flate2::read::MultiGzDecoder;
use skein_protocol::inspection::{SourceColumn, TextFormat};

use super::format::{Magic, magic};
use crate::types::source_schema;
use columns::TextColumn;
pub(super) use columns::{limit, pad};
pub(super) use fields::{split, unescape};
pub(super) use lines::Lines;

/// A batch is closed when it was made of this many bytes of text, whatever its rows: it bounds memory, and
/// keeps offsets within 32 bits.
const MAX_BATCH_BYTES: usize = 32 << 20;

/// Values that Hive does not show as the file has them, for one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unparsable {
    /// Values that are no value of the column's type, so that Hive shows null.
    pub nulled: u64,
    /// Values of which the type cannot hold all digits or characters, so that Hive shows less.
    pub shortened: u64,
}

/// Why a text file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum TextError {
    /// The system failed to read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line is longer than is held in memory.
    #[error("line {line} is longer than {} bytes", lines::MAX_LINE_BYTES)]
    LineTooLong {
        /// From 1.
        line: u64,
    },
    /// A string is not UTF-8.
    #[error("column {column:?} of line {line} is not UTF-8")]
    NotUtf8 {
        /// From 1.
        line: u64,
        /// The column's name.
        column: String,
    },
}

/// Opens a file's text: unpacked if its first bytes say gzip.
pub(super) fn open(mut file: File) -> io::Result<Box<dyn Read + Send>> {
    let mut first = Vec::with_capacity(8);
    file.by_ref().take(8).read_to_end(&mut first)?;
    let gzip = magic(&first) == Magic::Gzip;
    let all = io::Cursor::new(first).chain(file);
    Ok(if gzip { Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(1 << 18, all))) } else { Box::new(all) })
}

/// Reads batches of a text file's columns.
pub(super) struct TextReader {
    lines: Lines<Box<dyn Read + Send>>,
    format: TextFormat,
    schema: SchemaRef,
    columns: Vec<TextColumn>,
    tallies: Vec<Unparsable>,
    starts: Vec<(usize, usize)>,
    to_skip: u32,
}

impl TextReader {
    /// A reader of `text`, whose fields are `columns` in their order.
    pub(super) fn new(text: Box<dyn Read + Send>, columns: &[SourceColumn], format: &TextFormat) -> Self {
        Self {
            lines: Lines::new(text),
            schema: source_schema(columns),
            tallies: vec![Unparsable::default(); columns.len()],
            columns: columns.iter().map(|column| TextColumn::new(&column.data_type)).collect(),
            format: format.clone(),
            starts: Vec::new(),
            to_skip: format.skip_header_lines,
        }
    }

    /// What was unreadable so far, column by column.
    pub(super) fn unparsable(&self) -> &[Unparsable] {
        &self.tallies
    }

    /// The next batch of at most `most` rows; `None` at the end.
    pub(super) fn next_batch(&mut self, most: usize) -> Result<Option<RecordBatch>, TextError> {
        while self.to_skip > 0 {
            if self.lines.next_line()?.is_none() {
                return Ok(None);
            }
            self.to_skip -= 1;
        }
        let (mut rows, mut bytes) = (0, 0);
        while rows < most && bytes < MAX_BATCH_BYTES {
            let number = self.lines.number() + 1;
            let Some(line) = self.lines.next_line()? else { break };
            bytes += line.len();
            rows += 1;
            split(
                line,
                self.format.separators[0],
                self.format.escape,
                self.columns.len(),
                self.format.last_column_takes_rest,
                &mut self.starts,
            );
            for (index, (column, tally)) in self.columns.iter_mut().zip(&mut self.tallies).enumerate() {
                let field = self.starts.get(index).map(|(start, end)| &line[*start..*end]);
                column.push(field, 1, &self.format, tally).map_err(|columns::NotUtf8| TextError::NotUtf8 {
                    line: number,
                    column: self.schema.field(index).name().clone(),
                })?;
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(TextColumn::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::<Schema>::clone(&self.schema), arrays, &options);
        Ok(Some(batch.expect("each column got one value a row, of the schema's type")))
    }
}

#[cfg(test)]
mod tests;
