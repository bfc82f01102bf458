//! The storage of one machine in memory: ledger disks and node files, one count of operations, one crash.
//!
//! In: operations of the node; from the test, when to crash. Out: their results, which are errors from the
//! crash on. Holds: [`MemoryStorage`]. Not here: what a crash does to one disk (`undo`).

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use redb::StorageBackend;
use skein_protocol::hash::Hash256;

use super::undo::Disk;
use crate::env::files::{check_length, check_name};
use crate::env::{FileMode, LedgerDisk, NodeFiles};

/// The storage of one machine. Clones are the same storage.
///
/// Operations are those that change something: writing, setting a length, syncing; for node files writing and
/// renaming. A crash at the k-th operation lets it happen or not, as the seed wants, reports it failed, and fails
/// everything after it.
#[derive(Debug, Clone)]
pub struct MemoryStorage(Arc<Mutex<Core>>);

#[derive(Debug)]
struct Core {
    random: ChaCha8Rng,
    /// Handles of earlier generations fail for ever.
    generation: u64,
    operations: u64,
    crash_at: Option<u64>,
    crashed: bool,
    /// Syncs succeed and do nothing.
    lying: bool,
    disks: BTreeMap<String, Disk>,
    files: BTreeMap<String, Vec<u8>>,
    /// The content before a change that its folder's sync did not yet make durable.
    unsynced_files: Vec<(String, Option<Vec<u8>>)>,
    /// A disk that was renamed when the crash came: from, to.
    unsynced_rename: Option<(String, String)>,
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
        Arc::new(Handle { generation: self.lock().generation, storage: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    fn check(&self, generation: u64) -> io::Result<()> {
        if self.crashed || generation != self.generation {
            return Err(gone());
        }
        Ok(())
    }

    /// Counts an operation that is about to change something; whether it is the last.
    fn operation(&mut self, generation: u64, what: &str, offset: u64, bytes: &[u8]) -> io::Result<bool> {
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

    fn file_operation(&mut self, generation: u64, name: &str, content: Option<&[u8]>) -> io::Result<()> {
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

fn gone() -> io::Error {
    io::Error::other("the machine has crashed")
}

/// The storage as one start of the node sees it.
#[derive(Debug)]
pub(super) struct Handle {
    generation: u64,
    storage: MemoryStorage,
}

impl Handle {
    fn opened(&self, name: &str) -> Box<dyn StorageBackend> {
        let (generation, storage) = (self.generation, self.storage.clone());
        Box::new(Opened { name: name.to_owned(), generation, storage })
    }
}

impl LedgerDisk for Handle {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageBackend>>> {
        check_name(name)?;
        let core = self.storage.lock();
        core.check(self.generation)?;
        Ok(core.disks.contains_key(name).then(|| self.opened(name)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        check_name(name)?;
        let mut core = self.storage.lock();
        core.check(self.generation)?;
        core.disks.insert(name.to_owned(), Disk::default());
        Ok(self.opened(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let mut core = self.storage.lock();
        let last = core.operation(self.generation, "rename", 0, to.as_bytes())?;
        let disk = core.disks.remove(from).ok_or(io::ErrorKind::NotFound)?;
        core.disks.insert(to.to_owned(), disk);
        if last {
            core.unsynced_rename = Some((from.to_owned(), to.to_owned()));
            return Err(gone());
        }
        Ok(())
    }
}

impl NodeFiles for Handle {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        check_name(name)?;
        let core = self.storage.lock();
        core.check(self.generation)?;
        Ok(core.files.get(name).cloned())
    }

    fn write(&self, name: &str, bytes: &[u8], _mode: FileMode) -> io::Result<()> {
        check_name(name)?;
        check_length(name, bytes.len())?;
        self.storage.lock().file_operation(self.generation, name, Some(bytes))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.read(name).map(|content| content.is_some())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let core = self.storage.lock();
        core.check(self.generation)?;
        Ok(core.files.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<bool> {
        let there = self.exists(name)?;
        if there {
            self.storage.lock().file_operation(self.generation, name, None)?;
        }
        Ok(there)
    }
}

/// One opened ledger disk.
#[derive(Debug)]
struct Opened {
    name: String,
    generation: u64,
    storage: MemoryStorage,
}

impl Opened {
    fn with<R>(&self, act: impl FnOnce(&mut Core) -> io::Result<R>) -> io::Result<R> {
        let mut core = self.storage.lock();
        core.check(self.generation)?;
        act(&mut core)
    }

    fn change(&self, what: &str, offset: u64, bytes: &[u8], act: impl FnOnce(&mut Disk)) -> io::Result<()> {
        self.with(|core| {
            let last = core.operation(self.generation, what, offset, bytes)?;
            act(core.disks.get_mut(&self.name).ok_or_else(gone)?);
            if last { Err(gone()) } else { Ok(()) }
        })
    }
}

fn in_memory(offset: u64) -> usize {
    usize::try_from(offset).expect("a disk in memory is no longer than memory")
}

impl StorageBackend for Opened {
    fn len(&self) -> io::Result<u64> {
        self.with(|core| Ok(core.disks.get(&self.name).ok_or_else(gone)?.bytes().len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|core| {
            let bytes = core.disks.get(&self.name).ok_or_else(gone)?.bytes();
            let from = in_memory(offset);
            let wanted = bytes.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(wanted);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change("set_len", len, &[], |disk| disk.set_len(in_memory(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        // The last operation before a crash must not be a success that nobody hears of: what a sync that fails
        // has done is what the crash keeps of the unsynced writes.
        self.with(|core| {
            if core.operation(self.generation, "sync", 0, &[])? {
                return Err(gone());
            }
            if !core.lying {
                core.disks.get_mut(&self.name).ok_or_else(gone)?.sync();
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change("write", offset, data, |disk| disk.write(in_memory(offset), data))
    }
}
