//! A connection to the catalog's SQLite file, and what its errors mean.
//!
//! In: the file's path. Out: [`Open`], failures. Holds: the tables' definitions. Not here: statements about tables.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use skein_protocol::data_plane::Failure;
use skein_protocol::problem::{Code, Problem};

use crate::failure;
use crate::files::Files;

/// How long a statement waits for other writers of the catalog. Their transactions are short; a longer lock is a
/// program that hangs, and the caller tries again later anyway.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The definitions that pyiceberg gives these tables.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000),
    previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
);
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000) NOT NULL,
    PRIMARY KEY (catalog_name, namespace, property_key)
);";

/// An open connection.
#[derive(Debug)]
pub(super) struct Open {
    /// The connection.
    pub(super) connection: Connection,
    /// Whether tables and views are told apart.
    pub(super) has_type: bool,
    /// Device and inode of the file, which may be replaced behind our back.
    file: (u64, u64),
}

impl Open {
    /// The connection in `slot`, opened anew if need be; none if there is no catalog.
    pub(super) fn existing<'a>(slot: &'a mut Option<Self>, path: &Path) -> Result<Option<&'a mut Self>, Failure> {
        let file = match fs::metadata(path) {
            Ok(found) => (found.dev(), found.ino()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                *slot = None;
                return Ok(None);
            }
            Err(error) => return Err(failure::of_io("opening the catalog", &path.display().to_string(), &error)),
        };
        if slot.as_ref().is_none_or(|open| open.file != file) {
            *slot = None;
            let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| failed(path, &error))?;
            match has_type(&connection).map_err(|error| failed(path, &error))? {
                Some(has_type) => *slot = Some(Self { connection, has_type, file }),
                None => return Ok(None),
            }
        }
        Ok(slot.as_mut())
    }

    /// The connection in `slot`; the file and its tables are made if they do not exist.
    pub(super) fn or_create<'a>(
        slot: &'a mut Option<Self>,
        path: &Path,
        files: &Files,
    ) -> Result<&'a mut Self, Failure> {
        if Self::existing(slot, path)?.is_none() {
            let place = path.display().to_string();
            if let Some(folder) = path.parent() {
                files
                    .make_folder(folder)
                    .map_err(|error| failure::of_io("making the catalog's folder", &place, &error))?;
            }
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
            let connection = connect(path, flags).map_err(|error| failed(path, &error))?;
            // One transaction: another process must not see one table without the other.
            connection
                .execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} COMMIT;"))
                .map_err(|error| failed(path, &error))?;
            drop(connection);
        }
        Self::existing(slot, path)?.ok_or_else(|| {
            let next = "Look whether another program removes the catalog's file";
            let why = format!("{} has no tables although they were just made", place_of(path));
            Failure::transient(Problem::new(Code::CatalogUnavailable, "creating the catalog failed", why, next))
        })
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // EXTRA also forces the removal of the journal to the disk: a registration that was acknowledged must not come
    // undone when the power fails. The journal's kind is left as it is: WAL would need write access for readers.
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    Ok(connection)
}

/// Whether the table of tables has a column for its kind; none when there is no such table.
fn has_type(connection: &Connection) -> rusqlite::Result<Option<bool>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info('iceberg_tables')")?;
    let columns: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok((!columns.is_empty()).then(|| columns.iter().any(|column| column == "iceberg_type")))
}

/// The failure of a statement that certainly did nothing.
pub(super) fn failed(path: &Path, error: &rusqlite::Error) -> Failure {
    Failure::transient(problem(path, error))
}

/// The failure of a commit of which nobody knows whether it happened.
pub(super) fn unknown(path: &Path, error: &rusqlite::Error) -> Failure {
    Failure::unknown(problem(path, error))
}

/// Whether another connection stands in the way.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn problem(path: &Path, error: &rusqlite::Error) -> Problem {
    let (code, next) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            (Code::DiskFull, "Free space where the catalog's file lies; the work is tried again by itself")
        }
        _ => (
            Code::CatalogUnavailable,
            "Check the catalog's file and what else uses it; the work is tried again by itself",
        ),
    };
    Problem::new(code, "using the catalog failed", format!("{}: {error}", place_of(path)), next)
}

fn place_of(path: &Path) -> String {
    path.display().to_string()
}
