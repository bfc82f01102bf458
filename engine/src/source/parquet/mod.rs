//! Parquet files: what their footers tell, how their columns become the described ones, and reading them.
//!
//! In: files, described columns. Out: footers, record batches. Not here: partition columns and checks for changed
//! files (`read`), what is made of differences between files (`columns`).

mod adapter;
mod footer;
mod reader;
mod schema;
mod watched;

pub(super) use adapter::{Adapter, RowsContext};
pub(super) use footer::{Footer, FooterError, footers};
pub(super) use reader::{ParquetFailure, ParquetReader};
pub(super) use schema::{FileSchema, type_in_file};
