//! What goes wrong between us and a metastore.
//!
//! In: what was asked, what came. Out: [`MetastoreError`], and the failure that people get of it.

use skein_protocol::data_plane::Failure;
use skein_protocol::problem::{Code, Problem};

/// An error of a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetastoreError {
    /// No address could be connected to.
    #[error("no metastore can be reached: {why}")]
    Unreachable {
        /// What each address said.
        why: String,
    },
    /// The connection broke, or the answer did not come in time.
    #[error("{address} did not answer {call}: {why}")]
    Broken {
        /// Whom we asked.
        address: String,
        /// What.
        call: &'static str,
        /// What happened.
        why: String,
    },
    /// The answer is none that a metastore gives.
    #[error("{address} answered {call} in a way that cannot be read: {why}")]
    Malformed {
        /// Whom we asked.
        address: String,
        /// What.
        call: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The metastore answered with an exception.
    #[error("{address} answered {call}: {why}")]
    Told {
        /// Whom we asked.
        address: String,
        /// What.
        call: &'static str,
        /// The exception's message.
        why: String,
    },
    /// The metastore does not know the call.
    #[error("{address} does not know {call}: {why}")]
    UnknownCall {
        /// Whom we asked.
        address: String,
        /// What.
        call: &'static str,
        /// The exception's message.
        why: String,
    },
    /// The metastore answered with the exception that the call declares: there is no such object, or one already.
    #[error("there is no such object, or one already")]
    Declared,
}

impl MetastoreError {
    /// The failure of a look at the metastore.
    pub(crate) fn into_failure(self) -> Failure {
        let why = self.to_string();
        let problem = |code, what: &str, next: &str| Problem::new(code, what, why.clone(), next);
        match &self {
            Self::Unreachable { .. } | Self::Broken { .. } => Failure::transient(problem(
                Code::CatalogUnavailable,
                "The metastore cannot be asked",
                "Check that it runs at one of the connection's uris and wants neither Kerberos nor TLS; it is tried again by itself",
            )),
            // Mostly its database is away for a while.
            Self::Told { .. } => Failure::transient(problem(
                Code::CatalogUnavailable,
                "The metastore refuses to answer",
                "Look at the metastore's log; it is tried again by itself",
            )),
            Self::Malformed { .. } => Failure::permanent(problem(
                Code::FrameInvalid,
                "The metastore's answer cannot be read",
                "Check that a Hive Metastore listens there and whether it wants framed messages (framed: true)",
            )),
            Self::UnknownCall { .. } | Self::Declared => Failure::permanent(problem(
                Code::SourceUnreadable,
                "The metastore cannot tell of the table",
                "Check the metastore's version",
            )),
        }
    }
}
