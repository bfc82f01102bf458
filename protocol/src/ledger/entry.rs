//! Entries: every fact that is recorded. Adding a variant at the end keeps stored logs readable; changing
//! or moving one does not (a test on golden bytes watches).
//!
//! Entries hold no documents: plans, evidence and readings are blobs, named here by their hash. Types in here
//! must survive a format that does not describe itself: no tagged enums, no skipped fields.

use serde::{Deserialize, Serialize};

use crate::access::Rights;
use crate::data_plane::{Class, StagedTable};
use crate::hash::{Hash256, canonical_json};
use crate::ids::{
    Attempt, BatchId, ConnectionName, Epoch, Generation, MigrationId, NodeId, PolicyName, Run, SessionNo, TableName,
};
use crate::ledger::members::Seat;
use crate::policy::Policy;
use crate::problem::Problem;

/// Names the migration, run and epoch that an entry speaks for; it is refused when any of them is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The migration.
    pub migration: MigrationId,
    /// Its run.
    pub run: Run,
    /// The owner's epoch.
    pub epoch: Epoch,
}

/// A policy as it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedPolicy {
    /// Name.
    pub name: PolicyName,
    /// Hash of the document's canonical form.
    pub hash: Hash256,
    /// The document, canonical JSON.
    pub document: String,
    /// Who is responsible.
    pub owner: String,
    /// Labels, sorted by key.
    pub labels: Vec<(String, String)>,
    /// 0 to 100; greater goes first.
    pub priority: u8,
    /// Most batches at once over all migrations of the policy.
    pub max_parallel: u32,
    /// Attempts before quarantine.
    pub attempts: u32,
    /// Most bytes of working memory of a batch.
    pub batch_memory_bytes: u64,
    /// Whether plans wait for an approval.
    pub approval_required: bool,
    /// Source connection.
    pub source_connection: ConnectionName,
    /// Target connection.
    pub target_connection: ConnectionName,
    /// Policies whose migrations are committed before the first of these begins.
    pub after: Vec<PolicyName>,
    /// Selected datasets and their targets, sorted.
    pub datasets: Vec<(TableName, TableName)>,
}

impl AppliedPolicy {
    /// What the ledger keeps of a policy over these datasets; its batches have `memory_bytes` unless it says otherwise.
    ///
    /// # Errors
    /// When the policy cannot be written as a document.
    pub fn of(
        policy: &Policy,
        memory_bytes: u64,
        datasets: Vec<(TableName, TableName)>,
    ) -> Result<Self, serde_json::Error> {
        let document = canonical_json(policy)?;
        let run = &policy.spec.run;
        Ok(Self {
            name: policy.metadata.name.clone(),
            hash: Hash256::of(document.as_bytes()),
            document,
            owner: policy.metadata.owner.clone(),
            labels: policy.metadata.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            priority: run.priority,
            max_parallel: run.max_parallel.unwrap_or(u32::MAX),
            attempts: run.attempts,
            batch_memory_bytes: run.memory.map_or(memory_bytes, |memory| memory.bytes()),
            approval_required: policy.spec.approval.required,
            source_connection: policy.spec.source.connection.clone(),
            target_connection: policy.spec.target.connection.clone(),
            after: run.after.clone(),
            datasets,
        })
    }
}

/// A caller's name for a request: the same request under the same key is done once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestKey {
    /// The key.
    pub key: String,
    /// Hash of what was asked for.
    pub document: Hash256,
}

/// Why migrations change their owner while both nodes live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransferReason {
    /// The other node had nothing to do.
    Steal,
    /// The owner is drained.
    Drain,
}

/// The parts of a plan that the ledger keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// The plan's hash, which is also the name of its blob.
    pub hash: Hash256,
    /// Strategy, as text for lists.
    pub strategy: String,
    /// Batches of each stage.
    pub batches: Vec<u32>,
    /// Rows by the footers.
    pub rows: Option<u64>,
    /// Bytes of the source.
    pub bytes: u64,
    /// Estimated seconds of one slot.
    pub seconds: u64,
    /// Source files.
    pub files: u64,
    /// Notes in the plan.
    pub notes: u32,
}

/// Totals of a finished batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BatchTotals {
    /// Rows as read.
    pub rows_in: u64,
    /// Rows removed by rules.
    pub rows_removed: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Files written.
    pub files: u32,
}

/// Work that is not a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Work {
    /// Inspecting the dataset and making its plan.
    Prepare,
    /// Writing and reading the staged table, the source's list, up to the verdict.
    Validate,
    /// Registering the table under its name.
    Publish,
    /// Taking the name back.
    Withdraw,
}

/// What a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Stop handing out work, keep what is done.
    Pause,
    /// Go on.
    Resume,
    /// End it; a target that is being published is taken back first.
    Cancel,
    /// Open the next run.
    Retry,
    /// Take the published target back.
    Rollback,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A node starts a session: its migrations get a higher epoch, what it had begun is over.
    SessionOpened {
        /// The node.
        node: NodeId,
        /// The session.
        session: SessionNo,
        /// What it offers.
        seat: Seat,
    },
    /// A policy was applied.
    PolicyApplied {
        /// The policy.
        policy: AppliedPolicy,
        /// The node that was asked; it owns the new migrations where no member of the fleet can.
        owner: NodeId,
        /// The caller's name for the request.
        key: Option<RequestKey>,
    },
    /// Preparation begins, for many at once.
    PreparationStarted(Vec<Fence>),
    /// A plan was made.
    Planned {
        /// For whom.
        fence: Fence,
        /// The plan.
        plan: PlanSummary,
    },
    /// The dataset cannot be migrated as the policy says.
    Refused {
        /// For whom.
        fence: Fence,
        /// Blob of the refusal.
        refusal: Hash256,
        /// Its first problem.
        problem: Problem,
    },
    /// Plans were approved.
    Approved(Vec<(MigrationId, Hash256)>),
    /// Plans were rejected.
    Rejected {
        /// Which.
        items: Vec<(MigrationId, Hash256)>,
        /// Why.
        reason: String,
    },
    /// A batch is handed out.
    BatchStarted {
        /// For whom.
        fence: Fence,
        /// Which.
        batch: BatchId,
        /// The number of this hand-out.
        attempt: Attempt,
        /// The node that runs it.
        runner: NodeId,
    },
    /// A batch is finished and its evidence is good.
    BatchDone {
        /// For whom.
        fence: Fence,
        /// Which.
        batch: BatchId,
        /// Which hand-out.
        attempt: Attempt,
        /// Blob of files and evidence.
        result: Hash256,
        /// Totals.
        totals: BatchTotals,
    },
    /// A batch failed.
    BatchFailed {
        /// For whom.
        fence: Fence,
        /// Which.
        batch: BatchId,
        /// Which hand-out.
        attempt: Attempt,
        /// Why.
        problem: Problem,
        /// Whether to try again.
        class: Class,
        /// Not before, milliseconds since 1970.
        retry_at: u64,
    },
    /// Other work failed.
    WorkFailed {
        /// For whom.
        fence: Fence,
        /// Which.
        work: Work,
        /// Why.
        problem: Problem,
        /// Whether to try again.
        class: Class,
        /// Not before, milliseconds since 1970.
        retry_at: u64,
    },
    /// Counts, checksums or the source differ: the migration is paused.
    Differs {
        /// For whom.
        fence: Fence,
        /// The batch, if it was one, and the hand-out.
        batch: Option<(BatchId, Attempt)>,
        /// What differs.
        problem: Problem,
        /// Blob of the evidence.
        evidence: Option<Hash256>,
    },
    /// The staged table was validated, the source is as planned: it is going to be published.
    PublishIntent {
        /// For whom.
        fence: Fence,
        /// The plan.
        plan: Hash256,
        /// The complete table.
        table: StagedTable,
        /// Blob of the table's evidence.
        evidence: Hash256,
    },
    /// The target's name was seen pointing at the intended metadata file.
    Committed {
        /// For whom.
        fence: Fence,
        /// The metadata file.
        metadata_location: String,
    },
    /// A person asks for something.
    Requested {
        /// Of which migrations.
        migrations: Vec<MigrationId>,
        /// What.
        request: Request,
        /// Why, in the person's words.
        reason: String,
    },
    /// A tombstone's metadata file is written.
    TombstoneStaged {
        /// For whom.
        fence: Fence,
        /// Its location.
        location: String,
    },
    /// The name points at the tombstone (or belongs to somebody else): nothing of the run is visible, nor will be.
    Withdrawn {
        /// For whom.
        fence: Fence,
        /// Whether the tombstone stands.
        tombstone: bool,
        /// It may be taken away at this time, milliseconds since 1970.
        until: u64,
    },
    /// The published table is not what was published any more: it stays.
    WithdrawRefused {
        /// For whom.
        fence: Fence,
        /// Why.
        problem: Problem,
    },
    /// The tombstone was taken away.
    TombstoneReleased {
        /// For whom.
        fence: Fence,
    },
    /// Files that nothing refers to were removed.
    Collected {
        /// For whom.
        fence: Fence,
        /// Files.
        files: u64,
        /// Bytes.
        bytes: u64,
    },
    /// A batch that was handed to another node comes back untouched: nothing counts as tried.
    BatchReturned {
        /// For whom.
        fence: Fence,
        /// Which.
        batch: BatchId,
        /// Which hand-out.
        attempt: Attempt,
    },
    /// Sessions ended without a word: what these nodes owned goes to others with a higher epoch.
    SessionsExpired {
        /// Which.
        sessions: Vec<(NodeId, SessionNo)>,
        /// Many went silent at once: no batch is blamed for it.
        mass: bool,
    },
    /// A node says goodbye.
    SessionClosed {
        /// The node.
        node: NodeId,
        /// The session.
        session: SessionNo,
    },
    /// Migrations change their owner, who consents.
    Transferred {
        /// Which, as the owner knows them.
        items: Vec<Fence>,
        /// The new owner.
        to: NodeId,
        /// Why.
        reason: TransferReason,
    },
    /// A token that admits one node was made.
    JoinTokenIssued {
        /// SHA-256 of its secret.
        token: Hash256,
        /// It is of no use from this time on, milliseconds since 1970.
        expires_at: u64,
    },
    /// A join token is of no use any more.
    JoinTokenRevoked {
        /// SHA-256 of its secret.
        token: Hash256,
    },
    /// A node joins.
    MemberAdmitted {
        /// The node.
        node: NodeId,
        /// SHA-256 of the secret of its join token.
        token: Hash256,
        /// Where its node-to-node endpoint is.
        address: String,
    },
    /// A node whose ledger was lost is going to come back under another id: with its first session that takes the place of
    /// the old one.
    MemberReplaced {
        /// Whom it was.
        old: NodeId,
        /// Who it is.
        new: NodeId,
        /// Where its node-to-node endpoint is.
        address: String,
    },
    /// A node shall own nothing (or may again).
    DrainRequested {
        /// The node.
        node: NodeId,
        /// Whether it shall be drained.
        drain: bool,
        /// Why, in the person's words.
        reason: String,
    },
    /// A node is no member any more; its credentials are refused from now on.
    MemberRemoved {
        /// The node.
        node: NodeId,
        /// Why, in the person's words.
        reason: String,
    },
    /// An alert was delivered.
    AlertDelivered {
        /// The incident.
        incident: Hash256,
        /// That it is over was told.
        resolved: bool,
    },
    /// A token was made with which a person or a program calls.
    AccessTokenIssued {
        /// SHA-256 of its text.
        token: Hash256,
        /// What its holder is called in histories.
        name: String,
        /// What it allows.
        rights: Rights,
        /// It is of no use from this time on, milliseconds since 1970.
        expires_at: Option<u64>,
    },
    /// An access token is of no use any more.
    AccessTokenRevoked {
        /// SHA-256 of its text.
        token: Hash256,
        /// Why, in the person's words.
        reason: String,
    },
    /// Access tokens were used within the last hour.
    AccessTokensUsed(Vec<Hash256>),
    /// A person signed in with a token: a browser calls in its name from now on.
    SignedIn {
        /// SHA-256 of what the browser keeps.
        session: Hash256,
        /// What the token's holder is called.
        name: String,
        /// What it allows.
        rights: Rights,
        /// SHA-256 of the token's text, if the ledger has it: the session ends with the token.
        token: Option<Hash256>,
        /// The session ends at this time, milliseconds since 1970.
        expires_at: u64,
    },
    /// A person signed out.
    SignedOut {
        /// SHA-256 of what the browser kept.
        session: Hash256,
    },
}

/// What the ledger says to an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is a fact now.
    Applied,
    /// It was one already.
    Unchanged,
    /// A policy was applied.
    PolicyApplied {
        /// Its generation.
        generation: Generation,
        /// Migrations that were created.
        created: Vec<MigrationId>,
        /// Migrations of earlier generations that were cancelled.
        superseded: Vec<MigrationId>,
        /// Datasets that an earlier generation has published or is publishing; they stay.
        kept: Vec<MigrationId>,
    },
    /// It was done for some of those that it names, and refused for others.
    Partly(Vec<(MigrationId, Problem)>),
    /// It is refused; nothing changed.
    Refused(Problem),
}
