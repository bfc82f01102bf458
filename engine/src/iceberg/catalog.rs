//! Catalogs: which metadata file a table's name points at.
//!
//! In: names and metadata locations. Out: what a name points at; names that were moved. Holds: [`Catalog`], and one module
//! for each kind. Not here: metadata files, decisions about unclear outcomes (the control plane).
//!
//! Calls block; callers keep them off their async threads.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use skein_protocol::connection::{IcebergCatalog, IcebergTarget};
use skein_protocol::data_plane::{Failure, LoadedTable, RegisterRequest, Registered, ReplaceRequest, Replaced};
use skein_protocol::ids::TableName;

use crate::failure;
use crate::files::{Files, Vendor};
use crate::io_runtime::IoRuntime;
use hive::HiveCatalog;
use postgres::PostgresCatalog;
use rest::{RestCatalog, Vending};
use sqlite::SqliteCatalog;

mod hive;
mod postgres;
mod rest;
mod sqlite;

/// The value of `iceberg_type` for tables in SQL catalogs.
const TABLE_TYPE: &str = "TABLE";

/// A catalog of Iceberg tables. What its steps promise is in `docs/catalogs.md`, and what each kind cannot promise.
pub trait Catalog: Send + Sync + std::fmt::Debug {
    /// What a name points at, with the uuid and the tombstone mark of its metadata; none when it is free. Creates nothing.
    ///
    /// # Errors
    /// When the catalog or a metadata file cannot be read.
    fn load(&self, name: &TableName) -> Result<Option<LoadedTable>, Failure>;

    /// All tables in namespaces of one level, tombstones among them, in no order. Creates nothing.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    fn tables(&self) -> Result<Vec<Listed>, Failure>;

    /// Sees to it that files of a table may be written: some catalogs own their stores, and want to know a namespace before
    /// anything lies in it. Others need nothing.
    ///
    /// # Errors
    /// When the catalog refuses.
    fn prepare(&self, name: &TableName) -> Result<(), Failure> {
        let _ = name;
        Ok(())
    }

    /// Points a free name, or one that points at the tombstone `replacing`, at a metadata file.
    ///
    /// # Errors
    /// When the catalog refuses, or when nobody knows whether it did it.
    fn register(&self, request: &RegisterRequest) -> Result<Registered, Failure>;

    /// Points a name at another metadata file, or at nothing, if it points at what is expected.
    ///
    /// # Errors
    /// As [`Catalog::register`].
    fn replace(&self, request: &ReplaceRequest) -> Result<Replaced, Failure>;
}

/// A table as a catalog lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: TableName,
    /// What its name points at, where the list tells.
    pub metadata_location: Option<String>,
}

/// The table of an SQL catalog's row; none in a namespace of several levels, which no name of a dataset has.
fn of_row(namespace: String, table: String, metadata_location: String) -> Option<Listed> {
    let one_level = !namespace.contains('.');
    one_level.then(|| Listed { name: TableName::new(namespace, table), metadata_location: Some(metadata_location) })
}

/// Namespaces that are known to exist.
#[derive(Debug, Default)]
struct Known(BTreeSet<String>);

impl Known {
    /// Makes a namespace unless it is known; it is from then on. Two may make it beside each other.
    fn once(known: &Mutex<Self>, name: &str, make: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        let names = || known.lock().unwrap_or_else(PoisonError::into_inner);
        if names().0.contains(name) {
            return Ok(());
        }
        make()?;
        names().0.insert(name.to_owned());
        Ok(())
    }
}

/// The catalog of a connection. Nothing is opened or created yet.
///
/// # Errors
/// When the connection names none or several, which no checked configuration does.
pub(crate) fn of(target: &IcebergTarget, files: &Files, runtime: &Arc<IoRuntime>) -> Result<Arc<dyn Catalog>, Failure> {
    Ok(match target.catalog() {
        Some(IcebergCatalog::Sqlite(file)) => {
            Arc::new(SqliteCatalog::new(files.clone(), PathBuf::from(file), &target.catalog_name))
        }
        Some(IcebergCatalog::Rest(config)) => {
            Arc::new(RestCatalog::new(files.clone(), config.clone(), Arc::clone(runtime)))
        }
        Some(IcebergCatalog::Postgres(config)) => {
            Arc::new(PostgresCatalog::new(files.clone(), config.clone(), &target.catalog_name, Arc::clone(runtime)))
        }
        Some(IcebergCatalog::Hive(config)) => Arc::new(HiveCatalog::new(files.clone(), config.clone())),
        None => return Err(failure::internal("opening a catalog", "the connection does not name exactly one")),
    })
}

/// Who gives out credentials for the warehouse of `target`; none if the connection has its own.
pub(crate) fn vendor_of(target: &IcebergTarget, runtime: &Arc<IoRuntime>) -> Option<Arc<dyn Vendor>> {
    let config = target.rest.as_ref().filter(|config| config.vended_credentials)?;
    Some(Arc::new(Vending::new(config.clone(), Arc::clone(runtime))))
}
