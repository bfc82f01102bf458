//! A storage backend that counts the syncs and bytes of another one.

use std::io;
use std::sync::Arc;

use redb::StorageBackend;

use crate::env::Clock;
use crate::ledger::LedgerMetrics;

/// Passes everything on, and counts.
#[derive(Debug)]
pub(super) struct Metered {
    pub(super) backend: Box<dyn StorageBackend>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<LedgerMetrics>,
}

impl StorageBackend for Metered {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.backend.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let began = self.clock.monotonic();
        self.backend.sync_data()?;
        self.metrics.synced(self.clock.monotonic().saturating_sub(began));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.metrics.wrote(data.len());
        self.backend.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }
}
