//! Starting and stopping a node.
//!
//! In: a configuration, an environment; the runtime is the caller's. Out: [`NodeHandle`]. Holds: the order of the
//! steps. Not here: signals, logs, the process.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use skein_protocol::access::Rights;
use skein_protocol::api::Status;
use skein_protocol::ids::NodeId;
use skein_protocol::invariant::Violation;
use skein_protocol::ledger::State;
use tokio::time::timeout;

use crate::actors::{Task, Tree, TreeError};
use crate::alert::Alerts;
use crate::api::{self, Server, TOKEN_FILE};
use crate::checks::Broken;
use crate::config::Config;
use crate::core::{Core, Credentialed};
use crate::env::Env;
use crate::fabric::FabricSetup;
use crate::fleet::{self, Fleet, PEERS_FILE, SessionState, Switchboard};
use crate::ledger::{Boot, Ledger, LedgerError, Peers, Subscription};
use crate::metrics::NodeStats;
use crate::pki::{self, Authority, Identity};

/// Handing over takes one entry of the ledger for each other node.
const HAND_OVER: Duration = Duration::from_secs(10);

/// A node that does not start, or does not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its ledger does not open, or failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Its actors do not start.
    #[error(transparent)]
    Actors(#[from] TreeError),
    /// Its token file can be neither read nor written.
    #[error("the token file does not work: {0}")]
    Token(std::io::Error),
    /// Its credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] pki::PkiError),
    /// The node-to-node endpoint does not open.
    #[error("the node-to-node endpoint does not open at {at}: {source}; correct fleet.listen, or join a fleet first")]
    Fabric {
        /// Where.
        at: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// It was removed from the fleet.
    #[error(
        "this node was removed from the fleet; to use it again, let it join with an empty data folder and a new token"
    )]
    Removed,
    /// The API cannot listen.
    #[error("the API cannot listen at {at}: {source}; choose another address (node.listen) or stop what listens there")]
    Listen {
        /// Where.
        at: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// Starts nodes.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Starts a node on the current runtime. When this returns, everything that was ever acknowledged is in its state,
    /// it works on, and its API answers.
    ///
    /// # Errors
    /// When a part does not start; what was started is stopped again.
    pub async fn start(config: Config, env: Env) -> Result<NodeHandle, NodeError> {
        match Self::open(&config, &env).await? {
            Opened::Node(core) => Self::run(core).await,
            // It comes back once; a ledger that does not open again is another matter.
            Opened::Replaced(error) => match Self::open(&config, &env).await? {
                Opened::Node(core) => Self::run(core).await,
                Opened::Replaced(_) => Err(error.into()),
            },
        }
    }

    /// Opens fabric and ledger. A member of a fleet whose ledger is lost gets a new identity instead.
    async fn open(config: &Config, env: &Env) -> Result<Opened, NodeError> {
        let (config, env) = (config.clone(), env.clone());
        let (gossip, inbox) = fleet::inbox();
        let switchboard = Switchboard::new(gossip);
        let standing = credentials(&env).await?;
        let peers = match &config.fleet {
            None => Peers::alone(),
            Some(part) => {
                let node = identity_of(&env, &standing.identity).await?;
                let listen = part.listen;
                let setup = FabricSetup { node, listen, identity: standing.identity.clone() };
                let fabric = env.fabrics.open(setup, switchboard.clone()).await;
                Peers::through(fabric.map_err(|source| NodeError::Fabric { at: listen, source })?)
            }
        };
        let broken = Arc::new(Broken::default());
        let witness = config.checks.witness(&broken);
        let ledger = match Ledger::<State>::open_watched(&env, config.ledger.clone(), peers.clone(), witness).await {
            Ok(ledger) => ledger,
            Err(error) => {
                let lost = matches!(error, LedgerError::DoesNotOpen { .. } | LedgerError::Damaged { .. });
                let back = match peers.fabric() {
                    Some(fabric) if lost && standing.identity.present().is_some() => {
                        fleet::come_back(&env, fabric, &standing.first_peers, &error).await.map(|_| ())
                    }
                    _ => Err(error.clone()),
                };
                close(&peers).await;
                return back.map(|()| Opened::Replaced(error)).map_err(NodeError::from);
            }
        };
        let part = config.fleet.clone().unwrap_or_default();
        let fleet = Fleet::new(ledger.boot().node, part, peers, inbox, config.slots);
        let core = Arc::new(Core::new(env, config, ledger, standing, fleet, broken));
        switchboard.connect(&core);
        Ok(Opened::Node(core))
    }

    async fn run(core: Arc<Core>) -> Result<NodeHandle, NodeError> {
        match Self::begin(core.clone()).await {
            Ok(handle) => Ok(handle),
            Err(error) => {
                // The reason for the refusal is worth more than a failure to close.
                let _ = core.ledger.shutdown().await;
                close(&core.fleet.peers).await;
                Err(error)
            }
        }
    }

    async fn begin(core: Arc<Core>) -> Result<NodeHandle, NodeError> {
        let boot = core.ledger.boot().boots;
        let router = api::router(core.clone()).await.map_err(NodeError::Token)?;
        let at = core.config.listen;
        let server = match Server::start(&core.env, at, router.clone()).await {
            Ok(server) => server,
            Err(source) => return Err(NodeError::Listen { at, source }),
        };
        // The session says where the API is; it was set nowhere else.
        let _ = core.api.set(server.address());
        let tree = match Tree::start(core.clone()).await {
            Ok(tree) => tree,
            Err(error) => {
                server.stop().await;
                return Err(error.into());
            }
        };
        let mut state = core.fleet.session.watch();
        let tasks = fleet::start(&core);
        if core.fleet.peers.fabric().is_none() {
            // What the last start had begun is over; its migrations get a higher epoch. Whoever is alone need not wait for
            // others, and does not start without.
            let acting = state.wait_for(|state| *state == SessionState::Acting);
            let failed = tokio::select! {
                biased;
                error = core.ledger.stopped() => Some(error),
                _ = acting => None,
            };
            if let Some(error) = failed {
                drop(tasks);
                server.stop().await;
                tree.stop().await;
                return Err(error.into());
            }
        }
        tracing::info!(node = %core.node, boot, address = %server.address(), slots = core.config.slots, "node started");
        let alerts = Alerts::start(&core);
        Ok(NodeHandle { core, tree, server, router, tasks, alerts })
    }
}

/// What became of opening a node's ledger.
enum Opened {
    /// It is open.
    Node(Arc<Core>),
    /// It was lost; the node has a new identity, and an empty ledger.
    Replaced(LedgerError),
}

async fn close(peers: &Peers) {
    if let Some(fabric) = peers.fabric() {
        fabric.close().await;
    }
}

/// What this node proves to others, from its files.
async fn credentials(env: &Env) -> Result<Credentialed, NodeError> {
    let reading = env.clone();
    let read = move || -> Result<Credentialed, pki::PkiError> {
        let files = reading.files.as_ref();
        let identity = pki::load(files)?.map_or_else(Identity::absent, Identity::new);
        let authority = Authority::load(files)?.map(Arc::new);
        let peers = files.read(PEERS_FILE).map_err(|source| pki::PkiError::File { name: PEERS_FILE, source })?;
        let peers = String::from_utf8(peers.unwrap_or_default()).unwrap_or_default();
        let first_peers = peers.lines().filter_map(|line| line.trim().parse().ok()).collect();
        Ok(Credentialed { identity: Arc::new(identity), authority, first_peers })
    };
    Ok(env.blocking.call(read).await.map_err(LedgerError::from)??)
}

/// Who this node is, before its ledger is open: a fabric must know.
async fn identity_of(env: &Env, identity: &Identity) -> Result<NodeId, NodeError> {
    let named = identity.present().map(|credentials| credentials.certificate()).transpose()?;
    let reading = env.clone();
    let identify = move || {
        let boot = Boot::identify(&reading)?;
        match named {
            // A crash came between the new certificate and the new name.
            Some(certificate) if certificate.node != boot.node => {
                Boot::replace(&reading, certificate.node)?;
                Ok(certificate.node)
            }
            _ => Ok(boot.node),
        }
    };
    Ok(env.blocking.call(identify).await.map_err(LedgerError::from)?.map_err(|error: LedgerError| error)?)
}

/// A running node. Dropping it without [`NodeHandle::stop`] leaves its tasks on the runtime.
pub struct NodeHandle {
    core: Arc<Core>,
    tree: Tree,
    server: Server,
    router: Router,
    tasks: Vec<Task>,
    alerts: Option<Alerts>,
}

impl NodeHandle {
    /// Where the API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Who the node is.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.core.node
    }

    /// The API below any socket.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The node at a glance.
    #[must_use]
    pub fn status(&self) -> Status {
        api::status_of(&self.core, None, &Rights::all())
    }

    /// The node's counters.
    #[must_use]
    pub fn stats(&self) -> NodeStats {
        self.core.metrics.stats()
    }

    /// Invariants that did not hold since this start (the first hundred); empty unless the node checks them.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.core.broken.kept()
    }

    /// Looks at the ledger's state.
    pub fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        self.core.ledger.read(look)
    }

    /// Looks at the ledger's state and the index of the last entry in it.
    pub fn read_at<R>(&self, look: impl FnOnce(u64, &State) -> R) -> R {
        self.core.ledger.read_at(look)
    }

    /// Follows what is applied, from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription<State> {
        self.core.ledger.subscribe()
    }

    /// The name of the node file that holds the token of the first start.
    #[must_use]
    pub fn token_file(&self) -> &'static str {
        TOKEN_FILE
    }

    /// Where other nodes reach this one; nothing for a node that is alone.
    #[must_use]
    pub fn fleet_address(&self) -> Option<SocketAddr> {
        self.core.fleet.peers.fabric().map(|fabric| fabric.address())
    }

    /// Whether the node leads the ledger, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.core.ledger.is_leader()
    }

    /// The nodes that vote in the ledger, as far as this one knows.
    #[must_use]
    pub fn voters(&self) -> Vec<NodeId> {
        self.core.ledger.raft_view().voters.into_iter().collect()
    }

    /// The nodes that gossip takes for alive, this one included.
    #[must_use]
    pub fn hears(&self) -> BTreeSet<NodeId> {
        self.core.fleet.gossip.live().into_keys().collect()
    }

    /// A digest of the state and the index that it is of.
    ///
    /// # Errors
    /// When the state does not encode.
    pub fn digest(&self) -> Result<(u64, skein_protocol::hash::Hash256), LedgerError> {
        self.core.ledger.digest()
    }

    /// Waits until the node cannot go on (its ledger's storage failed, or it was removed from the fleet), and says why.
    /// After a failure it must be started anew.
    pub async fn failed(&self) -> NodeError {
        let core = self.core.clone();
        let ledger = async move { NodeError::from(core.ledger.stopped().await) };
        let mut session = self.core.fleet.session.watch();
        let removed = async move {
            // The sender lives as long as the node.
            let _ = session.wait_for(|state| *state == SessionState::Removed).await;
            NodeError::Removed
        };
        tokio::select! {
            biased;
            error = ledger => error,
            error = removed => error,
            error = self.tree.ended() => error.into(),
        }
    }

    /// Drains and stops: hands over what is not begun, answers no more calls, waits for the work under way, says goodbye, and
    /// closes the ledger. What could not be handed over is adopted by others.
    ///
    /// # Errors
    /// When the ledger does not close cleanly; what was acknowledged is durable all the same.
    pub async fn stop(self) -> Result<(), NodeError> {
        let Self { core, tree, server, router, tasks, alerts } = self;
        core.fleet.leave();
        if core.fleet.peers.fabric().is_some() && core.may_act() && fleet::has_quorum(&core) {
            match timeout(HAND_OVER, fleet::hand_over(&core)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "work was not handed over; others adopt it"),
                Err(_) => tracing::warn!("work was not handed over in time; others adopt it"),
            }
        }
        server.stop().await;
        drop(router);
        tree.stop().await;
        if core.fleet.peers.fabric().is_some() {
            fleet::say_goodbye(&core).await;
        }
        drop(tasks);
        if let Some(alerts) = alerts {
            alerts.stop().await;
        }
        core.ledger.shutdown().await?;
        close(&core.fleet.peers).await;
        tracing::info!(node = %core.node, "node stopped");
        Ok(())
    }
}
