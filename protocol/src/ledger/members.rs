//! The nodes of the fleet as the ledger keeps them.
//!
//! A member is admitted once, by a join token or as the founder, and opens a session whenever it starts or comes back. What
//! it offers stands in its seat. Who is alive at the moment is gossip's hint; who owns what is said here alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defects::{self, Defect};
use crate::hash::Hash256;
use crate::ids::{NodeId, SessionNo};

/// What a node offers; it says so when it opens a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Seat {
    /// Where its node-to-node endpoint is, `ip:port`; empty for a node without one.
    pub address: String,
    /// Where its API is, `ip:port`.
    pub api: String,
    /// Batches and final work at once.
    pub slots: u32,
    /// What it shares with the nodes that fail together with it.
    pub zone: String,
    /// The version of its program.
    pub version: String,
    /// SHA-256 of its own API token: every node accepts it.
    pub token_sha256: Hash256,
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It may open a session and has not done so yet.
    Admitted,
    /// It has a session.
    Active,
    /// It was silent for too long.
    Expired,
    /// It said goodbye.
    Left,
    /// It is no member any more.
    Removed,
}

impl Standing {
    /// The standing as people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Left => "left",
            Self::Removed => "removed",
        }
    }
}

/// A node of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The node.
    pub node: NodeId,
    /// Where it stands.
    pub standing: Standing,
    /// A person wants it to own nothing.
    pub draining: bool,
    /// Its last session.
    pub session: SessionNo,
    /// What it offered last.
    pub seat: Seat,
    /// When it was admitted, milliseconds since 1970.
    pub admitted_at: u64,
    /// When its standing changed last, milliseconds since 1970.
    pub changed_at: u64,
    /// Who admitted, drained or removed it, and why.
    pub note: String,
    /// The member that it takes the place of when it opens its first session: that one has lost its ledger.
    pub replaces: Option<NodeId>,
}

impl Member {
    /// Whether migrations may be given to it.
    #[must_use]
    pub fn takes_work(&self) -> bool {
        self.standing == Standing::Active && (!self.draining || defects::is(Defect::DrainedTakesWork))
    }
}

/// A token that admits one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// It is of no use from this time on, milliseconds since 1970.
    pub expires_at: u64,
    /// Who made it.
    pub issued_by: String,
    /// The node that it admitted.
    pub used_by: Option<NodeId>,
    /// It was taken back.
    pub revoked: bool,
}
