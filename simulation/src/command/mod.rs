//! The subcommands of `skein-sim`.
//!
//! In: arguments. Out: what they print, and the exit code: 0 all is well, 1 a seed failed or something wanted did not come up,
//! 2 the arguments were wrong. Not here: the simulation itself.

mod child;
mod log;
pub mod replay;
pub mod report;
pub mod run;
pub mod shrink;

use crate::Summary;

/// The command that runs a seed again.
#[must_use]
pub fn again(seed: u64, more: &str) -> String {
    format!("cargo run --release -p skein-simulation -- replay {seed}{more}")
}
