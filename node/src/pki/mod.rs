//! Credentials of nodes: who they are to each other, and how they prove it.
//!
//! In: node files, the clock's milliseconds, random bytes, certificate requests. Out: an [`Identity`] that the
//! fabric presents, certificates for others, join tokens. Holds: nothing process-wide; the names of the files.
//! Not here: who belongs to the fleet and which tokens are valid (the ledger), TLS itself (`fabric`).
//!
//! A fleet has one authority: a certificate that every node has (`ca.pem`) and a key that few have (`ca.key`). Each
//! node has a certificate of it (`node.pem`, `node.key`) that names the node and lives [`NODE_LIFETIME`].

mod authority;
mod certificate;
mod identity;
mod key;
mod renewal;
mod store;
mod token;

#[cfg(test)]
mod tests;

use std::io;

pub use authority::{Authority, NODE_LIFETIME};
pub use certificate::{Certificate, node_of, server_name};
pub use identity::{Credentials, Identity};
pub use key::NodeKey;
pub use renewal::{Renewal, renewal};
pub use store::{AUTHORITY, AUTHORITY_KEY, NODE, NODE_KEY, install, load, prepare_key};
pub use token::{JoinToken, NotAToken};

/// Credentials that cannot be made, read or believed.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A node file cannot be read or written.
    #[error("the node file {name} cannot be used: {source}")]
    File {
        /// Its name.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A node file is there and holds something else than it should.
    #[error("the node file {name} is damaged: {why}")]
    Damaged {
        /// Its name.
        name: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A certificate request is not acceptable.
    #[error("the certificate request is refused: {0}")]
    Request(String),
    /// A certificate is not one that this node can use.
    #[error("the certificate is refused: {0}")]
    Certificate(String),
    /// Making a key or a signature failed.
    #[error("making a certificate failed: {0}")]
    Making(String),
}

impl PkiError {
    fn making(error: rcgen::Error) -> Self {
        Self::Making(error.to_string())
    }
}
