//! `spark64`: Spark's `xxhash64(c1, c2, …)`, the proof that an outsider can repeat on the legacy cluster.
//!
//! In: batches. Out: a hash a row, or their sum. Holds: what Spark 3.5 feeds to XXH64 for each type.
//! Not here: the query (the protocol's `report::spark_query`), the order of map entries (`spark_order`).
//!
//! Each value is hashed with the hash of what came before it as the seed, 42 at first. A null changes
//! nothing. Spark refuses to hash maps; both sides hash `sort_array(map_entries(m))` in their place.

use std::hint::select_unpredictable;

use arrow::array::{ArrayRef, OffsetSizeTrait, RecordBatch};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::Schema;
use skein_protocol::evidence::SparkSum;

use super::error::ChecksumError;
use super::selection::Selection;
use super::spark_order::entries_in_order;
use super::values::{Bytes, Data, Store, Values};
use super::xxh64;

/// The seed that Spark's `xxhash64` begins with.
const SEED: u64 = 42;

/// Most digits of a decimal that Spark keeps in 64 bits, and hashes as such.
const MAX_LONG_DIGITS: u8 = 18;

/// Computes `spark64` over some columns of batches of one schema.
#[derive(Debug, Clone)]
pub struct SparkHasher {
    selection: Selection,
    /// For each selected column, whether it is a `char(n)`.
    padded: Vec<bool>,
    hashes: Vec<u64>,
}

impl SparkHasher {
    /// A hasher over `columns` (indexes, in the order in which they are hashed) of `schema`.
    ///
    /// # Errors
    /// A column has a type without a checksum, or does not exist.
    pub fn new(schema: &Schema, columns: &[usize]) -> Result<Self, ChecksumError> {
        let selection = Selection::new(schema, columns)?;
        let padded = vec![false; selection.len()];
        Ok(Self { selection, padded, hashes: Vec::new() })
    }

    /// Says which columns (indexes of the schema) the legacy table declares as `char(n)`: their values are
    /// hashed without the spaces at their end. Files hold such values padded or not, depending on the writer,
    /// and readers pad or not, depending on a setting; the query trims them too.
    #[must_use]
    pub fn with_char_columns(mut self, columns: &[usize]) -> Self {
        for (padded, index) in self.padded.iter_mut().zip(self.selection.indexes()) {
            *padded = columns.contains(index);
        }
        self
    }

    /// Replaces `out` with the hash of each row of `batch`.
    ///
    /// # Errors
    /// A value has no exact logical form (a timestamp with nanoseconds), or the batch has another shape.
    pub fn hash(&mut self, batch: &RecordBatch, out: &mut Vec<i64>) -> Result<(), ChecksumError> {
        let arrays = self.selection.arrays(batch)?;
        self.hash_columns(&arrays, batch.num_rows(), out)
    }

    /// Replaces `out` with the hash of each of `rows` rows of `columns`, which stand for the selected columns
    /// in their order.
    ///
    /// # Errors
    /// As [`SparkHasher::hash`].
    pub fn hash_columns(&mut self, columns: &[ArrayRef], rows: usize, out: &mut Vec<i64>) -> Result<(), ChecksumError> {
        out.clear();
        self.chain(columns, rows)?;
        out.extend(self.hashes.iter().map(|hash| hash.cast_signed()));
        Ok(())
    }

    /// Adds all rows of `batch` to `sum`.
    ///
    /// # Errors
    /// As [`SparkHasher::hash`]; `sum` is unchanged then.
    pub fn add(&mut self, batch: &RecordBatch, sum: &mut SparkSum) -> Result<(), ChecksumError> {
        let arrays = self.selection.arrays(batch)?;
        self.chain(&arrays, batch.num_rows())?;
        for hash in &self.hashes {
            sum.add(hash.cast_signed());
        }
        Ok(())
    }

    fn chain(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), ChecksumError> {
        let values = self.selection.values(columns, rows)?;
        self.hashes.clear();
        self.hashes.resize(rows, SEED);
        for (values, padded) in values.iter().zip(&self.padded) {
            values.chain(&mut self.hashes, *padded);
        }
        Ok(())
    }
}

/// Zero has two signs in a file, but one hash in Spark; so have all NaNs.
#[inline(always)]
fn float(value: f32, seed: u64) -> u64 {
    let bits = if value == 0.0 {
        0
    } else if value.is_nan() {
        0x7FC0_0000
    } else {
        value.to_bits()
    };
    xxh64::of_int(bits.cast_signed(), seed)
}

#[inline(always)]
fn double(value: f64, seed: u64) -> u64 {
    let bits = if value == 0.0 {
        0
    } else if value.is_nan() {
        0x7FF8_0000_0000_0000
    } else {
        value.to_bits()
    };
    xxh64::of_long(bits.cast_signed(), seed)
}

#[inline(always)]
fn small_decimal(unscaled: i128, seed: u64) -> u64 {
    // Eighteen digits fit into 64 bits; a file that breaks its own precision is cut as Spark cuts it.
    xxh64::of_long(unscaled as i64, seed)
}

/// The shortest two's complement, big-endian: `java.math.BigInteger.toByteArray`.
#[inline(always)]
fn large_decimal(unscaled: i128, seed: u64) -> u64 {
    let sign_bits = if unscaled < 0 { unscaled.leading_ones() } else { unscaled.leading_zeros() };
    // One bit of the sign stays. At most 15 whole bytes go, because a number has at least one bit of sign.
    let skipped = (sign_bits - 1) / 8;
    let bytes = unscaled << (skipped * 8);
    // The words of its big-endian bytes, read as little-endian, and one that is never reached.
    let words = [((bytes >> 64) as u64).swap_bytes(), (bytes as u64).swap_bytes(), 0];
    xxh64::of_words(words, 16 - skipped as usize, seed)
}

fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' '] = text {
        text = rest;
    }
    text
}

impl Values {
    /// Hashes one value a row into `hashes`, which hold what came before in the row.
    fn chain(&self, hashes: &mut [u64], padded: bool) {
        let nulls = self.nulls.as_ref();
        match &self.data {
            Data::Int8(values) => chain_all(values, nulls, hashes, |v, hash| xxh64::of_int(v.into(), hash)),
            Data::Int16(values) => chain_all(values, nulls, hashes, |v, hash| xxh64::of_int(v.into(), hash)),
            Data::Int32(values) | Data::Date(values) => chain_all(values, nulls, hashes, xxh64::of_int),
            Data::Int64(values) | Data::Timestamp(values) => chain_all(values, nulls, hashes, xxh64::of_long),
            Data::Float32(values) => chain_all(values, nulls, hashes, float),
            Data::Float64(values) => chain_all(values, nulls, hashes, double),
            Data::Decimal { unscaled, precision, .. } if *precision <= MAX_LONG_DIGITS => {
                chain_all(unscaled, nulls, hashes, small_decimal);
            }
            Data::Decimal { unscaled, .. } => chain_all(unscaled, nulls, hashes, large_decimal),
            Data::Bytes(bytes) if padded => {
                for (row, hash) in hashes.iter_mut().enumerate() {
                    if !self.is_null(row) {
                        *hash = xxh64::of_bytes(trimmed(bytes.get(row)), *hash);
                    }
                }
            }
            Data::Bytes(Bytes { store: Store::Small { offsets, data }, .. }) => {
                chain_bytes(offsets, data, nulls, hashes);
            }
            Data::Bytes(Bytes { store: Store::Large { offsets, data }, .. }) => {
                chain_bytes(offsets, data, nulls, hashes);
            }
            Data::Null | Data::Bool(_) | Data::Bytes(_) | Data::List { .. } | Data::Map { .. } | Data::Struct(_) => {
                for (row, hash) in hashes.iter_mut().enumerate() {
                    *hash = self.chain_one(row, *hash);
                }
            }
        }
    }

    /// The hash of value `i` with `seed`.
    fn chain_one(&self, i: usize, seed: u64) -> u64 {
        if self.is_null(i) {
            return seed;
        }
        match &self.data {
            Data::Null => seed,
            Data::Bool(values) => xxh64::of_int(values.value(i).into(), seed),
            Data::Int8(values) => xxh64::of_int(values[i].into(), seed),
            Data::Int16(values) => xxh64::of_int(values[i].into(), seed),
            Data::Int32(values) | Data::Date(values) => xxh64::of_int(values[i], seed),
            Data::Int64(values) | Data::Timestamp(values) => xxh64::of_long(values[i], seed),
            Data::Float32(values) => float(values[i], seed),
            Data::Float64(values) => double(values[i], seed),
            Data::Decimal { unscaled, precision, .. } => {
                if *precision <= MAX_LONG_DIGITS {
                    small_decimal(unscaled[i], seed)
                } else {
                    large_decimal(unscaled[i], seed)
                }
            }
            Data::Bytes(bytes) => xxh64::of_bytes(bytes.get(i), seed),
            Data::List { offsets, items } => {
                (offsets.at(i)..offsets.at(i + 1)).fold(seed, |hash, item| items.chain_one(item, hash))
            }
            Data::Map { offsets, keys, values } => {
                let entries = entries_in_order(offsets.at(i)..offsets.at(i + 1), keys, values);
                entries.into_iter().fold(seed, |hash, entry| {
                    let hash = keys.chain_one(entry, hash);
                    values.chain_one(entry, hash)
                })
            }
            Data::Struct(fields) => fields.iter().fold(seed, |hash, field| field.chain_one(i, hash)),
        }
    }
}

fn chain_all<T: Copy>(values: &[T], nulls: Option<&NullBuffer>, hashes: &mut [u64], next: impl Fn(T, u64) -> u64) {
    let rows = hashes.len();
    let values = &values[..rows];
    match nulls {
        None => {
            for row in 0..rows {
                hashes[row] = next(values[row], hashes[row]);
            }
        }
        Some(nulls) => {
            for row in 0..rows {
                let hashed = next(values[row], hashes[row]);
                hashes[row] = select_unpredictable(nulls.is_valid(row), hashed, hashes[row]);
            }
        }
    }
}

fn chain_bytes<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    data: &[u8],
    nulls: Option<&NullBuffer>,
    hashes: &mut [u64],
) {
    let offsets = &offsets[..=hashes.len()];
    for (row, hash) in hashes.iter_mut().enumerate() {
        let (from, to) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
        let valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
        let hashed = match data[from..].first_chunk() {
            Some(window) if to - from < xxh64::WINDOW => xxh64::of_words(xxh64::words(window), to - from, *hash),
            _ => xxh64::of_bytes(&data[from..to], *hash),
        };
        *hash = select_unpredictable(valid, hashed, *hash);
    }
}
