//! Connections: where data lives. They belong to a node's configuration; policies only name them.
//!
//! Holds: the configuration types. Not here: opening anything (the engine), secrets' values (references only:
//! `${env:NAME}`, `${file:PATH}` are resolved by the binary when it reads its configuration).

mod metastore;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::ConnectionName;
use crate::secret::Secret;

pub use metastore::{
    Authentication, HiveCatalog, HiveMetastore, MetastoreAddress, MetastoreService, NotAnAddress, Wrong,
};

/// All connections of a node, by name.
pub type Connections = BTreeMap<ConnectionName, Connection>;

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "a node has a handful of them, and they are not moved about")]
pub enum Connection {
    /// A legacy warehouse as folders of files in Hive's layout.
    HiveFiles(HiveFiles),
    /// A legacy warehouse of which a Hive Metastore knows.
    HiveMetastore(HiveMetastore),
    /// An Iceberg catalog with its warehouse.
    Iceberg(IcebergTarget),
}

/// A folder of databases (`NAME.db/`), tables and partitions (`key=value/`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HiveFiles {
    /// The warehouse folder: absolute, or in an object store (`s3://bucket/prefix`).
    pub warehouse: String,
    /// A table description file (JSON); locations in it are relative to its own folder.
    #[serde(default)]
    pub description: Option<String>,
    /// Folders under which every table's location must lie after links are resolved; by default the warehouse alone.
    #[serde(default)]
    pub allowed_roots: Vec<String>,
    /// How the object stores are reached that the warehouse, the description or the roots lie in.
    #[serde(default, skip_serializing_if = "StorageOptions::is_empty")]
    pub storage: StorageOptions,
}

impl HiveFiles {
    /// A warehouse folder without anything else.
    #[must_use]
    pub fn at(warehouse: impl Into<String>) -> Self {
        let storage = StorageOptions::new();
        Self { warehouse: warehouse.into(), description: None, allowed_roots: Vec::new(), storage }
    }
}

/// An Iceberg catalog and the place where its tables are written: a target, or a source. Exactly one catalog is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IcebergTarget {
    /// SQL catalog on SQLite: its file, absolute; created when it does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_file: Option<String>,
    /// REST catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<RestCatalog>,
    /// SQL catalog on PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresCatalog>,
    /// Hive Metastore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hive: Option<HiveCatalog>,
    /// The catalog's name in an SQL catalog (readers must use the same).
    #[serde(default = "default_catalog_name")]
    pub catalog_name: String,
    /// Where tables are written: an absolute folder, or `s3://bucket/prefix` (`gs:`, `az:`, `abfss:` likewise).
    pub warehouse: String,
    /// Folders under which every file of a table must lie that is read as a source, links resolved; by default the warehouse alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_roots: Vec<String>,
    /// How the object stores of the warehouse and the roots are reached.
    #[serde(default, skip_serializing_if = "StorageOptions::is_empty")]
    pub storage: StorageOptions,
}

/// Options of an object store, as the crate `object_store` names them: `aws_endpoint`, `aws_access_key_id`,
/// `aws_secret_access_key`, `aws_region`, `aws_allow_http`, `azure_storage_account_name`, `google_service_account`, ….
pub type StorageOptions = BTreeMap<String, Secret>;

/// An Iceberg REST catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestCatalog {
    /// Where it listens, without `/v1`.
    pub uri: String,
    /// The warehouse that the catalog is asked for; what that is, is the catalog's matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<String>,
    /// `client:secret`, exchanged for a token (OAuth2 client credentials).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Secret>,
    /// A token, used as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// The scope that is asked for with the credential.
    #[serde(default = "default_scope")]
    pub scope: String,
    /// Where tokens are given out; by default the catalog's own `/v1/oauth/tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2_uri: Option<String>,
    /// PEM file of authorities that are trusted besides the system's, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Whether the catalog gives out the credentials for the warehouse, for one table each and for a while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vended_credentials: bool,
}

/// An Iceberg SQL catalog on PostgreSQL, with the tables that pyiceberg's and iceberg-rust's have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PostgresCatalog {
    /// The connection, `postgresql://user:password@host:5432/database?sslmode=require`.
    pub url: Secret,
    /// PEM file of authorities that are trusted besides the system's, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// The one catalog that a target connection names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcebergCatalog<'a> {
    /// SQL on SQLite: the file.
    Sqlite(&'a str),
    /// REST.
    Rest(&'a RestCatalog),
    /// SQL on PostgreSQL.
    Postgres(&'a PostgresCatalog),
    /// Hive Metastore.
    Hive(&'a HiveCatalog),
}

impl IcebergTarget {
    /// A target in an SQLite catalog with a folder.
    #[must_use]
    pub fn sqlite(catalog_file: impl Into<String>, warehouse: impl Into<String>) -> Self {
        Self {
            catalog_file: Some(catalog_file.into()),
            rest: None,
            postgres: None,
            hive: None,
            catalog_name: default_catalog_name(),
            warehouse: warehouse.into(),
            allowed_roots: Vec::new(),
            storage: StorageOptions::new(),
        }
    }

    /// The catalog; none when none or more than one is named, which no checked configuration does.
    #[must_use]
    pub fn catalog(&self) -> Option<IcebergCatalog<'_>> {
        match (&self.catalog_file, &self.rest, &self.postgres, &self.hive) {
            (Some(file), None, None, None) => Some(IcebergCatalog::Sqlite(file)),
            (None, Some(rest), None, None) => Some(IcebergCatalog::Rest(rest)),
            (None, None, Some(postgres), None) => Some(IcebergCatalog::Postgres(postgres)),
            (None, None, None, Some(hive)) => Some(IcebergCatalog::Hive(hive)),
            _ => None,
        }
    }
}

/// Whether a location names an object in a store and no file of a machine.
#[must_use]
pub fn is_object(location: &str) -> bool {
    OBJECT_SCHEMES.iter().any(|scheme| location.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")))
}

/// The root of the store that a location lies in (`s3://bucket`) and its key there, spelt in one way: `s3a` and `s3n` are
/// Hadoop's names for `s3`. None for what is no location in a store.
#[must_use]
pub fn in_store(location: &str) -> Option<(String, &str)> {
    let (scheme, rest) = location.split_once("://").filter(|(scheme, _)| OBJECT_SCHEMES.contains(scheme))?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let scheme = if matches!(scheme, "s3a" | "s3n") { "s3" } else { scheme };
    (!bucket.is_empty()).then(|| (format!("{scheme}://{bucket}"), key.trim_end_matches('/')))
}

/// Schemes of locations in object stores.
const OBJECT_SCHEMES: [&str; 8] = ["s3", "s3a", "s3n", "gs", "az", "azure", "abfs", "abfss"];

fn default_scope() -> String {
    "catalog".to_owned()
}

fn default_catalog_name() -> String {
    "skein".to_owned()
}

impl Connection {
    /// Roots of the object stores that it reads or writes (`s3://bucket`), and how they are reached. A warehouse whose catalog
    /// gives out credentials is none of them: it is reached table by table.
    #[must_use]
    pub fn stores(&self) -> (BTreeSet<String>, &StorageOptions) {
        let (places, storage): (Vec<&String>, _) = match self {
            Self::HiveFiles(hive) => (
                std::iter::once(&hive.warehouse).chain(&hive.description).chain(&hive.allowed_roots).collect(),
                &hive.storage,
            ),
            Self::HiveMetastore(metastore) => (metastore.allowed_roots.iter().collect(), &metastore.storage),
            Self::Iceberg(iceberg) => {
                let vended = iceberg.rest.as_ref().is_some_and(|rest| rest.vended_credentials);
                let warehouse = (!vended).then_some(&iceberg.warehouse);
                (warehouse.into_iter().chain(&iceberg.allowed_roots).collect(), &iceberg.storage)
            }
        };
        (places.into_iter().filter_map(|place| Some(in_store(place)?.0)).collect(), storage)
    }

    /// The kind as the configuration names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::HiveFiles(_) => "hive-files",
            Self::HiveMetastore(_) => "hive-metastore",
            Self::Iceberg(_) => "iceberg",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hadoops_names_of_s3_mean_the_same_bucket() {
        for location in ["s3://b/w/t/", "s3a://b/w/t", "s3n://b/w/t"] {
            assert_eq!(in_store(location), Some(("s3://b".to_owned(), "w/t")), "{location}");
        }
        assert_eq!(in_store("/w/t"), None);
        assert_eq!(in_store("hdfs://n/w"), None);
        assert_eq!(in_store("s3:///w"), None);
    }

    #[test]
    fn a_connection_names_every_store_that_it_reads() {
        let mut hive = HiveFiles::at("s3a://legacy/warehouse");
        hive.allowed_roots = vec!["s3://legacy/warehouse".to_owned(), "gs://other".to_owned(), "/srv".to_owned()];
        let connection = Connection::HiveFiles(hive);
        let (roots, _) = connection.stores();
        assert_eq!(roots.into_iter().collect::<Vec<_>>(), ["gs://other", "s3://legacy"]);
    }
}
