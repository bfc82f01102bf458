//! The two checksums of a set of rows: `row128`, which decides, and `spark64`, which outsiders recompute.
//!
//! In: Arrow record batches. Out: a hash a row, and sums of them (`protocol::evidence`).
//! Holds: what bytes each type contributes to each sum, and the query that repeats `spark64` in Spark.
//! Not here: which columns are compared and what a difference means (`protocol::evidence::judge`).
//!
//! Both hash *logical* values: how Arrow holds a value (offsets, views, dictionaries, units of time) never
//! shows, and for `row128` neither does the width of integers and floats. `docs/checksum.md` tells outsiders
//! the bytes; golden values in the tests keep code and page together.

mod equal;
mod error;
mod row128;
mod row_bytes;
mod selection;
mod spark64;
mod spark_order;
mod values;
mod xxh64;

#[cfg(test)]
mod tests;

pub use equal::RowComparer;
pub use error::ChecksumError;
pub use row128::RowHasher;
pub use skein_protocol::report::spark_query::spark_query;
pub use spark64::SparkHasher;
