//! Folders that are durable: each is made, and its entry in the folder above forced to the disk, once.
//!
//! In: paths. Out: folders. Holds: [`Folders`], what is known of them. Not here: the files in them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
        let unknown: Vec<&Path> = {
            let known = self.known();
            folder.ancestors().take_while(|above| !known.contains(*above)).collect()
        };
        // All are made before the first is forced to the disk: a file system with a journal then writes them at once, and
        // the other calls cost next to nothing. Nothing is held meanwhile: two callers may both force a folder to the
        // disk, but neither relies on one of which nobody has done so.
        let mut made = Vec::with_capacity(unknown.len());
        for folder in unknown.iter().rev() {
            made.push(match fs::create_dir(folder) {
                Ok(()) => true,
                Err(_) if folder.is_dir() => false,
                Err(error) => return Err(error),
            });
        }
        for (folder, created) in unknown.iter().rev().zip(made) {
            let Some(above) = folder.parent() else { continue };
            match files.sync_folder(above) {
                // Folders far above need not be ours to read; those have been there for long.
                Err(error) if !created && error.kind() == io::ErrorKind::PermissionDenied => {}
                other => other?,
            }
        }
        let mut known = self.known();
        if known.len() + unknown.len() > MAX_KNOWN {
            known.clear();
        }
        known.extend(unknown.into_iter().map(Path::to_owned));
        Ok(())
    }

    /// Forgets everything: a folder was removed by somebody else.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
