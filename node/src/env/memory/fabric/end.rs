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
use crate::env::memory::links::{FOREIGN_REFUSED, Links, Trip};
use crate::fabric::{Answering, CallError, Fabric, FabricSetup, Fabrics, MAX_CAST_BYTES, Peer};

/// Frames that wait to be answered by one host before further ones are dropped.
const MAX_WAITING: usize = 1 << 10;
/// One-way frames of one host that are under way before further ones are dropped.
const MAX_CASTS: usize = 1 << 10;
/// A connection over which nothing comes is given up after this, as over QUIC.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// So long a connection is tried for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The frame of a call that got lost is sent again after this, then after twice as long, and so on.
const RESEND_AFTER: Duration = Duration::from_millis(100);

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
        let serving = tokio::spawn(serve(arriving, answering, self.pulse.clone(), self.fabric.links.clone()));
        let serving = serving.abort_handle();
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
        let trip = fabric.links.trip(from.at, to);
        runtime.spawn(async move {
            carry(&fabric, from, to, frame, &trip).await;
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

/// Lets a one-way frame arrive: once, twice or not at all.
async fn carry(fabric: &MemoryFabric, from: Peer, to: SocketAddr, mut frame: Vec<u8>, trip: &Trip) {
    sleep(trip.takes).await;
    if trip.lost {
        return fabric.links.lose();
    }
    make_foreign(&mut frame, trip);
    let deliver = || match fabric.arrive(from.at, to) {
        // A full inbox drops it: whoever casts expects no more.
        Arrival::At(entrance) => entrance.inbox.try_send(Delivery::Cast { from, frame: frame.clone() }).is_ok(),
        Arrival::Lost { .. } => false,
    };
    if deliver() {
        fabric.links.arrive(trip);
    }
    if let Some(later) = trip.again {
        sleep(later).await;
        if deliver() {
            fabric.links.arrive_again();
        }
    }
}

/// A newer program writes frames of a newer version.
fn make_foreign(frame: &mut [u8], trip: &Trip) {
    if let (true, Some(version)) = (trip.foreign, frame.first_mut()) {
        *version = wire::VERSION + 1;
    }
}

/// The way of a frame that is sent again when it got lost, until it arrives. None: it got lost so often that the
/// connection is given up.
async fn travel(links: &Links, from: SocketAddr, to: SocketAddr) -> Option<Trip> {
    let (mut pause, mut waited) = (RESEND_AFTER, Duration::ZERO);
    loop {
        let trip = links.trip(from, to);
        sleep(trip.takes).await;
        if !trip.lost {
            return Some(trip);
        }
        links.lose();
        if waited >= IDLE_TIMEOUT {
            return None;
        }
        sleep(pause).await;
        waited += pause;
        pause *= 2;
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
    mut frame: Vec<u8>,
    deadline: Duration,
    sent: &AtomicBool,
) -> Result<Vec<u8>, CallError> {
    let Some(trip) = travel(&fabric.links, from.at, to).await else {
        let why = "the connection was lost";
        return Err(if fabric.break_off(from.at, to) { unknown(why) } else { unreachable(why) });
    };
    make_foreign(&mut frame, &trip);
    let entrance = match fabric.arrive(from.at, to) {
        Arrival::At(entrance) => {
            fabric.links.arrive(&trip);
            entrance
        }
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
    if result.is_ok() && fabric.links.loses_answer(to, from.at) {
        fabric.break_off(from.at, to);
        // Either something tells the caller that its connection is gone, or nothing does.
        sleep(if fabric.links.draw(2) == 0 { Duration::ZERO } else { IDLE_TIMEOUT }).await;
        return Err(unknown("the connection was lost"));
    }
    let Some(trip) = travel(&fabric.links, to, from.at).await else {
        fabric.break_off(from.at, to);
        return Err(unknown("the connection was lost"));
    };
    if !fabric.answer_arrives(to, entrance.number, from.at) {
        sleep(IDLE_TIMEOUT).await;
        return Err(unknown("the connection was lost"));
    }
    fabric.links.arrive(&trip);
    result
}

/// Answers what arrives, until the host crashes or its end is closed.
async fn serve(mut arriving: mpsc::Receiver<Delivery>, answering: Arc<dyn Answering>, pulse: Pulse, links: Links) {
    while let Some(delivery) = arriving.recv().await {
        if !pulse.beats() {
            return;
        }
        let frame = match &delivery {
            Delivery::Call { frame, .. } | Delivery::Cast { frame, .. } => frame,
        };
        // As over QUIC: what this build cannot read goes no further, and its sender hears of it.
        if let Err(error) = wire::head(frame, frame.len()) {
            tracing::debug!(why = %error, "frame not read");
            links.count(FOREIGN_REFUSED);
            if let Delivery::Call { answer, .. } = delivery {
                // The caller may have given up.
                let _ = answer.send(Err(unreachable(format!("the peer could not read the frame: {error}"))));
            }
            continue;
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
