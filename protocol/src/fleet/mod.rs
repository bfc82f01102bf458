//! Every decision of a fleet: who gets work, who gives some away, who counts as dead, who votes, what is tried again.
//!
//! In: views of the fleet (from gossip and from the ledger), times as numbers, randomness as a number. Out: decisions. Pure:
//! the node asks, records what is decided in the ledger, and acts then. Not here: which steps of its own work a node takes
//! now (`schedule`), what the ledger accepts (`ledger`).

pub mod breaker;
pub mod expiry;
pub mod load;
pub mod placement;
pub mod stealing;
pub mod voters;

#[cfg(test)]
mod model;
