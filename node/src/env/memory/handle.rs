//! The storage in memory as one start of the node sees it: the traits of `Env` over `MemoryStorage`.
//!
//! A handle belongs to one generation: after a crash and a restart the old ones fail for ever.

use std::io;
use std::sync::Arc;

use redb::StorageBackend;

use super::storage::{Core, MemoryStorage, gone};
use super::undo::Disk;
use crate::env::files::{check_length, check_name};
use crate::env::{FileMode, LedgerDisk, NodeFiles};

/// The storage as one start of the node sees it.
#[derive(Debug)]
pub(super) struct Handle {
    generation: u64,
    storage: MemoryStorage,
}

impl Handle {
    pub(super) fn new(generation: u64, storage: MemoryStorage) -> Self {
        Self { generation, storage }
    }

    fn opened(&self, core: &mut Core, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        if !core.open.insert(name.to_owned()) {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, format!("{name} is in use")));
        }
        let (generation, storage) = (self.generation, self.storage.clone());
        Ok(Box::new(Opened { name: name.to_owned(), generation, storage }))
    }
}

/// Whether one start of a machine still runs; everything of it that outlives a crash asks.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Arc<Handle>);

impl Pulse {
    pub(super) fn of(handle: Arc<Handle>) -> Self {
        Self(handle)
    }

    pub(super) fn beats(&self) -> bool {
        self.0.storage.lock().check(self.0.generation).is_ok()
    }
}

impl LedgerDisk for Handle {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageBackend>>> {
        check_name(name)?;
        let mut core = self.storage.lock();
        core.check(self.generation)?;
        if !core.disks.contains_key(name) {
            return Ok(None);
        }
        self.opened(&mut core, name).map(Some)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        check_name(name)?;
        let mut core = self.storage.lock();
        core.check(self.generation)?;
        let opened = self.opened(&mut core, name)?;
        core.disks.insert(name.to_owned(), Disk::default());
        Ok(opened)
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

    /// Makes room for a write.
    fn make_room(&self, offset: usize, length: usize) -> io::Result<()> {
        self.with(|core| {
            let more = core.disks.get(&self.name).ok_or_else(gone)?.room_for(offset, length);
            core.faults.grow(more)
        })
    }

    fn change(&self, what: &str, offset: u64, bytes: &[u8], act: impl FnOnce(&mut Disk)) -> io::Result<()> {
        self.with(|core| {
            let last = core.operation(self.generation, what, offset, bytes)?;
            act(core.disks.get_mut(&self.name).ok_or_else(gone)?);
            if last { Err(gone()) } else { Ok(()) }
        })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut core = self.storage.lock();
        if core.generation == self.generation {
            core.open.remove(&self.name);
        }
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
            let result = core.faults.sync();
            let lying = core.lying;
            let disk = core.disks.get_mut(&self.name).ok_or_else(gone)?;
            match result {
                Ok(()) if lying => {}
                Ok(()) => disk.sync(),
                Err(_) => disk.fail_sync(),
            }
            result
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.make_room(in_memory(offset), data.len())?;
        let result = self.with(|core| core.faults.write());
        // A write that fails has written a part.
        let written = if result.is_ok() { data } else { &data[..data.len() / 2] };
        self.change("write", offset, written, |disk| disk.write(in_memory(offset), written))?;
        result
    }
}
