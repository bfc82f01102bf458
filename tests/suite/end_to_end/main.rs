//! Real processes, end to end: a warehouse that DuckDB wrote, the binaries `skein` and `skein-node`, and readers that
//! share no code with them.
//!
//! Every test has a world of its own (folders, node, port), so that they run beside each other. Nothing here measures
//! time: a test waits for a condition and fails when it does not come about.

mod access;
mod damage;
mod damaged_files;
mod demonstration;
mod iceberg_source;
mod killed;
mod legacy;
mod output;
mod rules;
mod source_changes;
mod undo;
