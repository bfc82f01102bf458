//! The identity of a node and the number of its starts, in one small file.
//!
//! In: node files, entropy. Out: [`Boot`]: who this node is, and a session id that was never used before.
//! Not here: the check against the ledger's own copy of the identity (`Ledger::open`).

use serde::{Deserialize, Serialize};
use skein_protocol::ids::NodeId;

use super::LedgerError;
use crate::env::{Env, FileMode};

/// The file's name among the node files.
pub const BOOT_FILE: &str = "boot.json";
/// Starts are counted in this many bits of a session id; the node's id has the others.
const BOOT_BITS: u32 = 24;

/// Who this node is, and which start this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// The node: a random number of 40 bits, so that it leaves room for the starts in a session id.
    pub node: NodeId,
    /// Starts so far, this one included. Never goes back: also the generation in gossip.
    pub boots: u64,
    /// Whether a ledger was founded (or joined) under this identity. From then on a ledger that is empty is
    /// a ledger that was lost.
    pub founded: bool,
    /// Whether the node was admitted to a fleet: then it never founds a ledger of its own.
    #[serde(default)]
    pub joined: bool,
}

impl Boot {
    /// The identity as of the last start, if there was one. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn read(env: &Env) -> Result<Option<Self>, LedgerError> {
        let bytes = env.files.read(BOOT_FILE).map_err(failed)?;
        bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(failed)).transpose()
    }

    /// A new identity, not written yet.
    #[must_use]
    pub fn new(env: &Env) -> Self {
        Self { node: NodeId(new_id(env)), boots: 0, founded: false, joined: false }
    }

    /// Becomes the member `node`, whose ledger is empty yet. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn replace(env: &Env, node: NodeId) -> Result<(), LedgerError> {
        Self { node, boots: 0, founded: false, joined: true }.write(env)
    }

    /// Writes the identity of a node that was admitted to a fleet, before its first start. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn join(mut self, env: &Env) -> Result<Self, LedgerError> {
        self.joined = true;
        self.write(env)?;
        Ok(self)
    }

    /// The identity, made and written if there is none yet. Counts no start. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn identify(env: &Env) -> Result<Self, LedgerError> {
        match Self::read(env)? {
            Some(boot) => Ok(boot),
            None => {
                let boot = Self::new(env);
                boot.write(env)?;
                Ok(boot)
            }
        }
    }

    /// Counts a start of `last` (or of a new identity), and writes it before returning. Blocks.
    ///
    /// # Errors
    /// When the numbers are out of range, or the file cannot be written.
    pub fn start(env: &Env, last: Option<Self>) -> Result<Self, LedgerError> {
        let last = last.unwrap_or_else(|| Self::new(env));
        let boot = Self { boots: last.boots.saturating_add(1), ..last };
        if boot.boots >> BOOT_BITS != 0 || boot.node.0 == 0 || boot.node.0 >> (u64::BITS - BOOT_BITS) != 0 {
            return Err(failed(format!("node {} with {} starts is out of range", boot.node, boot.boots)));
        }
        boot.write(env)?;
        Ok(boot)
    }

    /// Notes that the ledger exists. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn found(&mut self, env: &Env) -> Result<(), LedgerError> {
        self.founded = true;
        self.write(env)
    }

    /// The id of this start, unlike that of any other start of any node.
    #[must_use]
    pub fn session(&self) -> u64 {
        self.node.0 << BOOT_BITS | self.boots
    }

    fn write(&self, env: &Env) -> Result<(), LedgerError> {
        let bytes = serde_json::to_vec(self).map_err(failed)?;
        env.files.write(BOOT_FILE, &bytes, FileMode::Secret).map_err(failed)
    }
}

fn new_id(env: &Env) -> u64 {
    loop {
        // Zero means "nobody".
        let id = env.entropy.number() >> BOOT_BITS;
        if id != 0 {
            return id;
        }
    }
}

fn failed(why: impl std::fmt::Display) -> LedgerError {
    LedgerError::NodeFile { name: BOOT_FILE, why: why.to_string() }
}
