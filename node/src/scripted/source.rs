//! The sources of a scripted world, and how somebody else changes them.
//!
//! In: tables of numbers, changes. Out: files as an inspection lists them, rows. Holds: every version that a source has
//! had. Not here: reading on behalf of a batch (`batch`).

use std::collections::BTreeMap;

use skein_protocol::ids::TableName;
use skein_protocol::inspection::SourceFile;

use super::cells::{self, Cell};

/// Files claim to be this large, so that each is a batch.
const FILE_BYTES: u64 = 64 << 20;
/// Numbers of a file that was replaced are so much greater than before.
const REPLACED_BY: u64 = 500_000;
/// When first files were written, and those that came or changed later; nanoseconds since 1970.
const WRITTEN_NANOS: u64 = 1_700_000_000_000_000_000;
const CHANGED_NANOS: u64 = 1_800_000_000_000_000_000;

/// How somebody else changes a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A file with these numbers is added.
    Append(Vec<u64>),
    /// The last file is replaced by another of another length.
    Replace,
    /// The last file is replaced by another of equal length and time.
    ReplaceQuietly,
    /// The last file is removed.
    RemoveFile,
    /// The table is gone.
    Vanish,
    /// The table is back as it was.
    ComeBack,
}

impl Change {
    /// Its name where things are counted.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Append(_) => "source-append",
            Self::Replace => "source-replace",
            Self::ReplaceQuietly => "source-replace-quietly",
            Self::RemoveFile => "source-remove-file",
            Self::Vanish => "source-vanish",
            Self::ComeBack => "source-come-back",
        }
    }
}

/// One file of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceTable {
    pub(super) file: SourceFile,
    pub(super) values: Vec<u64>,
    pub(super) part: Option<u32>,
}

impl SourceTable {
    fn new(number: usize, serial: u64, modified_nanos: u64, values: &[u64], partitions: u32) -> Self {
        let rows = values.len() as u64;
        let part = (partitions > 0).then(|| u32::try_from(number).unwrap_or(u32::MAX) % partitions.max(1));
        let folder = part.map(|part| format!("part={}/", cells::part_name(part))).unwrap_or_default();
        let file = SourceFile {
            path: format!("{folder}part-{number:05}"),
            bytes: FILE_BYTES,
            modified_nanos,
            version: serial.to_string(),
            partition: part.map(|part| Some(cells::part_name(part))).into_iter().collect(),
            rows: Some(rows),
            row_groups: vec![rows],
        };
        Self { file, values: values.to_vec(), part }
    }
}

/// One source.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Nothing while it is gone.
    files: Option<Vec<SourceTable>>,
    /// Everything that it ever was; the last is the present or was before it went.
    versions: Vec<Vec<SourceTable>>,
    partitions: u32,
    /// Number of the next file that is written: what tells files apart.
    serial: u64,
}

impl Source {
    pub(super) fn new(files: &[Vec<u64>], partitions: u32) -> Self {
        let mut source = Self { partitions, ..Self::default() };
        let mut tables: Vec<SourceTable> = files
            .iter()
            .enumerate()
            .map(|(number, values)| SourceTable::new(number, number as u64, WRITTEN_NANOS, values, partitions))
            .collect();
        tables.sort_by(|one, other| one.file.path.cmp(&other.file.path));
        source.serial = files.len() as u64;
        source.becomes(tables);
        source
    }

    /// Its files; nothing while it is gone.
    pub(super) fn files(&self) -> Option<&[SourceTable]> {
        self.files.as_deref()
    }

    pub(super) fn is_partitioned(&self) -> bool {
        self.partitions > 0
    }

    pub(super) fn versions(&self) -> &[Vec<SourceTable>] {
        &self.versions
    }

    /// The newest version whose files are these; row counts do not matter.
    pub(super) fn version_of(&self, files: &[SourceFile]) -> Option<usize> {
        let same = |one: &SourceFile, other: &SourceFile| {
            (&one.path, one.bytes, one.modified_nanos, &one.version)
                == (&other.path, other.bytes, other.modified_nanos, &other.version)
        };
        self.versions.iter().rposition(|version| {
            version.len() == files.len() && version.iter().zip(files).all(|(one, other)| same(&one.file, other))
        })
    }

    /// Columns and rows of one version.
    pub(super) fn rows(&self, version: usize) -> (Vec<String>, Vec<Vec<Cell>>) {
        let columns = cells::columns(self.is_partitioned()).into_iter().map(|column| column.name).collect();
        let files = self.versions.get(version).map(Vec::as_slice).unwrap_or_default();
        let rows = files.iter().flat_map(|table| table.values.iter().map(|value| cells::cells(*value, table.part)));
        (columns, rows.collect())
    }

    /// Changes it; whether that did anything.
    pub(super) fn change(&mut self, change: &Change) -> bool {
        match change {
            Change::Vanish => return self.files.take().is_some(),
            Change::ComeBack => {
                let gone = self.files.is_none() && !self.versions.is_empty();
                if gone {
                    self.files = self.versions.last().cloned();
                }
                return gone;
            }
            _ => {}
        }
        let Some(mut files) = self.files.clone() else { return false };
        let serial = self.serial;
        self.serial += 1;
        match change {
            Change::Append(values) => {
                let number = usize::try_from(serial).expect("a handful of files");
                files.push(SourceTable::new(number, serial, CHANGED_NANOS, values, self.partitions));
                files.sort_by(|one, other| one.file.path.cmp(&other.file.path));
            }
            Change::RemoveFile if files.is_empty() => return false,
            Change::RemoveFile => {
                files.pop();
            }
            _ => {
                let Some(last) = files.last_mut() else { return false };
                last.values.iter_mut().for_each(|value| *value += REPLACED_BY);
                last.file.version = serial.to_string();
                if *change == Change::Replace {
                    last.file.bytes += 1;
                    last.file.modified_nanos = CHANGED_NANOS;
                }
            }
        }
        self.becomes(files);
        true
    }

    fn becomes(&mut self, files: Vec<SourceTable>) {
        self.versions.push(files.clone());
        self.files = Some(files);
    }
}

/// All sources by name.
pub(super) type Sources = BTreeMap<TableName, Source>;
