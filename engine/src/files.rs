//! Files that are written once: created new, hashed as they are written, durable before anybody is told.
//!
//! In: bytes and locations, on this machine or in object stores. Out: [`StagedWriter`], [`Opened`], lengths and hashes.
//! Holds: [`Files`], which counts what it forces to the disk. Not here: what the files hold, which files may be removed (`iceberg::collect`).
//!
//! A name is never given to an incomplete file twice: data files have names of their own for each attempt, and
//! [`Files::write_new`] gives a name only to a file that is complete and on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use folders::Folders;
use skein_protocol::connection::is_object;
use skein_protocol::evidence::Sum128;
use xxhash_rust::xxh3::Xxh3;

mod folders;
mod objects;
mod opened;
mod stat;
#[cfg(test)]
mod tests;
mod vended;
mod writer;

pub use objects::ObjectStores;
pub use opened::{Cursor, Opened};
pub use stat::Stat;
pub(crate) use vended::{Vended, Vendor};
pub use writer::StagedWriter;

/// Bytes that are read at once when a file is hashed: large enough that system calls do not count.
const HASH_BUFFER_BYTES: usize = 256 * 1024;

/// Where durable files are made and read again: on disks of this machine and in object stores. Clones share the counter,
/// what is known of folders, and the stores.
#[derive(Debug, Clone)]
pub struct Files {
    fsyncs: Arc<AtomicU64>,
    temporaries: Arc<AtomicU64>,
    folders: Arc<Folders>,
    objects: Arc<ObjectStores>,
}

/// What lies in a folder of staged files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name in the folder.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// What lies directly in a folder of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFolder {
    /// Objects by their names in the folder.
    pub objects: Vec<(String, Stat)>,
    /// Names of folders.
    pub folders: Vec<String>,
}

impl Files {
    /// Files of this machine that add each `fsync` to `fsyncs`.
    #[must_use]
    pub fn new(fsyncs: Arc<AtomicU64>) -> Self {
        Self::with_objects(fsyncs, Arc::default())
    }

    /// The same with object stores.
    #[must_use]
    pub fn with_objects(fsyncs: Arc<AtomicU64>, objects: Arc<ObjectStores>) -> Self {
        Self { fsyncs, temporaries: Arc::default(), folders: Arc::default(), objects }
    }

    /// How often a file or a folder was forced to the disk.
    #[must_use]
    pub fn fsyncs(&self) -> u64 {
        self.fsyncs.load(Ordering::Relaxed)
    }

    /// Creates the file or object at `location` and the folders above it; the writer hashes what passes.
    ///
    /// # Errors
    /// When the name exists (even as a dangling link), or the file or a folder cannot be made. For an object it may be
    /// the writer that tells.
    pub fn create_new(&self, location: &str) -> io::Result<StagedWriter> {
        if is_object(location) {
            let object = self.objects.object(location)?;
            return Ok(StagedWriter::object(self.clone(), Arc::clone(&self.objects), object));
        }
        let path = local(location)?;
        let file = self.open_new(&path)?;
        Ok(StagedWriter::file(self.clone(), path, file))
    }

    /// Opens what lies at `location` for reading.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn open(&self, location: &str) -> io::Result<Opened> {
        if is_object(location) {
            return Opened::object(Arc::clone(&self.objects), self.objects.object(location)?);
        }
        Opened::local(File::open(local(location)?)?)
    }

    /// All bytes at `location`.
    ///
    /// # Errors
    /// As [`Files::open`].
    pub fn read(&self, location: &str) -> io::Result<Vec<u8>> {
        if is_object(location) {
            return self.objects.read(&self.objects.object(location)?).map(Into::into);
        }
        fs::read(local(location)?)
    }

    /// Length in bytes of what lies at `location`.
    ///
    /// # Errors
    /// As [`Files::open`].
    pub fn length(&self, location: &str) -> io::Result<u64> {
        if is_object(location) {
            return self.objects.head(&self.objects.object(location)?).map(|found| found.size);
        }
        fs::metadata(local(location)?).map(|found| found.len())
    }

    /// Length in bytes and XXH3-128 of what lies at `location`.
    ///
    /// # Errors
    /// As [`Files::open`].
    pub fn hash(&self, location: &str) -> io::Result<(u64, Sum128)> {
        let mut from = self.open(location)?.from(0);
        let mut hasher = Box::new(Xxh3::new());
        let mut buffer = vec![0; HASH_BUFFER_BYTES];
        let mut bytes = 0;
        loop {
            match from.read(&mut buffer) {
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

    /// The objects directly in the folder `location` of a store.
    ///
    /// # Errors
    /// When it is no location in a store, or the store refuses.
    pub fn list_objects(&self, location: &str) -> io::Result<Vec<Listed>> {
        let (found, _) = self.objects.list(&self.objects.object(location)?)?;
        let listed = |meta: object_store::ObjectMeta| {
            Some(Listed { name: meta.location.filename()?.to_owned(), bytes: meta.size })
        };
        Ok(found.into_iter().filter_map(listed).collect())
    }

    /// What lies directly in the folder `location` of a store.
    ///
    /// # Errors
    /// As [`Files::list_objects`].
    pub fn list_folder(&self, location: &str) -> io::Result<ListedFolder> {
        let folder = self.objects.object(location)?;
        let (found, folders) = self.objects.list(&folder)?;
        // The folder's own mark is not in it.
        let named = |meta: &object_store::ObjectMeta| Some((folder.path_to(meta)?, Stat::of(meta)));
        Ok(ListedFolder { objects: found.iter().filter_map(named).collect(), folders })
    }

    /// All objects in the folder `location` of a store and in the folders below it, at most `most`, by their paths from there.
    ///
    /// # Errors
    /// As [`Files::list_objects`].
    pub fn list_below(&self, location: &str, most: usize) -> io::Result<Vec<(String, Stat)>> {
        let folder = self.objects.object(location)?;
        let found = self.objects.list_below(&folder, most)?;
        Ok(found.into_iter().map(|(path, meta)| (path, Stat::of(&meta))).collect())
    }

    /// What the store says of the object at `location`.
    ///
    /// # Errors
    /// As [`Files::open`].
    pub fn stat_object(&self, location: &str) -> io::Result<Stat> {
        self.objects.head(&self.objects.object(location)?).map(|found| Stat::of(&found))
    }

    /// Removes an object; one that is gone already is as good.
    ///
    /// # Errors
    /// As [`Files::list_objects`].
    pub fn remove_object(&self, location: &str) -> io::Result<()> {
        self.objects.remove(&self.objects.object(location)?)
    }

    /// Gives `location` to a new file with exactly these bytes; durable when it returns. A file with the same bytes that
    /// stands there already is as good.
    ///
    /// # Errors
    /// `AlreadyExists` when a file with other bytes stands there; else when the disk refuses.
    pub fn write_new(&self, location: &str, bytes: &[u8]) -> io::Result<()> {
        self.write_new_set(&[(location, bytes)])
    }

    /// Like [`Files::write_new`] for several files, which get their names one after the other. Each folder is forced
    /// to the disk once, at the end.
    ///
    /// # Errors
    /// As [`Files::write_new`]; the files before the one that failed keep their names.
    pub fn write_new_set(&self, set: &[(&str, &[u8])]) -> io::Result<()> {
        let mut folders = Vec::new();
        for (location, bytes) in set {
            if is_object(location) {
                self.objects.create_or_equal(&self.objects.object(location)?, bytes.to_vec())?;
                continue;
            }
            let path = local(location)?;
            self.name_complete_file(&path, bytes)?;
            let folder = folder_of(&path)?.to_owned();
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders.iter().try_for_each(|folder| self.sync_folder(folder))
    }

    /// Forces the entries of the folder that `location` lies in to the disk. Stores keep theirs by themselves.
    ///
    /// # Errors
    /// As [`Files::sync_folder`].
    pub fn sync_folder_of(&self, location: &str) -> io::Result<()> {
        if is_object(location) { Ok(()) } else { self.sync_folder(folder_of(&local(location)?)?) }
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

fn local(location: &str) -> io::Result<PathBuf> {
    path_of(location).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).ok_or_else(|| no_folder(path))
}

fn no_folder(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no file in a folder", path.display()))
}
