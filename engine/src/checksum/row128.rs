//! `row128`: XXH3-128 of each row's encoding. It decides whether source and target are equal.
//!
//! In: batches. Out: a hash a row, or their sum. Holds: the walk over a batch. Not here: the encoding
//! itself (`row_bytes`).
//!
//! Rows are encoded column by column into slots of a small buffer, then hashed: the buffer stays in the
//! processor's cache, each loop knows its type, and no branch depends on a value where it can be helped. A slot has
//! room for the longest code that its row could have, and some slack, so that writes of a fixed size may
//! run past the end of a value: what comes after it in the row overwrites the rest.

use arrow::array::{ArrayRef, OffsetSizeTrait, RecordBatch};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowNativeType, Schema};
use skein_protocol::evidence::RowSum;
use xxhash_rust::xxh3::xxh3_128;

use super::error::ChecksumError;
use super::row_bytes::{self, CODE_SLACK, Code, DAY, FLAG, NULL, NUMBER, WORD};
use super::selection::Selection;
use super::values::{Bytes, Data, Store, Values};

/// Rows that are encoded together: enough to hide the choice of a column's loop, few enough that their slots, of some
/// hundred and fifty bytes, and the values that go into them stay in a first-level cache of 32 KiB.
const ROWS_AT_ONCE: usize = 128;

/// Encoded bytes at which rows stop being gathered, whatever their number; a single longer row still fits,
/// because the buffer grows to it. Keeps memory small where values are large.
const BYTES_AT_ONCE: usize = 1 << 20;

/// Texts up to this long are copied in one write of this size, whatever their length: a branch on the length
/// would be mispredicted for every second value. Most keys, names and codes are this short.
const QUICK: usize = 32;
/// Bytes behind each slot that writes of a fixed size may run into.
const SLACK: usize = QUICK;
const _: () = assert!(SLACK >= CODE_SLACK, "single values write past their end too");

/// Computes `row128` over some columns of batches of one schema. Reuse it: it keeps its buffers.
#[derive(Debug, Clone)]
pub struct RowHasher {
    selection: Selection,
    buffer: SlotBuffer,
}

impl RowHasher {
    /// A hasher over `columns` (indexes, in the order in which they are hashed) of `schema`.
    ///
    /// # Errors
    /// A column has a type without a checksum, or does not exist.
    pub fn new(schema: &Schema, columns: &[usize]) -> Result<Self, ChecksumError> {
        Ok(Self { selection: Selection::new(schema, columns)?, buffer: SlotBuffer::default() })
    }

    /// Replaces `out` with the hash of each row of `batch`.
    ///
    /// # Errors
    /// A value has no exact logical form (a timestamp with nanoseconds), or the batch has another shape.
    pub fn hash(&mut self, batch: &RecordBatch, out: &mut Vec<u128>) -> Result<(), ChecksumError> {
        let arrays = self.selection.arrays(batch)?;
        self.hash_columns(&arrays, batch.num_rows(), out)
    }

    /// Replaces `out` with the hash of each of `rows` rows of `columns`, which stand for the selected columns
    /// in their order.
    ///
    /// # Errors
    /// As [`RowHasher::hash`].
    pub fn hash_columns(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        out: &mut Vec<u128>,
    ) -> Result<(), ChecksumError> {
        out.clear();
        out.reserve(rows);
        let values = self.selection.values(columns, rows)?;
        self.buffer.hash(&values, rows, |hash| out.push(hash));
        Ok(())
    }

    /// Adds all rows of `batch` to `sum`.
    ///
    /// # Errors
    /// As [`RowHasher::hash`]; `sum` is unchanged then.
    pub fn add(&mut self, batch: &RecordBatch, sum: &mut RowSum) -> Result<(), ChecksumError> {
        let arrays = self.selection.arrays(batch)?;
        let values = self.selection.values(&arrays, batch.num_rows())?;
        self.buffer.hash(&values, batch.num_rows(), |hash| sum.add(hash));
        Ok(())
    }

    /// Adds each column of `batch` by itself to the sum at its position in `sums`: a row of that one column.
    /// Tells in which column two sets of rows differ; not that rows are equal.
    ///
    /// # Errors
    /// As [`RowHasher::hash`]; columns before the refused one are in `sums` then.
    pub fn add_each(&mut self, batch: &RecordBatch, sums: &mut [RowSum]) -> Result<(), ChecksumError> {
        let (expected, found) = (self.selection.len(), sums.len());
        if expected != found {
            return Err(ChecksumError::Shape { what: "sums", expected, found });
        }
        for (position, array) in self.selection.arrays(batch)?.iter().enumerate() {
            let values = self.selection.one(position, array, batch.num_rows())?;
            self.buffer.hash(&[values], batch.num_rows(), |hash| sums[position].add(hash));
        }
        Ok(())
    }
}

/// Encoded rows: slot after slot in `bytes`. Positions are indexes into `bytes`.
#[derive(Debug, Clone, Default)]
struct SlotBuffer {
    bytes: Vec<u8>,
    /// Where each row's slot begins.
    starts: Vec<usize>,
    /// Where each row's code ends so far.
    ends: Vec<usize>,
}

impl SlotBuffer {
    /// Gives the hash of each of `rows` rows of `columns` to `found`, in their order.
    fn hash(&mut self, columns: &[Values], rows: usize, mut found: impl FnMut(u128)) {
        let mut first = 0;
        while first < rows {
            let count = self.lay_out(columns, first, rows);
            for column in columns {
                column.fill(first, &mut self.bytes, &mut self.ends);
            }
            for (row, (start, end)) in self.starts.iter().zip(&self.ends).enumerate() {
                let next = self.starts.get(row + 1).map_or(self.bytes.len(), |next| *next);
                debug_assert!(end + SLACK <= next, "a row's code lies within its slot");
                found(xxh3_128(&self.bytes[*start..*end]));
            }
            first += count;
        }
        if self.bytes.len() > 2 * BYTES_AT_ONCE {
            // One huge row must not hold its memory for the rest of the run.
            self.bytes = Vec::new();
        }
    }

    /// Makes slots for rows from `first` on, at least one and at most to `rows`; returns how many.
    fn lay_out(&mut self, columns: &[Values], first: usize, rows: usize) -> usize {
        let most = ROWS_AT_ONCE.min(rows - first);
        let fixed: usize = columns.iter().filter(|c| c.is_fixed()).map(Values::fixed_bound).sum();
        // `ends` holds each slot's length at first.
        self.ends.clear();
        self.ends.resize(most, fixed + SLACK);
        for column in columns.iter().filter(|column| !column.is_fixed()) {
            column.add_bounds(first, &mut self.ends);
        }
        self.starts.clear();
        let mut next = 0;
        for length in &mut self.ends {
            if next > BYTES_AT_ONCE {
                break;
            }
            self.starts.push(next);
            next += *length;
        }
        self.ends.clear();
        self.ends.extend_from_slice(&self.starts);
        if self.bytes.len() < next {
            self.bytes.resize(next, 0);
        }
        self.starts.len()
    }
}

impl Values {
    /// Adds the bound of each value from `first` on to its row's length.
    fn add_bounds(&self, first: usize, lengths: &mut [usize]) {
        if let Data::Bytes(Bytes { store: Store::Small { offsets, .. }, .. }) = &self.data {
            let offsets = &offsets[first..=first + lengths.len()];
            for (row, length) in lengths.iter_mut().enumerate() {
                *length += (offsets[row + 1] - offsets[row]).as_usize() + self.fixed_bound();
            }
        } else {
            for (row, length) in lengths.iter_mut().enumerate() {
                *length += self.bound(first + row, first + row + 1);
            }
        }
    }

    /// Appends the codes of the values from `first` on to the rows whose codes end at `ends` in `out`.
    fn fill(&self, first: usize, out: &mut [u8], ends: &mut [usize]) {
        let nulls = self.nulls.as_ref();
        match &self.data {
            Data::Bool(values) => {
                for (row, end) in ends.iter_mut().enumerate() {
                    let valid = nulls.is_none_or(|nulls| nulls.is_valid(first + row));
                    put_code(valid, row_bytes::boolean(values.value(first + row)), FLAG, out, end);
                }
            }
            Data::Int8(values) => {
                fill_codes::<_, WORD>(values, nulls, first, out, ends, |v| row_bytes::integer(v.into()));
            }
            Data::Int16(values) => {
                fill_codes::<_, WORD>(values, nulls, first, out, ends, |v| row_bytes::integer(v.into()));
            }
            Data::Int32(values) => {
                fill_codes::<_, WORD>(values, nulls, first, out, ends, |v| row_bytes::integer(v.into()));
            }
            Data::Int64(values) => fill_codes::<_, WORD>(values, nulls, first, out, ends, row_bytes::integer),
            Data::Float32(values) => {
                fill_codes::<_, WORD>(values, nulls, first, out, ends, |v| row_bytes::float(v.into()));
            }
            Data::Float64(values) => fill_codes::<_, WORD>(values, nulls, first, out, ends, row_bytes::float),
            Data::Date(values) => fill_codes::<_, DAY>(values, nulls, first, out, ends, row_bytes::date),
            Data::Timestamp(values) => fill_codes::<_, WORD>(values, nulls, first, out, ends, row_bytes::timestamp),
            Data::Decimal { unscaled, scale, .. } => fill_decimals(unscaled, *scale, nulls, first, out, ends),
            Data::Bytes(Bytes { text, store: Store::Small { offsets, data } }) => {
                fill_bytes(row_bytes::tag(*text), offsets, data, nulls, first, out, ends);
            }
            Data::Bytes(Bytes { text, store: Store::Large { offsets, data } }) => {
                fill_bytes(row_bytes::tag(*text), offsets, data, nulls, first, out, ends);
            }
            Data::Null | Data::Bytes(_) | Data::List { .. } | Data::Map { .. } | Data::Struct(_) => {
                for (row, end) in ends.iter_mut().enumerate() {
                    *end = self.encode(first + row, out, *end);
                }
            }
        }
    }
}

/// Writes a code of `length` bytes, or that of null, at `end`, and moves it. Sixteen bytes are written: see `SLACK`.
#[inline(always)]
fn put_code(valid: bool, code: Code, length: usize, out: &mut [u8], end: &mut usize) {
    const { assert!(NULL == 0, "the code of null is the number 0") };
    let code = if valid { code } else { 0 };
    row_bytes::write_array(out, *end, code.to_le_bytes());
    *end += if valid { length } else { 1 };
}

/// Values whose codes all have `LENGTH` bytes, except null's.
fn fill_codes<T: Copy, const LENGTH: usize>(
    values: &[T],
    nulls: Option<&NullBuffer>,
    first: usize,
    out: &mut [u8],
    ends: &mut [usize],
    code: impl Fn(T) -> Code,
) {
    let values = &values[first..first + ends.len()];
    match nulls {
        None => {
            for (end, value) in ends.iter_mut().zip(values) {
                put_code(true, code(*value), LENGTH, out, end);
            }
        }
        Some(nulls) => {
            for (row, (end, value)) in ends.iter_mut().zip(values).enumerate() {
                put_code(nulls.is_valid(first + row), code(*value), LENGTH, out, end);
            }
        }
    }
}

fn fill_decimals(
    values: &[i128],
    scale: i8,
    nulls: Option<&NullBuffer>,
    first: usize,
    out: &mut [u8],
    ends: &mut [usize],
) {
    let values = &values[first..first + ends.len()];
    for (row, (end, value)) in ends.iter_mut().zip(values).enumerate() {
        let valid = nulls.is_none_or(|nulls| nulls.is_valid(first + row));
        let room = out[*end..].first_chunk_mut().expect("the slot has room for the column's longest code");
        row_bytes::put_decimal(*value, scale, room);
        room[0] = if valid { room[0] } else { NULL };
        *end += if valid { NUMBER } else { 1 };
    }
}

fn fill_bytes<O: OffsetSizeTrait>(
    tag: u8,
    offsets: &OffsetBuffer<O>,
    data: &[u8],
    nulls: Option<&NullBuffer>,
    first: usize,
    out: &mut [u8],
    ends: &mut [usize],
) {
    let offsets = &offsets[first..=first + ends.len()];
    for (row, end) in ends.iter_mut().enumerate() {
        let (from, to) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
        let valid = nulls.is_none_or(|nulls| nulls.is_valid(first + row));
        let length = to - from;
        let at = *end;
        if let Some(quick) = data[from..].first_chunk::<QUICK>()
            && length <= QUICK
        {
            // What is written of a null after its tag lies beyond its end.
            row_bytes::write_array(out, at, row_bytes::two_bytes(if valid { tag } else { NULL }, length as u8));
            row_bytes::write_array(out, at + 2, *quick);
            *end = at + if valid { 2 + length } else { 1 };
        } else if valid {
            let at = row_bytes::put_head(tag, length, out, at);
            *end = at + length;
            out[at..*end].copy_from_slice(&data[from..to]);
        } else {
            out[at] = NULL;
            *end = at + 1;
        }
    }
}
