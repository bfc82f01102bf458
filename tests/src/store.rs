//! An object store with a REST catalog over it, for tests whose data lies there.
//!
//! In: nothing. Out: connections of nodes to it, properties of readers. Holds: [`Store`], a running SeaweedFS.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::{Readers, Service};

/// The region that S3 wants to be told; SeaweedFS takes any.
const REGION: &str = "us-east-1";
/// The bucket that its catalog owns; databases lie at its top.
const OWNED: &str = "s3://warehouse";
/// The bucket that nobody owns.
const PLAIN: &str = "s3://plain";

/// A running store.
#[derive(Debug)]
pub struct Store {
    service: Service,
}

impl Store {
    /// Starts one of its own.
    #[must_use]
    pub fn start() -> Self {
        Self { service: Service::start("seaweedfs") }
    }

    /// Where S3 listens, host and port.
    #[must_use]
    pub fn listens(&self) -> &str {
        self.service.text("s3").trim_start_matches("http://")
    }

    /// The location of `path` in the bucket that nobody owns.
    #[must_use]
    pub fn plain(&self, path: &str) -> String {
        format!("{PLAIN}/{path}")
    }

    /// The options of a connection that reaches it at `address`, or where it listens.
    #[must_use]
    pub fn options(&self, address: Option<&str>) -> BTreeMap<String, String> {
        let endpoint = format!("http://{}", address.unwrap_or(self.listens()));
        [
            ("aws_endpoint", endpoint.as_str()),
            ("aws_access_key_id", self.service.text("key")),
            ("aws_secret_access_key", self.secret()),
            ("aws_region", REGION),
            ("aws_allow_http", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// What nobody may see.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.service.text("secret")
    }

    /// The section of a target connection that names the REST catalog over it.
    #[must_use]
    pub fn rest(&self) -> Value {
        json!({ "uri": self.service.text("rest"), "warehouse": OWNED, "credential": self.credential() })
    }

    /// The target connection to its REST catalog.
    #[must_use]
    pub fn lake(&self) -> Value {
        json!({ "kind": "iceberg", "rest": self.rest(), "warehouse": OWNED, "storage": self.options(None) })
    }

    /// A source connection to the folder `warehouse` in it.
    #[must_use]
    pub fn source(&self, warehouse: &str) -> Value {
        json!({ "kind": "hive-files", "warehouse": warehouse, "storage": self.options(None) })
    }

    fn credential(&self) -> String {
        format!("{}:{}", self.service.text("key"), self.secret())
    }

    /// What pyiceberg and DuckDB open files with.
    #[must_use]
    pub fn file_properties(&self) -> BTreeMap<String, String> {
        [
            ("s3.endpoint", self.service.text("s3")),
            ("s3.access-key-id", self.service.text("key")),
            ("s3.secret-access-key", self.secret()),
            ("s3.region", REGION),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// What pyiceberg opens the REST catalog with, files included.
    #[must_use]
    pub fn rest_properties(&self) -> BTreeMap<String, String> {
        let mut properties = self.file_properties();
        let catalog = [
            ("type", "rest"),
            ("uri", self.service.text("rest")),
            ("credential", &self.credential()),
            ("warehouse", OWNED),
        ];
        properties.extend(catalog.map(|(name, value)| (name.to_owned(), value.to_owned())));
        properties
    }

    /// Copies a folder to a location in it.
    #[track_caller]
    pub fn put(&self, readers: &Readers, from: &Path, location: &str) {
        let wanted = json!({
            "endpoint": self.listens(), "key": self.service.text("key"), "secret": self.secret(), "region": REGION,
            "from": from, "to": location.trim_start_matches("s3://"),
        });
        let (code, text) = readers.run("put.py", &[], &wanted.to_string());
        assert_eq!(code, 0, "{text}");
    }
}
