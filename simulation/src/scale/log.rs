//! The pace of the replicated log: when what a node proposes is a fact.
//!
//! One leader takes entries one after the other; each is a fact after a quorum's fsync, of which many entries share one. An
//! election stops everything for a while. Not here: what entries do (the real fold).

/// What one entry costs the leader, microseconds: 14,000 to 23,000 entries a second were measured on two busy cores.
const ENTRY_MICROS: u64 = 60;
/// What each migration that an entry names costs beyond that.
const ITEM_MICROS: u64 = 2;
/// From the leader's turn until a quorum has it on disk and everybody has applied it.
const COMMIT_MICROS: u64 = 8_000;
/// One way between two nodes.
pub(super) const NET_MICROS: u64 = 500;
/// How long nobody leads after a leader's end.
pub(super) const ELECTION_MICROS: u64 = 2_000_000;

/// When the leader has time again.
#[derive(Default)]
pub(super) struct Log {
    free_at: u64,
    /// Entries by the second in which they were proposed.
    by_second: Vec<u32>,
    /// Longest time from a proposal to its application.
    pub(super) longest_micros: u64,
}

impl Log {
    /// When an entry that names so many migrations and is proposed now will be applied.
    pub(super) fn applied_at(&mut self, now: u64, items: usize) -> u64 {
        let cost = ENTRY_MICROS + ITEM_MICROS * items as u64;
        self.free_at = self.free_at.max(now + NET_MICROS) + cost;
        let second = usize::try_from(now / 1_000_000).unwrap_or(usize::MAX);
        if self.by_second.len() <= second {
            self.by_second.resize(second + 1, 0);
        }
        self.by_second[second] += 1;
        let applied = self.free_at + COMMIT_MICROS;
        self.longest_micros = self.longest_micros.max(applied - now);
        applied
    }

    /// The leader is gone.
    pub(super) fn elect(&mut self, now: u64) {
        self.free_at = self.free_at.max(now) + ELECTION_MICROS;
    }

    /// Most entries that were proposed in a second.
    pub(super) fn busiest_second(&self) -> u32 {
        self.by_second.iter().copied().max().unwrap_or_default()
    }
}
