//! What the fleet's tests are made of: nodes as processes, a client that tries a second node, what the nodes move.

mod client;
mod fleet;
mod lake;
mod namespaces;
mod node;
mod paced;
mod programs;
mod random;
#[expect(dead_code, reason = "it is shared with the tests of one node, which use more of it")]
#[path = "../../end_to_end/support/readers.rs"]
mod readers;
mod scratch;

use std::time::{Duration, Instant};

pub(crate) use client::{Client, Refusal};
pub(crate) use fleet::{Fleet, Options};
pub(crate) use lake::{Lake, policy};
pub(crate) use namespaces::{Networks, in_a_world_of_its_own};
pub(crate) use node::{Config, Node};
pub(crate) use paced::{Call, Group, PacedWorld};
pub(crate) use programs::{Program, cli};
pub(crate) use random::Random;
pub(crate) use readers::Readers;
pub(crate) use scratch::Scratch;

/// A condition that has not come about by then never will: elections, sessions and adoption take seconds, not minutes.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often a condition is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Looks until there is something to see.
#[track_caller]
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

/// A number from the environment, for longer runs of the same tests.
pub(crate) fn number(variable: &str, usual: u32) -> u32 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, which is no number")),
        Err(_) => usual,
    }
}
