//! What is wrong with the storage of a machine in memory, beside crashes: errors, no room, slowness.
//!
//! In: orders of the test; each write, growth and sync. Out: errors, and until when the device is busy; how often each
//! fault took effect. Holds: [`DiskFaults`]. Not here: what a failed sync does to the bytes (`undo`).

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use tokio::time::Instant;

/// A sync that failed.
const SYNC_FAILED: &str = "sync failed";
/// A write that failed.
const WRITE_FAILED: &str = "write failed";
/// Something for which there was no room.
const DISK_FULL: &str = "disk full";
/// A sync that took as long as it was told to.
const SLOW_SYNC: &str = "slow sync";

/// The faults of one machine's storage.
#[derive(Debug, Default)]
pub(super) struct DiskFaults {
    syncs: u64,
    writes: u64,
    /// The sync and the write, counted from the beginning, that will fail.
    fail_sync: Option<u64>,
    fail_write: Option<u64>,
    /// Bytes that still fit; none: any number.
    room: Option<usize>,
    sync_takes: Duration,
    busy_until: Option<Instant>,
    inflicted: BTreeMap<&'static str, u64>,
}

impl DiskFaults {
    pub(super) fn fail_sync_at(&mut self, k: u64) {
        self.fail_sync = Some(self.syncs + k);
    }

    pub(super) fn fail_write_at(&mut self, k: u64) {
        self.fail_write = Some(self.writes + k);
    }

    pub(super) fn set_room(&mut self, room: Option<usize>) {
        self.room = room;
    }

    pub(super) fn set_sync_takes(&mut self, takes: Duration) {
        self.sync_takes = takes;
    }

    /// No fault is left; those that were ordered do not happen.
    pub(super) fn heal(&mut self) {
        (self.fail_sync, self.fail_write, self.room) = (None, None, None);
        self.sync_takes = Duration::ZERO;
    }

    pub(super) fn inflicted(&self) -> BTreeMap<&'static str, u64> {
        self.inflicted.clone()
    }

    pub(super) fn syncs(&self) -> u64 {
        self.syncs
    }

    pub(super) fn busy_until(&self) -> Option<Instant> {
        self.busy_until
    }

    /// A sync begins.
    ///
    /// # Errors
    /// When it is the one that fails.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        if !self.sync_takes.is_zero() {
            // The device does one thing after the other.
            let now = Instant::now();
            let begins = self.busy_until.map_or(now, |until| until.max(now));
            self.busy_until = Some(begins + self.sync_takes);
            self.count(SLOW_SYNC);
        }
        if self.fail_sync == Some(self.syncs) {
            self.count(SYNC_FAILED);
            return Err(io::Error::other("the device failed to write what was to be synced"));
        }
        Ok(())
    }

    /// A write begins.
    ///
    /// # Errors
    /// When it is the one that fails.
    pub(super) fn write(&mut self) -> io::Result<()> {
        self.writes += 1;
        if self.fail_write == Some(self.writes) {
            self.count(WRITE_FAILED);
            return Err(io::Error::other("the device failed to write"));
        }
        Ok(())
    }

    /// Something is about to take `more` bytes.
    ///
    /// # Errors
    /// When there is no room for them.
    pub(super) fn grow(&mut self, more: usize) -> io::Result<()> {
        let Some(room) = self.room else { return Ok(()) };
        match room.checked_sub(more) {
            Some(left) => {
                self.room = Some(left);
                Ok(())
            }
            None => {
                self.count(DISK_FULL);
                Err(io::Error::new(io::ErrorKind::StorageFull, "there is no room left on the disk"))
            }
        }
    }

    fn count(&mut self, name: &'static str) {
        *self.inflicted.entry(name).or_default() += 1;
    }
}
