//! The HTTP API's types: what the command line, the console and other programs send and get. JSON, camelCase.
//!
//! Holds: requests, answers, pages, problem documents. Not here: routes and handlers (the node).

mod access;
mod fleet;
mod quarantine;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{BatchEvidence, Difference, TableEvidence};
use crate::hash::Hash256;
use crate::ids::{Epoch, Generation, MigrationId, NodeId, PolicyName, Run, TableName};
use crate::ledger::migration::{HistoryItem, Phase};
use crate::plan::Planned;
use crate::policy::PolicyError;
use crate::problem::{Code, Problem};

pub use access::{
    AccessTokenRequest, AccessTokenRow, AccessTokenState, IssuedAccessToken, MAX_ACCESS_TOKEN_SECONDS, RevokeQuery,
    WhoAmI,
};
pub use fleet::{
    DEFAULT_TOKEN_SECONDS, Digest, DrainRequest, FleetView, JoinToken, MAX_TOKEN_SECONDS, NodeDetail, NodeRole,
    NodeRow, RemoveQuery, RevokedToken, TokenRequest, TokenRow,
};
pub use quarantine::{
    EvidenceBlob, FailedBatch, QuarantineFilter, QuarantineRequest, QuarantineRow, SHOWN_BATCHES, SHOWN_HISTORY,
};

/// On every GET: with `true` the node asks the leader first, and answers with everything that was recorded before the call.
pub const CURRENT_PARAMETER: &str = "current";
/// On every answer to a GET: index of the last entry that the answering node had applied.
pub const APPLIED_INDEX_HEADER: &str = "skein-applied-index";
/// On every answer to a GET: milliseconds since the answering node last knew that it was up to date.
pub const AGE_HEADER: &str = "skein-age-millis";

/// Migrations on a page of a list, unless asked otherwise.
pub const DEFAULT_PAGE: u32 = 100;
/// Most migrations on a page: keeps an answer under a few megabytes.
pub const MAX_PAGE: u32 = 1000;

/// An error answer (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemDocument {
    /// Names the page that explains the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What failed.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code.
    pub code: Code,
    /// Why.
    pub detail: String,
    /// What to do next.
    pub next: String,
    /// The dataset that it concerns.
    pub dataset: Option<String>,
    /// Every error of a policy document.
    #[serde(default)]
    pub errors: Vec<PolicyError>,
}

/// The answer to a lint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LintAnswer {
    /// The policy's name, where the document is valid.
    pub policy: Option<PolicyName>,
    /// Every error, in the order of the document.
    pub errors: Vec<PolicyError>,
}

/// One line of the answer to a plan request (newline-delimited JSON, in the order in which plans are made).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PlanLine {
    /// The first line: what was selected.
    Selected {
        /// Number of datasets.
        datasets: u32,
        /// Datasets that an applied generation has published or is publishing already; nothing is planned for them.
        settled: u32,
    },
    /// One dataset.
    Dataset(Box<PlannedDataset>),
    /// A failure that ends the answer.
    Failed(Problem),
    /// The last line.
    End(PlanTotals),
}

/// A plan as `plan` shows it; nothing was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedDataset {
    /// The plan or the refusal.
    pub planned: Planned,
    /// The plan's hash; absent for a refusal.
    pub hash: Option<Hash256>,
    /// Estimated seconds of one slot.
    pub estimated_seconds: u64,
}

/// Totals over planned datasets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanTotals {
    /// Datasets that can be migrated.
    pub ready: u32,
    /// Datasets that are refused.
    pub refused: u32,
    /// Datasets that are settled already.
    pub settled: u32,
    /// Rows by the footers, where they are known.
    pub rows: u64,
    /// Bytes of the sources.
    pub bytes: u64,
    /// Estimated seconds of one slot.
    pub seconds: u64,
}

/// The answer to an apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyAnswer {
    /// The policy.
    pub policy: PolicyName,
    /// Its generation.
    pub generation: Generation,
    /// False when the document and its datasets were applied before, as they are.
    pub changed: bool,
    /// Migrations that were created.
    pub created: u32,
    /// Migrations of earlier generations that were cancelled.
    pub superseded: u32,
    /// Migrations of earlier generations that stay: their targets are published or about to be.
    pub kept: u32,
}

/// A policy in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRow {
    /// Name.
    pub name: PolicyName,
    /// Generation.
    pub generation: Generation,
    /// Who is responsible.
    pub owner: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// 0 to 100; greater goes first.
    pub priority: u8,
    /// Who applied it last.
    pub applied_by: String,
    /// When, milliseconds since 1970.
    pub applied_at: u64,
    /// Its migrations by phase, superseded ones left out.
    pub phases: BTreeMap<Phase, u32>,
}

/// One policy, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDetail {
    /// As in lists.
    pub row: PolicyRow,
    /// The document as applied, with all defaults.
    pub document: serde_json::Value,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many there are with this filter, on all pages.
    pub total: u64,
    /// Ask for the next page with it; absent on the last.
    pub next: Option<String>,
}

/// Which policies a list shows. All given conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PolicyFilter {
    /// `key=value`, comma-separated: labels.
    pub label: Option<String>,
    /// A part of the policy's or its owner's name.
    pub text: Option<String>,
    /// Items on a page.
    pub limit: Option<u32>,
    /// From the previous page.
    pub cursor: Option<String>,
}

/// Which migrations a list shows or an action concerns. All given conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Filter {
    /// Comma-separated phases.
    pub phase: Option<String>,
    /// A policy.
    pub policy: Option<PolicyName>,
    /// `key=value`, comma-separated: labels of the policy.
    pub label: Option<String>,
    /// A part of the dataset's, target's or policy's name, or of the problem's code.
    pub text: Option<String>,
    /// The node that holds them.
    pub owner: Option<NodeId>,
    /// Also migrations that a newer generation of their policy superseded.
    pub superseded: Option<bool>,
    /// Items on a page.
    pub limit: Option<u32>,
    /// From the previous page.
    pub cursor: Option<String>,
}

/// A migration in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationRow {
    /// Its id.
    pub id: MigrationId,
    /// The source table.
    pub dataset: TableName,
    /// The target table.
    pub target: TableName,
    /// The policy.
    pub policy: PolicyName,
    /// The policy's generation.
    pub generation: Generation,
    /// The node that holds it.
    pub owner: NodeId,
    /// The run.
    pub run: Run,
    /// Where it is.
    pub phase: Phase,
    /// Where it was before it was paused or quarantined.
    pub from: Option<Phase>,
    /// The code of its problem.
    pub problem: Option<Code>,
    /// `copy` or `transform`, once planned.
    pub strategy: Option<String>,
    /// The present plan's hash.
    pub plan: Option<Hash256>,
    /// Batches that are done.
    pub batches_done: u32,
    /// All batches.
    pub batches: u32,
    /// Rows by the footers.
    pub rows_planned: Option<u64>,
    /// Rows read so far.
    pub rows_in: u64,
    /// Rows written so far.
    pub rows_out: u64,
    /// Bytes of the source.
    pub bytes: u64,
    /// When its phase changed last, milliseconds since 1970.
    pub changed_at: u64,
}

/// A batch of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchRow {
    /// `stage.batch`.
    pub id: String,
    /// `waiting`, `running` or `done`.
    pub state: String,
    /// The node that runs it, or that ran it to its end.
    #[serde(default)]
    pub node: Option<NodeId>,
    /// Attempts that failed.
    pub failures: u32,
    /// The last failure.
    pub problem: Option<Problem>,
    /// Rows read.
    pub rows_in: u64,
    /// Rows removed by rules.
    pub rows_removed: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Blob of its evidence.
    pub evidence: Option<Hash256>,
}

/// One migration, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationDetail {
    /// As in lists.
    pub row: MigrationRow,
    /// The owner.
    pub owner: NodeId,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// Its problem.
    pub problem: Option<Problem>,
    /// The approval that holds: plan, by whom, when.
    pub approved: Option<(Hash256, String, u64)>,
    /// Batches (the first thousand).
    pub batches: Vec<BatchRow>,
    /// The published table's metadata file, where it is visible.
    pub metadata_location: Option<String>,
    /// What happened.
    pub history: Vec<HistoryItem>,
}

/// What to do with migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Stop handing out work.
    Pause,
    /// Go on.
    Resume,
    /// End it.
    Cancel,
    /// Open the next run.
    Retry,
    /// Take the published target back.
    Rollback,
}

/// Asks for an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActionRequest {
    /// What.
    pub action: Action,
    /// With which.
    pub migrations: Vec<MigrationId>,
    /// Why; goes into the history.
    #[serde(default)]
    pub reason: String,
}

/// A plan, approved or rejected by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanDecision {
    /// The migration.
    pub migration: MigrationId,
    /// The plan that was reviewed.
    pub plan: Hash256,
}

/// Approves or rejects plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionRequest {
    /// True to approve, false to reject.
    pub approve: bool,
    /// Which.
    pub items: Vec<PlanDecision>,
    /// Why; goes into the history.
    #[serde(default)]
    pub reason: String,
}

/// The answer to actions and decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionAnswer {
    /// For how many it was done.
    pub done: u32,
    /// For which it was refused, and why.
    pub refused: Vec<RefusedAction>,
}

/// One refused action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedAction {
    /// The migration.
    pub migration: MigrationId,
    /// Why.
    pub problem: Problem,
}

/// A node at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The node.
    pub node: NodeId,
    /// Its version.
    pub version: String,
    /// Milliseconds since it started.
    pub up_millis: u64,
    /// Index of the last applied entry.
    pub applied_index: u64,
    /// Batches and final work that it runs at once.
    pub slots: u32,
    /// Those in use.
    pub slots_busy: u32,
    /// Policies.
    pub policies: u32,
    /// Migrations by phase (of the policy asked for, or all), superseded ones left out.
    pub phases: BTreeMap<Phase, u32>,
    /// Batches that are done and all batches of those migrations.
    pub batches_done: u64,
    /// All batches.
    pub batches: u64,
    /// Rows by the footers.
    pub rows_planned: u64,
    /// Rows read.
    pub rows_in: u64,
    /// Rows removed by rules.
    pub rows_removed: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Bytes of the sources.
    pub bytes_planned: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

/// A migration's report with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The migration.
    pub migration: MigrationDetail,
    /// Strategy and its reason.
    pub strategy: String,
    /// Every loss, widening and assumption.
    pub notes: Vec<String>,
    /// The verdict in one sentence.
    pub verdict: String,
    /// Evidence of the whole table, once validated.
    pub table: Option<TableEvidence>,
    /// Evidence batch by batch, as far as they are done: `stage.batch` and the evidence.
    pub batches: Vec<(String, BatchEvidence)>,
    /// The first difference, where the migration paused for one.
    pub difference: Option<Difference>,
    /// SQL that computes `spark64` on the legacy cluster, and the result that it must have.
    pub outsider: Option<OutsiderProof>,
    /// How to read the table.
    pub readers: Vec<ReaderHint>,
    /// How it is undone.
    pub undo: String,
}

/// What an outsider runs to check the source's sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutsiderProof {
    /// The query, for Spark 3.
    pub query: String,
    /// Rows that it must give.
    pub rows: u64,
    /// Sum that it must give.
    pub sum: String,
}

/// How one program reads the published table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReaderHint {
    /// The program.
    pub reader: String,
    /// What to type.
    pub command: String,
}
