//! The page that is filled at the moment: levels and values apart, put together when it is closed.
//!
//! In: which rows are null, values or indexes. Out: a page's bytes before compression. Not here: which values (`values`),
//! when a page is full (`chunk`).

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::NullBuffer;

use super::{PAGE_VALUES, hybrid};

/// Bytes kept free before a page's values: levels of a page without nulls fit in, so its values need not move.
const HEAD: usize = 16;

/// Rows without nulls between them: begin and end of each run, in order.
pub(super) struct Runs<'a> {
    pub(super) nulls: Option<&'a NullBuffer>,
    pub(super) length: usize,
}

impl Runs<'_> {
    #[inline]
    pub(super) fn each(&self, mut run: impl FnMut(usize, usize)) {
        match self.nulls {
            None => run(0, self.length),
            Some(nulls) => nulls.valid_slices().for_each(|(from, to)| run(from, to)),
        }
    }
}

/// A page that is not closed yet.
pub(super) struct OpenPage {
    pub(super) rows: usize,
    pub(super) nulls: usize,
    /// A bit a row; only from the first null on.
    validity: Option<BooleanBufferBuilder>,
    /// Plain values behind [`HEAD`] free bytes.
    plain: Vec<u8>,
    /// Plain values of a boolean column.
    pub(super) bits: BooleanBufferBuilder,
    /// Indexes into the dictionary, while there is one.
    pub(super) indexes: Vec<u32>,
}

impl OpenPage {
    pub(super) fn new() -> Self {
        Self {
            rows: 0,
            nulls: 0,
            validity: None,
            plain: vec![0; HEAD],
            bits: BooleanBufferBuilder::new(0),
            indexes: Vec::new(),
        }
    }

    /// Where plain values are appended.
    pub(super) fn plain(&mut self) -> &mut Vec<u8> {
        &mut self.plain
    }

    /// Bytes of plain values.
    pub(super) fn plain_bytes(&self) -> usize {
        self.plain.len() - HEAD
    }

    /// Adds rows, before their values.
    pub(super) fn add_rows(&mut self, rows: usize, nulls: Option<&NullBuffer>) {
        match (nulls, &mut self.validity) {
            (None, None) => {}
            (None, Some(validity)) => validity.append_n(rows, true),
            (Some(nulls), validity) => {
                let before = self.rows;
                let validity = validity.get_or_insert_with(|| {
                    let mut all = BooleanBufferBuilder::new(PAGE_VALUES);
                    all.append_n(before, true);
                    all
                });
                validity.append_buffer(nulls.inner());
                self.nulls += nulls.null_count();
            }
        }
        self.rows += rows;
    }

    /// Closes the page: gives its bytes, levels first, to `take`, and empties it. `distinct` is the dictionary's length
    /// where values are indexes.
    pub(super) fn close<R>(&mut self, optional: bool, distinct: Option<usize>, take: impl FnOnce(&[u8]) -> R) -> R {
        if !self.bits.is_empty() {
            self.plain.extend_from_slice(self.bits.as_slice());
        }
        let mut levels = Vec::new();
        if optional {
            hybrid::put_levels(&mut levels, self.rows, self.validity.as_ref().map(BooleanBufferBuilder::as_slice));
        }
        let taken = if let Some(distinct) = distinct {
            let width = hybrid::width(distinct);
            levels.push(width);
            hybrid::put_indexes(&mut levels, &self.indexes, width);
            take(&levels)
        } else if levels.len() <= HEAD {
            let begin = HEAD - levels.len();
            self.plain[begin..HEAD].copy_from_slice(&levels);
            take(&self.plain[begin..])
        } else {
            levels.extend_from_slice(&self.plain[HEAD..]);
            take(&levels)
        };
        self.rows = 0;
        self.nulls = 0;
        self.validity = None;
        self.plain.truncate(HEAD);
        self.bits = BooleanBufferBuilder::new(0);
        self.indexes.clear();
        taken
    }
}
