//! From YAML to [`Config`]: section by section, so that every error names its place.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml_ng::{Mapping, Value};
use skein_protocol::connection::{Connection, Connections, StorageOptions, in_store, is_object};
use skein_protocol::ids::ConnectionName;
use skein_protocol::machine::publishing::TOMBSTONE_MILLIS;

use super::alerts::alerts;
use super::engine::engine;
use super::fleet::fleet;
use super::reference::{Reference, resolve};
use super::tokens::tokens;
use super::{
    Config, ConfigError, DEFAULT_BATCH_MEMORY_BYTES, DEFAULT_LISTEN, MAX_SLOTS, MAX_TOMBSTONE_SECONDS,
    MIN_BATCH_MEMORY_BYTES, PROGRAM_VERSION,
};
use crate::checks::Checks;
use crate::ledger::LedgerConfig;

/// Most characters of a connection's or token's name.
const MAX_NAME_CHARS: usize = 63;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NodeSection {
    #[serde(default)]
    listen: Option<String>,
    #[serde(default)]
    data_dir: Option<String>,
    #[serde(default)]
    slots: Option<usize>,
    #[serde(default)]
    batch_memory: Option<Bytes>,
    #[serde(default)]
    tombstone_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsSection {
    #[serde(default)]
    connections: BTreeMap<ConnectionName, u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChecksSection {
    #[serde(default)]
    invariants: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Bytes {
    Number(u64),
    Text(String),
}

/// Reads a configuration. `slots` is what a node has unless configured otherwise; `lookup` tells what a reference
/// stands for.
///
/// # Errors
/// Everything that is wrong with it; never empty.
pub fn parse(
    text: &str,
    slots: usize,
    lookup: &dyn Fn(&Reference) -> Result<String, String>,
) -> Result<Config, Vec<ConfigError>> {
    let mut value: Value = serde_yaml_ng::from_str(text)
        .map_err(|error| vec![ConfigError::new("the file", error.to_string(), "correct the YAML at that place")])?;
    let mut errors = Vec::new();
    resolve(&mut value, "", lookup, &mut errors);
    let root = match value {
        Value::Mapping(root) => root,
        _ => {
            errors.push(ConfigError::new("the file", "it holds no mapping", "begin with `node:`"));
            return Err(errors);
        }
    };
    let sections = Sections::take(root, &mut errors);
    let node: NodeSection = section(sections.node, "node", &mut errors).unwrap_or_default();
    let connections = connections(sections.connections, &mut errors);
    let tokens = tokens(sections.tokens, &mut errors);
    let connection_limits = limits(sections.limits, &connections, &mut errors);
    let fleet = fleet(sections.fleet, &mut errors);
    let alerts = alerts(sections.alerts, &mut errors);
    let checks = checks(sections.checks, &mut errors);
    let engine = engine(sections.engine, &mut errors);
    let config = Config {
        listen: listen(node.listen.as_deref(), &mut errors),
        data_dir: data_dir(node.data_dir, &mut errors),
        slots: slots_within(node.slots, slots, &mut errors),
        batch_memory_bytes: batch_memory(node.batch_memory.as_ref(), &mut errors),
        tombstone_millis: tombstone(node.tombstone_seconds, &mut errors),
        connections,
        tokens,
        connection_limits,
        fleet,
        alerts,
        checks,
        engine,
        ledger: LedgerConfig::default(),
        version: PROGRAM_VERSION.to_owned(),
    };
    if errors.is_empty() { Ok(config) } else { Err(errors) }
}

/// The parts of a configuration.
#[derive(Default)]
struct Sections {
    node: Option<Value>,
    connections: Option<Value>,
    tokens: Option<Value>,
    limits: Option<Value>,
    fleet: Option<Value>,
    alerts: Option<Value>,
    checks: Option<Value>,
    engine: Option<Value>,
}

impl Sections {
    fn take(root: Mapping, errors: &mut Vec<ConfigError>) -> Self {
        let mut sections = Self::default();
        for (key, value) in root {
            match key.as_str() {
                Some("node") => sections.node = Some(value),
                Some("connections") => sections.connections = Some(value),
                Some("tokens") => sections.tokens = Some(value),
                Some("limits") => sections.limits = Some(value),
                Some("fleet") => sections.fleet = Some(value),
                Some("alerts") => sections.alerts = Some(value),
                Some("checks") => sections.checks = Some(value),
                Some("engine") => sections.engine = Some(value),
                _ => {
                    let key = key.as_str().unwrap_or("a key that is no text");
                    errors.push(ConfigError::new(
                        key,
                        "there is no such section",
                        "write node, fleet, connections, limits, tokens, alerts, checks or engine",
                    ));
                }
            }
        }
        if sections.node.is_none() {
            errors.push(ConfigError::new(
                "node",
                "the section is missing",
                "write `node: {dataDir: /absolute/folder}`",
            ));
        }
        sections
    }
}

/// Decodes one part; an empty one is the same as none.
pub(super) fn section<T: DeserializeOwned>(value: Option<Value>, at: &str, errors: &mut Vec<ConfigError>) -> Option<T> {
    let value = value.filter(|value| !value.is_null())?;
    match serde_yaml_ng::from_value(value) {
        Ok(section) => Some(section),
        Err(error) => {
            errors.push(ConfigError::new(at, error.to_string(), "correct it as docs/configuration.md says"));
            None
        }
    }
}

fn connections(value: Option<Value>, errors: &mut Vec<ConfigError>) -> Connections {
    let named: BTreeMap<String, Value> = section(value, "connections", errors).unwrap_or_default();
    let mut connections = Connections::new();
    for (name, value) in named {
        let at = format!("connections.{name}");
        if let Err(why) = plain_name(&name) {
            errors.push(ConfigError::new(&at, why, "for example `legacy`"));
        }
        let before = errors.len();
        if let Some(connection) = section::<Connection>(Some(value), &at, errors) {
            check_paths(&at, &connection, errors);
            connections.insert(ConnectionName(name), connection);
        } else if errors.len() == before {
            errors.push(ConfigError::new(
                &at,
                "it is empty",
                "write at least its kind: hive-files, hive-metastore or iceberg",
            ));
        }
    }
    check_apart(&connections, errors);
    check_stores(&connections, errors);
    connections
}

/// `limits: {connections: {legacy: 8}}`: most batches at once over the whole fleet.
fn limits(
    value: Option<Value>,
    connections: &Connections,
    errors: &mut Vec<ConfigError>,
) -> BTreeMap<ConnectionName, u32> {
    let LimitsSection { connections: limits } = section(value, "limits", errors).unwrap_or_default();
    for (name, most) in &limits {
        let at = format!("limits.connections.{name}");
        if !connections.contains_key(name) {
            errors.push(ConfigError::new(&at, "there is no such connection", "name one of the section connections"));
        }
        if *most == 0 {
            errors.push(ConfigError::new(&at, "nothing could ever be read or written", "write 1 or more"));
        }
    }
    limits
}

/// `checks: {invariants: full}`.
fn checks(value: Option<Value>, errors: &mut Vec<ConfigError>) -> Checks {
    let ChecksSection { invariants } = section(value, "checks", errors).unwrap_or_default();
    let Some(named) = invariants else { return Checks::default() };
    Checks::named(&named).unwrap_or_else(|| {
        let why = format!("{named:?} is none of the levels");
        errors.push(ConfigError::new("checks.invariants", why, "write off, entries or full"));
        Checks::default()
    })
}

/// Every path of a connection is absolute and says where it leads.
fn check_paths(at: &str, connection: &Connection, errors: &mut Vec<ConfigError>) {
    let mut paths: Vec<(String, &str)> = Vec::new();
    match connection {
        Connection::HiveFiles(hive) => {
            paths.push(("warehouse".to_owned(), &hive.warehouse));
            paths.extend(hive.description.iter().map(|path| ("description".to_owned(), path.as_str())));
            let roots = hive.allowed_roots.iter().enumerate();
            paths.extend(roots.map(|(index, path)| (format!("allowedRoots[{index}]"), path.as_str())));
        }
        Connection::HiveMetastore(metastore) => {
            let roots = metastore.allowed_roots.iter().enumerate();
            paths.extend(roots.map(|(index, path)| (format!("allowedRoots[{index}]"), path.as_str())));
            let wrong = metastore.wrong().into_iter();
            errors.extend(wrong.map(|wrong| ConfigError::new(format!("{at}.{}", wrong.key), wrong.why, wrong.next)));
        }
        Connection::Iceberg(iceberg) => {
            paths.extend(iceberg.catalog_file.iter().map(|path| ("catalogFile".to_owned(), path.as_str())));
            paths.push(("warehouse".to_owned(), &iceberg.warehouse));
            let roots = iceberg.allowed_roots.iter().enumerate();
            paths.extend(roots.map(|(index, path)| (format!("allowedRoots[{index}]"), path.as_str())));
            let rest = iceberg.rest.iter().filter_map(|rest| rest.ca_file.as_deref());
            paths.extend(rest.map(|path| ("rest.caFile".to_owned(), path)));
            let postgres = iceberg.postgres.iter().filter_map(|postgres| postgres.ca_file.as_deref());
            paths.extend(postgres.map(|path| ("postgres.caFile".to_owned(), path)));
            let wrong = iceberg.hive.iter().flat_map(|hive| hive.service().wrong());
            errors
                .extend(wrong.map(|wrong| ConfigError::new(format!("{at}.hive.{}", wrong.key), wrong.why, wrong.next)));
            let vended = iceberg.rest.as_ref().is_some_and(|rest| rest.vended_credentials);
            if vended && !in_store(&iceberg.warehouse).is_some_and(|(root, _)| root.starts_with("s3://")) {
                let why = format!("the warehouse {:?} is not in S3", iceberg.warehouse);
                let next = "only credentials for S3 are taken from a catalog: write the store's own into `storage`";
                errors.push(ConfigError::new(format!("{at}.rest.vendedCredentials"), why, next));
            }
            if iceberg.catalog().is_none() {
                let why = "it names no catalog, or more than one";
                errors.push(ConfigError::new(at, why, "write one of catalogFile, rest, postgres and hive"));
            }
        }
    }
    for (key, path) in paths {
        check_absolute(&format!("{at}.{key}"), path, errors);
    }
}

fn check_absolute(at: &str, path: &str, errors: &mut Vec<ConfigError>) {
    let of_data = ["warehouse", "description"].iter().any(|key| at.ends_with(key)) || at.contains("allowedRoots");
    let place = of_data && is_object(path);
    if !path.starts_with('/') && !place {
        errors.push(ConfigError::new(at, format!("{path:?} is no absolute path"), "write it from the root: /…"));
    } else if path.split('/').any(|part| part == "..") {
        errors.push(ConfigError::new(at, format!("{path:?} goes up with `..`"), "write where it leads"));
    }
}

/// Every store is reached in one way, whichever connection names it.
fn check_stores(connections: &Connections, errors: &mut Vec<ConfigError>) {
    let mut known: BTreeMap<String, (&ConnectionName, &StorageOptions)> = BTreeMap::new();
    for (name, connection) in connections {
        let (roots, storage) = connection.stores();
        for root in roots {
            let (other, options) = *known.entry(root.clone()).or_insert((name, storage));
            if options != storage {
                let why = format!("connection {other} reaches {root} with other options");
                errors.push(ConfigError::new(format!("connections.{name}.storage"), why, "write the same in both"));
            }
        }
    }
}

/// No target is written below a source: sources stay untouched.
fn check_apart(connections: &Connections, errors: &mut Vec<ConfigError>) {
    for (target_name, target) in connections {
        let Connection::Iceberg(target) = target else { continue };
        for (source_name, source) in connections {
            let read: &[String] = match source {
                Connection::HiveFiles(source) => std::slice::from_ref(&source.warehouse),
                Connection::HiveMetastore(source) => &source.allowed_roots,
                Connection::Iceberg(_) => continue,
            };
            let warehouse = Some(("warehouse", &target.warehouse));
            let catalog_file = target.catalog_file.as_ref().map(|file| ("catalogFile", file));
            for (key, path) in warehouse.into_iter().chain(catalog_file) {
                if read.iter().any(|folder| is_below(path, folder)) {
                    let why = format!("{path} lies in the warehouse of connection {source_name}, which is only read");
                    let next = "choose a folder outside of every source";
                    errors.push(ConfigError::new(format!("connections.{target_name}.{key}"), why, next));
                }
            }
        }
    }
}

/// Whether `path` is `folder` or lies in it, by its name alone.
fn is_below(path: &str, folder: &str) -> bool {
    let parts = |path: &str| {
        let path = in_store(path).map_or_else(|| path.to_owned(), |(root, key)| format!("{root}/{key}"));
        path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect::<Vec<_>>()
    };
    parts(path).starts_with(&parts(folder))
}

pub(super) fn plain_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.chars().all(plain) {
        return Err(format!("{name:?} is no name: lower-case letters, digits, `-` and `_`, at most {MAX_NAME_CHARS}"));
    }
    Ok(())
}

fn listen(text: Option<&str>, errors: &mut Vec<ConfigError>) -> SocketAddr {
    let text = text.unwrap_or(DEFAULT_LISTEN);
    text.parse().unwrap_or_else(|_| {
        let why = format!("{text:?} is no address with a port");
        errors.push(ConfigError::new("node.listen", why, format!("write an IP address and a port: {DEFAULT_LISTEN}")));
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

fn data_dir(path: Option<String>, errors: &mut Vec<ConfigError>) -> String {
    match path {
        Some(path) => {
            check_absolute("node.dataDir", &path, errors);
            path
        }
        None => {
            errors.push(ConfigError::new(
                "node.dataDir",
                "it is missing",
                "write an absolute folder for ledger and token",
            ));
            String::new()
        }
    }
}

fn slots_within(given: Option<usize>, default: usize, errors: &mut Vec<ConfigError>) -> usize {
    let slots = given.unwrap_or(default);
    if slots == 0 || slots > MAX_SLOTS {
        let next = format!("write a number from 1 to {MAX_SLOTS}; usual is one for each core");
        errors.push(ConfigError::new("node.slots", format!("{slots} slots are not possible"), next));
    }
    slots
}

fn batch_memory(given: Option<&Bytes>, errors: &mut Vec<ConfigError>) -> u64 {
    let bytes = match given {
        None => Some(DEFAULT_BATCH_MEMORY_BYTES),
        Some(Bytes::Number(bytes)) => Some(*bytes),
        Some(Bytes::Text(text)) => size(text),
    };
    match bytes {
        Some(bytes) if bytes >= MIN_BATCH_MEMORY_BYTES => bytes,
        found => {
            let why = found.map_or("it is no size".to_owned(), |bytes| format!("{bytes} bytes are too few"));
            let next = format!("write a size of at least {}MiB, for example 256MiB", MIN_BATCH_MEMORY_BYTES >> 20);
            errors.push(ConfigError::new("node.batchMemory", why, next));
            DEFAULT_BATCH_MEMORY_BYTES
        }
    }
}

/// A whole number with KiB, MiB or GiB.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30)]
        .into_iter()
        .find_map(|(unit, shift)| text.strip_suffix(unit).map(|digits| (digits, shift)))
        .unwrap_or((text, 0));
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn tombstone(seconds: Option<u64>, errors: &mut Vec<ConfigError>) -> u64 {
    match seconds {
        None => TOMBSTONE_MILLIS,
        Some(seconds) if seconds <= MAX_TOMBSTONE_SECONDS => seconds * 1000,
        Some(seconds) => {
            let why = format!("{seconds} seconds are too long");
            let next = format!("write at most {MAX_TOMBSTONE_SECONDS}; 900 are usual");
            errors.push(ConfigError::new("node.tombstoneSeconds", why, next));
            TOMBSTONE_MILLIS
        }
    }
}
