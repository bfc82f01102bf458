//! A fabric that writes on the tape what one machine sends, and what comes back.
//!
//! In: calls of one machine's node. Out: the same calls on the fabric in memory. Holds: that a machine whose disk took
//! its power along hears nothing any more, not even that its calls fail: it lives on until the end of the quantum, and
//! must not spend it on trying again. Not here: the ways of frames (`skein_node::env::memory`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use skein_node::env::memory::MemoryStorage;
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
    pub(crate) inner: Arc<dyn Fabrics>,
}

#[async_trait]
impl Fabrics for TracedFabrics {
    async fn open(&self, setup: FabricSetup, answering: Arc<dyn Answering>) -> io::Result<Arc<dyn Fabric>> {
        let inner = self.inner.open(setup, answering).await?;
        Ok(Arc::new(Traced { machine: self.machine, tape: self.tape.clone(), storage: self.storage.clone(), inner }))
    }
}

#[derive(Debug)]
struct Traced {
    machine: usize,
    tape: Tape,
    storage: MemoryStorage,
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
        self.tape.frame(self.machine, &format!("casts {to} {}", describe(&frame)));
        self.inner.cast(to, frame);
    }

    fn forget(&self, node: NodeId) {
        self.inner.forget(node);
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
