//! One host's end of the fabric in memory: what it sends, and the task that answers what arrives.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use skein_protocol::ids::NodeId;
use skein_protocol::wire::{self, Kind};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::{Arrival, MemoryFabric};
use crate::env::memory::handle::Pulse;
use crate::fabric::{Answering, CallError, Fabric, FabricSetup, Fabrics, MAX_CAST_BYTES, Peer};

/// Frames that wait to be answered by one host before further ones are dropped.
const MAX_WAITING: usize = 1 << 10;
/// One-way frames of one host that are under way before further ones are dropped.
const MAX_CASTS: usize = 1 << 10;
/// A connection over which nothing comes is given up after this, as over QUIC.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// So long a connection is tried for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A frame that arrived.
#[derive(Debug)]
pub(super) enum Delivery {
    Call { from: Peer, frame: Vec<u8>, deadline: Duration, answer: oneshot::Sender<Result<Vec<u8>, CallError>> },
    Cast { from: Peer, frame: Vec<u8> },
}

/// Opens the fabric of one start of a host.
#[derive(Debug)]
pub(in crate::env::memory) struct HostFabrics {
    fabric: MemoryFabric,
    pulse: Pulse,
}

impl HostFabrics {
    pub(in crate::env::memory) fn new(fabric: MemoryFabric, pulse: Pulse) -> Self {
        Self { fabric, pulse }
    }
}

#[async_trait]
impl Fabrics for HostFabrics {
    async fn open(&self, setup: FabricSetup, answering: Arc<dyn Answering>) -> io::Result<Arc<dyn Fabric>> {
        let (inbox, arriving) = mpsc::channel(MAX_WAITING);
        let (address, number) = self.fabric.bind(setup.listen, setup.node, self.pulse.clone(), inbox)?;
        let serving = tokio::spawn(serve(arriving, answering, self.pulse.clone())).abort_handle();
        Ok(Arc::new(MemoryEnd {
            fabric: self.fabric.clone(),
            node: setup.node,
            address,
            number,
            pulse: self.pulse.clone(),
            casts: Arc::new(Semaphore::new(MAX_CASTS)),
            closed: AtomicBool::new(false),
            serving,
        }))
    }
}

/// One host's end.
#[derive(Debug)]
struct MemoryEnd {
    fabric: MemoryFabric,
    node: NodeId,
    address: SocketAddr,
    number: u64,
    pulse: Pulse,
    casts: Arc<Semaphore>,
    closed: AtomicBool,
    serving: AbortHandle,
}

impl MemoryEnd {
    fn peer(&self) -> Peer {
        Peer { node: Some(self.node), at: self.address }
    }

    fn works(&self) -> bool {
        self.pulse.beats() && !self.closed.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Fabric for MemoryEnd {
    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn call(
        &self,
        to: SocketAddr,
        expected: Option<NodeId>,
        frame: Vec<u8>,
        deadline: Duration,
    ) -> Result<Vec<u8>, CallError> {
        if !self.works() {
            return Err(unreachable("this node's end of the fabric is closed"));
        }
        call(&self.fabric, self.peer(), to, expected, frame, deadline).await
    }

    fn cast(&self, to: SocketAddr, frame: Vec<u8>) {
        let (Ok(permit), Ok(runtime)) = (self.casts.clone().try_acquire_owned(), Handle::try_current()) else {
            return;
        };
        if !self.works() || frame.len() > MAX_CAST_BYTES || wire::head(&frame, frame.len()).is_err() {
            return;
        }
        let (fabric, from) = (self.fabric.clone(), self.peer());
        let latency = fabric.latency();
        runtime.spawn(async move {
            sleep(latency).await;
            if let Arrival::At(entrance) = fabric.arrive(from.at, to) {
                // A full inbox drops it: whoever casts expects no more.
                let _ = entrance.inbox.try_send(Delivery::Cast { from, frame });
            }
            drop(permit);
        });
    }

    fn forget(&self, node: NodeId) {
        self.fabric.disconnect(self.address, node);
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.fabric.unbind(self.address, self.number);
        self.serving.abort();
    }
}

impl Drop for MemoryEnd {
    fn drop(&mut self) {
        self.fabric.unbind(self.address, self.number);
        self.serving.abort();
    }
}

fn unreachable(why: impl Into<String>) -> CallError {
    CallError::Unreachable { why: why.into() }
}

fn unknown(why: impl Into<String>) -> CallError {
    CallError::Unknown { why: why.into() }
}

/// One call, from the frame to its answer or the deadline.
pub(super) async fn call(
    fabric: &MemoryFabric,
    from: Peer,
    to: SocketAddr,
    expected: Option<NodeId>,
    frame: Vec<u8>,
    deadline: Duration,
) -> Result<Vec<u8>, CallError> {
    wire::head(&frame, frame.len()).map_err(|error| unreachable(error.to_string()))?;
    let sent = AtomicBool::new(false);
    let attempt = attempt(fabric, from, to, expected, frame, deadline, &sent);
    match timeout(deadline, attempt).await {
        Ok(result) => result,
        Err(_) if sent.load(Ordering::Relaxed) => Err(unknown("its deadline passed")),
        Err(_) => Err(unreachable("its deadline passed before there was a connection")),
    }
}

async fn attempt(
    fabric: &MemoryFabric,
    from: Peer,
    to: SocketAddr,
    expected: Option<NodeId>,
    frame: Vec<u8>,
    deadline: Duration,
    sent: &AtomicBool,
) -> Result<Vec<u8>, CallError> {
    let (out, back) = (fabric.latency(), fabric.latency());
    sleep(out).await;
    let entrance = match fabric.arrive(from.at, to) {
        Arrival::At(entrance) => entrance,
        Arrival::Lost { connected: true } => {
            sent.store(true, Ordering::Relaxed);
            sleep(IDLE_TIMEOUT).await;
            return Err(unknown("the connection was lost"));
        }
        Arrival::Lost { connected: false } => {
            sleep(CONNECT_TIMEOUT).await;
            return Err(unreachable(format!("nobody answers at {to}")));
        }
    };
    if let Some(expected) = expected.filter(|expected| *expected != entrance.node) {
        return Err(unreachable(format!("node {} answers at {to}, not node {expected}", entrance.node)));
    }
    let (answer, answered) = oneshot::channel();
    if entrance.inbox.try_send(Delivery::Call { from, frame, deadline, answer }).is_err() {
        return Err(unreachable(format!("the node at {to} takes no more calls")));
    }
    sent.store(true, Ordering::Relaxed);
    let Ok(result) = answered.await else {
        sleep(IDLE_TIMEOUT).await;
        return Err(unknown("the peer went away"));
    };
    sleep(back).await;
    if !fabric.answer_arrives(to, entrance.number, from.at) {
        sleep(IDLE_TIMEOUT).await;
        return Err(unknown("the connection was lost"));
    }
    result
}

/// Answers what arrives, until the host crashes or its end is closed.
async fn serve(mut arriving: mpsc::Receiver<Delivery>, answering: Arc<dyn Answering>, pulse: Pulse) {
    while let Some(delivery) = arriving.recv().await {
        if !pulse.beats() {
            return;
        }
        match delivery {
            Delivery::Cast { from, frame } => {
                if from.node.is_some_and(|node| answering.admits(node)) {
                    answering.heard(from, frame);
                }
            }
            Delivery::Call { from, frame, deadline, answer } => {
                let (answering, pulse) = (answering.clone(), pulse.clone());
                tokio::spawn(async move {
                    let Ok(result) = timeout(deadline, answer_one(&*answering, from, frame)).await else {
                        return;
                    };
                    if pulse.beats() {
                        // The caller may have given up.
                        let _ = answer.send(result);
                    }
                });
            }
        }
    }
}

async fn answer_one(answering: &dyn Answering, from: Peer, frame: Vec<u8>) -> Result<Vec<u8>, CallError> {
    match from.node {
        Some(node) if !answering.admits(node) => {
            return Err(unreachable(format!("the peer does not admit node {node}")));
        }
        None if !matches!(wire::head(&frame, frame.len()), Ok(head) if head.kind == Kind::Join) => {
            return Err(unreachable("without a certificate only a join is answered"));
        }
        _ => {}
    }
    let answer = answering.answer(from, frame).await.map_err(CallError::Refused)?;
    match wire::head(&answer, answer.len()) {
        Ok(_) => Ok(answer),
        Err(error) => Err(unknown(format!("the answer is not one: {error}"))),
    }
}
