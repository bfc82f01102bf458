//! A source of any kind.
//!
//! In: a connection's requests. Out: answers of the kind that it is. Not here: the kinds (`HiveSource`, [`IcebergSource`]).

use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableName;
use skein_protocol::inspection::{Inspection, SourceFile, TargetState};
use skein_protocol::plan::Plan;

use super::{HiveSource, IcebergSource};
use crate::worker::Telling;

/// A connection that is read.
#[derive(Debug)]
pub enum Source {
    /// Hive's files, with or without a metastore.
    Hive(HiveSource),
    /// Tables of an Iceberg catalog.
    Iceberg(IcebergSource),
}

impl Source {
    /// From now on, inspections tell which files they read.
    pub(crate) fn tell(&mut self, telling: Telling) {
        match self {
            Self::Hive(source) => source.tell(telling),
            Self::Iceberg(source) => source.tell(telling),
        }
    }

    /// All tables, sorted.
    ///
    /// # Errors
    /// When the connection cannot be read.
    pub fn select(&self) -> Result<Vec<TableName>, Failure> {
        match self {
            Self::Hive(source) => source.select(),
            Self::Iceberg(source) => source.select(),
        }
    }

    /// Looks at one table. What prevents a migration is among the inspection's problems; `target` is passed on.
    ///
    /// # Errors
    /// When it cannot even be looked at.
    pub fn inspect(&self, dataset: &TableName, target: TargetState) -> Result<Inspection, Failure> {
        match self {
            Self::Hive(source) => source.inspect(dataset, target),
            Self::Iceberg(source) => source.inspect(dataset, target),
        }
    }

    /// Lists the files of a planned table again, without opening them: rows are absent.
    ///
    /// # Errors
    /// `SOURCE_CHANGED` if the table is not what was planned; what looking at it finds.
    pub fn list_files(&self, plan: &Plan) -> Result<Vec<SourceFile>, Failure> {
        match self {
            Self::Hive(source) => source.list_files(plan),
            Self::Iceberg(source) => source.list_files(plan),
        }
    }
}
