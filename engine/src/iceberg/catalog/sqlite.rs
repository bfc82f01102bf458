//! The SQL catalog on SQLite: which metadata file a table's name points at.
//!
//! In: names and metadata locations. Out: what a name points at; names that were moved in one atomic step.
//! Holds: [`SqliteCatalog`], one connection. Not here: metadata files.
//!
//! The tables are those of pyiceberg's and iceberg-rust's SQL catalogs. The SQL is our own: iceberg-rust's catalog takes
//! a failed COMMIT for a success.
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};
use skein_protocol::data_plane::{Failure, LoadedTable, RegisterRequest, Registered, ReplaceRequest, Replaced};
use skein_protocol::ids::TableName;

use super::{Catalog, Listed, TABLE_TYPE, of_row};
use crate::files::Files;
use crate::iceberg::head;

mod connection;
#[cfg(test)]
mod tests;

use connection::{Open, failed, unknown};

/// One catalog in one SQLite file.
#[derive(Debug)]
pub(super) struct SqliteCatalog {
    files: Files,
    path: PathBuf,
    name: String,
    connection: Mutex<Option<Open>>,
}

impl SqliteCatalog {
    /// The catalog called `name` in the file `path`. Nothing is opened or created yet.
    #[must_use]
    pub(super) fn new(files: Files, path: PathBuf, name: &str) -> Self {
        Self { files, path, name: name.to_owned(), connection: Mutex::new(None) }
    }

    /// The metadata location that a name points at; none when it is free. Creates nothing.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    fn location(&self, name: &TableName) -> Result<Option<String>, Failure> {
        let mut slot = self.slot();
        let Some(open) = Open::existing(&mut slot, &self.path)? else { return Ok(None) };
        let sql = "SELECT coalesce(metadata_location, '') FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3";
        let found = open.connection.prepare_cached(sql).and_then(|mut statement| {
            statement.query_row(params![self.name, name.database, name.table], |row| row.get(0)).optional()
        });
        found.map_err(|error| self.given_up(&mut slot, failed(&self.path, &error)))
    }

    /// Runs `work` in one transaction that excludes other writers from its start.
    fn change<T>(&self, work: impl FnOnce(&Transaction<'_>, bool) -> rusqlite::Result<T>) -> Result<T, Failure> {
        let mut slot = self.slot();
        let open = Open::or_create(&mut slot, &self.path, &self.files)?;
        let begun = open.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        // What failed before the commit was rolled back, or is when the connection closes.
        let outcome = begun.map_err(|error| failed(&self.path, &error)).and_then(|transaction| {
            let done = work(&transaction, open.has_type).map_err(|error| failed(&self.path, &error))?;
            commit(transaction, &self.path)?;
            Ok(done)
        });
        outcome.map_err(|failure| self.given_up(&mut slot, failure))
    }

    /// Closes a connection that failed: the next call begins with a new one.
    fn given_up(&self, slot: &mut Option<Open>, failure: Failure) -> Failure {
        *slot = None;
        failure
    }

    fn slot(&self) -> MutexGuard<'_, Option<Open>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(
        &self,
        transaction: &Transaction<'_>,
        name: &TableName,
        expected: &str,
        replacement: &str,
    ) -> rusqlite::Result<bool> {
        let sql = "UPDATE iceberg_tables SET metadata_location = ?5, previous_metadata_location = ?4 \
                   WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3 AND metadata_location = ?4";
        let mut statement = transaction.prepare_cached(sql)?;
        Ok(statement.execute(params![self.name, name.database, name.table, expected, replacement])? == 1)
    }

    fn insert(
        &self,
        transaction: &Transaction<'_>,
        has_type: bool,
        name: &TableName,
        location: &str,
    ) -> rusqlite::Result<bool> {
        let columns = "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, previous_metadata_location";
        let sql = match has_type {
            true => {
                format!("{columns}, iceberg_type) VALUES (?1, ?2, ?3, ?4, NULL, '{TABLE_TYPE}') ON CONFLICT DO NOTHING")
            }
            // Catalogs of older writers have no views, and no column that tells them apart.
            false => format!("{columns}) VALUES (?1, ?2, ?3, ?4, NULL) ON CONFLICT DO NOTHING"),
        };
        let mut statement = transaction.prepare_cached(&sql)?;
        Ok(statement.execute(params![self.name, name.database, name.table, location])? == 1)
    }

    /// A namespace exists when it has a property; `exists` is the one that other writers give it.
    fn ensure_namespace(&self, transaction: &Transaction<'_>, namespace: &str) -> rusqlite::Result<()> {
        let sql = "INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value) \
                   SELECT ?1, ?2, 'exists', 'true' WHERE NOT EXISTS \
                   (SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND namespace = ?2)";
        transaction.prepare_cached(sql)?.execute(params![self.name, namespace])?;
        Ok(())
    }
}

impl Catalog for SqliteCatalog {
    fn load(&self, name: &TableName) -> Result<Option<LoadedTable>, Failure> {
        self.location(name)?.map(|location| head::load(&self.files, location)).transpose()
    }

    fn tables(&self) -> Result<Vec<Listed>, Failure> {
        let mut slot = self.slot();
        let Some(open) = Open::existing(&mut slot, &self.path)? else { return Ok(Vec::new()) };
        let all = "SELECT table_namespace, table_name, coalesce(metadata_location, '') FROM iceberg_tables WHERE catalog_name = ?1";
        let tables = format!("{all} AND coalesce(iceberg_type, '{TABLE_TYPE}') = '{TABLE_TYPE}'");
        let sql = if open.has_type { &tables } else { all };
        let found = open.connection.prepare_cached(sql).and_then(|mut statement| {
            let rows = statement.query_map(params![self.name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, String, String)>>>()
        });
        let rows = found.map_err(|error| self.given_up(&mut slot, failed(&self.path, &error)))?;
        Ok(rows.into_iter().filter_map(|(namespace, table, location)| of_row(namespace, table, location)).collect())
    }

    fn register(&self, request: &RegisterRequest) -> Result<Registered, Failure> {
        self.change(|transaction, has_type| {
            if let Some(tombstone) = &request.replacing
                && self.update(transaction, &request.name, tombstone, &request.metadata_location)?
            {
                return Ok(Registered::Now);
            }
            self.ensure_namespace(transaction, &request.name.database)?;
            let added = self.insert(transaction, has_type, &request.name, &request.metadata_location)?;
            Ok(if added { Registered::Now } else { Registered::NameTaken })
        })
    }

    fn replace(&self, request: &ReplaceRequest) -> Result<Replaced, Failure> {
        let name = &request.name;
        self.change(|transaction, _| {
            let done = match &request.replacement {
                Some(replacement) => self.update(transaction, name, &request.expected, replacement)?,
                None => {
                    let sql = "DELETE FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3 AND metadata_location = ?4";
                    transaction.execute(sql, params![self.name, name.database, name.table, request.expected])? == 1
                }
            };
            if done {
                return Ok(Replaced::Now);
            }
            let sql = "SELECT coalesce(metadata_location, '') FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3";
            let found = transaction.query_row(sql, params![self.name, name.database, name.table], |row| row.get(0)).optional()?;
            Ok(Replaced::Differs { found })
        })
    }
}

fn commit(transaction: Transaction<'_>, path: &std::path::Path) -> Result<(), Failure> {
    match transaction.execute_batch("COMMIT") {
        Ok(()) => {
            // The transaction is over; dropping it would try to roll back, which then does nothing.
            drop(transaction);
            Ok(())
        }
        // A reader stands in the way: SQLite keeps the transaction open, so it can be rolled back, and nothing was done.
        Err(error) if connection::is_busy(&error) && !transaction.is_autocommit() => match transaction.rollback() {
            Ok(()) => Err(failed(path, &error)),
            Err(_) => Err(unknown(path, &error)),
        },
        Err(error) => Err(unknown(path, &error)),
    }
}
