//! What a node counts, and Prometheus' text over it. Belongs to one node; nothing is static.
//!
//! In: events of the actors and the API. Out: [`NodeStats`], a copy at one moment; text (`prometheus`).
//! Not here: what the ledger counts (`ledger::metrics`).

pub mod prometheus;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::ledger::Latency;

/// Latencies are kept to two digits: enough to tell batches apart, 20 KB a histogram.
const DIGITS: u8 = 2;
/// Longest time that is told apart, in microseconds: a day.
const LONGEST_MICROS: u64 = 24 * 60 * 60 * 1_000_000;

/// Counters of one node since it started.
pub struct Metrics(Mutex<Counters>);

struct Counters {
    stats: NodeStats,
    batch_micros: Histogram<u64>,
    work_micros: Histogram<u64>,
    request_micros: Histogram<u64>,
}

/// The counters of a node at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeStats {
    /// Slots in use.
    pub slots_busy: u64,
    /// Preparations that run.
    pub preparations: u64,
    /// Batches handed out.
    pub batches_started: u64,
    /// Batches that came to their end, whatever the evidence said.
    pub batches_ended: u64,
    /// Batches that failed.
    pub batches_failed: u64,
    /// Hand-outs of batches that had failed before.
    pub batch_retries: u64,
    /// Other work (preparation, validation, publication, withdrawal, collection) that was begun.
    pub work_started: u64,
    /// Other work that failed.
    pub work_failed: u64,
    /// Work that was ended from outside, by a pause, a cancellation or a difference elsewhere.
    pub aborted: u64,
    /// Differences that were found.
    pub differences: u64,
    /// Actors of migrations that died and were built again.
    pub migration_restarts: u64,
    /// Dispatchers that died and were built again.
    pub dispatcher_restarts: u64,
    /// Effects that were not begun because the node had no session.
    pub effects_refused: u64,
    /// Entries that the ledger refused because another owner had taken over.
    pub stale_entries: u64,
    /// Times that this node began to lead.
    pub elections_won: u64,
    /// Sessions of other nodes that this node ended while it led.
    pub sessions_expired: u64,
    /// Changes of the voters that this node made while it led.
    pub voter_changes: u64,
    /// Times that this node asked another for work.
    pub steals_asked: u64,
    /// Times that it got some.
    pub steals_won: u64,
    /// Migrations that it got.
    pub migrations_stolen: u64,
    /// Migrations that it gave to others.
    pub migrations_given: u64,
    /// Batches that it handed to others.
    pub batches_lent: u64,
    /// Batches that it ran for others.
    pub batches_borrowed: u64,
    /// Documents that it fetched because it votes and lacked them.
    pub documents_fetched: u64,
    /// Connections that are left alone because they failed again and again.
    pub connections_resting: u64,
    /// Calls of the API that were answered with success.
    pub requests_good: u64,
    /// Calls that were refused: the caller's mistake.
    pub requests_refused: u64,
    /// Calls that failed: the node's.
    pub requests_failed: u64,
    /// One batch, from its start to its end.
    pub batch: Latency,
    /// One piece of other work.
    pub work: Latency,
    /// One call of the API, up to its answer's head.
    pub request: Latency,
}

impl Default for Metrics {
    fn default() -> Self {
        let latencies = || {
            Histogram::new_with_bounds(1, LONGEST_MICROS, DIGITS)
                .expect("1 .. a day at two digits are bounds that the histogram allows")
        };
        Self(Mutex::new(Counters {
            stats: NodeStats::default(),
            batch_micros: latencies(),
            work_micros: latencies(),
            request_micros: latencies(),
        }))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

impl Metrics {
    /// The counters now.
    #[must_use]
    pub fn stats(&self) -> NodeStats {
        self.with(|counters| NodeStats {
            batch: latency(&counters.batch_micros),
            work: latency(&counters.work_micros),
            request: latency(&counters.request_micros),
            ..counters.stats
        })
    }

    /// Changes counters.
    pub(crate) fn count(&self, change: impl FnOnce(&mut NodeStats)) {
        self.with(|counters| change(&mut counters.stats));
    }

    pub(crate) fn batch_took(&self, time: Duration) {
        self.with(|counters| record(&mut counters.batch_micros, time));
    }

    pub(crate) fn work_took(&self, time: Duration) {
        self.with(|counters| record(&mut counters.work_micros, time));
    }

    pub(crate) fn request_took(&self, time: Duration) {
        self.with(|counters| record(&mut counters.request_micros, time));
    }

    fn with<R>(&self, act: impl FnOnce(&mut Counters) -> R) -> R {
        // Counters stay usable whatever panicked beside them.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

fn latency(histogram: &Histogram<u64>) -> Latency {
    Latency {
        count: histogram.len(),
        p50_micros: histogram.value_at_quantile(0.5),
        p99_micros: histogram.value_at_quantile(0.99),
        max_micros: histogram.max(),
    }
}
