//! The fleet as real processes: nodes that are killed, stalled, cut off, that join and leave, and what must hold all the same.
//!
//! Counts, order and indexes are asserted; times are printed. Every test has a world of its own.

mod credentials;
mod joins_and_leaves;
mod kills;
mod partition;
mod skew;
mod support;
mod zombies;
