//! The replicated log and the vote, as openraft wants them, over the store.
//!
//! Entries that were appended lately stay in memory: they are readable before they are durable, and applying
//! them needs no read from the disk. Vote and positions are in memory too; the store has their durable copies.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{LogFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{AnyError, OptionalSend, RaftLogId, StorageIOError, Vote};
use skein_protocol::defects::{self, Defect};
use skein_protocol::ledger::fold::Fold;
use skein_protocol::wire::{self, Kind};

use super::{Entry, LogId, StorageError, Types};
use crate::ledger::LedgerError;
use crate::ledger::store::{Store, Stored, Write};

/// Entries that stay in memory after they are durable: those that are about to be applied, and a few more for
/// peers that are nearly up to date.
const RECENT_ENTRIES: usize = 256;
/// Encoded bytes of entries that stay in memory, for the same reason.
const RECENT_BYTES: usize = 16 << 20;

/// The log of one ledger. Clones are the same log.
pub(crate) struct LogStore<F: Fold> {
    store: Store,
    head: Arc<Mutex<Head<F>>>,
}

struct Head<F: Fold> {
    vote: Option<Vote<u64>>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    last: Option<LogId>,
    /// Entries up to this index are durable.
    flushed: u64,
    recent: BTreeMap<u64, Recent<F>>,
    recent_bytes: usize,
}

struct Recent<F: Fold> {
    entry: Entry<F>,
    bytes: usize,
}

impl<F: Fold> Clone for LogStore<F> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), head: self.head.clone() }
    }
}

impl<F: Fold> LogStore<F> {
    /// The log as it was stored.
    pub(crate) fn new(store: Store, stored: &Stored) -> Result<Self, LedgerError> {
        let position = |what: &str, frame: &Option<Vec<u8>>| {
            let frame = frame.as_deref();
            let decoded = frame.map(|frame| wire::decode::<LogId>(Kind::LogPosition, frame)).transpose();
            decoded.map_err(|error| LedgerError::damaged(what, error))
        };
        let vote = stored.vote.as_deref().map(|frame| wire::decode(Kind::Vote, frame)).transpose();
        let last = stored.last.as_deref().map(decode_entry::<F>).transpose()?;
        let purged = position("purge position", &stored.purged)?;
        let last = last.map(|entry| *entry.get_log_id()).or(purged);
        let head = Head {
            vote: vote.map_err(|error| LedgerError::damaged("vote", error))?,
            committed: position("commit position", &stored.committed)?,
            purged,
            last,
            flushed: last.map_or(0, |id| id.index),
            recent: BTreeMap::new(),
            recent_bytes: 0,
        };
        Ok(Self { store, head: Arc::new(Mutex::new(head)) })
    }

    /// The last entry's index, if there is any entry.
    pub(crate) fn last_index(&self) -> Option<u64> {
        self.head().last.map(|id| id.index)
    }

    /// Whether nothing was ever stored here.
    pub(crate) fn is_pristine(&self) -> bool {
        let head = self.head();
        head.vote.is_none() && head.last.is_none()
    }

    fn head(&self) -> MutexGuard<'_, Head<F>> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn entries(&self, start: u64, end: u64) -> Result<Vec<Entry<F>>, LedgerError> {
        // What is in memory is the end of the log, without a gap; only what is before it is on the disk alone.
        let (mut found, first) = {
            let head = self.head();
            let first = head.recent.first_key_value().map_or(u64::MAX, |(index, _)| *index);
            let found: Vec<_> =
                head.recent.range(start..end.max(start)).map(|(_, recent)| recent.entry.clone()).collect();
            (found, first)
        };
        if start < first.min(end) {
            let stored = self.store.log(start, first.min(end)).await?;
            let mut all = stored.iter().map(|frame| decode_entry::<F>(frame)).collect::<Result<Vec<_>, _>>()?;
            all.append(&mut found);
            found = all;
        }
        Ok(found)
    }
}

impl<F: Fold> Head<F> {
    fn remember(&mut self, entry: Entry<F>, bytes: usize) {
        let id = *entry.get_log_id();
        self.last = Some(id);
        self.recent_bytes += bytes;
        if let Some(replaced) = self.recent.insert(id.index, Recent { entry, bytes }) {
            self.recent_bytes -= replaced.bytes;
        }
    }

    fn forget_old_entries(&mut self) {
        while (self.recent.len() > RECENT_ENTRIES || self.recent_bytes > RECENT_BYTES)
            && let Some(oldest) = self.recent.first_entry()
            && *oldest.key() <= self.flushed
        {
            self.recent_bytes -= oldest.remove().bytes;
        }
    }

    /// Keeps in memory what is in `[start, end)` alone.
    fn keep(&mut self, start: u64, end: u64) {
        self.recent.retain(|index, _| (start..end).contains(index));
        self.recent_bytes = self.recent.values().map(|recent| recent.bytes).sum();
    }
}

fn decode_entry<F: Fold>(frame: &[u8]) -> Result<Entry<F>, LedgerError> {
    wire::decode(Kind::LogEntry, frame).map_err(|error| LedgerError::damaged("log entry", error))
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl<F: Fold> RaftLogReader<Types<F>> for LogStore<F> {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry<F>>, StorageError> {
        let (start, end) = bounds(&range);
        let read = self.entries(start, end).await;
        read.map_err(|error| StorageIOError::read_logs(AnyError::new(&error)).into())
    }
}

impl<F: Fold> RaftLogStorage<Types<F>> for LogStore<F> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types<F>>, StorageError> {
        let head = self.head();
        Ok(LogState { last_purged_log_id: head.purged, last_log_id: head.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError> {
        let failed = |error: &dyn std::error::Error| StorageIOError::write_vote(AnyError::error(error.to_string()));
        let frame = wire::encode(Kind::Vote, vote).map_err(|error| failed(&error))?;
        if !defects::is(Defect::VoteOnlyInMemory) {
            self.store.write(Write::Vote(frame)).await.map_err(|error| failed(&error))?;
        }
        self.head().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError> {
        Ok(self.head().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.head().committed = committed;
        if let Some(position) = committed {
            let frame = wire::encode(Kind::LogPosition, &position);
            self.store.note_committed(frame.map_err(|error| StorageIOError::write(AnyError::new(&error)))?);
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        // A position that was noted with a commit may name an entry of that commit at most.
        Ok(self.head().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types<F>>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry<F>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut frames = Vec::new();
        let mut last = 0;
        {
            let mut head = self.head();
            head.forget_old_entries();
            for entry in entries {
                let id = *entry.get_log_id();
                let frame = wire::encode(Kind::LogEntry, &entry);
                let frame = frame.map_err(|error| StorageIOError::write_log_entry(id, AnyError::new(&error)))?;
                last = id.index;
                head.remember(entry, frame.len());
                frames.push((id.index, frame));
            }
        }
        let head = self.head.clone();
        let done = move |outcome: Result<(), String>| {
            if outcome.is_ok() {
                let mut head = head.lock().unwrap_or_else(PoisonError::into_inner);
                head.flushed = head.flushed.max(last);
            }
            callback.log_io_completed(outcome.map_err(io::Error::other));
        };
        self.store.submit(Write::Append(frames), Box::new(done)).await;
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        let purged = self.head().purged;
        let last = match from.index.checked_sub(1) {
            Some(before) if purged.is_none_or(|purged| purged.index < before) => {
                let read = self.entries(before, before + 1).await;
                let read = read.map_err(|error| StorageIOError::read_logs(AnyError::new(&error)))?;
                read.first().map(|entry| *entry.get_log_id())
            }
            _ => purged,
        };
        {
            let mut head = self.head();
            head.keep(0, from.index);
            head.last = last;
            head.flushed = head.flushed.min(last.map_or(0, |id| id.index));
        }
        if defects::is(Defect::TruncateOnlyInMemory) {
            return Ok(());
        }
        let written = self.store.write(Write::Truncate { from: from.index }).await;
        written.map_err(|error| StorageIOError::write_logs(AnyError::new(&error)).into())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        let failed = |error: &dyn std::error::Error| StorageIOError::write_logs(AnyError::error(error.to_string()));
        let position = wire::encode(Kind::LogPosition, &upto).map_err(|error| failed(&error))?;
        {
            let mut head = self.head();
            head.keep(upto.index + 1, u64::MAX);
            head.purged = head.purged.max(Some(upto));
            head.last = head.last.max(Some(upto));
        }
        let written = self.store.write(Write::Purge { upto: upto.index, position }).await;
        written.map_err(|error| failed(&error).into())
    }
}
