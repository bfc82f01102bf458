//! Bounded bypass: what waits for long gets every so many-th turn, whatever else there is.
//!
//! Priorities, fairness and longest-first alone would let a short migration of low priority wait for ever behind an
//! endless stream of others. Ageing of priorities would turn a backlog of days into a queue in which priorities mean nothing.
//! So the order stays as it is, and each [`BYPASS`]-th hand-out goes to who waits longest, if that is longer than
//! [`PATIENCE_MILLIS`]: of so many hand-outs in a row at least one.

/// Each so many-th hand-out goes to who waits longest: an eighth of the slots is little for those in a hurry, and for the others the
/// difference between late and never.
pub const BYPASS: u64 = 8;
/// Waiting for less than this is nothing to be made up for: a quarter of an hour, a few batches' time.
pub const PATIENCE_MILLIS: u64 = 15 * 60 * 1000;

/// How much a node handed out since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turns {
    /// Batches.
    pub batches: u64,
    /// Preparations.
    pub preparations: u64,
}

/// Whether the turn with this number goes to who waits longest.
pub(super) fn is_for_the_patient(number: u64) -> bool {
    number % BYPASS == BYPASS - 1
}

/// Whether somebody who waits since then has waited for long.
pub(super) fn is_patient(since: u64, now: u64) -> bool {
    now.saturating_sub(since) >= PATIENCE_MILLIS
}
