//! A clock that follows tokio's time, so that a paused runtime moves it.

use std::time::Duration;

use tokio::time::Instant;

use crate::env::Clock;

/// Follows tokio's time from a given wall time on.
#[derive(Debug)]
pub struct VirtualClock {
    origin: Instant,
    wall_millis: u64,
}

impl VirtualClock {
    /// It is `wall_millis` now. Make it inside of the runtime whose time it follows.
    #[must_use]
    pub fn starting_at(wall_millis: u64) -> Self {
        Self { origin: Instant::now(), wall_millis }
    }
}

impl Clock for VirtualClock {
    fn wall_millis(&self) -> u64 {
        self.wall_millis + u64::try_from(self.monotonic().as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}
