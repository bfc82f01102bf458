//! The other nodes as the ledger reaches them: calls by node id.
//!
//! In: a fabric, addresses as they become known. Out: typed answers. Holds: [`Peers`], the book of addresses.
//! Not here: who is a member (the state), who is alive (gossip), what calls mean.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use skein_protocol::ids::NodeId;
use skein_protocol::wire::{self, Kind};

use crate::fabric::{CallError, Fabric};

/// The other nodes. A node that is alone reaches nobody.
#[derive(Default)]
pub struct Peers {
    fabric: OnceLock<Arc<dyn Fabric>>,
    addresses: RwLock<BTreeMap<NodeId, SocketAddr>>,
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("fabric", &self.fabric.get()).finish_non_exhaustive()
    }
}

impl Peers {
    /// Nobody can be reached, and nobody will.
    #[must_use]
    pub fn alone() -> Arc<Self> {
        Arc::default()
    }

    /// Reaches others through `fabric`.
    #[must_use]
    pub fn through(fabric: Arc<dyn Fabric>) -> Arc<Self> {
        let peers = Self::default();
        // It is new, so nothing is set yet.
        let _ = peers.fabric.set(fabric);
        Arc::new(peers)
    }

    /// The fabric, if there is one.
    #[must_use]
    pub fn fabric(&self) -> Option<&Arc<dyn Fabric>> {
        self.fabric.get()
    }

    /// Where a node is, from now on. A node that was just admitted and has not begun yet has port 0: that is no place.
    pub fn learn(&self, node: NodeId, address: SocketAddr) {
        if address.port() == 0 {
            return;
        }
        self.addresses.write().unwrap_or_else(PoisonError::into_inner).insert(node, address);
    }

    /// Forgets where a node was, and closes its connections.
    pub fn forget(&self, node: NodeId) {
        self.addresses.write().unwrap_or_else(PoisonError::into_inner).remove(&node);
        if let Some(fabric) = self.fabric.get() {
            fabric.forget(node);
        }
    }

    /// Where a node is, as far as known.
    #[must_use]
    pub fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.addresses.read().unwrap_or_else(PoisonError::into_inner).get(&node).copied()
    }

    /// Every node whose address is known.
    #[must_use]
    pub fn known(&self) -> Vec<NodeId> {
        self.addresses.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Calls a node.
    ///
    /// # Errors
    /// As of [`Fabric::call`]; a call that cannot be encoded was surely not made.
    pub async fn call<Q, A>(&self, to: NodeId, kind: Kind, question: &Q, deadline: Duration) -> Result<A, CallError>
    where
        Q: Serialize + ?Sized,
        A: DeserializeOwned,
    {
        let frame = wire::encode(kind, question).map_err(|error| unreachable(&error))?;
        self.call_frame(to, frame, deadline).await
    }

    /// Calls a node with a frame that is encoded already.
    ///
    /// # Errors
    /// As of [`Peers::call`].
    pub async fn call_frame<A: DeserializeOwned>(
        &self,
        to: NodeId,
        frame: Vec<u8>,
        deadline: Duration,
    ) -> Result<A, CallError> {
        let fabric = self.fabric.get().ok_or_else(|| unreachable(&"this node is alone: it has no fabric"))?;
        let at = self.address(to).ok_or_else(|| unreachable(&format!("the address of node {to} is not known")))?;
        let answer = fabric.call(at, Some(to), frame, deadline).await?;
        // It was carried out, and its answer is lost on us.
        wire::decode(Kind::Answer, &answer).map_err(|error| CallError::Unknown { why: error.to_string() })
    }
}

fn unreachable(why: &dyn fmt::Display) -> CallError {
    CallError::Unreachable { why: why.to_string() }
}
