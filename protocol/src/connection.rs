//! Connections: where data lives. They belong to a node's configuration; policies only name them.
//!
//! Holds: the configuration types. Not here: opening anything (the engine), secrets' values (references only:
//! `${env:NAME}`, `${file:PATH}` are resolved by the binary when it reads its configuration).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::ConnectionName;

/// All connections of a node, by name.
pub type Connections = BTreeMap<ConnectionName, Connection>;

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Connection {
    /// A legacy warehouse as folders of files in Hive's layout.
    HiveFiles(HiveFiles),
    /// An Iceberg catalog with its warehouse.
    Iceberg(IcebergTarget),
}

/// A folder of databases (`NAME.db/`), tables and partitions (`key=value/`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HiveFiles {
    /// The warehouse folder, absolute.
    pub warehouse: String,
    /// A table description file (JSON); locations in it are relative to its own folder.
    #[serde(default)]
    pub description: Option<String>,
    /// Folders under which every table's location must lie after links are resolved; by default the warehouse alone.
    #[serde(default)]
    pub allowed_roots: Vec<String>,
}

/// An Iceberg SQL catalog on SQLite, with a warehouse on a local disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IcebergTarget {
    /// The catalog's SQLite file, absolute; created when it does not exist.
    pub catalog_file: String,
    /// The catalog's name in that file (readers must use the same).
    #[serde(default = "default_catalog_name")]
    pub catalog_name: String,
    /// The folder under which tables are written, absolute.
    pub warehouse: String,
}

fn default_catalog_name() -> String {
    "skein".to_owned()
}

impl Connection {
    /// The kind as the configuration names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::HiveFiles(_) => "hive-files",
            Self::Iceberg(_) => "iceberg",
        }
    }
}
