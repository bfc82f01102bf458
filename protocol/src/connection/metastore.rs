//! The configuration of a Hive Metastore, as a source and as a target's catalog, and what can be wrong with it.
//!
//! In: nothing. Out: addresses. Not here: asking a metastore (the engine).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StorageOptions;

/// How long a connection may take to come about, unless the configuration says otherwise: another address is tried then.
const CONNECT_SECONDS: u64 = 10;
/// How long one call may take, unless the configuration says otherwise: a metastore that looks up hundreds of partitions in
/// a busy database needs some seconds.
const CALL_SECONDS: u64 = 120;
/// Longest wait that can be configured: whoever waits for longer does not notice that nobody answers.
const MOST_SECONDS: u64 = 3_600;
/// What an address begins with.
const SCHEME: &str = "thrift://";

/// A Hive Metastore that is asked over Thrift. Data files are read from local folders and from object stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HiveMetastore {
    /// Its addresses, `thrift://host:port`; they are tried in this order.
    pub uris: Vec<String>,
    /// Folders under which every location of tables and partitions must lie after links are resolved: absolute, or in object
    /// stores (`s3://bucket/prefix`).
    pub allowed_roots: Vec<String>,
    /// How the object stores are reached that roots lie in.
    #[serde(default, skip_serializing_if = "StorageOptions::is_empty")]
    pub storage: StorageOptions,
    /// How it wants to know who calls.
    #[serde(default)]
    pub authentication: Authentication,
    /// Whether messages have frames (`hive.metastore.thrift.framed.transport.enabled`).
    #[serde(default)]
    pub framed: bool,
    /// How long a connection may take to come about, seconds.
    #[serde(default = "connect_seconds")]
    pub connect_seconds: u64,
    /// How long one call may take, seconds.
    #[serde(default = "call_seconds")]
    pub call_seconds: u64,
}

fn connect_seconds() -> u64 {
    CONNECT_SECONDS
}

fn call_seconds() -> u64 {
    CALL_SECONDS
}

/// A Hive Metastore as the catalog of Iceberg tables. How it is called is said as in [`HiveMetastore`], field by field: serde
/// cannot flatten a shared part where unknown fields are denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HiveCatalog {
    /// Its addresses, `thrift://host:port`; they are tried in this order.
    pub uris: Vec<String>,
    /// How it wants to know who calls.
    #[serde(default)]
    pub authentication: Authentication,
    /// Whether messages have frames (`hive.metastore.thrift.framed.transport.enabled`).
    #[serde(default)]
    pub framed: bool,
    /// How long a connection may take to come about, seconds.
    #[serde(default = "connect_seconds")]
    pub connect_seconds: u64,
    /// How long one call may take, seconds.
    #[serde(default = "call_seconds")]
    pub call_seconds: u64,
}

/// How a metastore is reached, whatever it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct MetastoreService<'a> {
    uris: &'a [String],
    authentication: Authentication,
    /// Whether messages have frames.
    pub framed: bool,
    /// How long a connection may take to come about, seconds.
    pub connect_seconds: u64,
    /// How long one call may take, seconds.
    pub call_seconds: u64,
}

/// How a metastore wants to know who calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// Not at all.
    #[default]
    None,
    /// Kerberos over SASL: named so that it can be refused by name.
    Kerberos,
}

/// Host and port of a metastore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetastoreAddress {
    /// Name or IP address; one of version 6 without its brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for MetastoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{SCHEME}[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{SCHEME}{}:{}", self.host, self.port)
        }
    }
}

/// A text that is no metastore's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address of the form thrift://host:port")]
pub struct NotAnAddress(String);

impl FromStr for MetastoreAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let rest = text.strip_prefix(SCHEME)?;
            let (host, port) = rest.strip_suffix('/').unwrap_or(rest).rsplit_once(':')?;
            let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == '_';
            let fine = match inner {
                Some(six) => six.chars().all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.'),
                None => host.chars().all(plain),
            };
            let host = inner.unwrap_or(host).to_owned();
            let port = port.parse().ok().filter(|port| *port > 0)?;
            (fine && !host.is_empty()).then_some(Self { host, port })
        };
        read().ok_or_else(|| NotAnAddress(text.to_owned()))
    }
}

/// Something that is wrong with a metastore's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The key.
    pub key: String,
    /// What is wrong.
    pub why: String,
    /// What to write in its place.
    pub next: &'static str,
}

impl HiveMetastore {
    /// How it is reached.
    #[must_use]
    pub fn service(&self) -> MetastoreService<'_> {
        let Self { uris, authentication, framed, connect_seconds, call_seconds, .. } = self;
        let (authentication, framed) = (*authentication, *framed);
        MetastoreService {
            uris,
            authentication,
            framed,
            connect_seconds: *connect_seconds,
            call_seconds: *call_seconds,
        }
    }

    /// Everything that is wrong with it, apart from paths.
    #[must_use]
    pub fn wrong(&self) -> Vec<Wrong> {
        let mut found = self.service().wrong();
        if self.allowed_roots.is_empty() {
            let why = "without a root no location may be read".to_owned();
            found.push(Wrong {
                key: "allowedRoots".to_owned(),
                why,
                next: "name the folders under which the tables lie",
            });
        }
        found
    }
}

impl HiveCatalog {
    /// How it is reached.
    #[must_use]
    pub fn service(&self) -> MetastoreService<'_> {
        let Self { uris, authentication, framed, connect_seconds, call_seconds } = self;
        let (authentication, framed) = (*authentication, *framed);
        MetastoreService {
            uris,
            authentication,
            framed,
            connect_seconds: *connect_seconds,
            call_seconds: *call_seconds,
        }
    }
}

impl MetastoreService<'_> {
    /// Everything that is wrong with it.
    #[must_use]
    pub fn wrong(&self) -> Vec<Wrong> {
        let mut found = Vec::new();
        let mut wrong = |key: &str, why: String, next| found.push(Wrong { key: key.to_owned(), why, next });
        if self.uris.is_empty() {
            wrong("uris", "there is no address".to_owned(), "write at least one: thrift://host:9083");
        }
        for (index, uri) in self.uris.iter().enumerate() {
            if let Err(error) = uri.parse::<MetastoreAddress>() {
                wrong(&format!("uris[{index}]"), error.to_string(), "for example thrift://metastore.example.com:9083");
            }
        }
        if self.authentication == Authentication::Kerberos {
            let why = "Kerberos is not supported".to_owned();
            wrong("authentication", why, "use a metastore, or an address of it, that does not ask for it");
        }
        for (key, seconds) in [("connectSeconds", self.connect_seconds), ("callSeconds", self.call_seconds)] {
            if !(1..=MOST_SECONDS).contains(&seconds) {
                wrong(key, format!("{seconds} is not between 1 and {MOST_SECONDS}"), "write a number of seconds");
            }
        }
        found
    }

    /// The addresses that can be read; [`MetastoreService::wrong`] tells of the others.
    #[must_use]
    pub fn addresses(&self) -> Vec<MetastoreAddress> {
        self.uris.iter().filter_map(|uri| uri.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_a_host_and_a_port() {
        let address = |text: &str| text.parse::<MetastoreAddress>().map(|address| (address.host, address.port));
        assert_eq!(address("thrift://ms-1.example:9083"), Ok(("ms-1.example".to_owned(), 9083)));
        assert_eq!(address("thrift://[::1]:9083/"), Ok(("::1".to_owned(), 9083)));
        assert_eq!("thrift://[::1]:9083".parse::<MetastoreAddress>().unwrap().to_string(), "thrift://[::1]:9083");
        for text in ["ms:9083", "http://ms:9083", "thrift://ms", "thrift://:9083", "thrift://u@ms:1", "thrift://ms:0"] {
            assert_eq!(address(text), Err(NotAnAddress(text.to_owned())));
        }
    }

    #[test]
    fn kerberos_missing_addresses_and_missing_roots_are_refused_by_name() {
        let text = r#"{"uris": ["ms"], "allowedRoots": [], "authentication": "kerberos", "callSeconds": 0}"#;
        let config: HiveMetastore = serde_json::from_str(text).unwrap();
        let keys: Vec<String> = config.wrong().into_iter().map(|wrong| wrong.key).collect();
        assert_eq!(keys, ["uris[0]", "authentication", "callSeconds", "allowedRoots"]);
        let text = r#"{"uris": ["thrift://ms:9083"], "allowedRoots": ["/wh"]}"#;
        let config: HiveMetastore = serde_json::from_str(text).unwrap();
        assert_eq!(config.wrong(), []);
        assert!(!config.framed);
    }
}
