//! openraft's view of the ledger: its types, the log, the state machine, the network.
//!
//! In: calls of openraft. Out: durable log entries, answers. Holds: the adapters, one a file.
//! Not here: proposing (`proposer`), what entries mean (the fold), the database (`store`).

mod log;
mod machine;
mod network;
mod types;

pub(crate) use log::LogStore;
pub(crate) use machine::{Machine, View};
pub(crate) use network::{Network, SnapshotAnswer};
pub(crate) use types::{Batch, Entry, Group, LogId, StorageError, Types};

#[cfg(test)]
mod tests;
