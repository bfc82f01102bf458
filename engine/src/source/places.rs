//! What lies at a place: in folders of this machine and in object stores, looked at in one way.
//!
//! In: places. A place is the absolute path of a file or folder, or a location in a store (`s3://bucket/key`): joining, cutting and
//! comparing paths does the same to both. Out: names, kinds, identities, opened files. Holds: [`Places`].
//! Not here: which places may be looked at (`location`), whole tables (`tree`).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use skein_protocol::connection::{in_store, is_object};

use super::fingerprint::Identity;
use super::tree::Tree;
use crate::files::{Files, ListedFolder, Opened};

/// The ways to look at places: of a machine and of the stores that its connections name.
#[derive(Debug, Clone)]
pub(super) struct Places {
    files: Files,
}

/// Something in a folder.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) path: PathBuf,
    /// Whether it is a folder, or a link to one.
    pub(super) folder: bool,
    /// Whether it is a link.
    pub(super) link: bool,
}

impl From<Files> for Places {
    fn from(files: Files) -> Self {
        Self { files }
    }
}

/// The location, if the place is one in a store.
pub(super) fn object(place: &Path) -> Option<&str> {
    place.to_str().filter(|text| is_object(text))
}

/// The place of a planned file: below its table's, or by itself.
pub(super) fn place_of(location: &str, file: &str) -> PathBuf {
    if is_object(file) { PathBuf::from(file) } else { Path::new(location).join(file) }
}

/// Whether a planned file lies below its table's place.
pub(super) fn is_below_its_table(file: &str) -> bool {
    !is_object(file) && Path::new(file).is_relative()
}

impl Places {
    /// The places of this machine alone.
    pub(super) fn local() -> Self {
        Self { files: Files::new(Arc::default()) }
    }

    /// Opens a file, links followed.
    pub(super) fn open(&self, place: &Path) -> io::Result<Opened> {
        match object(place) {
            Some(location) => self.files.open(location),
            None => Opened::local(File::open(place)?),
        }
    }

    /// All bytes of a file.
    pub(super) fn read(&self, place: &Path) -> io::Result<Vec<u8>> {
        match object(place) {
            Some(location) => self.files.read(location),
            None => fs::read(place),
        }
    }

    /// What identifies a file, links followed.
    pub(super) fn identity(&self, place: &Path) -> io::Result<Identity> {
        match object(place) {
            Some(location) => self.files.stat_object(location).map(Into::into),
            None => Identity::at(place),
        }
    }

    /// Whether anything is there.
    pub(super) fn exists(&self, place: &Path) -> io::Result<bool> {
        match object(place) {
            Some(location) => self.files.list_below(location, 1).map(|found| !found.is_empty()),
            None => place.try_exists(),
        }
    }

    /// Whether it is a folder, or a link to one. What cannot be looked at is none.
    pub(super) fn is_folder(&self, place: &Path) -> bool {
        if object(place).is_some() { self.exists(place).unwrap_or(false) } else { place.is_dir() }
    }

    /// The place with links resolved, spelt in one way. Stores have no links.
    ///
    /// # Errors
    /// `NotFound` if nothing is there; `InvalidInput` for a location that goes up.
    pub(super) fn canonical(&self, place: &Path) -> io::Result<PathBuf> {
        let Some(location) = object(place) else { return place.canonicalize() };
        let plain = plain(location)?;
        if self.exists(&plain)? { Ok(plain) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// What is in a folder, sorted by name.
    pub(super) fn entries(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        if let Some(location) = object(folder) {
            let ListedFolder { objects, folders } = self.files.list_folder(location)?;
            // Some tools mark folders by objects of their names.
            let files = objects.into_iter().map(|(name, _)| name).filter(|name| !folders.contains(name));
            let files: Vec<(String, bool)> = files.map(|name| (name, false)).collect();
            for (name, is_folder) in files.into_iter().chain(folders.into_iter().map(|name| (name, true))) {
                entries.push(Entry { path: folder.join(&name), name: name.into(), folder: is_folder, link: false });
            }
        } else {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let (path, kind) = (entry.path(), entry.file_type()?);
                let is_folder = kind.is_dir() || (kind.is_symlink() && path.is_dir());
                entries.push(Entry { name: entry.file_name(), path, folder: is_folder, link: kind.is_symlink() });
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The objects below a folder in a store, `most` at most; none of a folder on a disk.
    pub(super) fn objects_below(&self, folder: &Path, most: usize) -> io::Result<Vec<(PathBuf, Identity)>> {
        let Some(location) = object(folder) else { return Ok(Vec::new()) };
        let found = self.files.list_below(location, most)?;
        Ok(found.into_iter().map(|(path, stat)| (folder.join(path), stat.into())).collect())
    }

    /// A table's folder with everything below it; `most` objects at most.
    pub(super) fn tree(&self, folder: &Path, most: usize) -> io::Result<Tree> {
        match object(folder) {
            Some(location) => self.files.list_below(location, most).map(|found| Tree::of_objects(location, found)),
            None => Ok(Tree::Disk),
        }
    }
}

/// A location in a store, spelt in one way.
pub(super) fn plain(location: &str) -> io::Result<PathBuf> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{location}: {why}"));
    let (root, key) = in_store(location).ok_or_else(|| invalid("it is no location in a store"))?;
    let goes_up = Path::new(key).components().any(|part| !matches!(part, Component::Normal(_)));
    if goes_up || key.split('/').any(|part| part == ".") {
        return Err(invalid("it has parts such as `..`"));
    }
    Ok(Path::new(&root).join(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_in_stores_are_joined_cut_and_compared_as_paths_are() {
        let table = plain("s3a://lake/w/t/").unwrap();
        assert_eq!(table, Path::new("s3://lake/w/t"));
        let file = table.join("dt=2024-01-01 10%3A00/f");
        assert_eq!(file.to_str(), Some("s3://lake/w/t/dt=2024-01-01 10%3A00/f"));
        assert!(file.starts_with("s3://lake/w") && !file.starts_with("s3://lak"));
        assert_eq!(file.strip_prefix(&table).unwrap().to_str(), Some("dt=2024-01-01 10%3A00/f"));
        assert_eq!(table.parent(), Some(Path::new("s3://lake/w")));
        assert_eq!(plain("s3://lake/w/../x").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(plain("s3://lake/./x").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(place_of("s3://lake/t", "s3://other/f"), Path::new("s3://other/f"));
        assert_eq!(place_of("/t", "n=1/f"), Path::new("/t/n=1/f"));
    }
}
