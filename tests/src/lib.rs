//! What the tests of `suite/` are made of: worlds with a warehouse, a lake and a node, the command line, independent readers.
//!
//! In: nothing. Out: what a test starts, asks and waits for. Holds: [`World`], [`Node`], [`Cli`], [`Readers`], [`Program`], [`Service`],
//! [`Store`]. Not here: the tests themselves, fleets of processes (`suite/fleet/support`), nodes within a test's own process (`suite/faults`).

mod cli;
mod node;
mod programs;
mod readers;
mod services;
mod store;
mod world;

use std::time::{Duration, Instant};

pub use cli::{Answer, Cli};
pub use node::{Node, Options, configuration, free_address};
pub use programs::{Program, run};
pub use readers::{Readers, spark};
pub use services::Service;
pub use store::Store;
pub use world::{World, contents, policy};

/// A condition that has not come about by then never will: the slowest of them takes some seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often a condition is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Looks until there is something to see.
///
/// # Panics
/// When there is nothing for minutes.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::park_timeout(LOOK_INTERVAL);
    }
}
