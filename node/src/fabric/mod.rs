//! Calls from node to node: the traits, and the implementation over QUIC.
//!
//! In: whole wire frames (`skein_protocol::wire`) and the address of a peer. Out: the peer's answer, or why there
//! is none and whether the call may have happened. Holds: the traits; [`none`], for nodes that are alone.
//! Not here: what a frame means (the node's core answers), the fabric in memory (`env::memory`), credentials
//! (`pki`).
//!
//! A fabric moves frames and knows who sent them. It never retries a call: only the caller knows whether doing it
//! twice is harmless.

pub mod none;
pub mod quic;

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use skein_protocol::ids::NodeId;
use skein_protocol::problem::Problem;

use crate::pki::Identity;

/// No one-way frame is longer: they are messages of the membership and the like.
pub const MAX_CAST_BYTES: usize = 128 << 10;

/// Who sent a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The node that the peer's certificate names. None: it has no certificate yet and may only ask to join.
    pub node: Option<NodeId>,
    /// Where its packets come from.
    pub at: SocketAddr,
}

/// The side that is called; the node's core.
#[async_trait]
pub trait Answering: Send + Sync + 'static {
    /// Answers a call. `frame` is a whole frame whose kind byte says what is asked; so is the answer.
    ///
    /// # Errors
    /// When the answer is no: the caller gets the problem as [`CallError::Refused`].
    async fn answer(&self, from: Peer, frame: Vec<u8>) -> Result<Vec<u8>, Problem>;

    /// Takes a one-way frame. Must not block; there is nobody to tell of an error.
    fn heard(&self, from: Peer, frame: Vec<u8>);

    /// Whether `node` belongs to the fleet. Connections of a node that does not are refused and closed.
    fn admits(&self, node: NodeId) -> bool;
}

/// One node's end of the fabric.
#[async_trait]
pub trait Fabric: Debug + Send + Sync + 'static {
    /// The bound address, with the port that was chosen.
    fn address(&self) -> SocketAddr;

    /// Sends `frame` to the node at `to` and waits for its answer, at most for `deadline`. A peer that is not
    /// `expected` gets nothing.
    ///
    /// # Errors
    /// When there is no answer, or it is a refusal. The error says whether the call may have happened.
    async fn call(
        &self,
        to: SocketAddr,
        expected: Option<NodeId>,
        frame: Vec<u8>,
        deadline: Duration,
    ) -> Result<Vec<u8>, CallError>;

    /// Sends `frame` one way, without waiting. It is dropped when it cannot be sent soon.
    fn cast(&self, to: SocketAddr, frame: Vec<u8>);

    /// Closes the connections of a node that was removed; new ones are refused by [`Answering::admits`].
    fn forget(&self, node: NodeId);

    /// Closes all connections and frees the address. Later calls are [`CallError::Unreachable`].
    async fn close(&self);
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The peer never got the call: it surely has not happened.
    #[error("the peer cannot be reached: {why}")]
    Unreachable {
        /// What stood in the way.
        why: String,
    },
    /// The peer answered no.
    #[error("the peer refused: {0}")]
    Refused(Problem),
    /// The call was sent and no answer came: it may have happened.
    #[error("no answer came, so the call may have happened: {why}")]
    Unknown {
        /// What ended the wait.
        why: String,
    },
}

impl CallError {
    /// Whether the call may have had its effect.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

/// What opens a fabric for one node.
#[derive(Debug, Clone)]
pub struct FabricSetup {
    /// This node.
    pub node: NodeId,
    /// Where to listen; port 0: any free port.
    pub listen: SocketAddr,
    /// This node's credentials; exchanging them in here is enough for new connections to use the new ones.
    pub identity: Arc<Identity>,
}

/// Opens fabrics: the field of `Env`.
#[async_trait]
pub trait Fabrics: Debug + Send + Sync + 'static {
    /// Binds the address and starts to answer.
    ///
    /// # Errors
    /// When the address is taken or the credentials cannot be used.
    async fn open(&self, setup: FabricSetup, answering: Arc<dyn Answering>) -> io::Result<Arc<dyn Fabric>>;
}
