//! Implements `DataPlane`: inspects sources, moves bytes, computes checksums, stages and publishes Iceberg tables.
//!
//! In: requests of the control plane. Out: staged files, evidence, tables. Not here: decisions, the ledger, clusters.

pub mod checksum;
pub mod failure;
pub mod files;
pub mod types;
