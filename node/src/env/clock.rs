//! The trait for clocks.

use std::fmt::Debug;
use std::time::Duration;

/// Tells the time. Waiting is tokio's business.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Milliseconds since 1970, as the machine believes. May jump in both directions.
    fn wall_millis(&self) -> u64;

    /// Time since some fixed moment; never goes back. For measuring durations.
    fn monotonic(&self) -> Duration;
}
