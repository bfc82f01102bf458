//! What went wrong, in the form that people and programs get it: a stable code, what, which dataset,
//! why, and what to do next.
//!
//! Holds: [`Problem`] and [`Code`]. Every code has a page under `docs/errors/`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A stable code; its page is `docs/errors/CODE.md`. Codes are added, never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// All codes, in the order of their definition.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }
        }
    };
}

codes! {
    // Requests and policies.
    /** The policy document has errors; each is listed with line and column. */ PolicyInvalid = "POLICY_INVALID",
    /** A connection is not in the node's configuration. */ ConnectionUnknown = "CONNECTION_UNKNOWN",
    /** A connection is of another kind than its place needs. */ ConnectionKind = "CONNECTION_KIND",
    /** A location lies outside the connection's allowed roots. */ LocationForbidden = "LOCATION_FORBIDDEN",
    /** The selection matches no dataset. */ NothingSelected = "NOTHING_SELECTED",
    /** The request is malformed. */ RequestInvalid = "REQUEST_INVALID",
    /** No token, or a wrong one. */ Unauthorized = "UNAUTHORIZED",
    /** No such policy, migration, plan or blob. */ NotFound = "NOT_FOUND",
    /** The migration's phase does not allow this. */ WrongPhase = "WRONG_PHASE",
    /** An approval names another plan than the present one. */ PlanChanged = "PLAN_CHANGED",
    /** The entry came from an epoch, run or attempt that is over. */ Stale = "STALE",
    /** The node cannot record facts at the moment. */ LedgerUnavailable = "LEDGER_UNAVAILABLE",
    /** The node is stopping. */ ShuttingDown = "SHUTTING_DOWN",
    // Inspection and planning.
    /** The table's folder does not exist or cannot be read. */ SourceUnreadable = "SOURCE_UNREADABLE",
    /** The table's format cannot be migrated. */ FormatUnsupported = "FORMAT_UNSUPPORTED",
    /** It is a view, or another kind of object without files. */ NotATable = "NOT_A_TABLE",
    /** The table is bucketed or has another layout that is not supported. */ LayoutUnsupported = "LAYOUT_UNSUPPORTED",
    /** A column's type cannot be migrated. */ TypeUnsupported = "TYPE_UNSUPPORTED",
    /** Data files disagree about a column, or with the description. */ SchemaConflict = "SCHEMA_CONFLICT",
    /** Two columns differ by case only. */ ColumnAmbiguous = "COLUMN_AMBIGUOUS",
    /** A rule names a column that the dataset does not have. */ ColumnMissing = "COLUMN_MISSING",
    /** A rule would make a column twice. */ ColumnExists = "COLUMN_EXISTS",
    /** A rule cannot be applied to this dataset. */ RuleInapplicable = "RULE_INAPPLICABLE",
    /** Nothing describes the table's columns and it has no data file to tell them. */ NoSchema = "NO_SCHEMA",
    /** A name under the target's naming template is not allowed. */ TargetNameInvalid = "TARGET_NAME_INVALID",
    /** A table stands under the target's name already. */ TargetExists = "TARGET_EXISTS",
    /** Two datasets would be published under one name. */ TargetCollision = "TARGET_COLLISION",
    /** Folder names do not fit the table's partition columns. */ PartitionLayout = "PARTITION_LAYOUT",
    /** The table description is not readable. */ DescriptionInvalid = "DESCRIPTION_INVALID",
    // Execution.
    /** Files were added, removed or replaced since the plan. */ SourceChanged = "SOURCE_CHANGED",
    /** A data file is damaged. */ FileDamaged = "FILE_DAMAGED",
    /** A value cannot be read as its column's type. */ ValueInvalid = "VALUE_INVALID",
    /** A value cannot be cast as the policy says. */ CastFailed = "CAST_FAILED",
    /** An expression failed on a row. */ ExpressionFailed = "EXPRESSION_FAILED",
    /** No space is left where files are staged. */ DiskFull = "DISK_FULL",
    /** Memory limit reached. */ MemoryExceeded = "MEMORY_EXCEEDED",
    /** Reading or writing failed. */ Io = "IO",
    /** An effect was interrupted by the end of its node. */ Interrupted = "INTERRUPTED",
    /** A defect in Skein. */ Internal = "INTERNAL",
    // Validation and publish.
    /** Counts or checksums differ. */ Difference = "DIFFERENCE",
    /** A check of the policy is not true of the target. */ CheckFailed = "CHECK_FAILED",
    /** A tolerance of the policy is exceeded. */ ToleranceExceeded = "TOLERANCE_EXCEEDED",
    /** A staged file is missing or differs from what was recorded. */ StagedFileChanged = "STAGED_FILE_CHANGED",
    /** The catalog cannot be reached or did not answer. */ CatalogUnavailable = "CATALOG_UNAVAILABLE",
    /** Another table stands under the target's name. */ TargetTaken = "TARGET_TAKEN",
    /** The published table was changed since; it is not withdrawn. */ TargetModified = "TARGET_MODIFIED",
    /** All attempts are used up. */ AttemptsExhausted = "ATTEMPTS_EXHAUSTED",
    /** A batch took its node down again and again. */ Poison = "POISON",
    /** A person asked for it. */ ByRequest = "BY_REQUEST",
    // The fleet. Codes are stored by their position: new ones go to the end.
    /** A join token is not known, used up, expired or revoked. */ JoinRefused = "JOIN_REFUSED",
    /** No such node in the fleet. */ NodeUnknown = "NODE_UNKNOWN",
    /** The node was removed from the fleet. */ NodeRemoved = "NODE_REMOVED",
    /** The node has no session: it acts for nobody until it has one. */ NoSession = "NO_SESSION",
    /** The peer cannot be reached. */ PeerUnreachable = "PEER_UNREACHABLE",
    /** The node has no free slot. */ NodeBusy = "NODE_BUSY",
    /** No node that holds the certificate authority can be reached. */ AuthorityUnavailable = "AUTHORITY_UNAVAILABLE",
    /** A frame from the network is malformed or too large. */ FrameInvalid = "FRAME_INVALID",
    /** A connection fails again and again; work on it rests for a while. */ ConnectionResting = "CONNECTION_RESTING",
    /** Something that must always be true was found not to be. */ InvariantBroken = "INVARIANT_BROKEN",
    /** The process that read a source's files ended before it was done. */ WorkerDied = "WORKER_DIED",
    /** The caller's roles or teams do not allow this. */ Forbidden = "FORBIDDEN",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One problem, complete enough to act upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{code}: {what}{}: {why}. {next}", .dataset.as_ref().map(|d| format!(" ({d})")).unwrap_or_default())]
pub struct Problem {
    /// Stable code.
    pub code: Code,
    /// What failed.
    pub what: String,
    /// The dataset that it concerns.
    pub dataset: Option<String>,
    /// Why it failed.
    pub why: String,
    /// What to do next.
    pub next: String,
}

impl Problem {
    /// A problem that concerns no single dataset (yet; see [`Problem::of`]).
    pub fn new(code: Code, what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, what: what.into(), dataset: None, why: why.into(), next: next.into() }
    }

    /// The same problem, said of `dataset`.
    #[must_use]
    pub fn of(mut self, dataset: &impl fmt::Display) -> Self {
        self.dataset = Some(dataset.to_string());
        self
    }
}
