//! The trait for the storage under the ledger.

use std::fmt::Debug;
use std::io;

use redb::StorageBackend;

/// Where the ledger's database lives. Calls block.
pub trait LedgerDisk: Debug + Send + Sync + 'static {
    /// Opens the storage called `name`; nothing if there is none.
    ///
    /// # Errors
    /// When the name is not a plain name, or the storage exists and cannot be opened.
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageBackend>>>;

    /// Creates storage called `name`, empty, in place of any that has that name.
    ///
    /// # Errors
    /// When the name is not a plain name, or the storage cannot be created.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>>;

    /// Gives the storage `from` the name `to`, in one step, durable when this returns: what is under `to` after a
    /// crash is complete. A crash before may leave it under `from`.
    ///
    /// # Errors
    /// When it cannot be renamed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
}
