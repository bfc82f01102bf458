//! What tells whether a source file is still the one that was planned.
//!
//! In: a file's metadata. Out: length, time and version as the plan keeps them. Not here: listing folders (`listing`).

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use skein_protocol::inspection::SourceFile;

use crate::files::Stat;

/// Length, time of modification and what else identifies a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Length in bytes.
    pub(super) bytes: u64,
    /// Time of last modification, nanoseconds since 1970; 0 for earlier times.
    pub(super) modified_nanos: u64,
    /// Inode and time of last change: these differ for a replaced file of equal length and time. An object's entity tag.
    pub(super) version: String,
}

impl From<Stat> for Identity {
    fn from(stat: Stat) -> Self {
        Self { bytes: stat.bytes, modified_nanos: stat.modified_nanos, version: stat.version }
    }
}

impl Identity {
    /// The identity of the file at `path`, links followed.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&path.metadata()?))
    }

    /// The identity that `metadata` tells.
    pub(super) fn of(metadata: &Metadata) -> Self {
        let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified_nanos = since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0);
        Self { bytes: metadata.len(), modified_nanos, version: version(metadata) }
    }

    /// Whether `file` was planned with this identity.
    pub(super) fn is_of(&self, file: &SourceFile) -> bool {
        self.bytes == file.bytes && self.modified_nanos == file.modified_nanos && self.version == file.version
    }

    /// What differs from `file`, in words.
    pub(super) fn difference(&self, file: &SourceFile) -> String {
        if self.bytes != file.bytes {
            format!("it has {} bytes, {} were planned", self.bytes, file.bytes)
        } else if self.modified_nanos != file.modified_nanos {
            "it was modified".to_owned()
        } else {
            "another file of the same length and time stands in its place".to_owned()
        }
    }
}

#[cfg(unix)]
fn version(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{}-{}.{:09}", metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn version(_: &Metadata) -> String {
    String::new()
}
