//! The storage of one machine in memory: ledger disks and node files, one count of operations, one crash.
//!
//! In: operations of the node; from the test, when to crash and what else goes wrong. Out: their results, which are
//! errors from the crash on. Holds: [`MemoryStorage`]. Not here: what a crash does to one disk (`undo`), faults of a
//! device that goes on (`disk_faults`), the traits (`handle`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use skein_protocol::hash::Hash256;

use super::disk_faults::DiskFaults;
use super::handle::Handle;
use super::undo::Disk;

/// A crash in the middle of an operation.
const CRASH_IN_OPERATION: &str = "crash in a disk operation";

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
    /// Crashes in the middle of an operation so far.
    crashes: u64,
    /// Syncs succeed and do nothing.
    pub(super) lying: bool,
    pub(super) faults: DiskFaults,
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
            crashes: 0,
            lying: false,
            faults: DiskFaults::default(),
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
        core.begin_anew();
    }

    /// Lets new handles work again after the process alone has died: the machine went on, so nothing that was written
    /// is lost, and what was not synced is still not durable.
    pub fn restart_process(&self) {
        self.lock().begin_anew();
    }

    /// Lets the `k`-th sync from now on (from 1) fail: of a ledger disk or of a node file. What it should have made
    /// durable is still read, and no later sync makes it durable: a crash keeps a random part of it.
    pub fn fail_sync_at(&self, k: u64) {
        self.lock().faults.fail_sync_at(k);
    }

    /// Lets the `k`-th write from now on (from 1) fail, after a part of it.
    pub fn fail_write_at(&self, k: u64) {
        self.lock().faults.fail_write_at(k);
    }

    /// From now on there is room for so many more bytes; `None`: for any number.
    pub fn set_room(&self, bytes: Option<usize>) {
        self.lock().faults.set_room(bytes);
    }

    /// From now on each sync takes so long, one after the other.
    pub fn set_sync_takes(&self, takes: Duration) {
        self.lock().faults.set_sync_takes(takes);
    }

    /// The device works again: no faults but a crash that was ordered.
    pub fn heal(&self) {
        self.lock().faults.heal();
    }

    /// How often each kind of fault has taken effect, crashes at an operation among them.
    #[must_use]
    pub fn inflicted(&self) -> BTreeMap<&'static str, u64> {
        let core = self.lock();
        let mut inflicted = core.faults.inflicted();
        if core.crashes > 0 {
            inflicted.insert(CRASH_IN_OPERATION, core.crashes);
        }
        inflicted
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
    /// Handles of before are dead; new ones work.
    fn begin_anew(&mut self) {
        self.open.clear();
        self.generation += 1;
        self.crashed = false;
        self.crash_at = None;
    }

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
        self.crashes += u64::from(self.crashed);
        Ok(self.crashed)
    }

    pub(super) fn file_operation(&mut self, generation: u64, name: &str, content: Option<&[u8]>) -> io::Result<()> {
        // Until its rename a new content is nowhere.
        if self.operation(generation, "prepare", 0, name.as_bytes())? {
            return Err(gone());
        }
        let held = self.files.get(name).map_or(0, Vec::len);
        self.faults.grow(content.map_or(0, <[u8]>::len).saturating_sub(held))?;
        self.faults.write()?;
        let before = match content {
            Some(bytes) => self.files.insert(name.to_owned(), bytes.to_vec()),
            None => self.files.remove(name),
        };
        self.unsynced_files.push((name.to_owned(), before));
        if self.operation(generation, "rename", 0, content.unwrap_or_default())? {
            return Err(gone());
        }
        // A sync that fails leaves the change where it is: a crash may take it back.
        self.faults.sync()?;
        self.unsynced_files.clear();
        Ok(())
    }
}

pub(super) fn gone() -> io::Error {
    io::Error::other("the machine has crashed")
}
