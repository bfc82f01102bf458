//! Starting and stopping a node.
//!
//! In: a configuration, an environment; the runtime is the caller's. Out: [`NodeHandle`]. Holds: the order of the
//! steps. Not here: signals, logs, the process.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use skein_protocol::api::Status;
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::{Entry, State};

use crate::actors::{Tree, TreeError};
use crate::api::{self, Server, TOKEN_FILE};
use crate::config::Config;
use crate::core::Core;
use crate::env::Env;
use crate::ledger::{Ledger, LedgerConfig, LedgerError, Subscription};
use crate::metrics::NodeStats;

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
        let ledger = Ledger::<State>::open(&env, LedgerConfig::default()).await?;
        let core = Arc::new(Core::new(env, config, ledger));
        match Self::begin(core.clone()).await {
            Ok(handle) => Ok(handle),
            Err(error) => {
                // The reason for the refusal is worth more than a failure to close.
                let _ = core.ledger.shutdown().await;
                Err(error)
            }
        }
    }

    async fn begin(core: Arc<Core>) -> Result<NodeHandle, NodeError> {
        let boot = core.ledger.boot().boots;
        // What the last start had begun is over; its migrations get a higher epoch.
        core.record(Entry::NodeStarted { node: core.node, boot }).await?;
        let router = api::router(core.clone()).await.map_err(NodeError::Token)?;
        let tree = Tree::start(core.clone()).await?;
        let at = core.config.listen;
        let server = match Server::start(&core.env, at, router.clone()).await {
            Ok(server) => server,
            Err(source) => {
                tree.stop().await;
                return Err(NodeError::Listen { at, source });
            }
        };
        tracing::info!(node = %core.node, boot, address = %server.address(), slots = core.config.slots, "node started");
        Ok(NodeHandle { core, tree, server, router })
    }
}

/// A running node. Dropping it without [`NodeHandle::stop`] leaves its tasks on the runtime.
pub struct NodeHandle {
    core: Arc<Core>,
    tree: Tree,
    server: Server,
    router: Router,
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
        api::status_of(&self.core, None)
    }

    /// The node's counters.
    #[must_use]
    pub fn stats(&self) -> NodeStats {
        self.core.metrics.stats()
    }

    /// Looks at the ledger's state.
    pub fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        self.core.ledger.read(look)
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

    /// Waits until the node cannot go on (its ledger's storage failed, say), and says why. It must be started anew then.
    pub async fn failed(&self) -> NodeError {
        let core = self.core.clone();
        let ledger = async move { NodeError::from(core.ledger.stopped().await) };
        tokio::select! {
            biased;
            error = ledger => error,
            error = self.tree.ended() => error.into(),
        }
    }

    /// Answers no more calls, hands out no more work, waits for the work under way, and closes the ledger.
    ///
    /// # Errors
    /// When the ledger does not close cleanly; what was acknowledged is durable all the same.
    pub async fn stop(self) -> Result<(), NodeError> {
        let Self { core, tree, server, router } = self;
        server.stop().await;
        drop(router);
        tree.stop().await;
        core.ledger.shutdown().await?;
        tracing::info!(node = %core.node, "node stopped");
        Ok(())
    }
}
