//! What happens to names and objects, written down and judged: everything that a fleet must never do is a violation.
//!
//! In: changes of names, creations, deletions. Out: lines of the outside log, violations, marks. Holds: [`Record`], what
//! was read back, confirmed and published so far. Not here: whether a change is allowed by the catalog (`catalog`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use skein_protocol::data_plane::StagedFile;
use skein_protocol::ids::{MigrationId, Run, TableName};

use super::cells::Cell;
use super::outside::{Author, Happening, What};
use super::recipe::Recipe;
use super::source::Sources;
use super::store::{Metadata, Object, Store};

/// Everything of a source lies below this.
const SOURCE_ROOT: &str = "/legacy/";

/// What must stand under a target's name when anything does.
#[derive(Debug, Clone)]
struct Expectation {
    target: TableName,
    dataset: TableName,
    recipe: Recipe,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Record {
    happenings: Vec<Happening>,
    violations: Vec<String>,
    marks: BTreeMap<&'static str, u64>,
    expectations: Vec<Expectation>,
    /// Tables that were read through their metadata file, without a difference.
    read_back: BTreeSet<String>,
    /// Tables whose source was as planned when it was listed after they were staged.
    confirmed: BTreeSet<String>,
    /// Tables that became visible, by migration and run.
    published: BTreeMap<(MigrationId, Run), String>,
    /// Tables that were visible once and are not any more.
    withdrawn: BTreeSet<String>,
}

/// When, and by whose call, something happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct By {
    pub(super) at: Duration,
    pub(super) machine: Option<usize>,
}

impl Record {
    pub(super) fn expect(&mut self, target: &TableName, dataset: &TableName, recipe: Recipe) {
        let (target, dataset) = (target.clone(), dataset.clone());
        self.expectations.push(Expectation { target, dataset, recipe });
    }

    pub(super) fn mark(&mut self, situation: &'static str) {
        *self.marks.entry(situation).or_default() += 1;
    }

    pub(super) fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    pub(super) fn happenings(&self) -> &[Happening] {
        &self.happenings
    }

    pub(super) fn violations(&self) -> &[String] {
        &self.violations
    }

    pub(super) fn marks(&self) -> &BTreeMap<&'static str, u64> {
        &self.marks
    }

    /// A table was read as it should be before it is published.
    pub(super) fn was_read_back(&mut self, location: &str) {
        self.read_back.insert(location.to_owned());
    }

    /// Whether a table with one of these files was read as it should be: what changes a file afterwards, nobody looks for.
    pub(super) fn vouched_for(&self, store: &Store, files: &[StagedFile]) -> bool {
        let tables = self.read_back.iter().filter_map(|location| store.metadata(location));
        let mut known = tables.flat_map(|table| &table.files);
        known.any(|known| files.iter().any(|file| file.location == known.location))
    }

    /// The source of a migration was listed, and is as its plan says, in this version.
    pub(super) fn source_listed(&mut self, store: &Store, migration: MigrationId, version: usize) {
        for (location, table) in store.tables() {
            let of = table.author.is_some_and(|author| author.migration == migration);
            if of && table.source.as_ref().is_some_and(|(_, planned)| *planned == Some(version)) {
                self.confirmed.insert(location.clone());
            }
        }
    }

    pub(super) fn source_changed(&mut self, by: By, dataset: &TableName, how: &'static str) {
        self.note(by, What::SourceChanged { dataset: dataset.clone(), how });
    }

    pub(super) fn created(&mut self, by: By, location: &str, author: Author, new: bool) {
        if location.starts_with(SOURCE_ROOT) {
            self.violation(format!("{location} was written: a source was touched"));
        }
        if !new {
            self.violation(format!("{location} was written twice"));
        }
        self.note(by, What::Created { location: location.to_owned(), author });
    }

    pub(super) fn deleted(&mut self, by: By, location: &str, author: Author, reachable: bool) {
        if location.starts_with(SOURCE_ROOT) {
            self.violation(format!("{location} was deleted: a source was touched"));
        }
        if reachable {
            self.violation(format!("{location} was deleted, and a name still leads to it"));
        }
        self.note(by, What::Deleted { location: location.to_owned(), author });
    }

    /// A name points elsewhere now.
    pub(super) fn named(
        &mut self,
        by: By,
        target: &TableName,
        (from, to): (Option<&String>, Option<&String>),
        (store, sources): (&Store, &Sources),
    ) {
        let before = from.and_then(|location| store.metadata(location));
        let after = to.and_then(|location| store.metadata(location));
        if let (Some(location), None) = (to, after) {
            self.violation(format!("{location} is published and does not exist"));
        }
        if let (Some(from), Some(table)) = (from, before) {
            match (table.author, table.tombstone) {
                (None, _) => self.violation(format!("{target}: the table of somebody else, {from}, was replaced")),
                (Some(_), false) if !after.is_some_and(|after| after.tombstone) => {
                    self.violation(format!("{target}: the published {from} went without a tombstone"));
                }
                (Some(_), false) => {
                    self.withdrawn.insert(from.clone());
                }
                (Some(_), true) => {}
            }
        }
        if let (Some(location), Some(table)) = (to, after)
            && !table.tombstone
        {
            let said = self.judge(target, location, table, store, sources);
            self.violations.extend(said.into_iter().map(|what| format!("{target}: {location} {what}")));
        }
        let author = after.and_then(|table| table.author);
        self.note(by, What::Named { target: target.clone(), from: from.cloned(), to: to.cloned(), author });
    }

    /// What is wrong with a table that becomes visible.
    fn judge(
        &mut self,
        target: &TableName,
        location: &str,
        table: &Metadata,
        store: &Store,
        sources: &Sources,
    ) -> Vec<String> {
        let mut said = Vec::new();
        if self.withdrawn.contains(location) {
            said.push("became visible again after it was taken back".to_owned());
        }
        if let Some(author) = table.author {
            let first = self.published.entry((author.migration, author.run)).or_insert_with(|| location.to_owned());
            if first != location {
                said.push(format!("is the second publication of one run, after {first}"));
            }
        }
        if !self.read_back.contains(location) {
            said.push("became visible and was never read back".to_owned());
        }
        if !self.confirmed.contains(location) {
            said.push("became visible and its source was not listed after it was staged".to_owned());
        }
        let mut rows = Vec::new();
        for file in &table.files {
            match store.get(&file.location) {
                Some(object @ Object::Data(found)) if object.content() == file.content => rows.extend(found.clone()),
                Some(_) => said.push(format!("refers to {}, which is not what was recorded", file.location)),
                None => said.push(format!("refers to {}, which is gone", file.location)),
            }
        }
        rows.sort_unstable();
        said.extend(self.differs(target, table, &rows, sources));
        said
    }

    /// Whether a visible table is not what its source becomes, if that is known.
    fn differs(&self, target: &TableName, table: &Metadata, rows: &[Vec<Cell>], sources: &Sources) -> Option<String> {
        let (dataset, version) = table.source.as_ref()?;
        let mut wanted =
            self.expectations.iter().filter(|one| one.target == *target && one.dataset == *dataset).peekable();
        wanted.peek()?;
        let Some((source, version)) = sources.get(dataset).zip(*version) else {
            return Some(format!("was planned for a version that {dataset} never had"));
        };
        let (columns, source_rows) = source.rows(version);
        let must: Vec<_> = wanted.map(|one| one.recipe.apply(&columns, &source_rows)).collect();
        if must.iter().any(|must| must.columns == table.columns && must.rows == rows) {
            return None;
        }
        let counts: Vec<usize> = must.iter().map(|must| must.rows.len()).collect();
        Some(format!(
            "has {} rows that are not the transformed ones of {dataset}, of which there are {counts:?}",
            rows.len()
        ))
    }

    fn note(&mut self, by: By, what: What) {
        self.happenings.push(Happening { at: by.at, machine: by.machine, what });
    }
}
