//! Samples a text table's rows: which fields may be which columns.
//!
//! In: text files, their format, described columns. Out: [`Sample`].

use std::fs::File;
use std::io::Read;
use std::path::Path;

use skein_protocol::inspection::TextFormat;
use skein_protocol::problem::Problem;
use skein_protocol::types::DataType;

use super::super::location::unreadable;
use super::super::text::{self, Lines, split};
use super::plausible::{Strictness, fits};

/// Most files that are looked at, spread over all of them.
const MAX_FILES: usize = 64;
/// Most bytes of a file that are looked at. With the files this bounds an inspection to 16 MiB of text.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// What a sample of rows tells of the fields.
#[derive(Debug, Default)]
pub(in crate::source) struct Sample {
    /// Rows that were looked at.
    pub(super) rows: usize,
    /// Files that were looked at.
    pub(super) files: usize,
    /// Most fields of a row.
    pub(super) fields: usize,
    /// The header line's fields, where the format says that there is one.
    pub(super) header: Option<Vec<String>>,
    /// Distinct types, and each column's position among them.
    types: Vec<DataType>,
    type_of: Vec<usize>,
    readable: Vec<Vec<bool>>,
    written: Vec<Vec<bool>>,
}

impl Sample {
    /// Looks at rows of the files at `paths`.
    pub(in crate::source) fn take(
        paths: &[&Path],
        columns: &[(String, DataType)],
        format: &TextFormat,
    ) -> Result<Self, Problem> {
        let mut sample = Self::default();
        for (_, data_type) in columns {
            let position = sample.types.iter().position(|known| known == data_type).unwrap_or_else(|| {
                sample.types.push(data_type.clone());
                sample.types.len() - 1
            });
            sample.type_of.push(position);
        }
        let all = vec![true; sample.types.len()];
        sample.readable = vec![all.clone(); columns.len()];
        sample.written = vec![all; columns.len()];
        let step = paths.len().div_ceil(MAX_FILES).max(1);
        for path in paths.iter().step_by(step) {
            sample.look_at(path, columns.len(), format)?;
        }
        Ok(sample)
    }

    /// Whether every sampled value of `field` can be read as `column`.
    pub(super) fn is_readable(&self, field: usize, column: usize) -> bool {
        self.readable[field][self.type_of[column]]
    }

    /// Whether every sampled value of `field` looks as Hive writes `column`.
    pub(super) fn is_written(&self, field: usize, column: usize) -> bool {
        self.written[field][self.type_of[column]]
    }

    fn look_at(&mut self, path: &Path, columns: usize, format: &TextFormat) -> Result<(), Problem> {
        let text = File::open(path).and_then(text::open).and_then(|stream| {
            let mut start = Vec::new();
            stream.take(MAX_FILE_BYTES).read_to_end(&mut start)?;
            Ok(start)
        });
        let mut text = text.map_err(|error| unreadable(path, &error))?;
        if text.len() as u64 == MAX_FILE_BYTES {
            // The last line is probably cut off.
            text.truncate(memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1));
        }
        self.files += 1;
        let mut lines = Lines::new(text.as_slice());
        let mut ranges = Vec::new();
        let mut to_skip = format.skip_header_lines;
        // What is held in memory can always be cut into lines.
        while let Ok(Some(line)) = lines.next_line() {
            split(line, format.separators[0], format.escape, columns + 1, false, &mut ranges);
            if to_skip > 0 {
                to_skip -= 1;
                let name =
                    |(start, end): &(usize, usize)| String::from_utf8_lossy(&line[*start..*end]).trim().to_owned();
                self.header.get_or_insert_with(|| ranges.iter().map(name).collect());
                continue;
            }
            self.rows += 1;
            self.fields = self.fields.max(ranges.len());
            for (field, (start, end)) in ranges.iter().enumerate().take(columns) {
                self.judge(field, &line[*start..*end], format);
            }
        }
        Ok(())
    }

    fn judge(&mut self, field: usize, value: &[u8], format: &TextFormat) {
        if value == format.null_text.as_bytes() {
            return;
        }
        for (index, data_type) in self.types.iter().enumerate() {
            // An empty field of another type is a null in Hive's eyes.
            let text = matches!(
                data_type,
                DataType::String | DataType::Char { .. } | DataType::Varchar { .. } | DataType::Binary
            );
            let fit = |strictness| (value.is_empty() && !text) || fits(value, data_type, 1, format, strictness);
            if self.readable[field][index] {
                self.readable[field][index] = fit(Strictness::Readable);
            }
            if self.written[field][index] {
                self.written[field][index] = self.readable[field][index] && fit(Strictness::Written);
            }
        }
    }
}
