//! The object store of a scripted world.
//!
//! In: creations, deletions, damage. Out: objects. Holds: what stands there, and every name that was ever written.
//! Not here: which deletions are mistakes (`publication`: those of what a name points at).

use std::collections::{BTreeMap, BTreeSet};

use skein_protocol::data_plane::StagedFile;
use skein_protocol::evidence::Sum128;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{TableName, TableUuid};

use super::cells::{self, Cell};
use super::outside::Author;
use super::rows::Row;

/// What stands in the object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    /// Rows of a target.
    Data(Vec<Vec<Cell>>),
    /// Rows of a source that a later stage reads.
    Scratch(Vec<Row>),
    /// A table.
    Metadata(Metadata),
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) uuid: TableUuid,
    pub(super) columns: Vec<String>,
    pub(super) files: Vec<StagedFile>,
    pub(super) tombstone: bool,
    pub(super) hash: Hash256,
    /// Nobody of the fleet, if there is none.
    pub(super) author: Option<Author>,
    /// The source, and its version that was planned, if it ever had such a one.
    pub(super) source: Option<(TableName, Option<usize>)>,
}

impl Object {
    /// What tells one content from another.
    pub(super) fn content(&self) -> Sum128 {
        let mut bytes = Vec::new();
        match self {
            Self::Data(rows) => {
                for row in rows {
                    bytes.push(b'r');
                    cells::encode(row.iter(), &mut bytes);
                }
            }
            Self::Scratch(rows) => rows.iter().for_each(|row| row.encode(&mut bytes)),
            Self::Metadata(metadata) => bytes.extend_from_slice(&metadata.hash.0),
        }
        let hash = Hash256::of(&bytes);
        let (half, _) = hash.0.split_first_chunk::<16>().expect("a hash has 32 bytes");
        Sum128(u128::from_le_bytes(*half))
    }

    /// Its number of rows.
    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Data(rows) => rows.len() as u64,
            Self::Scratch(rows) => rows.len() as u64,
            Self::Metadata(_) => 0,
        }
    }
}

/// Objects by location.
#[derive(Debug, Default)]
pub(super) struct Store {
    objects: BTreeMap<String, Object>,
    ever: BTreeSet<String>,
}

impl Store {
    pub(super) fn get(&self, location: &str) -> Option<&Object> {
        self.objects.get(location)
    }

    pub(super) fn metadata(&self, location: &str) -> Option<&Metadata> {
        match self.objects.get(location) {
            Some(Object::Metadata(metadata)) => Some(metadata),
            _ => None,
        }
    }

    /// Creates an object. False when that name was written before, by something else than the same metadata file.
    pub(super) fn create(&mut self, location: &str, object: Object) -> bool {
        let new = self.ever.insert(location.to_owned());
        let same = matches!((self.objects.get(location), &object),
            (Some(Object::Metadata(one)), Object::Metadata(other)) if one == other);
        self.objects.insert(location.to_owned(), object);
        new || same
    }

    /// Puts an object there, whatever stands there.
    pub(super) fn put(&mut self, location: &str, object: Object) {
        self.objects.insert(location.to_owned(), object);
    }

    pub(super) fn remove(&mut self, location: &str) {
        self.objects.remove(location);
    }

    /// All locations.
    pub(super) fn locations(&self) -> Vec<String> {
        self.objects.keys().cloned().collect()
    }

    /// All locations below a folder.
    pub(super) fn below(&self, folder: &str) -> Vec<String> {
        let from = self.objects.range(folder.to_owned()..);
        from.map(|(location, _)| location).take_while(|location| location.starts_with(folder)).cloned().collect()
    }

    /// All tables with their locations.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&String, &Metadata)> {
        self.objects.iter().filter_map(|(location, object)| match object {
            Object::Metadata(metadata) => Some((location, metadata)),
            _ => None,
        })
    }

    /// Changes a cell of the first of these files that has any; whether one had.
    pub(super) fn damage(&mut self, files: &[StagedFile]) -> bool {
        for file in files {
            if let Some(Object::Data(rows)) = self.objects.get_mut(&file.location)
                && let Some(cell) = rows.first_mut().and_then(|row| row.first_mut())
            {
                *cell = Some("damaged".to_owned());
                return true;
            }
        }
        false
    }
}
