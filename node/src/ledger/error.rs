//! What can go wrong with a ledger, and whether a proposal may have become a fact.

use skein_protocol::data_plane::Outcome;
use skein_protocol::problem::{Code, Problem};
use skein_protocol::wire::WireError;

use crate::env::BlockingError;

/// A ledger that does not open, or a proposal, read or blob that failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The database does not open: damaged, or of another program or version.
    #[error("the ledger {name} does not open: {why}")]
    DoesNotOpen {
        /// Its name on the ledger disk.
        name: String,
        /// The database's words.
        why: String,
    },
    /// What is stored does not read as what it should be.
    #[error("the ledger's {what} does not read: {source}")]
    Damaged {
        /// Which part.
        what: String,
        /// How.
        source: WireError,
    },
    /// The node's identity and its ledger do not belong together.
    #[error("{why}")]
    Identity {
        /// What does not fit.
        why: String,
    },
    /// A node file cannot be read or written.
    #[error("the node file {name} failed: {why}")]
    NodeFile {
        /// Its name.
        name: &'static str,
        /// Why.
        why: String,
    },
    /// Reading or writing the ledger's storage failed; the ledger must be opened anew.
    #[error("the ledger's storage failed: {why}")]
    Storage {
        /// Why.
        why: String,
    },
    /// The entry or blob is larger than allowed, or would not read back.
    #[error("this cannot be stored: {source}")]
    NotStorable {
        /// Why not.
        source: WireError,
    },
    /// The blob is larger than allowed.
    #[error("a blob of {bytes} bytes cannot be stored; at most {limit} are allowed")]
    BlobTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The ledger is stopping or has stopped; the proposal was not made.
    #[error("the ledger is stopping")]
    Stopping,
    /// There was no leader and quorum in time.
    #[error("the ledger accepts nothing: {why}")]
    Unavailable {
        /// Why, as far as known.
        why: String,
    },
    /// Nobody knows whether the proposal became a fact; the state tells, once the ledger works again.
    #[error("it is not known whether the proposal was recorded: {why}")]
    Unknown {
        /// Why.
        why: String,
    },
}

impl LedgerError {
    /// Whether what was asked for may have happened.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Unknown { .. } | Self::Storage { .. } => Outcome::Unknown,
            _ => Outcome::NotDone,
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Stopping => Code::ShuttingDown,
            Self::NotStorable { .. } | Self::BlobTooLarge { .. } => Code::RequestInvalid,
            _ => Code::LedgerUnavailable,
        }
    }

    /// The same, as people and programs get it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let next = match self {
            Self::DoesNotOpen { .. } | Self::Damaged { .. } => {
                "keep a copy of the data folder; restore the ledger from a backup, or start with an empty folder: \
                 the node then joins as a new one"
            }
            Self::Identity { .. } => "restore the file that is missing or from elsewhere; do not delete the other",
            Self::NodeFile { .. } | Self::Storage { .. } => {
                "look after the disk (space, permissions, health), then start the node again"
            }
            Self::NotStorable { .. } | Self::BlobTooLarge { .. } => "make it smaller, or report a defect",
            Self::Stopping => "ask another node, or wait until this one has started again",
            Self::Unavailable { .. } => "try again; look at the node's health",
            Self::Unknown { .. } => "look at the state before trying again",
        };
        Problem::new(self.code(), "the ledger", self.to_string(), next)
    }

    pub(crate) fn storage(why: impl std::fmt::Display) -> Self {
        Self::Storage { why: why.to_string() }
    }

    pub(crate) fn damaged(what: &str, source: WireError) -> Self {
        Self::Damaged { what: what.to_owned(), source }
    }
}

impl From<BlockingError> for LedgerError {
    fn from(error: BlockingError) -> Self {
        match error {
            BlockingError::Lost => Self::Stopping,
            BlockingError::Panicked(why) => Self::Storage { why },
        }
    }
}
