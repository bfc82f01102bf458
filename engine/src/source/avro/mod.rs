//! Avro's object container files: what they tell of themselves, and reading them.
//!
//! In: files, described columns. Out: tails, record batches. Not here: partition columns and checks for changed files
//! (`read`), what is made of differences between files (`columns`), how columns become the described ones (`adapter`).
//!
//! Values are decoded by `arrow-avro`. It gets its blocks unpacked and with their sizes checked, and no schema that it
//! could follow for ever.

mod blocks;
mod codec;
mod header;
mod reader;
mod schema;
mod walk;

#[cfg(any(test, feature = "fuzzing"))]
pub(super) use blocks::counted_and_given;
pub(super) use reader::{AvroReader, tail};
