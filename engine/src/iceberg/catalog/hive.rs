//! A Hive Metastore as the catalog.
//!
//! In: names and metadata locations. Out: what a name points at; names that were moved. Holds: [`HiveCatalog`]. Not here: the
//! calls (`crate::metastore`), the tables' columns in Hive's words (`types`).
//!
//! A table of Iceberg is a table of the metastore with the property `metadata_location`, as in Iceberg's own Hive catalog. A name is
//! taken by making the table, which only one can; it is moved by altering the table on the condition that it still points
//! where it did. There is no such condition for removing a table: that looks first, then removes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use iceberg::spec::TableMetadata;
use skein_protocol::connection::HiveCatalog as Config;
use skein_protocol::data_plane::{
    Failure, LoadedTable, Outcome, RegisterRequest, Registered, ReplaceRequest, Replaced,
};
use skein_protocol::ids::TableName;
use skein_protocol::problem::{Code, Problem};

use super::{Catalog, Known, Listed};
use crate::failure;
use crate::files::Files;
use crate::iceberg::head;
use crate::iceberg::names::table_place;
use crate::metastore::{Column, MetastoreError, NewTable, Session};

mod types;

/// The property that points at the metadata file.
const LOCATION: &str = "metadata_location";
/// The property that points at the file before.
const PREVIOUS: &str = "previous_metadata_location";
/// The property that says what keeps the rows.
const TABLE_TYPE: &str = "table_type";
const ICEBERG: &str = "ICEBERG";
/// To whom tables belong whose metadata names nobody.
const OWNER: &str = "skein";

/// A Hive Metastore.
#[derive(Debug)]
pub(super) struct HiveCatalog {
    files: Files,
    config: Config,
    /// Databases that are known to exist.
    databases: Mutex<Known>,
}

/// What stands under a name.
enum Standing {
    /// Nothing.
    Free,
    /// A table of Iceberg, with its metadata location.
    Iceberg(String),
    /// A table or view of another kind.
    Other(String),
}

impl HiveCatalog {
    /// The metastore that `config` names. Nothing is asked yet.
    pub(super) fn new(files: Files, config: Config) -> Self {
        Self { files, config, databases: Mutex::default() }
    }

    fn session(&self) -> Result<Session, Failure> {
        Session::open(self.config.service()).map_err(looked)
    }

    fn standing(session: &mut Session, name: &TableName) -> Result<Standing, Failure> {
        let Some(mut table) = session.table(name).map_err(looked)? else { return Ok(Standing::Free) };
        let iceberg = table.properties.get(TABLE_TYPE).is_some_and(|kind| kind.eq_ignore_ascii_case(ICEBERG));
        Ok(match table.properties.remove(LOCATION).filter(|_| iceberg) {
            Some(location) => Standing::Iceberg(location),
            None => Standing::Other(table.kind),
        })
    }

    /// The metadata location that a name points at; what is no table of Iceberg points at nothing that anybody expects.
    fn found(&self, name: &TableName) -> Result<Option<String>, Failure> {
        Ok(match Self::standing(&mut self.session()?, name)? {
            Standing::Free => None,
            Standing::Iceberg(location) => Some(location),
            Standing::Other(_) => Some(String::new()),
        })
    }

    /// The table whose name points at the metadata file at `location`, as the metastore wants it.
    fn table<T>(
        &self,
        name: &TableName,
        location: &str,
        previous: Option<&str>,
        then: impl FnOnce(&NewTable<'_>) -> T,
    ) -> Result<T, Failure> {
        let metadata = self.metadata(location)?;
        let schema = metadata.current_schema();
        let columns: Vec<Column> = schema.as_struct().fields().iter().map(|field| types::column(field)).collect();
        let mut properties: BTreeMap<String, String> =
            metadata.properties().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let owner = properties.get("owner").cloned().unwrap_or_else(|| OWNER.to_owned());
        for (key, value) in
            [("EXTERNAL", "TRUE"), (TABLE_TYPE, ICEBERG), ("uuid", &metadata.uuid().to_string()), (LOCATION, location)]
        {
            properties.insert(key.to_owned(), value.to_owned());
        }
        properties.extend(previous.map(|previous| (PREVIOUS.to_owned(), previous.to_owned())));
        let location = metadata.location();
        Ok(then(&NewTable { name, owner: &owner, columns: &columns, location, properties: &properties }))
    }

    fn metadata(&self, location: &str) -> Result<TableMetadata, Failure> {
        let place = table_place(location)?;
        let bytes =
            self.files.read(&place).map_err(|error| failure::of_io("reading a table's metadata", location, &error))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| failure::internal("reading a table's metadata", error.to_string()))
    }

    /// Points `name` at another file, if it points at `expected`.
    fn alter(&self, name: &TableName, expected: &str, location: &str) -> Result<Replaced, Failure> {
        let mut session = self.session()?;
        match Self::standing(&mut session, name)? {
            Standing::Iceberg(found) if found == expected => {}
            Standing::Free => return Ok(Replaced::Differs { found: None }),
            Standing::Iceberg(found) => return Ok(Replaced::Differs { found: Some(found) }),
            Standing::Other(_) => return Ok(Replaced::Differs { found: Some(String::new()) }),
        }
        let altered =
            self.table(name, location, Some(expected), |table| session.alter_table_if(table, LOCATION, expected))?;
        let Err(error) = altered else { return Ok(Replaced::Now) };
        let failure = changing(error);
        if failure.outcome == Outcome::Unknown {
            return Err(failure);
        }
        // The metastore says no: somebody else was faster, or its own second try found what the first one had done.
        match self.found(name)? {
            Some(found) if found == location => Ok(Replaced::Now),
            Some(found) if found == expected => Err(failure),
            found => Ok(Replaced::Differs { found }),
        }
    }

    fn create(&self, name: &TableName, location: &str) -> Result<Registered, Failure> {
        let mut session = self.session()?;
        match self.table(name, location, None, |table| session.create_table(table))? {
            Ok(true) => Ok(Registered::Now),
            Ok(false) => Ok(Registered::NameTaken),
            Err(error) => {
                let failure = changing(error);
                if failure.outcome == Outcome::Unknown {
                    return Err(failure);
                }
                match self.found(name)? {
                    Some(found) if found == location => Ok(Registered::Now),
                    Some(_) => Ok(Registered::NameTaken),
                    None => Err(failure),
                }
            }
        }
    }
}

impl Catalog for HiveCatalog {
    fn load(&self, name: &TableName) -> Result<Option<LoadedTable>, Failure> {
        match Self::standing(&mut self.session()?, name)? {
            Standing::Free => Ok(None),
            Standing::Iceberg(location) => head::load(&self.files, location).map(Some),
            // Its uuid is nil, which no table of Skein has.
            Standing::Other(kind) => head::load(&self.files, format!("(none: it is a {kind} of Hive)")).map(Some),
        }
    }

    fn tables(&self) -> Result<Vec<Listed>, Failure> {
        let mut session = self.session()?;
        let mut tables = Vec::new();
        for database in session.databases().map_err(looked)? {
            for table in session.tables(&database).map_err(looked)? {
                let name = TableName::new(database.clone(), table);
                if let Standing::Iceberg(location) = Self::standing(&mut session, &name)? {
                    tables.push(Listed { name, metadata_location: Some(location) });
                }
            }
        }
        Ok(tables)
    }

    fn prepare(&self, name: &TableName) -> Result<(), Failure> {
        Known::once(&self.databases, &name.database, || self.session()?.create_database(&name.database).map_err(looked))
    }

    fn register(&self, request: &RegisterRequest) -> Result<Registered, Failure> {
        let (name, location) = (&request.name, &request.metadata_location);
        if let Some(tombstone) = &request.replacing
            && matches!(self.alter(name, tombstone, location)?, Replaced::Now)
        {
            return Ok(Registered::Now);
        }
        // A database may have been removed since it was known.
        self.session()?.create_database(&name.database).map_err(looked)?;
        self.create(name, location)
    }

    fn replace(&self, request: &ReplaceRequest) -> Result<Replaced, Failure> {
        let name = &request.name;
        if let Some(replacement) = &request.replacement {
            return self.alter(name, &request.expected, replacement);
        }
        let found = self.found(name)?;
        if found.as_ref() != Some(&request.expected) {
            return Ok(Replaced::Differs { found });
        }
        match self.session()?.drop_table(name) {
            Ok(true) => Ok(Replaced::Now),
            Ok(false) => Ok(Replaced::Differs { found: None }),
            Err(error) => Err(changing(error)),
        }
    }
}

/// The failure of a look.
fn looked(error: MetastoreError) -> Failure {
    error.into_failure()
}

/// The failure of a change: one that was sent and not answered may have been done.
fn changing(error: MetastoreError) -> Failure {
    let why = error.to_string();
    let next = "Check that the metastore runs, and its log; the work is tried again by itself";
    let problem = Problem::new(Code::CatalogUnavailable, "using the catalog failed", why, next);
    match error {
        MetastoreError::Broken { .. } | MetastoreError::Malformed { .. } => Failure::unknown(problem),
        _ => Failure::transient(problem),
    }
}
