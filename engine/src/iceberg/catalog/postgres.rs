//! The SQL catalog on PostgreSQL.
//!
//! In: names and metadata locations. Out: what a name points at; names that were moved in one atomic step.
//! Holds: [`PostgresCatalog`], one connection. Not here: metadata files.
//!
//! The tables are those of pyiceberg's and iceberg-rust's SQL catalogs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skein_protocol::connection::PostgresCatalog as Config;
use skein_protocol::data_plane::{Failure, LoadedTable, RegisterRequest, Registered, ReplaceRequest, Replaced};
use skein_protocol::ids::TableName;
use skein_protocol::problem::{Code, Problem};
use tokio_postgres::{Client, Error, Transaction};

use super::{Catalog, Listed, TABLE_TYPE, of_row};
use crate::files::Files;
use crate::iceberg::head;
use crate::io_runtime::IoRuntime;

mod connection;

/// How long a whole step may take: far below the life of a tombstone, which outlives every step.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

const LOCATION: &str = "SELECT coalesce(metadata_location, '') FROM iceberg_tables \
    WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3";
const UPDATE: &str = "UPDATE iceberg_tables SET metadata_location = $5, previous_metadata_location = $4 \
    WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3 AND metadata_location = $4";
const DELETE: &str = "DELETE FROM iceberg_tables \
    WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3 AND metadata_location = $4";
const NAMESPACE: &str = "INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value) \
    VALUES ($1, $2, 'exists', 'true') ON CONFLICT DO NOTHING";

/// One catalog in one database.
#[derive(Debug)]
pub(super) struct PostgresCatalog {
    files: Files,
    config: Config,
    name: String,
    runtime: Arc<IoRuntime>,
    client: Mutex<Option<Client>>,
}

/// What became of a step that failed.
enum Step {
    /// It was not committed.
    NotDone(Error),
    /// The commit's answer is missing.
    Unclear(Error),
}

impl PostgresCatalog {
    /// The catalog called `name` in the database that `config` names. Nothing is opened yet.
    pub(super) fn new(files: Files, config: Config, name: &str, runtime: Arc<IoRuntime>) -> Self {
        Self { files, config, name: name.to_owned(), runtime, client: Mutex::default() }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a step in one transaction on the connection, which is made anew if need be and given up when the step fails.
    fn change<T>(&self, step: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, Error>) -> Result<T, Failure> {
        let mut slot = self.slot();
        let mut client = self.client(&mut slot)?;
        let work = async {
            let transaction = client.transaction().await.map_err(Step::NotDone)?;
            let done = step(&transaction).await.map_err(Step::NotDone)?;
            transaction.commit().await.map_err(Step::Unclear)?;
            Ok(done)
        };
        let outcome = self.runtime.wait(async { tokio::time::timeout(STEP_TIMEOUT, work).await });
        let failure = match outcome {
            Ok(Ok(Ok(done))) => {
                *slot = Some(client);
                return Ok(done);
            }
            Ok(Ok(Err(Step::NotDone(error)))) => Failure::transient(self.problem(&connection::sentence(&error))),
            // A database that says no to a commit has rolled it back; silence says nothing.
            Ok(Ok(Err(Step::Unclear(error)))) if error.as_db_error().is_some() => {
                Failure::transient(self.problem(&connection::sentence(&error)))
            }
            Ok(Ok(Err(Step::Unclear(error)))) => Failure::unknown(self.problem(&connection::sentence(&error))),
            Ok(Err(_)) => Failure::unknown(self.problem("no answer in time")),
            Err(error) => Failure::transient(self.problem(&error.to_string())),
        };
        Err(failure)
    }

    /// The connection, taken out of its slot; its tables exist.
    fn client(&self, slot: &mut Option<Client>) -> Result<Client, Failure> {
        match slot.take().filter(|client| !client.is_closed()) {
            Some(client) => Ok(client),
            None => self
                .runtime
                .wait(connection::open(&self.config))
                .map_err(|error| Failure::transient(self.problem(&error.to_string())))?
                .map_err(|why| Failure::transient(self.problem(&why))),
        }
    }

    /// The connection's URL has a password in it, so neither it nor a part of it is shown.
    fn problem(&self, why: &str) -> Problem {
        let next = "Check that the database runs and what the connection's url says; the work is tried again by itself";
        let why = format!("catalog {} on PostgreSQL: {why}", self.name);
        Problem::new(Code::CatalogUnavailable, "using the catalog failed", why, next)
    }
}

impl Catalog for PostgresCatalog {
    fn load(&self, name: &TableName) -> Result<Option<LoadedTable>, Failure> {
        let found = self.change(async |transaction| {
            let row = transaction.query_opt(LOCATION, &[&self.name, &name.database, &name.table]).await?;
            row.map(|row| row.try_get::<_, String>(0)).transpose()
        })?;
        found.map(|location| head::load(&self.files, location)).transpose()
    }

    fn tables(&self) -> Result<Vec<Listed>, Failure> {
        let sql = format!(
            "SELECT table_namespace, table_name, coalesce(metadata_location, '') FROM iceberg_tables \
             WHERE catalog_name = $1 AND coalesce(iceberg_type, '{TABLE_TYPE}') = '{TABLE_TYPE}'"
        );
        let rows = self.change(async |transaction| {
            let rows = transaction.query(&sql, &[&self.name]).await?;
            let row = |row: &tokio_postgres::Row| {
                Ok((row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?, row.try_get::<_, String>(2)?))
            };
            rows.iter().map(row).collect::<Result<Vec<_>, Error>>()
        })?;
        Ok(rows.into_iter().filter_map(|(namespace, table, location)| of_row(namespace, table, location)).collect())
    }

    fn register(&self, request: &RegisterRequest) -> Result<Registered, Failure> {
        let (name, location) = (&request.name, &request.metadata_location);
        self.change(async |transaction| {
            if let Some(tombstone) = &request.replacing {
                let of = [&self.name, &name.database, &name.table, tombstone, location];
                if transaction.execute_raw(UPDATE, of).await? == 1 {
                    return Ok(Registered::Now);
                }
            }
            transaction.execute_raw(NAMESPACE, [&self.name, &name.database]).await?;
            let insert = format!(
                "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, iceberg_type) \
                 VALUES ($1, $2, $3, $4, '{TABLE_TYPE}') ON CONFLICT DO NOTHING"
            );
            let added = transaction.execute_raw(&insert, [&self.name, &name.database, &name.table, location]).await?;
            Ok(if added == 1 { Registered::Now } else { Registered::NameTaken })
        })
    }

    fn replace(&self, request: &ReplaceRequest) -> Result<Replaced, Failure> {
        let (name, expected) = (&request.name, &request.expected);
        self.change(async |transaction| {
            let done = match &request.replacement {
                Some(replacement) => {
                    let of = [&self.name, &name.database, &name.table, expected, replacement];
                    transaction.execute_raw(UPDATE, of).await?
                }
                None => transaction.execute_raw(DELETE, [&self.name, &name.database, &name.table, expected]).await?,
            };
            if done == 1 {
                return Ok(Replaced::Now);
            }
            let row = transaction.query_opt(LOCATION, &[&self.name, &name.database, &name.table]).await?;
            Ok(Replaced::Differs { found: row.map(|row| row.try_get(0)).transpose()? })
        })
    }
}
