//! Walks a table's folder: data files with their partition values, and everything that does not fit the layout.
//!
//! In: a located folder, what is known of the partitions. Out: [`Listing`]. Not here: what is in the files.
//!
//! Names that begin with `_` or `.` are not data, whatever they are (`_SUCCESS`, `.part-0.crc`, `_temporary`).

mod placed;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use skein_protocol::problem::Code;
use skein_protocol::types::DataType;

use super::findings::Findings;
use super::fingerprint::Identity;
use super::location::{Located, Roots, unreadable};
use super::metastore::PlacedPartition;
use super::partitions::{self, KeyValue};
use super::tree::{Kind, Tree};

/// Most files of one table: a plan lists each of them, and more than this is a sign of a wrong location.
pub(super) const MAX_FILES: usize = 1_000_000;
/// Most partition columns of a table without a description; folders deeper than this are no partitions.
const MAX_PARTITION_COLUMNS: usize = 32;

/// What is known of a table's partitions before its folder is walked.
#[derive(Debug)]
pub(super) enum Partitions {
    /// Nothing: keys are taken from the folders, values are strings.
    FromFolders,
    /// What a description tells.
    Described {
        /// Partition columns in the order of the folders.
        columns: Vec<(String, DataType)>,
        /// Partitions that exist; others on disk are not data. `None`: all on disk are.
        known: Option<HashSet<Vec<Option<String>>>>,
    },
    /// What a metastore tells: each partition has a place.
    Placed {
        /// Partition columns in their order.
        columns: Vec<(String, DataType)>,
        /// All partitions.
        placed: Vec<PlacedPartition>,
    },
}

/// One data file.
#[derive(Debug)]
pub(super) struct Found {
    /// Path relative to the table's folder, as on disk.
    pub(super) relative: String,
    /// Where it is.
    pub(super) path: PathBuf,
    /// What identifies it.
    pub(super) identity: Identity,
    /// Decoded partition values.
    pub(super) partition: Vec<Option<String>>,
}

/// The data files of a table.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Sorted by relative path.
    pub(super) files: Vec<Found>,
    /// Names of the partition columns, in the order of the folders.
    pub(super) keys: Vec<String>,
}

/// Lists the data files under `table`; problems and notes go to `findings`.
pub(super) fn list(table: &Located, roots: &Roots, partitions: &Partitions, findings: &mut Findings) -> Listing {
    let keys = match partitions {
        Partitions::FromFolders => Vec::new(),
        Partitions::Described { columns, .. } | Partitions::Placed { columns, .. } => {
            columns.iter().map(|(name, _)| name.clone()).collect()
        }
    };
    // One more than may be there, so that too many are noticed.
    let tree = match roots.places().tree(&table.path, MAX_FILES + 1) {
        Ok(tree) => tree,
        Err(error) => {
            findings.add(unreadable(&table.path, &error));
            return Listing { files: Vec::new(), keys };
        }
    };
    let mut walk = Walk {
        root: &table.path,
        tree,
        roots,
        partitions,
        findings,
        listing: Listing { files: Vec::new(), keys },
        met: HashSet::new(),
        unknown: Vec::new(),
        empty: Vec::new(),
    };
    if let Partitions::Placed { placed, .. } = partitions {
        placed::walk(&mut walk, table, placed);
    } else if table.exists {
        walk.folder(&table.path, "", &mut Vec::new());
    }
    walk.finish()
}

struct Walk<'a> {
    root: &'a Path,
    /// What is below the folder that is walked.
    tree: Tree,
    roots: &'a Roots,
    partitions: &'a Partitions,
    findings: &'a mut Findings,
    listing: Listing,
    /// Described partitions whose folder was met.
    met: HashSet<Vec<Option<String>>>,
    /// Folders of partitions that the description does not have.
    unknown: Vec<String>,
    /// Files without a byte.
    empty: Vec<String>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, relative: &str, values: &mut Vec<Option<String>>) {
        let names = match self.tree.names(folder) {
            Ok(names) => names,
            Err(error) => return self.findings.add(unreadable(folder, &error)),
        };
        for name in names {
            let path = folder.join(&name);
            let Some(name) = name.to_str() else {
                self.findings.problem(
                    Code::SourceUnreadable,
                    format!("{} has a name that is not UTF-8", path.display()),
                    "plans are text and could not name it",
                    "Rename it",
                );
                continue;
            };
            // A partition's key may begin with `_`; nothing else that does is data.
            let key = name.contains('=') && self.tree.is_folder(&path);
            if name.starts_with('.') || (name.starts_with('_') && !key) {
                continue;
            }
            let below = if relative.is_empty() { name.to_owned() } else { format!("{relative}/{name}") };
            match self.tree.look(&path, self.roots) {
                Ok(Kind::Folder) => self.subfolder(&path, name, &below, values),
                Ok(Kind::File(identity)) => self.file(path, below, identity, values),
                Ok(Kind::Other) => self.layout(&below, "it is neither a file nor a folder"),
                Err(problem) => self.findings.add(problem),
            }
        }
    }

    fn subfolder(&mut self, path: &Path, name: &str, relative: &str, values: &mut Vec<Option<String>>) {
        if is_transactional(name) {
            return self.findings.problem(
                Code::LayoutUnsupported,
                format!("{relative} is a folder of Hive's transactional tables"),
                "base and delta folders would have to be merged row by row",
                "Run a major compaction and copy the table to a plain one in Hive first",
            );
        }
        let KeyValue { key, value } = match partitions::key_value(name) {
            Some(Ok(key_value)) => key_value,
            Some(Err(why)) => return self.layout(relative, &why),
            None => return self.layout(relative, "a folder within a table must be a partition, key=value"),
        };
        let depth = values.len();
        let open = matches!(self.partitions, Partitions::FromFolders) && depth < MAX_PARTITION_COLUMNS;
        match self.listing.keys.get(depth) {
            Some(expected) if expected.eq_ignore_ascii_case(&key) => {}
            Some(expected) => {
                let why = format!("a folder of partition column {expected:?} is expected here, not of {key:?}");
                return self.layout(relative, &why);
            }
            // The first path that is walked to its end names the columns; all others must agree.
            None if open => self.listing.keys.push(key.to_lowercase()),
            None => return self.layout(relative, "the table has no partition column for this folder"),
        }
        if let Partitions::Described { columns, .. } = self.partitions {
            let data_type = &columns[depth].1;
            if !partitions::is_valid(value.as_deref(), data_type) {
                let why =
                    format!("{:?} is no {data_type}, which partition column {key:?} is", value.unwrap_or_default());
                return self.layout(relative, &why);
            }
        }
        values.push(value);
        if self.belongs(values, relative) {
            self.folder(path, relative, values);
        }
        values.pop();
    }

    /// Whether a partition's folder holds data by the description.
    fn belongs(&mut self, values: &[Option<String>], relative: &str) -> bool {
        let Partitions::Described { columns, known: Some(known) } = self.partitions else { return true };
        if values.len() < columns.len() {
            return true;
        }
        if known.contains(values) {
            self.met.insert(values.to_vec());
            return true;
        }
        self.unknown.push(relative.to_owned());
        false
    }

    fn file(&mut self, path: PathBuf, relative: String, identity: Identity, values: &[Option<String>]) {
        if let Partitions::Described { columns, .. } = self.partitions
            && values.len() != columns.len()
        {
            return self.layout(
                &relative,
                &format!("data files lie below {} partition folders, not {}", columns.len(), values.len()),
            );
        }
        if identity.bytes == 0 {
            return self.empty.push(relative);
        }
        if self.listing.files.len() == MAX_FILES {
            return self.findings.problem(
                Code::LayoutUnsupported,
                format!("The table has more than {MAX_FILES} data files"),
                "a plan would not fit into memory",
                "Merge small files, or migrate the table in parts",
            );
        }
        self.listing.files.push(Found { relative, path, identity, partition: values.to_vec() });
    }

    fn layout(&mut self, relative: &str, why: &str) {
        self.findings.problem(
            Code::PartitionLayout,
            format!("{relative:?} does not fit the table's layout"),
            why,
            "Move it out of the table's folder, or correct the table description",
        );
    }

    fn finish(mut self) -> Listing {
        let depth = self.listing.keys.len();
        let misplaced: Vec<String> = self
            .listing
            .files
            .iter()
            .filter(|file| file.partition.len() != depth)
            .map(|file| file.relative.clone())
            .collect();
        for relative in misplaced {
            self.layout(&relative, &format!("other data files lie below {depth} partition folders"));
        }
        self.listing.files.sort_by(|a, b| a.relative.cmp(&b.relative));
        if let Some(first) = self.empty.first() {
            self.findings
                .note(format!("{} files without a byte hold no rows and are left out ({first:?}).", self.empty.len()));
        }
        if let Some(first) = self.unknown.first() {
            self.findings.note(format!(
                "{} partition folders are not in the table description, so Hive does not show their rows and they are not migrated ({first:?}).",
                self.unknown.len()
            ));
        }
        if let Partitions::Described { known: Some(known), .. } = self.partitions {
            let missing = known.iter().filter(|partition| !self.met.contains(*partition)).count();
            if missing > 0 {
                self.findings.note(format!(
                    "{missing} described partitions have no folder under {} and hold no rows.",
                    self.root.display()
                ));
            }
        }
        self.listing
    }
}

/// Whether `name` is a folder that Hive's transactional tables have.
fn is_transactional(name: &str) -> bool {
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit() || b == b'_' || b == b'v'))
    };
    ["base_", "delta_", "delete_delta_"].into_iter().any(numbered)
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
