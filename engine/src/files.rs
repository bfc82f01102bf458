//! Files that are written once: created new, hashed as they are written, durable before anybody is told.
//!
//! In: bytes and names. Out: [`StagedWriter`], lengths and hashes. Holds: [`Files`], which counts what it forces to the
//! disk. Not here: what the files hold, which files may be removed (`iceberg::collect`).
//!
//! A name is never given to an incomplete file twice: data files have names of their own for each attempt, and
//! [`Files::write_new`] gives a name only to a file that is complete and on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use folders::Folders;
use skein_protocol::evidence::Sum128;
use xxhash_rust::xxh3::Xxh3;

mod folders;
#[cfg(test)]
mod tests;

/// Bytes that are read at once when a file is hashed: large enough that system calls do not count.
const HASH_BUFFER_BYTES: usize = 256 * 1024;

/// Where durable files are made. Clones share the counter and what is known of folders.
#[derive(Debug, Clone)]
pub struct Files {
    fsyncs: Arc<AtomicU64>,
    temporaries: Arc<AtomicU64>,
    folders: Arc<Folders>,
}

impl Files {
    /// Files that add each `fsync` to `fsyncs`.
    #[must_use]
    pub fn new(fsyncs: Arc<AtomicU64>) -> Self {
        Self { fsyncs, temporaries: Arc::default(), folders: Arc::default() }
    }

    /// How often a file or a folder was forced to the disk.
    #[must_use]
    pub fn fsyncs(&self) -> u64 {
        self.fsyncs.load(Ordering::Relaxed)
    }

    /// Creates the file `path` and the folders above it; the writer hashes what passes.
    ///
    /// # Errors
    /// When the name exists (even as a dangling link), or the file or a folder cannot be made.
    pub fn create_new(&self, path: &Path) -> io::Result<StagedWriter> {
        let file = self.open_new(path)?;
        Ok(StagedWriter {
            files: self.clone(),
            path: path.to_owned(),
            file: Some(file),
            hasher: Box::new(Xxh3::new()),
            bytes: 0,
        })
    }

    /// Gives `path` to a new file with exactly these bytes; durable when it returns. A file with the same bytes that
    /// stands there already is as good.
    ///
    /// # Errors
    /// `AlreadyExists` when a file with other bytes stands there; else when the disk refuses.
    pub fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.write_new_set(&[(path, bytes)])
    }

    /// Like [`Files::write_new`] for several files, which get their names one after the other. Each folder is forced
    /// to the disk once, at the end.
    ///
    /// # Errors
    /// As [`Files::write_new`]; the files before the one that failed keep their names.
    pub fn write_new_set(&self, set: &[(&Path, &[u8])]) -> io::Result<()> {
        let mut folders = Vec::new();
        for (path, bytes) in set {
            self.name_complete_file(path, bytes)?;
            let folder = folder_of(path)?;
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders.into_iter().try_for_each(|folder| self.sync_folder(folder))
    }

    /// Makes a folder and those that are missing above it; durable when it returns.
    ///
    /// # Errors
    /// When one of them cannot be made.
    pub fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.folders.ensure(self, folder)
    }

    /// Forces the entries of a folder to the disk.
    ///
    /// # Errors
    /// When the folder cannot be opened or the disk refuses.
    pub fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.count_fsync();
        match File::open(folder)?.sync_all() {
            // Some network file systems keep folders durable by themselves and refuse to be asked.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other,
        }
    }

    fn count_fsync(&self) {
        self.fsyncs.fetch_add(1, Ordering::Relaxed);
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.count_fsync();
        file.sync_all()
    }

    fn open_new(&self, path: &Path) -> io::Result<File> {
        let open = || OpenOptions::new().write(true).create_new(true).open(path);
        let folder = folder_of(path)?;
        self.folders.ensure(self, folder)?;
        match open() {
            // Somebody removed a folder that was known to exist.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.folders.forget();
                self.folders.ensure(self, folder)?;
                open()
            }
            other => other,
        }
    }

    /// Writes under another name first, so that `path` never names half a file.
    fn name_complete_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let name = path.file_name().ok_or_else(|| no_folder(path))?.to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}-{number}.part", std::process::id()));
        let mut file = self.open_new(&temporary)?;
        let done = file.write_all(bytes).and_then(|()| self.sync(&file)).and_then(|()| {
            match fs::hard_link(&temporary, path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.accept_equal(path, bytes),
                other => other,
            }
        });
        let removed = fs::remove_file(&temporary);
        done.and(removed)
    }

    fn accept_equal(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = File::open(path)?;
        let mut found = Vec::new();
        (&file).take(bytes.len() as u64 + 1).read_to_end(&mut found)?;
        if found == bytes {
            return self.sync(&file);
        }
        let message = format!("another file stands at {}", path.display());
        Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
    }
}

/// Writes one new file. What is not finished is removed when it is dropped, if that can be done.
pub struct StagedWriter {
    files: Files,
    path: PathBuf,
    file: Option<File>,
    hasher: Box<Xxh3>,
    bytes: u64,
}

impl StagedWriter {
    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Forces the file and its name to the disk; its length in bytes and the XXH3-128 of its content.
    ///
    /// # Errors
    /// When the disk refuses; the file is removed then, if that can be done.
    pub fn finish(self) -> io::Result<(u64, Sum128)> {
        let (files, path) = (self.files.clone(), self.path.clone());
        let finished = self.finish_before_folder()?;
        files.sync_folder(folder_of(&path)?)?;
        Ok(finished)
    }

    /// Like [`StagedWriter::finish`], but the name is durable only after [`Files::sync_folder`]: for many files
    /// in one folder.
    ///
    /// # Errors
    /// As [`StagedWriter::finish`].
    pub fn finish_before_folder(mut self) -> io::Result<(u64, Sum128)> {
        let Some(file) = &self.file else {
            return Err(io::Error::other("the file was finished before"));
        };
        self.files.sync(file)?;
        self.file = None;
        Ok((self.bytes, Sum128(self.hasher.digest128())))
    }
}

impl Write for StagedWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else {
            return Err(io::Error::other("the file was finished before"));
        };
        let written = file.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for StagedWriter {
    fn drop(&mut self) {
        if self.file.take().is_some()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "unfinished_file_stays");
        }
    }
}

impl std::fmt::Debug for StagedWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StagedWriter").field("path", &self.path).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Length in bytes and XXH3-128 of a file's content.
///
/// # Errors
/// When the file cannot be read.
pub fn hash_file(path: &Path) -> io::Result<(u64, Sum128)> {
    let mut file = File::open(path)?;
    let mut hasher = Box::new(Xxh3::new());
    let mut buffer = vec![0; HASH_BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((bytes, Sum128(hasher.digest128()))),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A location that does not name a file of this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an absolute path nor a file: URI without a host")]
pub struct NotALocation(pub String);

/// The path of a location: an absolute path, or one behind `file:` or `file://`. Skein itself writes plain paths:
/// every reader takes them, and characters such as `%` and `#` mean themselves in them.
///
/// # Errors
/// When it is something else.
pub fn path_of(location: &str) -> Result<PathBuf, NotALocation> {
    let path = location.strip_prefix("file://").or_else(|| location.strip_prefix("file:")).unwrap_or(location);
    if path.starts_with('/') { Ok(PathBuf::from(path)) } else { Err(NotALocation(location.to_owned())) }
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).ok_or_else(|| no_folder(path))
}

fn no_folder(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no file in a folder", path.display()))
}
