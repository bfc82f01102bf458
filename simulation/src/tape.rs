//! The tape: what happened, line by line, and a hash over all of it.
//!
//! In: lines. Out: the hash, the lines, what contradicts itself. Holds: [`Tape`]; clones are the same tape. Not here:
//! what is worth a line.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skein_protocol::hash::Hash256;
use tokio::time::Instant;

/// What happened so far. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Tape {
    /// The beginning of virtual time.
    epoch: Instant,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<String>,
    hash: Hash256,
    /// Applied entries by their index, as the first node told them: all others must tell the same.
    entries: BTreeMap<u64, (usize, Hash256)>,
    contradictions: Vec<String>,
    marks: BTreeMap<&'static str, u64>,
    frames: u64,
}

impl Tape {
    /// Begins now.
    pub(crate) fn new() -> Self {
        Self { epoch: Instant::now(), inner: Arc::default() }
    }

    /// The moment at which virtual time is `since_start`.
    pub(crate) fn moment(&self, since_start: Duration) -> Instant {
        self.epoch + since_start
    }

    /// Writes what happens to a machine now.
    pub(crate) fn note(&self, machine: usize, what: &str) {
        let micros = self.epoch.elapsed().as_micros();
        let line = format!("{micros} {machine} {what}");
        let mut inner = self.lock();
        inner.write(line);
    }

    /// Writes a frame's way.
    pub(crate) fn frame(&self, machine: usize, what: &str) {
        self.lock().frames += 1;
        self.note(machine, what);
    }

    /// Writes an applied entry; all machines must apply the same at the same index.
    pub(crate) fn applied(&self, machine: usize, index: u64, entry: &str) {
        self.note(machine, &format!("applied {index} {entry}"));
        let hash = Hash256::of(entry.as_bytes());
        let mut inner = self.lock();
        let (first, known) = *inner.entries.entry(index).or_insert((machine, hash));
        if known != hash {
            inner.contradictions.push(format!("machines {first} and {machine} applied different entries at {index}"));
        }
    }

    /// Counts a situation that must come up in a run over many seeds.
    pub(crate) fn mark(&self, situation: &'static str) {
        *self.lock().marks.entry(situation).or_default() += 1;
    }

    /// The hash over all lines.
    pub(crate) fn hash(&self) -> Hash256 {
        self.lock().hash
    }

    /// All lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// What contradicts itself.
    pub(crate) fn contradictions(&self) -> Vec<String> {
        self.lock().contradictions.clone()
    }

    /// How often each situation came up.
    pub(crate) fn marks(&self) -> BTreeMap<&'static str, u64> {
        self.lock().marks.clone()
    }

    /// Frames and entries so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.frames, inner.entries.len() as u64)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, line: String) {
        let mut bytes = self.hash.0.to_vec();
        bytes.extend_from_slice(line.as_bytes());
        self.hash = Hash256::of(&bytes);
        self.lines.push(line);
    }
}
