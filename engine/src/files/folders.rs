//! Folders that are durable: each is made, and its entry in the folder above forced to the disk, once.
//!
//! In: paths. Out: folders. Holds: [`Folders`], what is known of them. Not here: the files in them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Files;

/// Folders that are remembered: some thousand tables with a few folders each. Past that all are forgotten, which
/// costs only that they are looked at again.
const MAX_KNOWN: usize = 32_768;

/// The folders that are known to be durable.
#[derive(Debug, Default)]
pub(super) struct Folders {
    known: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    /// Makes `folder` and all that are missing above it, durable when it returns.
    pub(super) fn ensure(&self, files: &Files, folder: &Path) -> io::Result<()> {
        // Held throughout: a second caller must not rely on a folder that the first has made but not yet forced to the disk.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown: Vec<&Path> = folder.ancestors().take_while(|above| !known.contains(*above)).collect();
        if known.len() + unknown.len() > MAX_KNOWN {
            known.clear();
        }
        for folder in unknown.into_iter().rev() {
            let created = match fs::create_dir(folder) {
                Ok(()) => true,
                Err(_) if folder.is_dir() => false,
                Err(error) => return Err(error),
            };
            if let Some(above) = folder.parent() {
                let synced = files.sync_folder(above);
                // One that existed may be of a process that died before it forced it to the disk, so it is tried; but
                // folders far above need not be ours to read.
                if created {
                    synced?;
                }
            }
            known.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Forgets everything: a folder was removed by somebody else.
    pub(super) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
