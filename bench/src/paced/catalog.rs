//! The catalog of a paced fleet: a folder with a file for each name, in which stands what the name points at.
//!
//! In:    names, locations, what must stand there now.
//! Out:   whether the name was changed.
//! Holds: a name is created if absent by a hard link, which is one step for every process; it is changed under a lock.
//! Not here: metadata files (`plane`).

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use skein_protocol::ids::TableName;

/// Who changes names holds a lock on this file.
const LOCK: &str = ".lock";
/// Files that are being written; nobody reads them.
const UNFINISHED: &str = ".unfinished";

/// Names are unique in a process by this count, among processes by their id.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Names that point at metadata files.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    folder: PathBuf,
}

impl Catalog {
    /// The catalog in `folder`, made if it does not exist.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join(UNFINISHED))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// What a name points at.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn load(&self, name: &TableName) -> io::Result<Option<String>> {
        match fs::read_to_string(self.path(name)) {
            Ok(location) => Ok(Some(location)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Points a name at `location` if nothing stands there; whether it was done.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn create(&self, name: &TableName, location: &str) -> io::Result<bool> {
        let written = self.unfinished(location)?;
        let linked = fs::hard_link(&written, self.path(name));
        fs::remove_file(&written)?;
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Points a name at `location`, or at nothing, if it points at `expected`. What it pointed at otherwise.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn replace(
        &self,
        name: &TableName,
        expected: &str,
        location: Option<&str>,
    ) -> io::Result<Result<(), Option<String>>> {
        let lock = File::create(self.folder.join(LOCK))?;
        lock.lock()?;
        let found = self.load(name)?;
        if found.as_deref() != Some(expected) {
            return Ok(Err(found));
        }
        match location {
            Some(location) => fs::rename(self.unfinished(location)?, self.path(name))?,
            None => fs::remove_file(self.path(name))?,
        }
        Ok(Ok(()))
    }

    fn path(&self, name: &TableName) -> PathBuf {
        self.folder.join(name.to_string())
    }

    fn unfinished(&self, location: &str) -> io::Result<PathBuf> {
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(UNFINISHED).join(format!("{}-{number}", std::process::id()));
        fs::write(&path, location)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_by_the_first_and_changed_only_by_who_knows_it() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(folder.path()).unwrap();
        let name = TableName::new("paced", "a");
        assert_eq!(catalog.load(&name).unwrap(), None);
        assert!(catalog.create(&name, "/lake/1").unwrap());
        assert!(!catalog.create(&name, "/lake/2").unwrap());
        assert_eq!(catalog.load(&name).unwrap().as_deref(), Some("/lake/1"));
        assert_eq!(catalog.replace(&name, "/lake/0", None).unwrap(), Err(Some("/lake/1".to_owned())));
        assert_eq!(catalog.replace(&name, "/lake/1", Some("/lake/3")).unwrap(), Ok(()));
        assert_eq!(catalog.replace(&name, "/lake/3", None).unwrap(), Ok(()));
        assert_eq!(catalog.replace(&name, "/lake/3", None).unwrap(), Err(None));
        assert_eq!(catalog.load(&name).unwrap(), None);
    }

    #[test]
    fn of_many_that_want_a_name_one_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(folder.path()).unwrap();
        let name = TableName::new("paced", "a");
        let got: usize = std::thread::scope(|scope| {
            let want = |n: usize| {
                let (catalog, name) = (&catalog, &name);
                scope.spawn(move || usize::from(catalog.create(name, &format!("/lake/{n}")).unwrap()))
            };
            let all: Vec<_> = (0..8).map(want).collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(got, 1);
    }
}
