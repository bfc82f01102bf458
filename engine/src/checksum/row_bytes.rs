//! The injective encoding of values that `row128` hashes.
//!
//! In: [`Values`]. Out: bytes. Holds: the tags, the layout of each type, an upper bound of each length.
//! Not here: how a batch is walked (`row128`).
//!
//! Every code tells its own length from its beginning (a tag, then a fixed number of bytes, or a count and
//! what it counts), so no code is a prefix of another and a row, its columns' codes one after the other,
//! can be taken apart in one way only. Changing a byte here changes every stored sum: the golden values in
//! the tests say so.

use std::ops::Range;

use arrow::datatypes::ArrowNativeType;

use super::values::{Data, Store, Values};

pub(super) const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INTEGER: u8 = 3;
const FLOAT: u8 = 4;
const DECIMAL: u8 = 5;
const TEXT: u8 = 6;
const BINARY: u8 = 7;
const DATE: u8 = 8;
const TIMESTAMP: u8 = 9;
const LIST: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

/// The one NaN that stands for all: its payload is no part of a value.
const NAN: u64 = 0x7FF8_0000_0000_0000;

/// Tag and count: a count has at most ten groups of seven bits.
const MAX_HEAD: usize = 1 + 10;

/// Counts below this take one byte.
pub(super) const SHORT: usize = 0x80;

/// Bytes of the code of an integer, float or timestamp: the tag and one word.
pub(super) const WORD: usize = 9;
/// Bytes of the code of a date.
pub(super) const DAY: usize = 5;
/// Bytes of the code of a boolean.
pub(super) const FLAG: usize = 1;
/// Bytes of the code of a decimal: tag, scale, value.
pub(super) const NUMBER: usize = 18;

/// Bytes behind the end of a code that writing it may change: see [`Code`].
pub(super) const CODE_SLACK: usize = size_of::<Code>();

/// A code of at most 16 bytes, as the little-endian number that these bytes are: numbers travel in registers, and one
/// write of 16 bytes is cheaper than two of the right sizes.
pub(super) type Code = u128;

#[inline(always)]
pub(super) fn integer(value: i64) -> Code {
    tagged(INTEGER, value.cast_unsigned())
}

#[inline(always)]
pub(super) fn float(value: f64) -> Code {
    tagged(FLOAT, if value.is_nan() { NAN } else { value.to_bits() })
}

#[inline(always)]
pub(super) fn timestamp(micros: i64) -> Code {
    tagged(TIMESTAMP, micros.cast_unsigned())
}

#[inline(always)]
pub(super) fn date(days: i32) -> Code {
    tagged(DATE, days.cast_unsigned().into())
}

#[inline(always)]
pub(super) fn boolean(value: bool) -> Code {
    if value { TRUE.into() } else { FALSE.into() }
}

#[inline(always)]
fn tagged(tag: u8, word: u64) -> Code {
    Code::from(word) << 8 | Code::from(tag)
}

/// Writes all of `bytes` at `at`. An assignment of an array, because the copy of a slice is a call unless it happens to
/// be inlined.
#[inline(always)]
pub(super) fn write_array<const N: usize>(out: &mut [u8], at: usize, bytes: [u8; N]) {
    *out[at..].first_chunk_mut().expect("a slot has room for the longest code, and slack") = bytes;
}

/// Two bytes, put together in a register: built in memory, they would be read before their writes have met.
#[inline(always)]
pub(super) fn two_bytes(first: u8, second: u8) -> [u8; 2] {
    (u16::from(second) << 8 | u16::from(first)).to_le_bytes()
}

/// Writes the code of a decimal into the first bytes of `out`.
#[inline(always)]
pub(super) fn put_decimal(unscaled: i128, scale: i8, out: &mut [u8; NUMBER]) {
    write_array(out, 0, two_bytes(DECIMAL, scale.cast_unsigned()));
    write_array(out, 2, unscaled.to_le_bytes());
}

/// The tag of texts, or of binaries.
pub(super) fn tag(text: bool) -> u8 {
    if text { TEXT } else { BINARY }
}

/// Writes `tag` and `count` (groups of seven bits, lowest first, the high bit says that more follow) at `at`;
/// returns where they end.
#[inline]
pub(super) fn put_head(tag: u8, count: usize, out: &mut [u8], at: usize) -> usize {
    out[at] = tag;
    let (mut rest, mut at) = (count, at + 1);
    while rest >= SHORT {
        out[at] = (rest % SHORT) as u8 | 0x80;
        rest /= SHORT;
        at += 1;
    }
    out[at] = rest as u8;
    at + 1
}

fn put(bytes: &[u8], out: &mut [u8], at: usize) -> usize {
    let end = at + bytes.len();
    out[at..end].copy_from_slice(bytes);
    end
}

/// Writes a code of `length` bytes and what is left of sixteen.
#[inline]
fn put_code(code: Code, length: usize, out: &mut [u8], at: usize) -> usize {
    write_array(out, at, code.to_le_bytes());
    at + length
}

impl Values {
    /// At least as many bytes as the codes of values `from..to` take together.
    pub(super) fn bound(&self, from: usize, to: usize) -> usize {
        let varying = match &self.data {
            Data::Bytes(bytes) => match &bytes.store {
                Store::Small { offsets, .. } => offsets[to].as_usize() - offsets[from].as_usize(),
                Store::Large { offsets, .. } => offsets[to].as_usize() - offsets[from].as_usize(),
                Store::Fixed(array) => array.value_length().as_usize() * (to - from),
                Store::View(array) => {
                    let valid = |i: &usize| !self.is_null(*i);
                    (from..to).filter(valid).map(|i| array.views()[i] as u32 as usize).sum()
                }
            },
            Data::List { offsets, items } => items.bound(offsets.at(from), offsets.at(to)),
            Data::Map { offsets, keys, values } => {
                let (first, end) = (offsets.at(from), offsets.at(to));
                keys.bound(first, end) + values.bound(first, end)
            }
            Data::Struct(fields) => fields.iter().map(|field| field.bound(from, to)).sum(),
            _ => 0,
        };
        (to - from) * self.fixed_bound() + varying
    }

    /// The part of the bound that is the same for each value; all of it for types of one length.
    pub(super) fn fixed_bound(&self) -> usize {
        match self.data {
            Data::Null | Data::Bool(_) => FLAG,
            Data::Int8(_) | Data::Int16(_) | Data::Int32(_) | Data::Int64(_) => WORD,
            Data::Float32(_) | Data::Float64(_) | Data::Timestamp(_) => WORD,
            Data::Decimal { .. } => NUMBER,
            Data::Date(_) => DAY,
            Data::Bytes(_) | Data::List { .. } | Data::Map { .. } | Data::Struct(_) => MAX_HEAD,
        }
    }

    /// Whether all values have the same bound.
    pub(super) fn is_fixed(&self) -> bool {
        !matches!(self.data, Data::Bytes(_) | Data::List { .. } | Data::Map { .. } | Data::Struct(_))
    }

    /// Writes the code of value `i` at `at`; returns where it ends. Up to `CODE_SLACK` bytes behind it are written too.
    pub(super) fn encode(&self, i: usize, out: &mut [u8], at: usize) -> usize {
        if self.is_null(i) {
            return put(&[NULL], out, at);
        }
        match &self.data {
            Data::Null => put(&[NULL], out, at),
            Data::Bool(values) => put_code(boolean(values.value(i)), FLAG, out, at),
            Data::Int8(values) => put_code(integer(values[i].into()), WORD, out, at),
            Data::Int16(values) => put_code(integer(values[i].into()), WORD, out, at),
            Data::Int32(values) => put_code(integer(values[i].into()), WORD, out, at),
            Data::Int64(values) => put_code(integer(values[i]), WORD, out, at),
            Data::Float32(values) => put_code(float(values[i].into()), WORD, out, at),
            Data::Float64(values) => put_code(float(values[i]), WORD, out, at),
            Data::Date(values) => put_code(date(values[i]), DAY, out, at),
            Data::Timestamp(values) => put_code(timestamp(values[i]), WORD, out, at),
            Data::Decimal { unscaled, scale, .. } => {
                let mut code = [0; NUMBER];
                put_decimal(unscaled[i], *scale, &mut code);
                put(&code, out, at)
            }
            Data::Bytes(bytes) => {
                let value = bytes.get(i);
                let at = put_head(tag(bytes.text), value.len(), out, at);
                put(value, out, at)
            }
            Data::List { offsets, items } => {
                let (first, end) = (offsets.at(i), offsets.at(i + 1));
                let at = put_head(LIST, end - first, out, at);
                (first..end).fold(at, |at, item| items.encode(item, out, at))
            }
            Data::Map { offsets, keys, values } => encode_map(offsets.at(i)..offsets.at(i + 1), keys, values, out, at),
            Data::Struct(fields) => {
                let at = put_head(STRUCT, fields.len(), out, at);
                fields.iter().fold(at, |at, field| field.encode(i, out, at))
            }
        }
    }
}

/// Writes the code of the map of these `entries`, in the order of the bytes of their codes. Keys are no prefixes
/// of each other, so that is the order of the keys' codes; whole entries are compared for writers that
/// have a key twice.
fn encode_map(entries: Range<usize>, keys: &Values, values: &Values, out: &mut [u8], at: usize) -> usize {
    let start = put_head(MAP, entries.len(), out, at);
    let mut ends = Vec::with_capacity(entries.len());
    let mut at = start;
    for entry in entries {
        at = keys.encode(entry, out, at);
        at = values.encode(entry, out, at);
        ends.push(at - start);
    }
    let written = &mut out[start..at];
    let mut from = 0;
    let mut codes: Vec<&[u8]> = Vec::with_capacity(ends.len());
    for end in ends {
        codes.push(&written[from..end]);
        from = end;
    }
    if !codes.is_sorted() {
        codes.sort_unstable();
        let sorted = codes.concat();
        written.copy_from_slice(&sorted);
    }
    at
}
