//! Samples a text table's rows: which fields may be which columns.
//!
//! In: text files, their format, described columns. Out: [`Sample`].

use std::io::Read;
use std::path::Path;

use skein_protocol::inspection::{OpenCsvFormat, TextFormat};
use skein_protocol::problem::Problem;
use skein_protocol::types::DataType;

use super::super::location::unreadable;
use super::super::places::Places;
use super::super::text::{self, CsvFields, Lines, split};
use super::plausible::{Strictness, fits};

/// Most files that are looked at, spread over all of them.
const MAX_FILES: usize = 64;
/// Most bytes of a file that are looked at. With the files this bounds an inspection to 16 MiB of text.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// How lines are cut into fields.
#[derive(Debug)]
pub(in crate::source) enum Cut<'a> {
    /// As LazySimpleSerDe cuts them.
    Delimited(&'a TextFormat),
    /// As OpenCSVSerde cuts them.
    OpenCsv(&'a OpenCsvFormat),
}

impl Cut<'_> {
    fn header_lines(&self) -> u32 {
        match self {
            Self::Delimited(format) => format.skip_header_lines,
            Self::OpenCsv(format) => format.skip_header_lines,
        }
    }

    /// Up to `most` fields of `line`.
    fn fields(&self, line: &[u8], most: usize) -> Vec<Vec<u8>> {
        match self {
            Self::Delimited(format) => {
                let mut ranges = Vec::new();
                split(line, format.separators[0], format.escape, most, false, &mut ranges);
                ranges.into_iter().map(|(start, end)| line[start..end].to_vec()).collect()
            }
            Self::OpenCsv(format) => {
                let mut fields = CsvFields::default();
                fields.cut(line, format);
                (0..fields.len().min(most)).filter_map(|index| fields.get(index).map(<[u8]>::to_vec)).collect()
            }
        }
    }
}

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
        places: &Places,
        paths: &[&Path],
        columns: &[(String, DataType)],
        cut: &Cut<'_>,
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
            sample.look_at(places, path, columns.len(), cut)?;
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

    fn look_at(&mut self, places: &Places, path: &Path, columns: usize, cut: &Cut<'_>) -> Result<(), Problem> {
        let text = places.open(path).and_then(|file| text::open(&file, &path.to_string_lossy())).and_then(|stream| {
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
        let plain = TextFormat::default();
        let mut to_skip = cut.header_lines();
        // What is held in memory can always be cut into lines.
        while let Ok(Some(line)) = lines.next_line() {
            let fields = cut.fields(line, columns + 1);
            if to_skip > 0 {
                to_skip -= 1;
                let name = |field: &Vec<u8>| String::from_utf8_lossy(field).trim().to_owned();
                self.header.get_or_insert_with(|| fields.iter().map(name).collect());
                continue;
            }
            self.rows += 1;
            self.fields = self.fields.max(fields.len());
            for (index, field) in fields.iter().enumerate().take(columns) {
                match cut {
                    Cut::Delimited(format) if field == format.null_text.as_bytes() => {}
                    Cut::Delimited(format) => self.judge(index, field, format),
                    Cut::OpenCsv(_) => self.judge(index, field, &plain),
                }
            }
        }
        Ok(())
    }

    fn judge(&mut self, field: usize, value: &[u8], format: &TextFormat) {
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
