//! What the fleet's tests are made of: nodes as processes, a client that tries a second node, what the nodes move.

mod client;
mod fleet;
mod lake;
mod namespaces;
mod node;
mod paced;
mod random;
mod scratch;

pub(crate) use client::{Client, Refusal};
pub(crate) use fleet::{Fleet, Options};
pub(crate) use lake::{Lake, policy};
pub(crate) use namespaces::{Networks, in_a_world_of_its_own};
pub(crate) use node::{Config, Node};
pub(crate) use paced::{Call, Group, PacedWorld};
pub(crate) use random::Random;
pub(crate) use scratch::Scratch;

/// A number from the environment, for longer runs of the same tests.
pub(crate) fn number(variable: &str, usual: u32) -> u32 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, which is no number")),
        Err(_) => usual,
    }
}
