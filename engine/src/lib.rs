//! Implements `DataPlane`: inspects sources, moves bytes, computes checksums, stages and publishes Iceberg tables.
//!
//! In: requests of the control plane. Out: staged files, evidence, tables. Not here: decisions, the ledger, clusters.

pub mod batch;
pub mod checksum;
pub mod engine;
pub mod failure;
pub mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod iceberg;
mod io_runtime;
mod metastore;
pub mod sample;
pub mod script;
pub mod source;
pub mod transform;
pub mod types;
pub mod worker;
