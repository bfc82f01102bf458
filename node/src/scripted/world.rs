//! The world outside of a node: sources, an object store, a catalog.
//!
//! Outlives nodes. A mistake that a node must never make (writing a file twice, publishing what is not there) is noted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use skein_protocol::connection::{Connection, Connections, HiveFiles, IcebergTarget};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{ConnectionName, TableName, TableUuid};
use skein_protocol::inspection::SourceFile;

use super::fault::{Call, Effect, Fault, Hold};
use super::rows::Row;

/// The source connection.
pub const LEGACY: &str = "legacy";
/// The target connection.
pub const LAKE: &str = "lake";
/// Calls take up to so long, in tokio's time: enough to change places with one another.
const LONGEST_CALL_MICROS: u64 = 20_000;

/// The connections of a scripted world, for a node's configuration.
#[must_use]
pub fn connections() -> Connections {
    let legacy = HiveFiles { warehouse: "/legacy".to_owned(), description: None, allowed_roots: Vec::new() };
    let lake = IcebergTarget {
        catalog_file: "/lake/catalog.db".to_owned(),
        catalog_name: "skein".to_owned(),
        warehouse: "/lake".to_owned(),
    };
    Connections::from([
        (ConnectionName::from(LEGACY), Connection::HiveFiles(legacy)),
        (ConnectionName::from(LAKE), Connection::Iceberg(lake)),
    ])
}

/// The world outside of a node. Clones are the same world.
#[derive(Debug, Clone)]
pub struct World(Arc<Mutex<Inner>>);

#[derive(Debug)]
pub(super) struct Inner {
    random: ChaCha8Rng,
    pub(super) sources: BTreeMap<TableName, Vec<SourceTable>>,
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) catalog: BTreeMap<(ConnectionName, TableName), String>,
    faults: Vec<Fault>,
    late: Vec<Late>,
    calls: BTreeMap<Call, u64>,
    trace: Vec<String>,
    violations: Vec<String>,
}

/// One file of a source.
#[derive(Debug, Clone)]
pub(super) struct SourceTable {
    pub(super) file: SourceFile,
    pub(super) values: Vec<u64>,
}

/// A change of the catalog that is still under way.
#[derive(Debug, Clone)]
pub(super) struct Late {
    pub(super) name: (ConnectionName, TableName),
    /// What must stand there: nothing, or this.
    pub(super) expected: Option<String>,
    pub(super) location: Option<String>,
}

/// What stands in the object store.
#[derive(Debug, Clone)]
pub(super) enum Object {
    /// Rows.
    Data(Vec<Row>),
    /// A table.
    Metadata(Metadata),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) uuid: TableUuid,
    pub(super) files: Vec<String>,
    pub(super) tombstone: bool,
    pub(super) hash: Hash256,
}

impl World {
    /// An empty world; how long calls take follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            random: ChaCha8Rng::seed_from_u64(seed ^ 0x77_6f72_6c64),
            sources: BTreeMap::new(),
            objects: BTreeMap::new(),
            catalog: BTreeMap::new(),
            faults: Vec::new(),
            late: Vec::new(),
            calls: BTreeMap::new(),
            trace: Vec::new(),
            violations: Vec::new(),
        })))
    }

    /// Adds a table of so many files, each with these numbers. Files claim to be large, so that each is a batch.
    pub fn add_table(&self, table: &TableName, files: &[Vec<u64>]) {
        let file = |(number, values): (usize, &Vec<u64>)| SourceTable {
            file: SourceFile {
                path: format!("part-{number:05}"),
                bytes: 64 << 20,
                modified_nanos: 1_700_000_000_000_000_000,
                version: format!("{number}"),
                partition: Vec::new(),
                rows: Some(values.len() as u64),
                row_groups: vec![values.len() as u64],
            },
            values: values.clone(),
        };
        self.lock().sources.insert(table.clone(), files.iter().enumerate().map(file).collect());
    }

    /// Adds a file to a source, as a late writer would.
    pub fn grow(&self, table: &TableName, values: &[u64]) {
        self.lock().grow(table, values);
    }

    /// Lets something go wrong.
    pub fn fault(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Lets everything go well from now on.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// Holds the calls of this kind for one table until it is released.
    #[must_use]
    pub fn hold(&self, call: Call, table: Option<&TableName>) -> Hold {
        let (hold, gate) = Hold::new();
        let fault = Fault::always(call, Effect::Hold(gate));
        self.fault(Fault { table: table.cloned(), ..fault });
        hold
    }

    /// Lets the changes of the catalog happen that were under way; how many did change something.
    pub fn deliver(&self) -> usize {
        let mut inner = self.lock();
        let late = std::mem::take(&mut inner.late);
        late.into_iter().filter(|late| inner.change_name(late)).count()
    }

    /// The numbers that a reader of the target sees, sorted; nothing if there is no table (or a tombstone).
    #[must_use]
    pub fn visible(&self, target: &TableName) -> Option<Vec<u64>> {
        let inner = self.lock();
        let location = inner.catalog.get(&(ConnectionName::from(LAKE), target.clone()))?;
        let Some(Object::Metadata(metadata)) = inner.objects.get(location) else { return None };
        if metadata.tombstone {
            return None;
        }
        let mut values = Vec::new();
        for file in &metadata.files {
            if let Some(Object::Data(rows)) = inner.objects.get(file) {
                values.extend(rows.iter().map(|row| row.value));
            }
        }
        values.sort_unstable();
        Some(values)
    }

    /// What stands under a target's name.
    #[must_use]
    pub fn points_at(&self, target: &TableName) -> Option<String> {
        self.lock().catalog.get(&(ConnectionName::from(LAKE), target.clone())).cloned()
    }

    /// Puts a table of somebody else under a name, or another version of the one that stands there.
    pub fn point(&self, target: &TableName, uuid: TableUuid, location: &str) {
        let mut inner = self.lock();
        let metadata = Metadata { uuid, files: Vec::new(), tombstone: false, hash: Hash256::of(location.as_bytes()) };
        inner.objects.insert(location.to_owned(), Object::Metadata(metadata));
        inner.catalog.insert((ConnectionName::from(LAKE), target.clone()), location.to_owned());
    }

    /// The numbers of a source, sorted.
    #[must_use]
    pub fn source(&self, table: &TableName) -> Vec<u64> {
        let inner = self.lock();
        let mut values: Vec<u64> =
            inner.sources.get(table).into_iter().flatten().flat_map(|one| one.values.clone()).collect();
        values.sort_unstable();
        values
    }

    /// How often a call was made.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        self.lock().calls.get(&call).copied().unwrap_or_default()
    }

    /// Locations of everything in the object store.
    #[must_use]
    pub fn objects(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// Every call so far with its outcome.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.lock().trace.clone()
    }

    /// What a node did and must never do.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the next call takes.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_micros(self.lock().random.next_u64() % LONGEST_CALL_MICROS)
    }
}

impl Inner {
    /// Counts a call; what goes wrong with it.
    pub(super) fn enter(&mut self, call: Call, table: Option<&TableName>) -> Option<Effect> {
        *self.calls.entry(call).or_default() += 1;
        // Every fault counts the call, the first that strikes wins.
        let mut effect = None;
        for fault in &mut self.faults {
            if fault.strikes(call, table) && effect.is_none() {
                effect = Some(fault.effect.clone());
            }
        }
        effect
    }

    pub(super) fn note(&mut self, line: String) {
        self.trace.push(line);
    }

    pub(super) fn later(&mut self, late: Late) {
        self.late.push(late);
    }

    /// Creates an object; it must be new, unless it is the same again.
    pub(super) fn create(&mut self, location: &str, object: Object) {
        let same = match (self.objects.get(location), &object) {
            (None, _) => true,
            (Some(Object::Metadata(one)), Object::Metadata(other)) => one == other,
            (Some(_), _) => false,
        };
        if !same {
            self.violations.push(format!("{location} was written twice"));
        }
        self.objects.insert(location.to_owned(), object);
    }

    /// Changes what a name points at, if it points at what is expected; whether it did.
    pub(super) fn change_name(&mut self, late: &Late) -> bool {
        if self.catalog.get(&late.name) != late.expected.as_ref() {
            return false;
        }
        match &late.location {
            Some(location) => {
                if !matches!(self.objects.get(location), Some(Object::Metadata(_))) {
                    self.violations.push(format!("{location} is published and does not exist"));
                }
                self.catalog.insert(late.name.clone(), location.clone());
            }
            None => {
                self.catalog.remove(&late.name);
            }
        }
        true
    }

    pub(super) fn grow(&mut self, table: &TableName, values: &[u64]) {
        let files = self.sources.entry(table.clone()).or_default();
        let number = files.len();
        let rows = values.len() as u64;
        let file = SourceFile {
            path: format!("part-{number:05}"),
            bytes: 64 << 20,
            modified_nanos: 1_800_000_000_000_000_000,
            version: format!("{number}"),
            partition: Vec::new(),
            rows: Some(rows),
            row_groups: vec![rows],
        };
        files.push(SourceTable { file, values: values.to_vec() });
    }

    /// Changes a staged file of a migration.
    pub(super) fn damage(&mut self, files: &[String]) {
        for file in files {
            if let Some(Object::Data(rows)) = self.objects.get_mut(file)
                && let Some(row) = rows.first_mut()
            {
                row.value ^= 1 << 40;
                return;
            }
        }
    }
}
