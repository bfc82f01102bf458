//! The trait between the control plane and the engine that moves bytes.
//!
//! In: requests that could be sent over a wire. Out: results, and failures that say whether the thing
//! may have happened. Holds: [`DataPlane`]. Not here: any implementation.
//!
//! Every call is repeatable: with the same arguments it may be made again after a crash. Calls that create
//! files create new names only (`run`, `epoch`, `batch`, `attempt` are part of the name).

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::evidence::{BatchEvidence, RuleCheck};
use crate::hash::Hash256;
use crate::ids::{Attempt, BatchId, ConnectionName, Epoch, MigrationId, Run, TableName, TableUuid};
use crate::inspection::{Inspection, SourceFile};
use crate::plan::Plan;
use crate::problem::{Code, Problem};

/// Whether an effect that failed may have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It did not happen.
    NotDone,
    /// It happened.
    Done,
    /// Nobody knows; only looking tells.
    Unknown,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Class {
    /// Trying again may help.
    Transient,
    /// Trying again does not help: data or rules must change.
    Permanent,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{problem}")]
pub struct Failure {
    /// What went wrong.
    pub problem: Problem,
    /// Whether it may have happened.
    pub outcome: Outcome,
    /// Whether to try again.
    pub class: Class,
}

impl Failure {
    /// It did not happen, and trying again does not help.
    #[must_use]
    pub fn permanent(problem: Problem) -> Self {
        Self { problem, outcome: Outcome::NotDone, class: Class::Permanent }
    }

    /// It did not happen, and trying again may help.
    #[must_use]
    pub fn transient(problem: Problem) -> Self {
        Self { problem, outcome: Outcome::NotDone, class: Class::Transient }
    }

    /// Nobody knows whether it happened.
    #[must_use]
    pub fn unknown(problem: Problem) -> Self {
        Self { problem, outcome: Outcome::Unknown, class: Class::Transient }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.problem.code
    }
}

/// Asks for the datasets of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectRequest {
    /// A source connection.
    pub connection: ConnectionName,
}

/// Asks for the state of one dataset and of its target's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectRequest {
    /// Source connection.
    pub connection: ConnectionName,
    /// Source table.
    pub dataset: TableName,
    /// Target connection.
    pub target_connection: ConnectionName,
    /// Target table.
    pub target: TableName,
}

/// What one hand-out of a batch is about.
#[derive(Debug, Clone)]
pub struct BatchRequest {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The run.
    pub run: Run,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// Which batch.
    pub batch: BatchId,
    /// This hand-out's number.
    pub attempt: Attempt,
    /// What the previous stage wrote (all of its files; empty in the first stage).
    pub prior: Arc<Vec<StagedFile>>,
    /// Most bytes of working memory that this batch may take.
    pub memory_bytes: u64,
}

/// What a staged file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StagedKind {
    /// Rows of the target.
    Data,
    /// Identities of rows, in one range of the key's hash.
    Identities {
        /// The range.
        range: u32,
    },
    /// Rows that lose in one range.
    Losers {
        /// The range.
        range: u32,
    },
}

/// A file that was written once and is never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// Absolute location.
    pub location: String,
    /// What it holds.
    pub kind: StagedKind,
    /// Rows.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// XXH3-128 of all bytes, 32 hexadecimal digits.
    pub content: crate::evidence::Sum128,
    /// Iceberg partition values in the order of the plan's partition fields (Iceberg's JSON single-value form); data files only.
    pub partition: Vec<serde_json::Value>,
}

/// A finished batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchResult {
    /// Files in the order of their numbers.
    pub files: Vec<StagedFile>,
    /// What proves the batch.
    pub evidence: BatchEvidence,
}

/// Asks for manifests and a metadata file over staged data files.
#[derive(Debug, Clone)]
pub struct StageRequest {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The run.
    pub run: Run,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// This try's number: part of the metadata file's name.
    pub attempt: Attempt,
    /// The ledger's list of data files, in the order of batches.
    pub files: Arc<Vec<StagedFile>>,
    /// The table's uuid.
    pub uuid: TableUuid,
    /// Time of the snapshot, milliseconds since 1970, from the ledger.
    pub at_millis: u64,
    /// Goes into the snapshot's summary.
    pub summary: BTreeMap<String, String>,
}

/// A complete table that nobody can see yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedTable {
    /// Its metadata file.
    pub metadata_location: String,
    /// Hash of the metadata file.
    pub metadata_hash: Hash256,
    /// The table's uuid.
    pub uuid: TableUuid,
    /// Data files.
    pub files: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of the data files.
    pub bytes: u64,
}

/// Asks to read a staged table through its metadata file.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The table.
    pub table: StagedTable,
    /// The ledger's list of data files.
    pub files: Arc<Vec<StagedFile>>,
    /// Most bytes of working memory.
    pub memory_bytes: u64,
}

/// What reading a staged table through its metadata file found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TableReading {
    /// Hash of the metadata file as it is now.
    pub metadata_hash: Hash256,
    /// Data files that the manifests list.
    pub files: u64,
    /// Sum of the manifests' record counts.
    pub manifest_rows: u64,
    /// `total-records` of the snapshot's summary.
    pub summary_rows: u64,
    /// Data files whose length and content were compared with the ledger's.
    pub files_compared: u64,
    /// What differs between manifests, files and ledger; sentences.
    pub file_differences: Vec<String>,
    /// A read through a filter on one partition; absent for unpartitioned or empty tables.
    pub partition_read: Option<RuleCheck>,
    /// The policy's SQL checks.
    pub checks: Vec<RuleCheck>,
}

/// Asks to make a target visible: create-if-absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterRequest {
    /// Target connection.
    pub connection: ConnectionName,
    /// Target table.
    pub name: TableName,
    /// The complete metadata file.
    pub metadata_location: String,
    /// A tombstone of ours that may stand under the name and is replaced in the same step.
    pub replacing: Option<String>,
}

/// The answer to a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Registered {
    /// The name points at the metadata file now.
    Now,
    /// The name was taken, by this or another table: load and compare.
    NameTaken,
}

/// What a name points at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedTable {
    /// The table's uuid, from its metadata file.
    pub uuid: TableUuid,
    /// The metadata file.
    pub metadata_location: String,
    /// Whether it is a tombstone of ours.
    pub tombstone: bool,
}

/// Asks for the metadata file of a tombstone: an empty table that keeps a name from late registrations.
#[derive(Debug, Clone)]
pub struct TombstoneRequest {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The run that is taken back.
    pub run: Run,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// This try's number.
    pub attempt: Attempt,
    /// The tombstone's uuid.
    pub uuid: TableUuid,
    /// Time from the ledger, milliseconds since 1970.
    pub at_millis: u64,
}

/// Asks to point a name at another metadata file, or at nothing, if it points at the expected one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaceRequest {
    /// Target connection.
    pub connection: ConnectionName,
    /// Target table.
    pub name: TableName,
    /// What the name must point at.
    pub expected: String,
    /// What it shall point at; nothing: the name is removed.
    pub replacement: Option<String>,
}

/// The answer to a conditional replacement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Replaced {
    /// Done.
    Now,
    /// The name points at something else, or at nothing; nothing was done.
    Differs {
        /// What it points at.
        found: Option<String>,
    },
}

/// Asks to remove staged files that nothing refers to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CollectRequest {
    /// Target connection.
    pub connection: ConnectionName,
    /// The table's location.
    pub table_location: String,
    /// The migration whose files may be removed.
    pub migration: MigrationId,
    /// The run whose files may be removed.
    pub run: Run,
    /// Files of attempts by this epoch or older are looked at.
    pub up_to: Epoch,
    /// Files to keep: in a recorded batch or an intent.
    pub keep: Vec<String>,
}

/// What a collection removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Collected {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Moves bytes. Implemented by the engine; scripted in tests and simulations.
#[async_trait]
pub trait DataPlane: Send + Sync + 'static {
    /// Lists all tables of a source connection, sorted.
    async fn select(&self, request: SelectRequest) -> Result<Vec<TableName>, Failure>;

    /// Looks at one dataset and at its target's name. Whatever prevents a migration is in
    /// [`Inspection::problems`]; a failure means that it could not even be looked at.
    async fn inspect(&self, request: InspectRequest) -> Result<Inspection, Failure>;

    /// Lists the source's files again, in the form of the plan's fingerprint (row counts may be absent).
    async fn list_source(&self, plan: Arc<Plan>) -> Result<Vec<SourceFile>, Failure>;

    /// Runs one batch, read-back included.
    async fn run_batch(&self, request: BatchRequest) -> Result<BatchResult, Failure>;

    /// Writes manifests and a metadata file, durable when it returns. Nothing becomes visible.
    async fn stage(&self, request: StageRequest) -> Result<StagedTable, Failure>;

    /// Reads a staged table through its metadata file: metadata, manifests, files.
    async fn read_staged(&self, request: ReadRequest) -> Result<TableReading, Failure>;

    /// Points the target's name at a metadata file if the name is free. The one step that makes a target visible.
    async fn register(&self, request: RegisterRequest) -> Result<Registered, Failure>;

    /// What the name points at; `None` when it is free.
    async fn load(&self, connection: ConnectionName, name: TableName) -> Result<Option<LoadedTable>, Failure>;

    /// Writes a tombstone's metadata file, durable when it returns; its location.
    async fn stage_tombstone(&self, request: TombstoneRequest) -> Result<String, Failure>;

    /// Points a name elsewhere if it points at what is expected; one atomic step.
    async fn replace(&self, request: ReplaceRequest) -> Result<Replaced, Failure>;

    /// Removes staged files that nothing refers to.
    async fn collect(&self, request: CollectRequest) -> Result<Collected, Failure>;
}
