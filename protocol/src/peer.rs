//! What nodes say to each other about credentials and membership: the payloads of the frames that travel.
//!
//! In: nothing. Out: serialisable types, each the payload of one [`Kind`](crate::wire::Kind). Holds: their bounds.
//! Not here: frames (`wire`), how they are sent (the node), the ledger's entries.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hash::Hash256;
use crate::ids::NodeId;

/// A certificate request of one P-256 key has about 250 bytes; this is room for any other key.
pub const MAX_CSR_BYTES: usize = 8 << 10;
/// An IPv6 address with its zone and port has 60 characters; a host name at most 253.
pub const MAX_ADDRESS_BYTES: usize = 300;
/// No message of the membership is longer; its library keeps to a datagram.
pub const MAX_GOSSIP_BYTES: usize = 64 << 10;

/// The secret of a join token. It is never shown; its hash is what the ledger knows.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub [u8; 32]);

impl Secret {
    /// What the ledger knows of it.
    #[must_use]
    pub fn hash(&self) -> Hash256 {
        Hash256::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// `Kind::Join`: a node without a certificate asks for one. The answer is a [`Joined`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The token's secret.
    pub secret: Secret,
    /// The id that the node has given itself.
    pub node: NodeId,
    /// Its certificate request (PKCS #10, DER): proves that it holds the key.
    pub csr: Vec<u8>,
    /// Where other nodes reach it, `ip:port`.
    pub address: String,
}

/// The answer to a [`JoinRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The node's certificate and those between it and the authority, PEM.
    pub chain: String,
    /// The authority's certificate, PEM. The joiner compares its hash with its token's before it is believed.
    pub ca: String,
    /// Members that the joiner may talk to first, with their addresses.
    pub members: Vec<(NodeId, String)>,
}

/// `Kind::Renew`: a node asks for its next certificate, over a connection with the present one. The answer is a
/// [`Signed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewRequest {
    /// The node; must be the one that asks.
    pub node: NodeId,
    /// Its certificate request (PKCS #10, DER).
    pub csr: Vec<u8>,
}

/// `Kind::Sign`: a member without the authority's key asks one that has it, for itself or for one that joins. The
/// answer is a [`Signed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignRequest {
    /// The node that the certificate shall name.
    pub node: NodeId,
    /// Its certificate request (PKCS #10, DER).
    pub csr: Vec<u8>,
    /// The token that let it in, as the ledger knows it; None: it is a member that renews.
    pub token: Option<Hash256>,
}

/// A signed certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The certificate and those between it and the authority, PEM.
    pub chain: String,
    /// The authority's certificate, PEM.
    pub ca: String,
}

/// `Kind::Gossip`: one message of the membership. One-way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gossip {
    /// Where the sender is reached, `ip:port`: answers go there, whatever its packets' address is.
    pub from: String,
    /// The message, as its library encodes it.
    pub message: Vec<u8>,
}

/// A payload that decodes and still cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} has {bytes} bytes; at most {limit} are allowed")]
pub struct TooLong {
    /// Which field.
    pub field: &'static str,
    /// Its length.
    pub bytes: usize,
    /// The bound.
    pub limit: usize,
}

fn within(field: &'static str, bytes: usize, limit: usize) -> Result<(), TooLong> {
    if bytes > limit { Err(TooLong { field, bytes, limit }) } else { Ok(()) }
}

impl JoinRequest {
    /// Checks the lengths of what a stranger sent.
    ///
    /// # Errors
    /// When a field is longer than any that is meant.
    pub fn check(&self) -> Result<(), TooLong> {
        within("the certificate request", self.csr.len(), MAX_CSR_BYTES)?;
        within("the address", self.address.len(), MAX_ADDRESS_BYTES)
    }
}

impl RenewRequest {
    /// Checks the lengths of what a peer sent.
    ///
    /// # Errors
    /// When a field is longer than any that is meant.
    pub fn check(&self) -> Result<(), TooLong> {
        within("the certificate request", self.csr.len(), MAX_CSR_BYTES)
    }
}

impl SignRequest {
    /// Checks the lengths of what a peer sent.
    ///
    /// # Errors
    /// When a field is longer than any that is meant.
    pub fn check(&self) -> Result<(), TooLong> {
        within("the certificate request", self.csr.len(), MAX_CSR_BYTES)
    }
}

impl Gossip {
    /// Checks the lengths of what a peer sent.
    ///
    /// # Errors
    /// When a field is longer than any that is meant.
    pub fn check(&self) -> Result<(), TooLong> {
        within("the sender's address", self.from.len(), MAX_ADDRESS_BYTES)?;
        within("the message", self.message.len(), MAX_GOSSIP_BYTES)
    }
}
