//! Fleets of a size that no machine has: the nodes' decisions and the ledger's fold, with modelled membership and durations.
//!
//! In: a [`Setting`] (how many nodes, datasets, deaths). Out: an [`Outcome`], its [`table()`] and its picture ([`svg`]).
//! Holds: nothing between runs; the same setting gives the same history. Not here: real nodes in virtual time (the rest of this
//! crate), real fleets (`bench`).
//!
//! What is the nodes' own: policies and plans, `schedule::decide`, `fleet::{load, stealing, expiry}`, `machine::{next, outcome,
//! publishing}`, the judgement of evidence, `ledger::State`. What is modelled: who is alive, how old gossip is, how fast the log
//! is (measured on a real one), how long work takes (measured on real data), which machines die.

mod agenda;
mod bound;
pub mod command;
mod log;
mod membership;
mod model;
mod node;
mod outcome;
mod picture;
mod process;
mod random;
mod setting;
mod stealing;
mod table;
mod warehouse;
mod work;

pub use membership::Killing;
pub use outcome::{Moment, Outcome};
pub use picture::svg;
pub use setting::Setting;
pub use table::table;

/// Runs a setting to its end.
///
/// # Errors
/// When the setting makes no sense, or its policies are none.
pub fn run(setting: &Setting) -> anyhow::Result<Outcome> {
    model::Model::new(setting)?.run()
}
