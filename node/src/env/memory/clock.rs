//! A clock that moves when it is told to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::env::Clock;

/// Noon of the first day of 2026: within the validity of any certificate that a test makes.
const START_MILLIS: u64 = 1_767_268_800_000;

/// A clock that moves when it is told to.
#[derive(Debug)]
pub struct ManualClock {
    wall_millis: AtomicU64,
    monotonic_micros: AtomicU64,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self { wall_millis: AtomicU64::new(START_MILLIS), monotonic_micros: AtomicU64::new(0) }
    }
}

impl ManualClock {
    /// Lets time pass, on both clocks. Fractions of a millisecond are lost on the wall clock.
    pub fn advance(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.wall_millis.fetch_add(millis, Ordering::Relaxed);
        self.monotonic_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Sets the wall clock, to an earlier time too.
    pub fn set_wall_millis(&self, millis: u64) {
        self.wall_millis.store(millis, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn wall_millis(&self) -> u64 {
        self.wall_millis.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.monotonic_micros.load(Ordering::Relaxed))
    }
}
