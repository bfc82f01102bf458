//! The files of partitions whose places are known: a metastore says where each one lies.
//!
//! In: partitions with their locations. Out: the walk over each of them; what lies beside them, as notes.
//!
//! The metastore decides: a folder that is no partition's holds no rows of the table.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use skein_protocol::problem::{Code, Problem};

use super::super::location::{self, Located, unreadable};
use super::super::metastore::{self, PlacedPartition};
use super::super::partitions;
use super::super::places;
use super::super::tree::Tree;
use super::{MAX_FILES, Partitions, Walk};

/// What was seen of all partitions.
#[derive(Default)]
struct Seen {
    /// Folders of partitions, links resolved.
    folders: BTreeSet<PathBuf>,
    /// Partitions without a folder, and the first of them.
    missing: (usize, Option<String>),
    /// Partitions outside of the table's folder, and the first of them.
    outside: (usize, Option<String>),
}

fn count(counted: &mut (usize, Option<String>), name: impl FnOnce() -> String) {
    counted.0 += 1;
    counted.1.get_or_insert_with(name);
}

/// Lists the files of `placed`, the partitions of `table`.
pub(super) fn walk(walk: &mut Walk<'_>, table: &Located, placed: &[PlacedPartition]) {
    let mut seen = Seen::default();
    for partition in placed {
        one(walk, partition, &mut seen);
    }
    if seen.missing.0 == placed.len() && !placed.is_empty() && !table.exists {
        walk.findings.problem(
            Code::SourceUnreadable,
            format!("{} does not exist, nor does any of the table's partitions", table.path.display()),
            format!("the metastore has {} partitions of the table", placed.len()),
            "Check the location, and whether its disk is mounted",
        );
    } else if let (missing, Some(first)) = &seen.missing {
        let note = format!("{missing} partitions of the metastore have no folder and hold no rows ({first:?}).");
        walk.findings.note(note);
    }
    if let (outside, Some(first)) = &seen.outside {
        walk.findings.note(format!(
            "{outside} partitions lie outside of the table's folder ({first:?}): their rows are migrated, and the script, which \
             names the table's folder alone, does not read them."
        ));
    }
    let mut beside = Beside::default();
    if table.exists {
        beside.look(&walk.tree, &table.path, &seen.folders);
    }
    beside.tell(walk, &table.path);
}

fn one(walk: &mut Walk<'_>, partition: &PlacedPartition, seen: &mut Seen) {
    let name = || partition.name();
    let Partitions::Placed { columns, .. } = walk.partitions else { return };
    let fits = partition.values.len() == columns.len()
        && partition.values.iter().zip(columns).all(|(value, (_, kind))| partitions::is_valid(value.as_deref(), kind));
    if !fits {
        return walk.findings.problem(
            Code::PartitionLayout,
            format!("Partition {:?} does not fit the table's partition columns", name()),
            "its values are none of the columns' types",
            "Correct the partition in the metastore",
        );
    }
    let path = match location::path_of(&partition.location, metastore::root()) {
        Ok(path) => path,
        Err(problem) => return walk.findings.add(problem),
    };
    let located = match place(walk, path) {
        Ok(Some(located)) => located,
        Ok(None) => return count(&mut seen.missing, name),
        Err(problem) => return walk.findings.add(problem),
    };
    // A partition elsewhere has a tree of its own.
    let tree = if walk.tree.covers(&located.path) {
        None
    } else {
        match walk.roots.places().tree(&located.path, MAX_FILES + 1) {
            Ok(tree) => Some(tree),
            Err(error) => return walk.findings.add(unreadable(&located.path, &error)),
        }
    };
    let of_table = tree.map(|tree| std::mem::replace(&mut walk.tree, tree));
    walk_partition(walk, partition, located, seen);
    if let Some(tree) = of_table {
        walk.tree = tree;
    }
}

/// Where a partition lies; none if nothing is there.
fn place(walk: &Walk<'_>, path: PathBuf) -> Result<Option<Located>, Problem> {
    if walk.tree.covers(&path) {
        // It lies below the table's folder, which lies under the roots.
        return Ok(walk.tree.is_folder(&path).then_some(Located { path, exists: true }));
    }
    if places::object(&path).is_none() && matches!(path.try_exists(), Ok(false)) {
        return Ok(None);
    }
    let located = walk.roots.resolve(&path)?;
    Ok(located.exists.then_some(located))
}

fn walk_partition(walk: &mut Walk<'_>, partition: &PlacedPartition, located: Located, seen: &mut Seen) {
    let name = || partition.name();
    let label = match located.path.strip_prefix(walk.root) {
        Ok(relative) => relative.to_str(),
        Err(_) => {
            count(&mut seen.outside, name);
            located.path.to_str()
        }
    };
    let Some(label) = label.map(str::to_owned).filter(|_| walk.tree.is_folder(&located.path)) else {
        return walk.findings.problem(
            Code::PartitionLayout,
            format!("Partition {:?} lies at {}", name(), located.path.display()),
            "that is no folder with a name in UTF-8",
            "Correct the partition's location in the metastore",
        );
    };
    if !seen.folders.insert(located.path.clone()) {
        return walk.findings.problem(
            Code::LayoutUnsupported,
            format!("Two partitions lie at {}", located.path.display()),
            format!("Hive shows its rows once for each of them; {:?} is one", name()),
            "Give each partition a folder of its own",
        );
    }
    walk.folder(&located.path, &label, &mut partition.values.clone());
}

/// What lies in the table's folder and in no partition.
#[derive(Default)]
struct Beside {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Beside {
    fn look(&mut self, tree: &Tree, folder: &Path, partitions: &BTreeSet<PathBuf>) {
        // What cannot be read holds no rows of the table.
        for name in tree.names(folder).unwrap_or_default() {
            let path = folder.join(&name);
            let is_folder = tree.is_folder(&path);
            let hidden = name.to_str().is_some_and(|name| {
                name.starts_with('.') || (name.starts_with('_') && !(is_folder && name.contains('=')))
            });
            if hidden {
                continue;
            }
            if !is_folder {
                self.files.push(path);
                continue;
            }
            let real = tree.real(path);
            if partitions.contains(&real) {
                continue;
            }
            let next = partitions.range::<Path, _>((Bound::Excluded(real.as_path()), Bound::Unbounded)).next();
            if next.is_some_and(|next| next.starts_with(&real)) {
                self.look(tree, &real, partitions);
            } else {
                self.folders.push(real);
            }
        }
    }

    fn tell(mut self, walk: &mut Walk<'_>, root: &Path) {
        for (found, what) in [(&mut self.folders, "folders"), (&mut self.files, "files")] {
            found.sort_unstable();
            if let Some(first) = found.first() {
                let shown = first.strip_prefix(root).unwrap_or(first).display().to_string();
                walk.findings.note(format!(
                    "{} {what} in the table's folder belong to no partition of the metastore, so Hive does not show their rows \
                     and they are not migrated ({shown:?}).",
                    found.len()
                ));
            }
        }
    }
}
