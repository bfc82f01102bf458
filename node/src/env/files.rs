//! The trait for a node's small files.

use std::fmt::Debug;
use std::io;

/// No node file is longer: they hold identities, tokens and certificates.
pub const MAX_NODE_FILE_BYTES: usize = 1 << 20;
/// Names are short enough for every file system, with room for a suffix while a file is written.
const MAX_NAME_BYTES: usize = 100;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// The node's user alone (0600).
    Secret,
    /// Everybody (0644).
    Shared,
}

/// A flat set of small named files that belong to one node. Calls block: use them while starting, or
/// through `Env::blocking`.
pub trait NodeFiles: Debug + Send + Sync + 'static {
    /// The content of `name`, or nothing if there is no such file.
    ///
    /// # Errors
    /// When the file exists and cannot be read, or is longer than [`MAX_NODE_FILE_BYTES`].
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Replaces or creates `name` in one step: after a crash there is the old content or the new, never a
    /// part. Durable when it returns.
    ///
    /// # Errors
    /// When writing fails; then either content may be found.
    fn write(&self, name: &str, bytes: &[u8], mode: FileMode) -> io::Result<()>;

    /// Whether there is a file called `name`.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn exists(&self, name: &str) -> io::Result<bool>;

    /// All names, sorted.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Removes `name`; whether it was there. Durable when it returns.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&self, name: &str) -> io::Result<bool>;
}

/// Refuses names that are not one plain path component.
pub(crate) fn check_name(name: &str) -> io::Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.starts_with('.') || !name.chars().all(plain) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("not a plain file name: {name:?}")));
    }
    Ok(())
}

/// Refuses contents that are too long.
pub(crate) fn check_length(name: &str, bytes: usize) -> io::Result<()> {
    if bytes > MAX_NODE_FILE_BYTES {
        let text = format!("{name} has {bytes} bytes; a node file has at most {MAX_NODE_FILE_BYTES}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(())
}
