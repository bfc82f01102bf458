//! The world outside of the nodes: sources, an object store, a catalog, and whoever watches them.
//!
//! In: tables, changes, faults, weather. Out: what a reader sees, what happened, what must never happen. Holds: [`World`], a
//! handle. Outlives nodes. Not here: calls on behalf of nodes (`plane`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skein_protocol::connection::{Connection, Connections, HiveFiles, IcebergTarget};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{ConnectionName, TableName, TableUuid};

use super::fault::{Call, Effect, Fault, Hold};
use super::inner::{Ambush, Inner, Name};
use super::outside::{Happening, Seen};
use super::recipe::{Contents, Recipe};
use super::source::{Change, Source};
use super::store::{Metadata, Object};
use super::weather::Storm;

/// The source connection.
pub const LEGACY: &str = "legacy";
/// The target connection.
pub const LAKE: &str = "lake";

/// The connections of a scripted world, for a node's configuration.
#[must_use]
pub fn connections() -> Connections {
    let legacy = HiveFiles::at("/legacy");
    let lake = IcebergTarget::sqlite("/lake/catalog.db", "/lake");
    Connections::from([
        (ConnectionName::from(LEGACY), Connection::HiveFiles(legacy)),
        (ConnectionName::from(LAKE), Connection::Iceberg(lake)),
    ])
}

/// How batches of a dataset are bad for whoever runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// They panic.
    Panics,
    /// They take their machine down: see [`World::take_kills`].
    KillsNode,
}

/// The world outside of the nodes. Clones are the same world.
#[derive(Debug, Clone)]
pub struct World(Arc<Mutex<Inner>>);

fn in_lake(target: &TableName) -> Name {
    (ConnectionName::from(LAKE), target.clone())
}

/// What is set up, and what goes wrong.
impl World {
    /// An empty world; how long calls take, and when it storms, follows from `seed`. Its time begins when it is first
    /// looked at.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner::new(seed))))
    }

    /// Adds a table of so many files, each with these numbers. Files claim to be large, so that each is a batch.
    pub fn add_table(&self, table: &TableName, files: &[Vec<u64>]) {
        self.add_partitioned(table, files, 0);
    }

    /// Adds a table whose files lie in so many partitions, in turn. Partitions stay apart when duplicates are dropped.
    pub fn add_partitioned(&self, table: &TableName, files: &[Vec<u64>], partitions: u32) {
        self.lock().sources.insert(table.clone(), Source::new(files, partitions));
    }

    /// From now on staged files have at most so many rows.
    pub fn rows_per_file(&self, rows: usize) {
        self.lock().rows_per_file = rows.max(1);
    }

    /// Changes a source, as somebody else would; whether that did anything.
    pub fn change(&self, table: &TableName, change: &Change) -> bool {
        let mut inner = self.lock();
        let by = inner.by(None);
        let changed = inner.sources.get_mut(table).is_some_and(|source| source.change(change));
        if changed {
            inner.faults.count(change.name());
            inner.record.source_changed(by, table, change.name());
        }
        changed
    }

    /// Adds a file to a source, as a late writer would.
    pub fn grow(&self, table: &TableName, values: &[u64]) {
        self.change(table, &Change::Append(values.to_vec()));
    }

    /// Lets something go wrong.
    pub fn fault(&self, fault: Fault) {
        self.lock().faults.add(fault);
    }

    /// Lets the weather turn bad for a while.
    pub fn storm(&self, storm: Storm) {
        self.lock().faults.storm(storm);
    }

    /// The next batches of a dataset, so many of them, are bad for whoever runs them.
    pub fn poison(&self, table: &TableName, poison: Poison, times: u32) {
        let (effect, name) = match poison {
            Poison::Panics => (Effect::Panic, "poison-panics"),
            Poison::KillsNode => (Effect::Kill, "poison-kills-node"),
        };
        self.fault(Fault { times, name, ..Fault::once(Call::RunBatch, effect).of(table) });
    }

    /// Machines that have to crash because of what they ran, or that fell into an ambush, since this was asked last.
    #[must_use]
    pub fn take_kills(&self) -> Vec<usize> {
        self.lock().take_kills()
    }

    /// Lies in wait for a machine: at a call, counted from 0 from the first call of the kind `from` on (from now on, if there is
    /// none), before it does anything or after it did everything. The machine is named by [`World::take_kills`], and the
    /// call waits for some milliseconds, so that the machine can be stopped right there.
    pub fn ambush(&self, from: Option<Call>, at: Option<(usize, bool)>) {
        self.lock().ambush = Some(Ambush { from, at, calls: Vec::new() });
    }

    /// The calls since the ambush was laid, each with its machine where that is known.
    #[must_use]
    pub fn ambushed_calls(&self) -> Vec<(Call, Option<usize>)> {
        self.lock().ambush.as_ref().map(|ambush| ambush.calls.clone()).unwrap_or_default()
    }

    /// Lets everything go well from now on. What is late still comes.
    pub fn heal(&self) {
        self.lock().faults.heal();
    }

    /// Holds the calls of this kind for one table until it is released.
    #[must_use]
    pub fn hold(&self, call: Call, table: Option<&TableName>) -> Hold {
        let (hold, fault) = Hold::of(call, table);
        self.fault(fault);
        hold
    }

    /// Lets all changes of the catalog happen that are under way; how many did change something.
    pub fn deliver(&self) -> usize {
        self.lock().deliver(|_| true)
    }

    /// Lets the changes of the catalog happen whose time has come.
    pub fn settle(&self) {
        let mut inner = self.lock();
        let now = inner.now();
        inner.settle(now);
    }

    /// The world's time, since its beginning.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.lock().now()
    }

    /// Time goes on from where it was, by the clock of the runtime that looks at it next: for worlds whose nodes start again
    /// in a new runtime, the time of which begins anew.
    pub fn go_on(&self) {
        self.lock().go_on();
    }

    /// From now on calls take up to so long (at least a microsecond), while nothing makes them slow.
    pub fn take_up_to(&self, longest: Duration) {
        self.lock().longest_call_micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX).max(1);
    }

    /// Puts a table of somebody else under a name, or another version of the one that stands there.
    pub fn point(&self, target: &TableName, uuid: TableUuid, location: &str) {
        let mut inner = self.lock();
        let metadata = Metadata {
            uuid,
            columns: Vec::new(),
            files: Vec::new(),
            tombstone: false,
            hash: Hash256::of(location.as_bytes()),
            author: None,
            source: None,
        };
        inner.store.put(location, Object::Metadata(metadata));
        inner.catalog.insert(in_lake(target), location.to_owned());
    }

    /// From now on each publication under this name must show what the recipe makes of the planned version of the dataset;
    /// with several recipes for one name and dataset, what one of them makes.
    pub fn expect(&self, target: &TableName, dataset: &TableName, recipe: Recipe) {
        self.lock().record.expect(target, dataset, recipe);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can be seen.
impl World {
    /// A target as a reader gets it now; nothing if no table stands under the name.
    #[must_use]
    pub fn read(&self, target: &TableName) -> Option<Seen> {
        self.settle();
        let inner = self.lock();
        let location = inner.catalog.get(&in_lake(target))?;
        let table = inner.store.metadata(location)?;
        let mut rows = Vec::new();
        for file in &table.files {
            if let Some(Object::Data(found)) = inner.store.get(&file.location) {
                rows.extend(found.iter().cloned());
            }
        }
        rows.sort_unstable();
        Some(Seen {
            uuid: table.uuid.to_string(),
            location: location.clone(),
            tombstone: table.tombstone,
            columns: table.columns.clone(),
            rows,
        })
    }

    /// The numbers that a reader of the target sees, sorted; nothing if there is no table (or a tombstone).
    #[must_use]
    pub fn visible(&self, target: &TableName) -> Option<Vec<u64>> {
        let seen = self.read(target).filter(|seen| !seen.tombstone)?;
        let id = seen.columns.iter().position(|column| column == "id");
        let number = |row: &Vec<Option<String>>| row.get(id?)?.as_ref()?.parse::<u64>().ok();
        let mut values: Vec<u64> = seen.rows.iter().filter_map(number).collect();
        values.sort_unstable();
        Some(values)
    }

    /// What stands under a target's name.
    #[must_use]
    pub fn points_at(&self, target: &TableName) -> Option<String> {
        self.lock().catalog.get(&in_lake(target)).cloned()
    }

    /// Every object that a reader of the target may read, its metadata file among them.
    #[must_use]
    pub fn reachable(&self, target: &TableName) -> BTreeSet<String> {
        self.lock().reachable(&in_lake(target))
    }

    /// The numbers of a source, sorted.
    #[must_use]
    pub fn source(&self, table: &TableName) -> Vec<u64> {
        let inner = self.lock();
        let files = inner.sources.get(table).and_then(Source::files).unwrap_or_default();
        let mut values: Vec<u64> = files.iter().flat_map(|one| one.values.clone()).collect();
        values.sort_unstable();
        values
    }

    /// What the recipe makes of a dataset's newest version; rows sorted.
    #[must_use]
    pub fn transformed(&self, dataset: &TableName, recipe: &Recipe) -> Option<Contents> {
        let inner = self.lock();
        let source = inner.sources.get(dataset)?;
        let (columns, rows) = source.rows(source.versions().len().checked_sub(1)?);
        Some(recipe.apply(&columns, &rows))
    }

    /// How many versions a dataset has had.
    #[must_use]
    pub fn versions(&self, dataset: &TableName) -> usize {
        self.lock().sources.get(dataset).map_or(0, |source| source.versions().len())
    }

    /// How often a call was made.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        self.lock().calls(call)
    }

    /// Locations of everything in the object store.
    #[must_use]
    pub fn objects(&self) -> Vec<String> {
        self.lock().store.locations()
    }

    /// Every call so far with its time and outcome.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.lock().trace().to_vec()
    }

    /// Every change so far, as somebody outside would have seen it.
    #[must_use]
    pub fn happenings(&self) -> Vec<Happening> {
        self.lock().record.happenings().to_vec()
    }

    /// The changes from this place of the log on.
    #[must_use]
    pub fn happenings_since(&self, place: usize) -> Vec<Happening> {
        self.lock().record.happenings().get(place..).unwrap_or_default().to_vec()
    }

    /// What a node did and must never do.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.lock().record.violations().to_vec()
    }

    /// How often each kind of thing went wrong, counted when it took effect.
    #[must_use]
    pub fn inflicted(&self) -> BTreeMap<&'static str, u64> {
        self.lock().faults.inflicted().clone()
    }

    /// How often situations came up that a run over many seeds should see.
    #[must_use]
    pub fn marks(&self) -> BTreeMap<&'static str, u64> {
        self.lock().record.marks().clone()
    }

    /// How long the next call takes.
    pub(super) fn duration(&self) -> Duration {
        self.lock().duration()
    }
}
