//! The connections that this node dialled: one for each address, made when it is first needed, and again when it
//! was lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared as SharedFuture};
use quinn::Connection;
use rustls::pki_types::CertificateDer;
use skein_protocol::ids::NodeId;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::limits::{CONNECT_TIMEOUT, MAX_CASTS_WAITING, MAX_LINKS, SERVER_NAME, SWEEP_EVERY, UNUSED_AFTER};
use super::{Shared, codes};
use crate::pki::node_of;

/// The links, by address.
#[derive(Default)]
pub(super) struct Pool {
    links: Mutex<BTreeMap<SocketAddr, Arc<Link>>>,
}

/// What leads to one address.
pub(super) struct Link {
    state: Mutex<State>,
    /// Calls and casts under way: a link that is in use is not closed.
    uses: AtomicUsize,
    /// Room for one-way frames.
    pub(super) casts: Arc<Semaphore>,
}

struct State {
    dialled: Option<Dialled>,
    /// The dialling under way, for all who wait for it. It goes on when they give up.
    dialling: Option<SharedFuture<BoxFuture<'static, Result<Dialled, String>>>>,
    used: Instant,
}

/// A connection, and whom it leads to.
#[derive(Clone)]
pub(super) struct Dialled {
    pub(super) connection: Connection,
    pub(super) node: NodeId,
}

/// A link while it is used.
pub(super) struct InUse(Arc<Link>);

impl Pool {
    /// The link to `to`, which stays open as long as the result lives. None: there are too many.
    pub(super) fn link(&self, to: SocketAddr) -> Option<InUse> {
        let mut links = self.lock();
        if links.len() >= MAX_LINKS && !links.contains_key(&to) {
            return None;
        }
        let link = links.entry(to).or_insert_with(|| {
            let state = State { dialled: None, dialling: None, used: Instant::now() };
            let casts = Arc::new(Semaphore::new(MAX_CASTS_WAITING));
            Arc::new(Link { state: Mutex::new(state), uses: AtomicUsize::new(0), casts })
        });
        link.uses.fetch_add(1, Ordering::Relaxed);
        Some(InUse(link.clone()))
    }

    /// Connections that are open.
    pub(super) fn dialled(&self) -> usize {
        self.lock().values().filter(|link| link.state().live().is_some()).count()
    }

    /// Closes the connections to `node`.
    pub(super) fn forget(&self, node: NodeId) {
        for link in self.lock().values() {
            let mut state = link.state();
            if state.dialled.as_ref().is_some_and(|dialled| dialled.node == node)
                && let Some(dialled) = state.dialled.take()
            {
                dialled.connection.close(codes::REMOVED, b"the node was removed from the fleet");
            }
        }
    }

    /// Lets go of everything; the endpoint closes the connections.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Closes what nobody used for a while, and forgets links without a connection.
    fn sweep(&self) {
        let now = Instant::now();
        // Uses begin under the lock that is held here, so none begins meanwhile.
        self.lock().retain(|_, link| {
            let mut state = link.state();
            let unused = now.saturating_duration_since(state.used) >= UNUSED_AFTER;
            if link.uses.load(Ordering::Relaxed) > 0 || state.dialling.is_some() || !unused {
                return true;
            }
            if let Some(dialled) = state.dialled.take() {
                dialled.connection.close(codes::UNUSED, b"the connection is not needed");
            }
            false
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn live(&self) -> Option<&Dialled> {
        self.dialled.as_ref().filter(|dialled| dialled.connection.close_reason().is_none())
    }
}

impl InUse {
    /// The connection, dialled if need be.
    pub(super) async fn connection(&self, shared: &Arc<Shared>, to: SocketAddr) -> Result<Dialled, String> {
        let dialling = {
            let mut state = self.0.state();
            if let Some(dialled) = state.live() {
                return Ok(dialled.clone());
            }
            // One that has ended and is still there ended with its runtime.
            match state.dialling.as_ref().filter(|dialling| dialling.peek().is_none()) {
                Some(dialling) => dialling.clone(),
                None => {
                    let task = tokio::spawn(dial_for(self.0.clone(), shared.clone(), to));
                    let ended = async move { task.await.unwrap_or_else(|_| Err("the node stops".to_owned())) };
                    let dialling = ended.boxed().shared();
                    state.dialling = Some(dialling.clone());
                    dialling
                }
            }
        };
        dialling.await
    }

    pub(super) fn casts(&self) -> Arc<Semaphore> {
        self.0.casts.clone()
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.state().used = Instant::now();
        self.0.uses.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn dial_for(link: Arc<Link>, shared: Arc<Shared>, to: SocketAddr) -> Result<Dialled, String> {
    let result = dial(&shared, to).await;
    match &result {
        Ok(dialled) => tracing::debug!(peer = %to, node = %dialled.node, "connected"),
        Err(why) => tracing::debug!(peer = %to, why, "not connected"),
    }
    let mut state = link.state();
    state.dialling = None;
    state.dialled = result.as_ref().ok().cloned();
    result
}

async fn dial(shared: &Shared, to: SocketAddr) -> Result<Dialled, String> {
    let endpoint = shared.endpoint().ok_or("this node's end of the fabric is closed")?;
    let connecting =
        endpoint.connect_with(shared.client.clone(), to, SERVER_NAME).map_err(|error| error.to_string())?;
    let connection = timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| format!("nobody answers at {to}"))?
        .map_err(|error| codes::why(&error))?;
    let node = peer_node(&connection)?.ok_or("the peer has no certificate")?;
    Ok(Dialled { connection, node })
}

/// The node at the other end; None: it has no certificate.
pub(super) fn peer_node(connection: &Connection) -> Result<Option<NodeId>, String> {
    let Some(identity) = connection.peer_identity() else {
        return Ok(None);
    };
    let certificates = identity.downcast::<Vec<CertificateDer<'static>>>().map_err(|_| "the peer's identity is odd")?;
    let leaf = certificates.first().ok_or("the peer's chain is empty")?;
    node_of(leaf).map(Some).map_err(|error| error.to_string())
}

/// Closes unused connections, as long as the fabric lives.
pub(super) async fn sweep(shared: Weak<Shared>) {
    loop {
        sleep(SWEEP_EVERY).await;
        match shared.upgrade() {
            Some(shared) => shared.pool.sweep(),
            None => return,
        }
    }
}
