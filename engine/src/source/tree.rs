//! Everything below a table's folder. A store is asked once for all of it, so that a table with 100,000 partitions costs a
//! hundred requests and not 100,000.
//!
//! In: a folder, a store's listing. Out: names, kinds. Holds: [`Tree`]. Not here: what a name means to a table (`listing`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use skein_protocol::problem::Problem;

use super::fingerprint::Identity;
use super::location::{Roots, forbidden, unreadable};
use super::places::object;
use crate::files::Stat;

/// What Hadoop's older connectors append to a folder's name to mark it.
const FOLDER_MARK: &str = "_$folder$";

/// The places below a folder.
#[derive(Debug)]
pub(super) enum Tree {
    /// Of this machine, looked at when they are asked for.
    Disk,
    /// Of a store, by their locations. A location that ends with `/` is a folder with nothing in it.
    Store {
        /// The folder.
        root: PathBuf,
        /// What is below.
        objects: BTreeMap<String, Identity>,
    },
}

/// What stands at a place.
#[derive(Debug)]
pub(super) enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File(Identity),
    /// Neither.
    Other,
}

impl Tree {
    /// The objects `found` below `root`, by their paths from there.
    pub(super) fn of_objects(root: &str, found: Vec<(String, Stat)>) -> Self {
        let mut objects: BTreeMap<String, Identity> =
            found.into_iter().map(|(path, stat)| (format!("{root}/{path}"), stat.into())).collect();
        // An object without a byte that is named as a folder marks that folder.
        let marks = |(location, identity): (&String, &Identity)| {
            let folder = location.strip_suffix(FOLDER_MARK);
            let partition = location.rsplit('/').next().is_some_and(|name| name.contains('='));
            let marks = folder.is_some() || partition || has_below(&objects, location);
            (identity.bytes == 0 && marks).then(|| (location.clone(), folder.unwrap_or(location).to_owned()))
        };
        let marks: Vec<(String, String)> = objects.iter().filter_map(marks).collect();
        for (mark, folder) in marks {
            if let Some(identity) = objects.remove(&mark) {
                objects.insert(format!("{folder}/"), identity);
            }
        }
        Self::Store { root: PathBuf::from(root), objects }
    }

    /// Whether all that lies at `place` is known, so that nobody need be asked.
    pub(super) fn covers(&self, place: &Path) -> bool {
        matches!(self, Self::Store { root, .. } if place.starts_with(root))
    }

    /// The names in a folder, sorted.
    pub(super) fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let Self::Store { objects, .. } = self else {
            let mut names =
                fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<OsString>>>()?;
            names.sort_unstable();
            return Ok(names);
        };
        let prefix = format!("{}/", object(folder).unwrap_or_default());
        let mut names: Vec<OsString> = Vec::new();
        let mut from = Bound::Included(prefix.clone());
        while let Some((location, _)) = objects.range((from, Bound::Unbounded)).next() {
            let Some(path) = location.strip_prefix(&prefix) else { break };
            from = match path.split_once('/') {
                // `0` is the character behind `/`: everything below the folder is skipped.
                Some((name, _)) => {
                    names.push(name.into());
                    Bound::Included(format!("{prefix}{name}0"))
                }
                None => {
                    if !path.is_empty() {
                        names.push(path.into());
                    }
                    Bound::Excluded(location.clone())
                }
            };
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Whether there is a folder at `place`, or a link to one.
    pub(super) fn is_folder(&self, place: &Path) -> bool {
        match self {
            Self::Disk => place.is_dir(),
            Self::Store { root, objects } => {
                place == root || object(place).is_some_and(|location| has_below(objects, location))
            }
        }
    }

    /// What stands at `place`; a link must lead to a place under the roots.
    pub(super) fn look(&self, place: &Path, roots: &Roots) -> Result<Kind, Problem> {
        let failed = |error: &io::Error| unreadable(place, error);
        let Self::Store { objects, .. } = self else {
            let mut metadata = place.symlink_metadata().map_err(|error| failed(&error))?;
            if metadata.is_symlink() {
                let target = place.canonicalize().map_err(|error| failed(&error))?;
                if !roots.hold(&target) {
                    return Err(forbidden(place));
                }
                metadata = target.metadata().map_err(|error| failed(&error))?;
            }
            return Ok(match () {
                () if metadata.is_dir() => Kind::Folder,
                () if metadata.is_file() => Kind::File(Identity::of(&metadata)),
                () => Kind::Other,
            });
        };
        if self.is_folder(place) {
            // An object of a folder's name that has bytes: whether it is data or not, nobody can know.
            let also = object(place).is_some_and(|location| objects.contains_key(location));
            return Ok(if also { Kind::Other } else { Kind::Folder });
        }
        let identity = object(place).and_then(|location| objects.get(location));
        identity.map(|identity| Kind::File(identity.clone())).ok_or_else(|| failed(&io::ErrorKind::NotFound.into()))
    }

    /// A place with links resolved, as well as that is known.
    pub(super) fn real(&self, place: PathBuf) -> PathBuf {
        match self {
            Self::Disk => place.canonicalize().unwrap_or(place),
            Self::Store { .. } => place,
        }
    }
}

fn has_below(objects: &BTreeMap<String, Identity>, location: &str) -> bool {
    let prefix = format!("{location}/");
    let mut below = objects.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
    below.next().is_some_and(|(next, _)| next.starts_with(&prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(objects: &[(&str, u64)]) -> Tree {
        let stat = |bytes| Stat { bytes, modified_nanos: 1, version: "v".to_owned() };
        Tree::of_objects("s3://b/t", objects.iter().map(|(path, bytes)| ((*path).to_owned(), stat(*bytes))).collect())
    }

    fn names(tree: &Tree, folder: &str) -> Vec<String> {
        tree.names(Path::new(folder)).unwrap().into_iter().map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn folders_are_what_lies_before_a_slash_whatever_sorts_between() {
        let tree = tree(&[("n=1/a", 1), ("n=1/b/c", 1), ("n=1!/a", 1), ("n=1", 1), ("n=10/a", 1), ("f", 1)]);
        assert_eq!(names(&tree, "s3://b/t"), ["f", "n=1", "n=1!", "n=10"]);
        assert_eq!(names(&tree, "s3://b/t/n=1"), ["a", "b"]);
        assert!(tree.is_folder(Path::new("s3://b/t/n=10")) && !tree.is_folder(Path::new("s3://b/t/f")));
        let roots = Roots::under(&["s3://b".to_owned()], &super::super::places::Places::local());
        let look = |place: &str| tree.look(Path::new(place), &roots);
        assert!(matches!(look("s3://b/t/f"), Ok(Kind::File(_))));
        assert!(matches!(look("s3://b/t/n=1"), Ok(Kind::Other)), "an object with bytes stands at a folder's name");
        assert!(matches!(look("s3://b/t/n=10"), Ok(Kind::Folder)));
        assert!(look("s3://b/t/gone").is_err());
    }

    #[test]
    fn objects_without_a_byte_that_are_named_as_folders_mark_them() {
        let tree =
            tree(&[("n=1", 0), ("n=1/a", 1), ("n=2", 0), ("n=3_$folder$", 0), ("sub", 0), ("sub/x", 1), ("part-0", 0)]);
        assert_eq!(names(&tree, "s3://b/t"), ["n=1", "n=2", "n=3", "part-0", "sub"]);
        for folder in ["n=1", "n=2", "n=3", "sub"] {
            assert!(tree.is_folder(&Path::new("s3://b/t").join(folder)), "{folder}");
        }
        assert_eq!(names(&tree, "s3://b/t/n=2"), Vec::<String>::new());
        assert_eq!(names(&tree, "s3://b/t/n=1"), ["a"]);
    }
}
