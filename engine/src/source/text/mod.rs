//! Lines of text as Hive's SerDes read them: LazySimpleSerDe, OpenCSVSerde, JsonSerDe.
//!
//! In: a stream of bytes, column types, a SerDe's properties. Out: record batches, and how many values were unreadable.
//! Not here: partition columns and checks for changed files (`read`).
//!
//! Unreadable values of other types than strings are null, because that is what Hive shows; they are counted.
//! Strings that are not UTF-8 stop the reading: no target could hold them.

mod columns;
mod fields;
mod json;
mod json_tree;
mod lines;
mod opencsv;
mod packed;

use std::io::{self, Read};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use skein_protocol::inspection::{OpenCsvFormat, SourceColumn, TextFormat};

use crate::types::source_schema;
use columns::TextColumn;
pub(super) use columns::{limit, pad};
pub(super) use fields::{split, unescape};
pub(super) use json::unclear_type;
pub(super) use lines::Lines;
pub(super) use opencsv::CsvFields;
pub(super) use packed::open;

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
    /// A line is no record, or a value of it does not fit its column.
    #[error("line {line}: {why}")]
    Invalid {
        /// From 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
}

/// How lines become fields.
pub(super) enum Record {
    /// LazySimpleSerDe.
    Delimited(TextFormat),
    /// OpenCSVSerde.
    OpenCsv(OpenCsvFormat),
    /// JsonSerDe.
    JsonLines,
}

/// Reads batches of a text file's columns.
pub(super) struct TextReader {
    lines: Lines<Box<dyn Read + Send>>,
    record: Record,
    /// The properties for fields that are no record of LazySimpleSerDe: no escapes.
    plain: TextFormat,
    described: Vec<SourceColumn>,
    schema: SchemaRef,
    columns: Vec<TextColumn>,
    tallies: Vec<Unparsable>,
    starts: Vec<(usize, usize)>,
    csv: CsvFields,
    to_skip: u32,
}

impl TextReader {
    /// A reader of `text`, whose fields are `columns`, in their order where the fields have no names.
    pub(super) fn new(
        text: Box<dyn Read + Send>,
        columns: &[SourceColumn],
        record: Record,
        skip_header_lines: u32,
    ) -> Self {
        Self {
            lines: Lines::new(text),
            schema: source_schema(columns),
            tallies: vec![Unparsable::default(); columns.len()],
            columns: columns.iter().map(|column| TextColumn::new(&column.data_type)).collect(),
            described: columns.to_vec(),
            record,
            plain: TextFormat::default(),
            starts: Vec::new(),
            csv: CsvFields::default(),
            to_skip: skip_header_lines,
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
            match self.push_line()? {
                Some(length) => bytes += length,
                None => break,
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(TextColumn::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::<Schema>::clone(&self.schema), arrays, &options);
        Ok(Some(batch.expect("each column got one value a row, of the schema's type")))
    }

    /// Adds the fields of the next line, and tells its length; `None` at the end.
    fn push_line(&mut self) -> Result<Option<usize>, TextError> {
        let number = self.lines.number() + 1;
        let Some(line) = self.lines.next_line()? else { return Ok(None) };
        let not_utf8 = |index: usize| {
            let column = self.schema.field(index).name().clone();
            move |columns::NotUtf8| TextError::NotUtf8 { line: number, column }
        };
        let columns = self.columns.iter_mut().zip(&mut self.tallies).enumerate();
        match &self.record {
            Record::Delimited(format) => {
                let (most, rest) = (self.described.len(), format.last_column_takes_rest);
                split(line, format.separators[0], format.escape, most, rest, &mut self.starts);
                for (index, (column, tally)) in columns {
                    let field = self.starts.get(index).map(|(start, end)| &line[*start..*end]);
                    column.push(field, 1, format, tally).map_err(not_utf8(index))?;
                }
            }
            Record::OpenCsv(format) => {
                self.csv.cut(line, format);
                for (index, (column, tally)) in columns {
                    column.push_value(self.csv.get(index), 1, &self.plain, tally).map_err(not_utf8(index))?;
                }
            }
            Record::JsonLines => {
                let invalid = |why: String| TextError::Invalid { line: number, why };
                let text = std::str::from_utf8(line).map_err(|_| invalid("it is not UTF-8".to_owned()))?;
                let members = match json_tree::parse(text).map_err(invalid)? {
                    json_tree::Json::Object(members) => members,
                    _ => return Err(invalid("it is JSON, and no object".to_owned())),
                };
                for (index, (column, tally)) in columns {
                    let described = &self.described[index];
                    let value = json::member(&members, &described.name);
                    json::push(column, value, &described.data_type, &self.plain, tally)
                        .map_err(|why| invalid(format!("column {:?}: {why}", described.name)))?;
                }
            }
        }
        Ok(Some(line.len()))
    }
}

/// Whether a line is JSON.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn json_syntax(line: &str) -> Result<(), String> {
    json_tree::parse(line).map(|_| ())
}

#[cfg(test)]
mod tests;
