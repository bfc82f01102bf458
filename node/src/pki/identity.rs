//! What a node presents to its peers, exchangeable while it runs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::{Certificate, PkiError};

/// One set of credentials.
pub struct Credentials {
    /// The certificates of the fleet's authority; a peer must have been signed by one of them.
    pub authorities: Vec<CertificateDer<'static>>,
    /// This node's certificate, then those between it and the authority, and the authority's, by whose hash a
    /// joiner knows the fleet.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of this node's certificate.
    pub key: PrivatePkcs8KeyDer<'static>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("authorities", &self.authorities.len())
            .field("chain", &self.chain.len())
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// What this node's certificate says.
    ///
    /// # Errors
    /// When it is not a node's.
    pub fn certificate(&self) -> Result<Certificate, PkiError> {
        let leaf = self.chain.first().ok_or_else(|| PkiError::Certificate("the chain is empty".to_owned()))?;
        Certificate::read(leaf)
    }
}

/// The present credentials of a node. Whoever holds it sees an exchange at once.
#[derive(Debug, Default)]
pub struct Identity {
    present: RwLock<Option<Arc<Credentials>>>,
}

impl Identity {
    /// An identity with credentials.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self { present: RwLock::new(Some(Arc::new(credentials))) }
    }

    /// An identity without credentials: enough for a fabric in memory, refused by the one over QUIC.
    #[must_use]
    pub fn absent() -> Self {
        Self::default()
    }

    /// The credentials of this moment.
    #[must_use]
    pub fn present(&self) -> Option<Arc<Credentials>> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the credentials: handshakes from now on use the new ones, connections stay as they are.
    pub fn exchange(&self, credentials: Credentials) {
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(credentials));
    }
}
