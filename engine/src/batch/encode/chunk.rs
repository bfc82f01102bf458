//! One column chunk of a column without parts: values become pages, pages become a chunk.
//!
//! In: arrays, slice after slice. Out: the chunk's bytes and its metadata. Holds: when a page is full, and whether a
//! dictionary pays. Not here: what values and pages look like (`values`, `page`), the file round the chunk (`file`).

use std::io::{Chain, Cursor, Read};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{ArrowNativeType, DataType as ArrowType};
use bytes::Bytes;
use parquet::basic::{Encoding, PageType};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::bounds::Bounds;
use super::dictionary::expected_distinct;
use super::page::OpenPage;
use super::values::{self, Dictionary, Physical};
use super::{Codec, DICTIONARY_BYTES, PAGE_BYTES, PAGE_VALUES, hybrid};

/// Values after which a dictionary is judged: fewer tell nothing about a chunk, more are lost if it is given up.
const JUDGED_AFTER: usize = 16 * 1024;
/// A dictionary stays if it makes values smaller than this part of their plain form, in percent; zstd finds some
/// repetition without it.
const WORTH_PERCENT: usize = 75;

/// Encodes one chunk.
pub(super) struct Chunk {
    column: ColumnDescPtr,
    physical: Physical,
    page: OpenPage,
    dictionary: Option<Dictionary>,
    /// The dictionary of earlier pages, after it was given up.
    former: Option<Dictionary>,
    gave_up: bool,
    judged: bool,
    bounds: Bounds,
    pages: TrackedWrite<Vec<u8>>,
    plain_pages: i32,
    dictionary_pages: i32,
    uncompressed: usize,
    values: usize,
    nulls: usize,
    /// Rows that the chunk is expected to have.
    expected: usize,
}

impl Chunk {
    /// A chunk of `column`, whose arrays have type `arrow`, of about `expected` rows. Nothing for types that are not
    /// encoded here.
    pub(super) fn new(column: &ColumnDescPtr, arrow: &ArrowType, dictionary: bool, expected: usize) -> Option<Self> {
        if column.max_rep_level() > 0 || column.max_def_level() > 1 {
            return None;
        }
        let (physical, bounds) = Physical::of(column, arrow)?;
        Some(Self {
            column: ColumnDescPtr::clone(column),
            physical,
            page: OpenPage::new(),
            dictionary: physical.dictionary().filter(|_| dictionary),
            former: None,
            gave_up: false,
            judged: false,
            bounds,
            pages: TrackedWrite::new(Vec::new()),
            plain_pages: 0,
            dictionary_pages: 0,
            uncompressed: 0,
            values: 0,
            nulls: 0,
            expected,
        })
    }

    /// Whether the chunk began with a dictionary and gave it up: the next one had better not try.
    pub(super) fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// Bytes that the chunk has so far, about.
    pub(super) fn bytes(&self) -> usize {
        let dictionaries = self.dictionary.iter().chain(&self.former);
        let dictionaries: usize = dictionaries.map(|dictionary| dictionary.bytes(self.physical)).sum();
        self.pages.bytes_written() + self.page.plain_bytes() + self.page.indexes.len() * 2 + dictionaries
    }

    /// Appends all values of `array`.
    pub(super) fn append(&mut self, array: &ArrayRef, codec: &mut Codec) -> Result<()> {
        if array.null_count() > 0 && self.column.max_def_level() == 0 {
            return Err(ParquetError::General(format!("column {} is required but has nulls", self.column.name())));
        }
        let mut from = 0;
        while from < array.len() {
            let part = array.slice(from, self.fitting(array, from));
            self.page.add_rows(part.len(), part.nulls().filter(|nulls| nulls.null_count() > 0));
            if !values::append(self.physical, &part, &mut self.page, self.dictionary.as_mut(), &mut self.bounds) {
                return Err(ParquetError::General(format!(
                    "column {} cannot be {}",
                    self.column.name(),
                    array.data_type()
                )));
            }
            from += part.len();
            self.judge();
            if self.page_is_full() {
                self.end_page(codec)?;
            }
            if self.dictionary.as_ref().is_some_and(|dictionary| dictionary.bytes(self.physical) > DICTIONARY_BYTES) {
                self.end_page(codec)?;
                self.former = self.dictionary.take();
                self.gave_up = true;
            }
        }
        Ok(())
    }

    /// How many values from `from` on may be appended before the page is looked at again.
    fn fitting(&self, array: &ArrayRef, from: usize) -> usize {
        let mut count = (array.len() - from).min(JUDGED_AFTER);
        if self.physical == Physical::Bytes {
            let data = array.to_data();
            let offsets = data.buffer::<i32>(0);
            while count > 1 && offsets[from + count].as_usize() - offsets[from].as_usize() > PAGE_BYTES {
                count /= 2;
            }
        }
        count
    }

    fn page_is_full(&self) -> bool {
        let indexed = self.dictionary.is_some() || self.physical == Physical::Bool;
        self.page.plain_bytes() >= PAGE_BYTES || (indexed && self.page.rows >= PAGE_VALUES)
    }

    /// Looks once, early, whether the dictionary will pay. If not, the page is made plain as if there had been none.
    fn judge(&mut self) {
        let seen = self.page.indexes.len();
        if self.judged || seen < JUDGED_AFTER || self.dictionary_pages > 0 {
            return;
        }
        let Some(dictionary) = &self.dictionary else { return };
        self.judged = true;
        let mean = dictionary.bytes(self.physical) / dictionary.len().max(1);
        let rows = self.expected.max(seen);
        let distinct = expected_distinct(dictionary.len(), seen, rows);
        let of_dictionary = distinct.saturating_mul(mean);
        let with = of_dictionary.saturating_add(rows * usize::from(hybrid::width(distinct)) / 8);
        if of_dictionary > DICTIONARY_BYTES || with > rows * mean / 100 * WORTH_PERCENT {
            let indexes = std::mem::take(&mut self.page.indexes);
            dictionary.unfold(&indexes, self.physical, self.page.plain());
            dictionary.add_to(&mut self.bounds);
            self.dictionary = None;
            self.gave_up = true;
        }
    }

    fn end_page(&mut self, codec: &mut Codec) -> Result<()> {
        let rows = self.page.rows;
        if rows == 0 {
            return Ok(());
        }
        self.values += rows;
        self.nulls += self.page.nulls;
        let distinct = self.dictionary.as_ref().map(Dictionary::len);
        let optional = self.column.max_def_level() > 0;
        let (compressed, size) = self.page.close(optional, distinct, |bytes| (codec.compress(bytes), bytes.len()));
        let encoding = if distinct.is_some() { Encoding::RLE_DICTIONARY } else { Encoding::PLAIN };
        let page = Page::DataPage {
            buf: Bytes::from(compressed?),
            num_values: u32::try_from(rows)
                .map_err(|_| ParquetError::General("a page has too many rows".to_owned()))?,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let spec = SerializedPageWriter::new(&mut self.pages).write_page(CompressedPage::new(page, size))?;
        self.uncompressed += spec.uncompressed_size;
        if distinct.is_some() {
            self.dictionary_pages += 1
        } else {
            self.plain_pages += 1
        }
        Ok(())
    }

    /// Closes the chunk: its bytes, and what the footer says of it.
    pub(super) fn finish(mut self, codec: &mut Codec) -> Result<(ChunkBytes, ColumnCloseResult)> {
        self.end_page(codec)?;
        let mut head = TrackedWrite::new(Vec::new());
        if let Some(dictionary) = self.former.take().or(self.dictionary.take()) {
            dictionary.add_to(&mut self.bounds);
            let plain = dictionary.page(self.physical);
            let page = Page::DictionaryPage {
                buf: Bytes::from(codec.compress(&plain)?),
                num_values: u32::try_from(dictionary.len())
                    .map_err(|_| ParquetError::General("a dictionary is too long".to_owned()))?,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let spec = SerializedPageWriter::new(&mut head).write_page(CompressedPage::new(page, plain.len()))?;
            self.uncompressed += spec.uncompressed_size;
        }
        let (head, pages) =
            (head.into_inner()?, std::mem::replace(&mut self.pages, TrackedWrite::new(Vec::new())).into_inner()?);
        let metadata = self.metadata(head.len(), head.len() + pages.len(), codec)?;
        let close = ColumnCloseResult {
            bytes_written: (head.len() + pages.len()) as u64,
            rows_written: self.values as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((ChunkBytes { head: Bytes::from(head), pages: Bytes::from(pages) }, close))
    }

    fn metadata(&self, head: usize, bytes: usize, codec: &Codec) -> Result<ColumnChunkMetaData> {
        let mut encodings = vec![Encoding::PLAIN, Encoding::RLE];
        let mut stats = Vec::new();
        if head > 0 {
            encodings.push(Encoding::RLE_DICTIONARY);
            stats.push(PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding: Encoding::PLAIN, count: 1 });
        }
        if self.dictionary_pages > 0 {
            let encoding = Encoding::RLE_DICTIONARY;
            stats.push(PageEncodingStats { page_type: PageType::DATA_PAGE, encoding, count: self.dictionary_pages });
        }
        if self.plain_pages > 0 {
            stats.push(PageEncodingStats {
                page_type: PageType::DATA_PAGE,
                encoding: Encoding::PLAIN,
                count: self.plain_pages,
            });
        }
        let long =
            |number: usize| i64::try_from(number).map_err(|_| ParquetError::General("a chunk is too long".to_owned()));
        ColumnChunkMetaData::builder(ColumnDescPtr::clone(&self.column))
            .set_compression(codec.compression())
            .set_encodings(encodings)
            .set_page_encoding_stats(stats)
            .set_total_compressed_size(long(bytes)?)
            .set_total_uncompressed_size(long(self.uncompressed)?)
            .set_num_values(long(self.values)?)
            .set_dictionary_page_offset((head > 0).then_some(0))
            .set_data_page_offset(long(head)?)
            .set_statistics(self.bounds.statistics(self.nulls as u64, &self.column))
            .build()
    }
}

/// A finished chunk: the dictionary page, then the data pages.
pub(super) struct ChunkBytes {
    head: Bytes,
    pages: Bytes,
}

impl Length for ChunkBytes {
    fn len(&self) -> u64 {
        (self.head.len() + self.pages.len()) as u64
    }
}

impl ChunkReader for ChunkBytes {
    type T = Chain<Cursor<Bytes>, Cursor<Bytes>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let (head, pages) = (self.head.len(), self.pages.len());
        let from = |bytes: &Bytes, at: usize| Cursor::new(bytes.slice(at..));
        Ok(from(&self.head, start.min(head)).chain(from(&self.pages, start.saturating_sub(head).min(pages))))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = Vec::with_capacity(length);
        self.get_read(start)?.take(length as u64).read_to_end(&mut bytes)?;
        Ok(Bytes::from(bytes))
    }
}
