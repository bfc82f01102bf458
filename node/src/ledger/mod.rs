//! The ledger: the replicated log of all facts, and the state that it folds into.
//!
//! In: proposals, blobs. Out: an index and an answer for each proposal, the current state, notices of what
//! was applied. A proposal is answered after it is durable (at a quorum; one voter is a quorum of one) and
//! applied. Holds: [`Ledger`] and [`Blobs`]. Not here: what the entries mean (any [`Fold`]), who proposes what.
//!
//! Every node has all of it: some vote, the others learn. A node that does not lead sends its proposals to the one that
//! does.

mod answering;
mod blobs;
mod boot;
mod error;
mod funnel;
mod gather;
mod keeper;
mod membership;
mod metrics;
mod opening;
mod peers;
mod proposer;
mod raft;
mod store;
mod subscription;
mod witness;

use std::fmt;
use std::sync::Arc;

pub(crate) use answering::{encode as encode_answer, malformed};
pub use blobs::{Blobs, MAX_BLOB_BYTES};
pub use boot::{BOOT_FILE, Boot};
pub use error::LedgerError;
use funnel::Funnel;
pub use keeper::Keeper;
pub use membership::RaftView;
pub use metrics::{Latency, LedgerMetrics, LedgerStats};
use openraft::Raft;
pub use peers::Peers;
pub use proposer::MAX_IN_FLIGHT;
use proposer::Proposer;
use raft::{Types, View};
use skein_protocol::ledger::fold::Fold;
use store::Store;
pub use subscription::{Applied, Notice, Subscription};
use tokio::sync::watch;
pub use witness::Witness;

use crate::env::Env;

/// The ledger's name on the ledger disk.
pub const LEDGER_NAME: &str = "ledger.redb";
/// Log entries (batches) between two snapshots: replaying this many takes well under a second, and a run over
/// thousands of migrations writes a few snapshots only.
pub const SNAPSHOT_EVERY: u64 = 4096;
/// Log entries that stay when a snapshot covers them, for peers that are nearly up to date.
pub const KEPT_AFTER_SNAPSHOT: u64 = 256;

/// How a ledger is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerConfig {
    /// Its name on the ledger disk.
    pub name: String,
    /// Log entries between two snapshots.
    pub snapshot_every: u64,
    /// Log entries that stay when a snapshot covers them.
    pub kept_after_snapshot: u64,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self { name: LEDGER_NAME.to_owned(), snapshot_every: SNAPSHOT_EVERY, kept_after_snapshot: KEPT_AFTER_SNAPSHOT }
    }
}

/// The ledger of one node. Clones are the same ledger. Call [`Ledger::shutdown`] when done.
pub struct Ledger<F: Fold>(Arc<Inner<F>>);

struct Inner<F: Fold> {
    boot: Boot,
    raft: Raft<Types<F>>,
    view: Arc<View<F>>,
    proposer: Proposer<F>,
    funnel: Arc<Funnel<F>>,
    peers: Arc<Peers>,
    store: Store,
    blobs: Blobs,
    metrics: Arc<LedgerMetrics>,
}

impl<F: Fold> Ledger<F> {
    /// Opens the ledger, or founds it the first time. When this returns, everything that was ever acknowledged is
    /// in the state, and proposals are accepted. Its tasks run on the current tokio runtime.
    ///
    /// # Errors
    /// When the storage does not open or is damaged, when identity and ledger do not belong together, or when
    /// no leader is found in time.
    pub async fn open(env: &Env, config: LedgerConfig) -> Result<Self, LedgerError> {
        Self::open_with(env, config, Peers::alone()).await
    }

    /// Opens the ledger of a node that has peers. One that joined, or that has other voters beside it, is returned
    /// before it has heard of them: its state is what it had when it stopped.
    ///
    /// # Errors
    /// As for [`Ledger::open`].
    pub async fn open_with(env: &Env, config: LedgerConfig, peers: Arc<Peers>) -> Result<Self, LedgerError> {
        Self::open_watched(env, config, peers, None).await
    }

    /// The same, with somebody who looks at every applied proposal, those of earlier starts that are replayed too.
    ///
    /// # Errors
    /// As for [`Ledger::open`].
    pub async fn open_watched(
        env: &Env,
        config: LedgerConfig,
        peers: Arc<Peers>,
        witness: Option<Box<dyn Witness<F>>>,
    ) -> Result<Self, LedgerError> {
        Ok(Self(Arc::new(opening::open(env, config, peers, witness).await?)))
    }

    /// Proposes `entry` for `actor`; waits until it is durable and applied. Its index and the fold's answer.
    ///
    /// Many calls at once share commits. Once this was polled, dropping it does not take the proposal back.
    ///
    /// # Errors
    /// [`LedgerError::outcome`] says whether it may have happened all the same.
    pub async fn propose(&self, entry: F::Entry, actor: &str) -> Result<(u64, F::Answer), LedgerError> {
        self.0.proposer.propose(entry, actor).await
    }

    /// Looks at the state. Nothing is applied meanwhile: look, take what you need, and return; do not call the ledger
    /// from within.
    pub fn read<R>(&self, look: impl FnOnce(&F) -> R) -> R {
        self.0.view.read(|_, state| look(state))
    }

    /// Looks at the state together with the index of the last proposal in it.
    pub fn read_at<R>(&self, look: impl FnOnce(u64, &F) -> R) -> R {
        self.0.view.read(look)
    }

    /// Looks at the state after making sure that it has everything that was acknowledged anywhere before this call
    /// (ReadIndex).
    ///
    /// # Errors
    /// When there is no leader with a quorum, or this node does not get there in time.
    pub async fn read_current<R>(&self, look: impl FnOnce(u64, &F) -> R) -> Result<R, LedgerError> {
        self.catch_up().await?;
        Ok(self.read_at(look))
    }

    /// Follows the index of the last applied proposal; 0 before the first.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.view.index()
    }

    /// Follows the applied proposals themselves, from now on. Meant for one listener that wakes whom it
    /// concerns, not for one listener a migration.
    #[must_use]
    pub fn subscribe(&self) -> Subscription<F> {
        self.0.view.notices().subscribe()
    }

    /// The blobs that belong to this ledger.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// Who this node is, and which start this is.
    #[must_use]
    pub fn boot(&self) -> &Boot {
        &self.0.boot
    }

    /// Counters since it was opened.
    #[must_use]
    pub fn metrics(&self) -> &LedgerMetrics {
        &self.0.metrics
    }

    /// Waits until the ledger stops, and says why: it was shut down, or its storage failed. After a failure the
    /// node must open it anew.
    pub async fn stopped(&self) -> LedgerError {
        tokio::select! {
            biased;
            error = self.raft_stopped() => error,
            // The log need not have noticed: blobs are written past it.
            error = self.0.store.broken() => error,
        }
    }

    async fn raft_stopped(&self) -> LedgerError {
        let mut metrics = self.0.raft.metrics();
        loop {
            if let Err(fatal) = &metrics.borrow_and_update().running_state {
                return opening::fatal(fatal);
            }
            if metrics.changed().await.is_err() {
                return LedgerError::Stopping;
            }
        }
    }

    /// Writes a snapshot soon, whatever the count of entries since the last.
    ///
    /// # Errors
    /// When the ledger has stopped.
    pub async fn snapshot_soon(&self) -> Result<(), LedgerError> {
        self.0.raft.trigger().snapshot().await.map_err(|error| opening::fatal(&error))
    }

    /// Refuses further proposals, finishes those under way, and closes the storage.
    ///
    /// # Errors
    /// When the storage did not close cleanly; what was acknowledged is durable all the same.
    pub async fn shutdown(&self) -> Result<(), LedgerError> {
        self.0.proposer.stop().await;
        self.0.funnel.stop().await;
        self.0.raft.shutdown().await.map_err(LedgerError::storage)?;
        self.0.store.close().await
    }
}

impl<F: Fold> Clone for Ledger<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: Fold> fmt::Debug for Ledger<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("boot", &self.0.boot).finish_non_exhaustive()
    }
}
