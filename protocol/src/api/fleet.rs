//! The fleet as people see and operate it: nodes, join tokens, draining, digests.
//!
//! Holds: types only. Not here: who decides any of it (`fleet`, the ledger).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MigrationRow;
use crate::hash::Hash256;
use crate::ids::{NodeId, SessionNo};
use crate::ledger::{Phase, Standing};

/// How long a join token is valid unless asked otherwise: long enough to walk to the next machine.
pub const DEFAULT_TOKEN_SECONDS: u64 = 60 * 60;
/// Longest validity of a join token: a secret that is longer on its way has been forgotten somewhere.
pub const MAX_TOKEN_SECONDS: u64 = 7 * 24 * 60 * 60;

/// The fleet as one node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetView {
    /// The fleet's name: the beginning of its authority's hash; the same on every node.
    pub fleet: String,
    /// The node that answers.
    pub answered_by: NodeId,
    /// The node that orders the ledger's entries; none during an election.
    pub leader: Option<NodeId>,
    /// Grows with every election.
    pub term: u64,
    /// The nodes whose majority makes an entry a fact.
    pub voters: Vec<NodeId>,
    /// Whether the answering node knows of a leader that a majority of voters follows. Without it nothing is recorded.
    pub quorum: bool,
    /// All nodes that are or were members, by id.
    pub nodes: Vec<NodeRow>,
}

/// A node of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeRow {
    /// The node.
    pub node: NodeId,
    /// Where other nodes reach it: address and port.
    pub address: String,
    /// Where its API listens: address and port.
    pub api: String,
    /// Nodes of one zone tend to fail together.
    pub zone: String,
    /// Its version.
    pub version: String,
    /// Batches and final work that it runs at once.
    pub slots: u32,
    /// Those in use, as heard last; absent when nothing was heard.
    pub slots_busy: Option<u32>,
    /// Estimated seconds of the work that waits for it, as heard last; absent when nothing was heard.
    pub backlog_seconds: Option<u64>,
    /// Where it stands.
    pub standing: Standing,
    /// A person wants it to own nothing.
    pub draining: bool,
    /// What it is to the ledger.
    pub role: NodeRole,
    /// Its last session: grows with each start and each return.
    pub session: SessionNo,
    /// Milliseconds since it was heard last; absent when it was never heard by the answering node.
    pub last_heard_millis: Option<u64>,
    /// Migrations that it owns and that have not come to their end.
    pub owned: u32,
    /// Those of them that no batch was started of: other nodes may take them.
    pub unstarted: u32,
    /// Who admitted, drained or removed it, and why.
    pub note: String,
}

impl NodeRow {
    /// Its standing in one word, as people read it.
    #[must_use]
    pub fn standing_word(&self) -> &'static str {
        if self.draining && self.standing == Standing::Active { "draining" } else { self.standing.as_str() }
    }
}

/// What a node is to the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// It orders the entries.
    Leader,
    /// Its copy counts for the majority.
    Voter,
    /// It has a copy that does not count.
    Learner,
    /// It has no copy.
    #[default]
    None,
}

impl NodeRole {
    /// The role as people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Voter => "voter",
            Self::Learner => "learner",
            Self::None => "none",
        }
    }
}

/// One node, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeDetail {
    /// As in lists.
    pub row: NodeRow,
    /// Migrations that it owns by phase, ended ones left out.
    pub phases: BTreeMap<Phase, u32>,
    /// The migrations that it works on (the first hundred).
    pub running: Vec<MigrationRow>,
}

/// Asks a node to hand over its work, or to take work again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DrainRequest {
    /// True to end the draining.
    pub cancel: bool,
    /// Why; goes into the log of the fleet.
    pub reason: String,
}

/// Why a node is removed; the query of `DELETE /v1/nodes/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RemoveQuery {
    /// Why; goes into the log of the fleet.
    pub reason: String,
}

/// Asks for a join token.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TokenRequest {
    /// How long it is valid, seconds; an hour by default, a week at most.
    pub valid_seconds: Option<u64>,
}

/// A token with which one node may join, once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinToken {
    /// The token: shown once and kept nowhere.
    pub token: String,
    /// Valid until then, milliseconds since 1970.
    pub expires_at: u64,
}

impl std::fmt::Debug for JoinToken {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A join token as the fleet knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenRow {
    /// SHA-256 of its secret.
    pub token: Hash256,
    /// Valid until then, milliseconds since 1970.
    pub expires_at: u64,
    /// Who made it.
    pub issued_by: String,
    /// The node that it let in.
    pub used_by: Option<NodeId>,
    /// It was made worthless.
    pub revoked: bool,
}

/// A join token that is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokedToken {
    /// SHA-256 of its secret.
    pub token: Hash256,
}

/// The state of a replica in one number: equal on all nodes at the same index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Digest {
    /// Index of the last applied entry.
    pub index: u64,
    /// SHA-256 of the state after it.
    pub digest: Hash256,
}
