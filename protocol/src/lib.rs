//! Every decision of Skein as pure functions and plain types.
//!
//! In: documents, views, events. Out: documents, entries, proposals.
//! Holds: the policy language, the plan, the migration's state machine, the ledger's entries and
//! their fold, the scheduler, evidence and its judgement, API and stored types, the trait `DataPlane`.
//! Not here: clocks, randomness, tasks, sockets, files.

pub mod access;
pub mod alert;
pub mod api;
pub mod calls;
mod canonical;
#[cfg(test)]
mod chance;
pub mod connection;
pub mod data_plane;
pub mod defects;
pub mod evidence;
pub mod expr;
pub mod fleet;
pub mod fuzzing;
pub mod hash;
pub mod ids;
pub mod inspection;
pub mod invariant;
pub mod ledger;
pub mod machine;
pub mod peer;
pub mod plan;
pub mod planner;
pub mod policy;
pub mod problem;
pub mod report;
pub mod schedule;
pub mod secret;
pub mod shown;
pub mod types;
pub mod wire;
