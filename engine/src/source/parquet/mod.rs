//! Parquet files: what their footers tell, how their columns become the described ones, and reading them.
//!
//! In: files, described columns. Out: tails, record batches. Not here: partition columns and checks for changed
//! files (`read`), what is made of differences between files (`columns`).

mod chunks;
mod footer;
mod reader;
mod schema;

pub(super) use footer::tail;
pub(super) use reader::ParquetReader;
