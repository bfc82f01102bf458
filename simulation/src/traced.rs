//! A fabric that writes on the tape what one machine sends, and what comes back.
//!
//! In: calls of one machine's node. Out: the same calls on the fabric below. Holds: that a machine whose disk took
//! its power along hears nothing any more, not even that its calls fail: it lives on until the end of the quantum, and
//! must not spend it on trying again; that one-way frames of a silenced machine are swallowed. Not here: the ways of
//! frames (`skein_node::env::memory`) and of datagrams (`net`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use skein_node::env::memory::{Links, MemoryStorage};
use skein_node::fabric::{Answering, CallError, Fabric, FabricSetup, Fabrics};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;
use skein_protocol::wire;

use crate::tape::Tape;

/// Opens fabrics that write on the tape.
#[derive(Debug)]
pub(crate) struct TracedFabrics {
    pub(crate) machine: usize,
    pub(crate) tape: Tape,
    pub(crate) storage: MemoryStorage,
    pub(crate) links: Links,
    pub(crate) inner: Arc<dyn Fabrics>,
}

#[async_trait]
impl Fabrics for TracedFabrics {
    async fn open(&self, setup: FabricSetup, answering: Arc<dyn Answering>) -> io::Result<Arc<dyn Fabric>> {
        let inner = self.inner.open(setup, answering).await?;
        let (tape, storage, links) = (self.tape.clone(), self.storage.clone(), self.links.clone());
        Ok(Arc::new(Traced { machine: self.machine, tape, storage, links, inner }))
    }
}

#[derive(Debug)]
struct Traced {
    machine: usize,
    tape: Tape,
    storage: MemoryStorage,
    links: Links,
    inner: Arc<dyn Fabric>,
}

/// A frame in a few words.
fn describe(frame: &[u8]) -> String {
    let kind = wire::kind_of(frame).map_or_else(|_| "?".to_owned(), |kind| format!("{kind:?}"));
    format!("{kind} {} {}", frame.len(), Hash256::of(frame).short())
}

#[async_trait]
impl Fabric for Traced {
    fn address(&self) -> SocketAddr {
        self.inner.address()
    }

    async fn call(
        &self,
        to: SocketAddr,
        expected: Option<NodeId>,
        frame: Vec<u8>,
        deadline: Duration,
    ) -> Result<Vec<u8>, CallError> {
        if self.storage.is_crashed() {
            return std::future::pending().await;
        }
        let said = describe(&frame);
        self.tape.frame(self.machine, &format!("calls {to} {said}"));
        let result = self.inner.call(to, expected, frame, deadline).await;
        match &result {
            Ok(answer) => self.tape.frame(self.machine, &format!("hears {to} {said} -> {}", describe(answer))),
            Err(error) => self.tape.note(self.machine, &format!("hears {to} {said} -> {error}")),
        }
        result
    }

    fn cast(&self, to: SocketAddr, frame: Vec<u8>) {
        if self.storage.is_crashed() {
            return;
        }
        let swallowed = self.links.swallows(self.inner.address(), to);
        let what = if swallowed { "would cast" } else { "casts" };
        self.tape.frame(self.machine, &format!("{what} {to} {}", describe(&frame)));
        if !swallowed {
            self.inner.cast(to, frame);
        }
    }

    fn forget(&self, node: NodeId) {
        self.inner.forget(node);
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
