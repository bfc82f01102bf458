//! The node's configuration: one YAML file, read completely or refused with everything that is wrong with it.
//!
//! In: the text, and what a reference (`${env:NAME}`, `${file:PATH}`) stands for. Out: [`Config`], or
//! [`ConfigError`]s. Holds: the checks that need no disk. Not here: reading the file and resolving references (the
//! binary does both), opening connections (the data plane).

mod alerts;
mod decode;
mod engine;
mod fleet;
mod reference;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::BTreeMap;
use std::net::SocketAddr;

pub use alerts::{AlertConfig, Secret};
pub use decode::parse;
pub use engine::{EngineConfig, Isolation};
pub use fleet::{DEFAULT_FLEET_LISTEN, FleetConfig};
pub use reference::Reference;
use skein_protocol::access::Rights;
use skein_protocol::connection::Connections;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::ConnectionName;
use skein_protocol::machine::publishing::TOMBSTONE_MILLIS;

use crate::checks::Checks;
use crate::ledger::LedgerConfig;

/// Where the API listens, unless configured: this machine alone.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7400";
/// Working memory of a batch, unless configured: with two slots a node stays under a gigabyte.
pub const DEFAULT_BATCH_MEMORY_BYTES: u64 = 256 << 20;
/// Less working memory than this is no use to a batch: readers and writers hold whole row groups.
pub const MIN_BATCH_MEMORY_BYTES: u64 = 16 << 20;
/// More slots than this is a slip of the keyboard.
pub const MAX_SLOTS: usize = 1024;
/// The version of this program.
pub const PROGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");
/// A tombstone outlives every request under way; shorter than this is for tests.
pub const MAX_TOMBSTONE_SECONDS: u64 = 24 * 60 * 60;

/// How a node is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the API listens; port 0: any free port.
    pub listen: SocketAddr,
    /// The folder of ledger and node files, absolute.
    pub data_dir: String,
    /// Batches and final work at once.
    pub slots: usize,
    /// Most working memory of a batch, bytes.
    pub batch_memory_bytes: u64,
    /// How long a tombstone stands.
    pub tombstone_millis: u64,
    /// Where data lives.
    pub connections: Connections,
    /// Who may call, besides the holder of the node's own token file.
    pub tokens: Vec<NamedToken>,
    /// Most batches at once over the whole fleet that read from, or write to, a connection.
    pub connection_limits: BTreeMap<ConnectionName, u32>,
    /// How it takes part in a fleet; none: it is alone.
    pub fleet: Option<FleetConfig>,
    /// Whom the node tells when something needs a person.
    pub alerts: Option<AlertConfig>,
    /// Which invariants it checks.
    pub checks: Checks,
    /// How the data plane works.
    pub engine: EngineConfig,
    /// How its ledger is kept; no file says it.
    pub ledger: LedgerConfig,
    /// The version of the program that runs the node, as the fleet sees it; no file says it.
    pub version: String,
}

/// A token of a person or program. The token itself is nowhere in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedToken {
    /// Stands in histories.
    pub name: String,
    /// SHA-256 of the token.
    pub sha256: Hash256,
    /// What it allows.
    pub rights: Rights,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}. {next}")]
pub struct ConfigError {
    /// Where: `connections.lake.warehouse`.
    pub at: String,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub next: String,
}

impl ConfigError {
    fn new(at: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self { at: at.into(), why: why.into(), next: next.into() }
    }
}

impl Config {
    /// A configuration without connections, for a data plane that needs none: two slots, any free port.
    #[must_use]
    pub fn for_tests() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: "/nowhere".to_owned(),
            slots: 2,
            batch_memory_bytes: DEFAULT_BATCH_MEMORY_BYTES,
            tombstone_millis: TOMBSTONE_MILLIS,
            connections: Connections::new(),
            tokens: Vec::new(),
            connection_limits: BTreeMap::new(),
            fleet: None,
            alerts: None,
            checks: Checks::default(),
            engine: EngineConfig::default(),
            ledger: LedgerConfig::default(),
            version: PROGRAM_VERSION.to_owned(),
        }
    }

    /// What is allowed and yet worth a second look.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.listen.ip().is_loopback() {
            let listen = self.listen;
            warnings.push(format!("node.listen: {listen} is reachable from elsewhere, and calls are not encrypted: put a TLS proxy in front"));
        }
        if self.connections.is_empty() {
            warnings.push("connections: there are none, so no policy can be applied".to_owned());
        }
        warnings
    }
}
