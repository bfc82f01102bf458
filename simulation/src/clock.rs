//! The clock of one machine: it follows virtual time, and it may be wrong.
//!
//! In: virtual time; steps and drift that somebody orders. Out: the node's [`Clock`]. Holds: what outlives the starts of
//! a node, as a clock in a machine does. Not here: timers, which are tokio's and always right.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skein_node::env::Clock;
use tokio::time::Instant;

use crate::shim;

/// No wall clock is further off. Two clocks then differ by less than the ten minutes that certificates allow for.
const MOST_OFF_MILLIS: i64 = 240_000;
/// No clock runs faster or slower than by this many millionths.
const MOST_DRIFT_PPM: i64 = 20_000;
/// A drift is counted once it makes this difference.
const SEEN_DRIFT: Duration = Duration::from_millis(5);
const MILLION: i128 = 1_000_000;

/// The clock of one machine.
#[derive(Debug)]
pub(crate) struct MachineClock {
    /// The beginning of virtual time.
    epoch: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// When the drift was set: in virtual time, and on this clock.
    since: Duration,
    shown: Duration,
    drift_ppm: i64,
    /// The wall clock's own error.
    offset_millis: i64,
    /// A step that nobody has seen yet.
    stepped: bool,
    /// A drift that nobody has seen yet.
    drifts: bool,
    inflicted: BTreeMap<&'static str, u64>,
}

impl MachineClock {
    /// A clock that is right.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self { epoch, inner: Mutex::default() }
    }

    /// Lets the wall clock jump, ahead or back, as far as it may be off at all.
    pub(crate) fn step(&self, millis: i64) {
        let mut inner = self.lock();
        let to = inner.offset_millis.saturating_add(millis).clamp(-MOST_OFF_MILLIS, MOST_OFF_MILLIS);
        inner.stepped |= to != inner.offset_millis;
        inner.offset_millis = to;
    }

    /// From now on both clocks run so many millionths too fast, or too slow if that is negative.
    pub(crate) fn set_drift(&self, ppm: i64) {
        let now = self.epoch.elapsed();
        let mut inner = self.lock();
        (inner.shown, inner.since) = (inner.monotonic(now), now);
        inner.drift_ppm = ppm.clamp(-MOST_DRIFT_PPM, MOST_DRIFT_PPM);
        inner.drifts = inner.drift_ppm != 0;
    }

    /// How often each fault was seen by whoever looked at the clock.
    pub(crate) fn inflicted(&self) -> BTreeMap<&'static str, u64> {
        self.lock().inflicted.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What the clock shows when virtual time is `now`.
    fn monotonic(&self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.since);
        let nanos = i128::try_from(passed.as_nanos()).expect("a simulation takes no ages");
        let nanos = nanos + nanos * i128::from(self.drift_ppm) / MILLION;
        self.shown + Duration::from_nanos(u64::try_from(nanos).expect("drifts are smaller than time itself"))
    }

    /// The monotonic clock, as somebody sees it now.
    fn look(&mut self, now: Duration) -> Duration {
        let shown = self.monotonic(now);
        if self.drifts && (shown - self.shown).abs_diff(now.saturating_sub(self.since)) >= SEEN_DRIFT {
            self.drifts = false;
            *self.inflicted.entry("clock drifted").or_default() += 1;
        }
        shown
    }
}

impl Clock for MachineClock {
    fn wall_millis(&self) -> u64 {
        let now = self.epoch.elapsed();
        let mut inner = self.lock();
        if std::mem::take(&mut inner.stepped) {
            *inner.inflicted.entry("clock stepped").or_default() += 1;
        }
        let passed = u64::try_from(inner.look(now).as_millis()).expect("a simulation takes no ages");
        (shim::dawn_millis() + passed).saturating_add_signed(inner.offset_millis)
    }

    fn monotonic(&self) -> Duration {
        let now = self.epoch.elapsed();
        self.lock().look(now)
    }
}
