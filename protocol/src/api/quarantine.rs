//! The quarantine: migrations that failed for good, with everything that a person needs to decide about them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MigrationRow;
use crate::hash::Hash256;
use crate::ids::{Epoch, MigrationId, NodeId, PolicyName};
use crate::ledger::migration::HistoryItem;
use crate::problem::Problem;

/// Lines of history that a row shows: the failures before the end, and what led to them.
pub const SHOWN_HISTORY: usize = 20;
/// Failed batches that a row shows.
pub const SHOWN_BATCHES: usize = 50;

/// Which quarantined migrations are meant. All given conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct QuarantineFilter {
    /// A policy.
    pub policy: Option<PolicyName>,
    /// Comma-separated codes of problems.
    pub code: Option<String>,
    /// `key=value`, comma-separated: labels of the policy.
    pub label: Option<String>,
    /// A part of the dataset's, target's or policy's name.
    pub text: Option<String>,
    /// Items on a page.
    pub limit: Option<u32>,
    /// From the previous page.
    pub cursor: Option<String>,
}

/// A quarantined migration with its whole context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuarantineRow {
    /// As in lists; `from` is the phase that it failed in.
    pub row: MigrationRow,
    /// Why it is here.
    pub problem: Problem,
    /// The epoch of the node that held it.
    pub epoch: Epoch,
    /// Attempts that its policy allows.
    pub attempts: u32,
    /// Failures of the work that is no batch, in the phase that it failed in.
    pub work_failures: u32,
    /// Batches that failed or took their nodes down (the first fifty).
    pub batches: Vec<FailedBatch>,
    /// Blobs with evidence.
    pub evidence: Vec<EvidenceBlob>,
    /// When it came here, milliseconds since 1970.
    pub since: u64,
    /// The last lines of its history.
    pub history: Vec<HistoryItem>,
}

/// A batch that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedBatch {
    /// `stage.batch`.
    pub id: String,
    /// Attempts that failed.
    pub failures: u32,
    /// Nodes that ended while they ran it, with no batch finished in between.
    pub deaths: Vec<NodeId>,
    /// The last failure.
    pub problem: Option<Problem>,
}

/// A document that shows what happened; `GET /v1/blobs/{hash}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceBlob {
    /// `plan`, `refusal`, `difference`, `evidence`.
    pub what: String,
    /// Its hash.
    pub hash: Hash256,
}

/// Asks to replay or discard quarantined migrations: by id, or all that a filter selects (its page is of no matter).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct QuarantineRequest {
    /// Which, by id.
    pub migrations: Vec<MigrationId>,
    /// Which, by a filter; an empty one means all of them.
    pub filter: Option<QuarantineFilter>,
    /// Why; goes into the history.
    pub reason: String,
}
