//! All migrations by id.
//!
//! Each lies in a place of its own: a tree whose nodes hold them would keep a third of its room free, and there may be a million.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::MigrationId;
use crate::ledger::migration::Migration;

/// All migrations by id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Migrations(BTreeMap<MigrationId, Box<Migration>>);

impl Migrations {
    /// One of them.
    #[must_use]
    pub fn get(&self, id: &MigrationId) -> Option<&Migration> {
        self.0.get(id).map(Box::as_ref)
    }

    /// All of them in the order of their ids.
    pub fn values(&self) -> impl Iterator<Item = &Migration> + Clone {
        self.0.values().map(Box::as_ref)
    }

    /// Their ids in order.
    pub fn keys(&self) -> impl Iterator<Item = &MigrationId> + Clone {
        self.0.keys()
    }

    /// All of them with their ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&MigrationId, &Migration)> + Clone {
        self.0.iter().map(|(id, migration)| (id, migration.as_ref()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For tests that break something.
    #[cfg(test)]
    pub(super) fn doctor(&mut self) -> &mut BTreeMap<MigrationId, Box<Migration>> {
        &mut self.0
    }

    pub(super) fn get_mut(&mut self, id: &MigrationId) -> Option<&mut Migration> {
        self.0.get_mut(id).map(Box::as_mut)
    }

    pub(super) fn insert(&mut self, migration: Migration) {
        self.0.insert(migration.id, Box::new(migration));
    }
}
