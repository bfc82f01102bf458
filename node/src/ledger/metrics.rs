//! What a ledger counts: commits, syncs, latencies, batch sizes. Belongs to one ledger; nothing is static.
//!
//! In: events of the writer, the proposer and the storage. Out: [`LedgerStats`], a copy at one moment.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Latencies are kept to two digits: enough to see a disk that got slower, 20 KB a histogram.
const DIGITS: u8 = 2;
/// Longest latency that is told apart, in microseconds: ten minutes.
const LONGEST_MICROS: u64 = 600_000_000;

/// Counters of one ledger since it was opened.
pub struct LedgerMetrics(Mutex<Counters>);

struct Counters {
    syncs: u64,
    written_bytes: u64,
    commits: u64,
    commit_writes: u64,
    batches: u64,
    proposals: u64,
    repeated: u64,
    retries: u64,
    snapshots: u64,
    sync_micros: Histogram<u64>,
    commit_micros: Histogram<u64>,
    propose_micros: Histogram<u64>,
}

/// A latency's distribution, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// Measurements.
    pub count: u64,
    /// Half are shorter.
    pub p50_micros: u64,
    /// 99 of 100 are shorter.
    pub p99_micros: u64,
    /// The longest.
    pub max_micros: u64,
}

/// The counters of a ledger at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerStats {
    /// fsync calls of the storage, whatever for.
    pub syncs: u64,
    /// Bytes written to the storage.
    pub written_bytes: u64,
    /// Durable commits.
    pub commits: u64,
    /// Writes (appends, blobs, votes, purges, snapshots) that these commits carried.
    pub commit_writes: u64,
    /// Log entries that this node proposed; each is a batch of proposals.
    pub batches: u64,
    /// Proposals that this node made and that were answered.
    pub proposals: u64,
    /// Answers that were given a second time.
    pub repeated: u64,
    /// Batches that were proposed again because their outcome was unknown.
    pub retries: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// One fsync.
    pub sync: Latency,
    /// One durable commit.
    pub commit: Latency,
    /// From proposing to the answer.
    pub propose: Latency,
}

impl Default for LedgerMetrics {
    fn default() -> Self {
        let latencies = || {
            Histogram::new_with_bounds(1, LONGEST_MICROS, DIGITS)
                .expect("1 .. ten minutes at two digits are bounds that the histogram allows")
        };
        Self(Mutex::new(Counters {
            syncs: 0,
            written_bytes: 0,
            commits: 0,
            commit_writes: 0,
            batches: 0,
            proposals: 0,
            repeated: 0,
            retries: 0,
            snapshots: 0,
            sync_micros: latencies(),
            commit_micros: latencies(),
            propose_micros: latencies(),
        }))
    }
}

impl fmt::Debug for LedgerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

impl LedgerMetrics {
    /// The counters now.
    #[must_use]
    pub fn stats(&self) -> LedgerStats {
        self.with(|counters| LedgerStats {
            syncs: counters.syncs,
            written_bytes: counters.written_bytes,
            commits: counters.commits,
            commit_writes: counters.commit_writes,
            batches: counters.batches,
            proposals: counters.proposals,
            repeated: counters.repeated,
            retries: counters.retries,
            snapshots: counters.snapshots,
            sync: latency(&counters.sync_micros),
            commit: latency(&counters.commit_micros),
            propose: latency(&counters.propose_micros),
        })
    }

    pub(crate) fn synced(&self, took: Duration) {
        self.with(|counters| {
            counters.syncs += 1;
            record(&mut counters.sync_micros, took);
        });
    }

    pub(crate) fn wrote(&self, bytes: usize) {
        self.with(|counters| counters.written_bytes += bytes as u64);
    }

    pub(crate) fn committed(&self, writes: usize, took: Duration) {
        self.with(|counters| {
            counters.commits += 1;
            counters.commit_writes += writes as u64;
            record(&mut counters.commit_micros, took);
        });
    }

    pub(crate) fn batch(&self) {
        self.with(|counters| counters.batches += 1);
    }

    pub(crate) fn retried(&self) {
        self.with(|counters| counters.retries += 1);
    }

    pub(crate) fn snapshot(&self) {
        self.with(|counters| counters.snapshots += 1);
    }

    pub(crate) fn answered(&self, repeated: bool, took: Duration) {
        self.with(|counters| {
            counters.proposals += 1;
            counters.repeated += u64::from(repeated);
            record(&mut counters.propose_micros, took);
        });
    }

    fn with<R>(&self, act: impl FnOnce(&mut Counters) -> R) -> R {
        // Counters stay usable whatever panicked beside them.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn record(histogram: &mut Histogram<u64>, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    histogram.saturating_record(micros);
}

fn latency(histogram: &Histogram<u64>) -> Latency {
    Latency {
        count: histogram.len(),
        p50_micros: histogram.value_at_quantile(0.5),
        p99_micros: histogram.value_at_quantile(0.99),
        max_micros: histogram.max(),
    }
}
