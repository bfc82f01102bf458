//! What the tests are made of: a world with a warehouse, a lake and a node; the command line; independent readers.

mod binaries;
mod cli;
mod node;
mod readers;
mod world;

use std::time::{Duration, Instant};

pub(crate) use binaries::skein;
pub(crate) use cli::{Answer, Cli};
pub(crate) use node::{Node, Options};
pub(crate) use readers::Readers;
pub(crate) use world::{World, contents, policy};

/// A condition that has not come about by then never will: the slowest of them takes some seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often a condition is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Looks until there is something to see.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::park_timeout(LOOK_INTERVAL);
    }
}
