//! Parquet files from Arrow batches, made for the least work a row.
//!
//! In: batches of one schema, a sink of bytes. Out: a Parquet file: dictionary or plain pages of format version 1, zstd,
//! chunk statistics. Holds: [`FileEncoder`]. Not here: names, durability and partitions of files (`sink`), reading (the
//! `parquet` crate alone: what is written here is read back by code that shares nothing with it).
//!
//! The `parquet` crate writes footers, page headers and all nested columns. Columns without parts are encoded
//! here, because most of the time of a copy goes into its dictionaries: each value is hashed, looked up through two
//! tables and compared. Here, values of up to sixteen bytes are their own keys, a column whose dictionary
//! would not pay is recognised after one page, validity bitmaps become definition levels as they are, and least and
//! greatest values are taken from the dictionary.

mod bounds;
mod chunk;
mod codec;
mod dictionary;
mod file;
mod hybrid;
mod page;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use codec::Codec;
pub(crate) use file::{FileEncoder, FileFormat};

/// Bytes of a data page before compression at which it is closed: enough for zstd to find repetitions, little enough for
/// readers that decode whole pages.
const PAGE_BYTES: usize = 1024 * 1024;

/// Values of a page of dictionary indexes, which take two bytes or less each.
const PAGE_VALUES: usize = 128 * 1024;

/// Bytes of distinct values at which a dictionary is given up: more would not stay in a processor's cache, neither here
/// nor in readers.
const DICTIONARY_BYTES: usize = 1024 * 1024;
