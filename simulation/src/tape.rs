//! The tape: what happened, line by line, and a hash over all of it.
//!
//! In: lines, applied entries. Out: the hash, the lines, what contradicts itself, which invariants do not hold. Holds: [`Tape`];
//! clones are the same tape. Not here: what is worth a line, the invariants (`skein_protocol::invariant`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skein_node::ledger::Applied;
use skein_protocol::hash::Hash256;
use skein_protocol::invariant::{Fed, Follower, Violation};
use skein_protocol::ledger::{Entry, State};
use tokio::time::Instant;

use crate::marks;

/// The costly invariants are checked each time that so many entries were applied, and at the end.
const WHOLE_EACH: u64 = 150;
/// One broken invariant breaks others, and every later entry breaks them again: so many are kept.
const MOST_VIOLATIONS: usize = 20;

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
    /// Folds what the nodes apply, once, and looks at the invariants.
    follower: Follower,
    /// The machine that told of an entry behind a gap.
    gap: Option<usize>,
    /// The keys of requests that were applied.
    keys: BTreeSet<String>,
    /// Entries until the next look at the whole.
    until_whole: u64,
    violations: Vec<String>,
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
    pub(crate) fn applied(&self, machine: usize, applied: &Applied<State>) {
        let (index, proposal) = (applied.index, &applied.proposal);
        let entry = format!("{} {} {:?} -> {:?}", proposal.at_millis, proposal.actor, proposal.entry, applied.answer);
        self.note(machine, &format!("applied {index} {entry}"));
        let hash = Hash256::of(entry.as_bytes());
        let mut inner = self.lock();
        let (first, known) = *inner.entries.entry(index).or_insert((machine, hash));
        if known != hash {
            let why = format!("one-order: machines {first} and {machine} applied different entries at {index}");
            inner.contradictions.push(why);
        }
        match inner.follower.feed(index, proposal, &applied.answer) {
            Fed::Checked(violations) => {
                inner.violated(violations);
                if let Entry::PolicyApplied { key: Some(key), .. } = &proposal.entry
                    && !inner.keys.insert(key.key.clone())
                {
                    inner.mark("request repeated under its key");
                }
                marks::of_entry(&proposal.entry, &applied.answer).into_iter().for_each(|mark| inner.mark(mark));
                inner.until_whole = inner.until_whole.saturating_sub(1);
                if inner.until_whole == 0 {
                    inner.look_at_whole();
                }
            }
            Fed::Known => {}
            Fed::Gap => inner.gap = Some(machine),
        }
    }

    /// A machine's node has skipped entries.
    pub(crate) fn skipped(&self, machine: usize) {
        self.note(machine, "applied a snapshot");
        self.mark("snapshot applied");
        self.lock().gap.get_or_insert(machine);
    }

    /// Closes a gap with the state of the machine that told of it.
    pub(crate) fn catch_up(&self, state_of: impl FnOnce(usize) -> Option<(u64, State)>) {
        let gap = self.lock().gap;
        if let Some((index, state)) = gap.and_then(state_of) {
            let mut inner = self.lock();
            inner.gap = None;
            if index > inner.follower.index() {
                let violations = inner.follower.jump(index, state);
                inner.violated(violations);
            }
        }
    }

    /// Looks at everything once more; which invariants did not hold, at any time.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut inner = self.lock();
        inner.look_at_whole();
        inner.violations.clone()
    }

    /// Counts a situation that must come up in a run over many seeds.
    pub(crate) fn mark(&self, situation: &'static str) {
        self.lock().mark(situation);
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
    fn mark(&mut self, situation: &'static str) {
        *self.marks.entry(situation).or_default() += 1;
    }

    fn look_at_whole(&mut self) {
        self.until_whole = WHOLE_EACH;
        let violations = self.follower.whole();
        self.violated(violations);
    }

    fn violated(&mut self, violations: Vec<Violation>) {
        for violation in violations {
            let text = violation.to_string();
            if self.violations.len() < MOST_VIOLATIONS && !self.violations.contains(&text) {
                self.violations.push(text);
            }
        }
    }

    fn write(&mut self, line: String) {
        let mut bytes = self.hash.0.to_vec();
        bytes.extend_from_slice(line.as_bytes());
        self.hash = Hash256::of(&bytes);
        self.lines.push(line);
    }
}
