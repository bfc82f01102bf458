//! The fabric over QUIC: mutual TLS, one connection for each peer that is called, one stream for each call.
//!
//! In: the node's credentials, datagrams from `Env::network`. Out: [`QuicFabrics`], the implementation of
//! [`Fabrics`] on real machines; [`join`], with which a node without a certificate gets one.
//! Holds: connections, and all bounds of what peers can make this node hold (`limits`).
//! Not here: what frames mean, who is a member ([`Answering::admits`]), the files of the credentials (`pki`).
//!
//! A call is a bidirectional stream: the caller's deadline in milliseconds, a length, a sealed frame; back comes a
//! length and a sealed frame, a `Refusal` if the answer is no. A one-way frame is a uni-directional stream of a length
//! and a sealed frame. Numbers have four bytes, little-endian. A node that dialled opens all streams.

mod call;
mod codes;
mod join;
mod limits;
mod pool;
mod serve;
mod stream;
mod tls;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
pub use join::{JoinError, join};
use quinn::{AsyncUdpSocket, ClientConfig, Connection, Endpoint, ServerConfig};
use skein_protocol::ids::NodeId;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use self::limits::{CLOSE_TIMEOUT, FRAMES_KIB, FREED_LOOK, MAX_HANDSHAKES, MAX_STRANGERS, MAX_STREAMS, RETRY_ABOVE};
use self::pool::Pool;
use self::world::World;
use super::{Answering, CallError, Fabric, FabricSetup, Fabrics};
use crate::env::{Blocking, Clock, Entropy, Network};

/// Opens fabrics over QUIC.
#[derive(Debug, Clone)]
pub struct QuicFabrics {
    world: World,
}

impl QuicFabrics {
    /// Fabrics in the world that these are the parts of.
    #[must_use]
    pub fn new(
        network: Arc<dyn Network>,
        blocking: Arc<dyn Blocking>,
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { world: World { network, blocking, entropy, clock } }
    }

    /// Opens a fabric; as [`Fabrics::open`], for callers that also want to see what it holds.
    ///
    /// # Errors
    /// When the address is taken or the credentials cannot be used.
    pub async fn open_quic(&self, setup: FabricSetup, answering: Arc<dyn Answering>) -> io::Result<Arc<QuicFabric>> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let absent = || invalid("this node has no certificate: it must join the fleet first".to_owned());
        let credentials = setup.identity.present().ok_or_else(absent)?;
        let unusable = |error: rustls::Error| invalid(format!("this node's certificate cannot be used: {error}"));
        tls::check(&credentials).map_err(unusable)?;
        let named = credentials.certificate().map_err(|error| invalid(error.to_string()))?.node;
        if named != setup.node {
            return Err(invalid(format!("the certificate names node {named}, and this is node {}", setup.node)));
        }
        let time = self.world.time();
        let accepting = tls::server(setup.identity.clone(), time.clone()).map_err(unusable)?;
        let mut server = ServerConfig::new(Arc::new(accepting), Arc::new(self.world.token_key()));
        server
            .transport_config(Arc::new(limits::accepting()))
            .time_source(time.clone())
            .max_incoming(MAX_HANDSHAKES)
            .incoming_buffer_size(limits::HANDSHAKE_BYTES)
            .incoming_buffer_size_total(limits::HANDSHAKE_BYTES * MAX_HANDSHAKES as u64)
            .migration(false);
        let dialling = tls::client(setup.identity, time).map_err(unusable)?;
        let mut client = ClientConfig::new(Arc::new(dialling));
        client.transport_config(Arc::new(limits::dialling()));
        let (endpoint, socket) = self.world.endpoint(setup.listen, Some(server), Some(&credentials)).await?;
        let address = endpoint.local_addr()?;
        let shared = Arc::new(Shared {
            node: setup.node,
            address,
            client,
            world: self.world.clone(),
            open: Mutex::new(Some(Open { endpoint: endpoint.clone(), answering })),
            closing: watch::Sender::new(false),
            socket,
            accepted: Mutex::default(),
            connections: AtomicU64::new(0),
            pool: Pool::default(),
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            strangers: Arc::new(Semaphore::new(MAX_STRANGERS)),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            requests: Arc::new(Semaphore::new(FRAMES_KIB)),
            answers: Arc::new(Semaphore::new(FRAMES_KIB)),
        });
        // It ends when the endpoint is closed.
        tokio::spawn(serve::accept(shared.clone(), endpoint));
        let sweeping = tokio::spawn(pool::sweep(Arc::downgrade(&shared))).abort_handle();
        Ok(Arc::new(QuicFabric { shared, sweeping }))
    }
}

#[async_trait]
impl Fabrics for QuicFabrics {
    async fn open(&self, setup: FabricSetup, answering: Arc<dyn Answering>) -> io::Result<Arc<dyn Fabric>> {
        self.open_quic(setup, answering).await.map(|fabric| fabric as Arc<dyn Fabric>)
    }
}

/// What peers make a fabric hold at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Connections that were accepted.
    pub accepted: usize,
    /// Connections that were dialled.
    pub dialled: usize,
    /// Streams of peers that are served.
    pub streams: usize,
    /// KiB of frames that are read or answered.
    pub frames_kib: usize,
}

/// One node's end over QUIC.
pub struct QuicFabric {
    shared: Arc<Shared>,
    sweeping: AbortHandle,
}

impl fmt::Debug for QuicFabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicFabric")
            .field("node", &self.shared.node)
            .field("address", &self.shared.address)
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}

impl QuicFabric {
    /// What peers make it hold now.
    #[must_use]
    pub fn held(&self) -> Held {
        Held {
            accepted: self.shared.accepted().len(),
            dialled: self.shared.pool.dialled(),
            streams: MAX_STREAMS - self.shared.streams.available_permits(),
            frames_kib: FRAMES_KIB - self.shared.requests.available_permits(),
        }
    }
}

#[async_trait]
impl Fabric for QuicFabric {
    fn address(&self) -> SocketAddr {
        self.shared.address
    }

    async fn call(
        &self,
        to: SocketAddr,
        expected: Option<NodeId>,
        frame: Vec<u8>,
        deadline: Duration,
    ) -> Result<Vec<u8>, CallError> {
        call::call(&self.shared, to, expected, frame, deadline).await
    }

    fn cast(&self, to: SocketAddr, frame: Vec<u8>) {
        call::cast(&self.shared, to, frame);
    }

    fn forget(&self, node: NodeId) {
        for connection in self.shared.accepted().values().filter(|accepted| accepted.node == Some(node)) {
            connection.connection.close(codes::REMOVED, b"this node was removed from the fleet");
        }
        self.shared.pool.forget(node);
    }

    async fn close(&self) {
        if let Some(endpoint) = self.shut() {
            // Peers that do not hear of it in time notice by themselves.
            let _ = timeout(CLOSE_TIMEOUT, endpoint.wait_idle()).await;
        }
        // The socket is held by every stream, until the tasks that have them have ended.
        let freed = async {
            while self.shared.socket.strong_count() > 0 {
                sleep(FREED_LOOK).await;
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, freed).await;
    }
}

impl QuicFabric {
    /// Closes all connections and lets all tasks end. None: that was done before.
    fn shut(&self) -> Option<Endpoint> {
        self.sweeping.abort();
        let open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Open { endpoint, answering } = open?;
        drop(answering);
        self.shared.pool.clear();
        endpoint.close(codes::STOPPING, b"the node stops");
        self.shared.closing.send_replace(true);
        Some(endpoint)
    }
}

impl Drop for QuicFabric {
    fn drop(&mut self) {
        self.shut();
    }
}

/// What all tasks of one fabric share.
struct Shared {
    node: NodeId,
    address: SocketAddr,
    client: ClientConfig,
    world: World,
    /// None once it is closed: nothing here keeps the node's core or the socket alive then.
    open: Mutex<Option<Open>>,
    /// Whether it is closed, for tasks that wait for something else.
    closing: watch::Sender<bool>,
    socket: Weak<dyn AsyncUdpSocket>,
    /// Connections that were accepted, in their order. QUIC's own number for them is a place in memory, and differs
    /// from run to run.
    accepted: Mutex<BTreeMap<u64, Accepted>>,
    /// Numbers them.
    connections: AtomicU64,
    pool: Pool,
    handshakes: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// Memory for frames that peers ask, in KiB.
    requests: Arc<Semaphore>,
    /// Memory for frames that peers answer, in KiB: answers never wait for requests, so no circle of nodes can
    /// wait for itself.
    answers: Arc<Semaphore>,
}

struct Open {
    endpoint: Endpoint,
    answering: Arc<dyn Answering>,
}

struct Accepted {
    node: Option<NodeId>,
    connection: Connection,
}

impl Shared {
    fn answering(&self) -> Option<Arc<dyn Answering>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(|open| open.answering.clone())
    }

    fn endpoint(&self) -> Option<Endpoint> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(|open| open.endpoint.clone())
    }

    fn accepted(&self) -> MutexGuard<'_, BTreeMap<u64, Accepted>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a task that ends with the fabric at the latest.
    fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let mut closing = self.closing.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = closing.wait_for(|closed| *closed) => {}
                () = work => {}
            }
        });
    }

    /// Whether so many handshakes are under way that peers must first show that they receive at their address.
    fn is_busy(&self) -> bool {
        MAX_HANDSHAKES - self.handshakes.available_permits() > RETRY_ABOVE
    }
}
