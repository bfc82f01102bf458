//! The storage of one machine in memory: ledger disks and node files, one count of operations, one crash.
//!
//! In: operations of the node; from the test, when to crash. Out: their results, which are errors from the
//! crash on. Holds: [`MemoryStorage`]. Not here: what a crash does to one disk (`undo`), the traits (`handle`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use skein_protocol::hash::Hash256;

use super::handle::Handle;
use super::undo::Disk;

/// The storage of one machine. Clones are the same storage.
///
/// Operations are those that change something: writing, setting a length, syncing; for node files writing and
/// renaming. A crash at the k-th operation lets it happen or not, as the seed wants, reports it failed, and fails
/// everything after it.
#[derive(Debug, Clone)]
pub struct MemoryStorage(Arc<Mutex<Core>>);

#[derive(Debug)]
pub(super) struct Core {
    random: ChaCha8Rng,
    /// Handles of earlier generations fail for ever.
    pub(super) generation: u64,
    operations: u64,
    crash_at: Option<u64>,
    crashed: bool,
    /// Syncs succeed and do nothing.
    pub(super) lying: bool,
    pub(super) disks: BTreeMap<String, Disk>,
    /// Disks that are open: as on a real machine, a database has one user.
    pub(super) open: BTreeSet<String>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// The content before a change that its folder's sync did not yet make durable.
    unsynced_files: Vec<(String, Option<Vec<u8>>)>,
    /// A disk that was renamed when the crash came: from, to.
    pub(super) unsynced_rename: Option<(String, String)>,
    /// A hash over all operations and their bytes.
    trace: Hash256,
}

impl MemoryStorage {
    /// Empty storage; what crashes leave behind follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Core {
            random: ChaCha8Rng::seed_from_u64(seed ^ 0x6469_736b),
            generation: 0,
            operations: 0,
            crash_at: None,
            crashed: false,
            lying: false,
            disks: BTreeMap::new(),
            open: BTreeSet::new(),
            files: BTreeMap::new(),
            unsynced_files: Vec::new(),
            unsynced_rename: None,
            trace: Hash256::default(),
        })))
    }

    /// Lets the `k`-th operation from now on (from 1) be the last.
    pub fn crash_at(&self, k: u64) {
        let mut core = self.lock();
        core.crash_at = Some(core.operations + k);
    }

    /// Crashes now.
    pub fn crash(&self) {
        self.lock().crashed = true;
    }

    /// Whether a crash has happened.
    #[must_use]
    pub fn is_crashed(&self) -> bool {
        self.lock().crashed
    }

    /// Takes a random part of what was not synced back, and lets new handles work again.
    pub fn restart(&self) {
        let mut core = self.lock();
        let core = &mut *core;
        for disk in core.disks.values_mut() {
            disk.crash(&mut core.random);
        }
        if let Some((from, to)) = core.unsynced_rename.take()
            && core.random.next_u32().is_multiple_of(2)
            && let Some(disk) = core.disks.remove(&to)
        {
            core.disks.insert(from, disk);
        }
        while let Some((name, before)) = core.unsynced_files.pop() {
            if core.random.next_u32().is_multiple_of(2) {
                // A folder's changes become durable in their order: all earlier ones are kept too.
                break;
            }
            match before {
                Some(bytes) => core.files.insert(name, bytes),
                None => core.files.remove(&name),
            };
        }
        core.unsynced_files.clear();
        core.open.clear();
        core.generation += 1;
        core.crashed = false;
        core.crash_at = None;
    }

    /// Operations so far, over all starts.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// A hash over all operations so far and their bytes: equal for equal histories.
    #[must_use]
    pub fn trace(&self) -> Hash256 {
        self.lock().trace
    }

    /// From now on syncs of ledger disks succeed and do nothing: a device that no node can be safe on. For tests
    /// that want to see their own checks fail.
    pub fn lie_about_syncs(&self) {
        self.lock().lying = true;
    }

    /// Overwrites bytes of a ledger disk behind everybody's back, durably.
    pub fn damage(&self, name: &str, offset: usize, bytes: &[u8]) {
        if let Some(disk) = self.lock().disks.get_mut(name) {
            disk.damage(offset, bytes);
        }
    }

    /// Removes a ledger disk, as somebody who tidies up would.
    pub fn lose_disk(&self, name: &str) {
        self.lock().disks.remove(name);
    }

    /// The length of a ledger disk in bytes; 0 if there is none.
    #[must_use]
    pub fn disk_bytes(&self, name: &str) -> usize {
        self.lock().disks.get(name).map_or(0, |disk| disk.bytes().len())
    }

    pub(super) fn handle(&self) -> Arc<Handle> {
        Arc::new(Handle::new(self.lock().generation, self.clone()))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    pub(super) fn check(&self, generation: u64) -> io::Result<()> {
        if self.crashed || generation != self.generation {
            return Err(gone());
        }
        Ok(())
    }

    /// Counts an operation that is about to change something; whether it is the last.
    pub(super) fn operation(&mut self, generation: u64, what: &str, offset: u64, bytes: &[u8]) -> io::Result<bool> {
        self.check(generation)?;
        self.operations += 1;
        let mut traced = self.trace.0.to_vec();
        traced.extend_from_slice(what.as_bytes());
        traced.extend_from_slice(&offset.to_le_bytes());
        traced.extend_from_slice(bytes);
        self.trace = Hash256::of(&traced);
        self.crashed = self.crash_at == Some(self.operations);
        Ok(self.crashed)
    }

    pub(super) fn file_operation(&mut self, generation: u64, name: &str, content: Option<&[u8]>) -> io::Result<()> {
        // Until its rename a new content is nowhere.
        if self.operation(generation, "prepare", 0, name.as_bytes())? {
            return Err(gone());
        }
        let before = match content {
            Some(bytes) => self.files.insert(name.to_owned(), bytes.to_vec()),
            None => self.files.remove(name),
        };
        self.unsynced_files.push((name.to_owned(), before));
        if self.operation(generation, "rename", 0, content.unwrap_or_default())? {
            return Err(gone());
        }
        self.unsynced_files.clear();
        Ok(())
    }
}

pub(super) fn gone() -> io::Error {
    io::Error::other("the machine has crashed")
}
