//! The trait for the storage under the ledger.

use std::fmt::Debug;
use std::io;

use redb::StorageBackend;

/// Where the ledger's database lives.
pub trait LedgerDisk: Debug + Send + Sync + 'static {
    /// Opens the storage called `name`, or creates it empty; its existence is durable when this returns.
    ///
    /// # Errors
    /// When the name is not a plain name, or the storage cannot be opened.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>>;
}
