//! Iceberg tables: their schemas, manifests, metadata files, the catalog that names them, and reading them back.
//!
//! In: plans and staged Parquet files. Out: complete tables that nobody sees before they are registered.
//! Not here: how Parquet files are written (`batch`), when something is published (the control plane).
//!
//! Metadata is written by code of our own and read back through iceberg-rust, so that the writer is not its own
//! witness. It is byte for byte the same for the same request, which iceberg-rust's writers cannot promise (their
//! Avro files carry a random marker and maps in random order), and it is durable before it has a name.

pub mod catalog;
pub mod collect;
pub mod names;
pub mod partition;
pub mod read;
pub mod schema;
pub mod stage;
pub mod tombstone;
pub mod transform;
pub mod value;

mod avro;
mod bounds;
mod calendar;
mod head;
mod manifest;
mod metadata;
mod statistics;

#[cfg(test)]
pub(crate) mod fixture;
