//! Opening a ledger: storage, identity, openraft, and the wait until everything acknowledged is applied.
//!
//! In: the environment. Out: a working ledger, or the reason why not. Holds: the order of these steps, so that
//! a crash between any two of them is repaired by the next start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{Fatal, InitializeError, RaftError};
use openraft::{BasicNode, Config, Raft, SnapshotPolicy};
use serde::{Deserialize, Serialize};
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::fold::Fold;
use skein_protocol::wire::{self, Kind};
use tokio::time::{Instant, timeout_at};

use super::blobs::{HOLDERS, Holders};
use super::funnel::Funnel;
use super::proposer::{Proposer, Way};
use super::raft::{LogStore, Machine, Network, Types, View};
use super::store::{Store, Stored, Write};
use super::{Blobs, Boot, Inner, LedgerConfig, LedgerError, LedgerMetrics, Peers, Witness};
use crate::env::Env;

/// A leader tells its peers that it lives this often. openraft also gives an append so long: a slow sync must fit in.
const HEARTBEAT: Duration = Duration::from_millis(300);
/// Without a word for this long a peer wants to lead; two heartbeats may be lost.
const ELECTION_FROM: Duration = Duration::from_millis(800);
/// Elections begin at a random moment between the two, after a lease as long as this one: at 1.3 + 1.3 s at the latest. A
/// new leader is heard before the nodes think that they are cut off (three quarters of a session of five seconds).
const ELECTION_TO: Duration = Duration::from_millis(1300);
/// A piece of a snapshot is sent and written within this time.
const SNAPSHOT_PIECE_DEADLINE: Duration = Duration::from_secs(20);
/// Entries in one append: with the frame's limit it bounds what a peer that is behind is sent at once.
const ENTRIES_PER_APPEND: u64 = 64;
/// A leader must be found, and the log applied, within this time.
const OPEN_DEADLINE: Duration = Duration::from_secs(60);

/// The ledger's own copy of its node's identity.
#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    node: NodeId,
}

/// Opens or founds a ledger.
pub(super) async fn open<F: Fold>(
    env: &Env,
    config: LedgerConfig,
    peers: Arc<Peers>,
    witness: Option<Box<dyn Witness<F>>>,
) -> Result<Inner<F>, LedgerError> {
    let metrics = Arc::new(LedgerMetrics::default());
    let (store, stored) = Store::open(env, &config.name, metrics.clone()).await?;
    let opened = start(env, &config, (store.clone(), &stored), metrics, peers, witness).await;
    if opened.is_err() {
        // The reason for the refusal is worth more than a failure to close.
        let _ = store.close().await;
    }
    opened
}

async fn start<F: Fold>(
    env: &Env,
    config: &LedgerConfig,
    (store, stored): (Store, &Stored),
    metrics: Arc<LedgerMetrics>,
    peers: Arc<Peers>,
    witness: Option<Box<dyn Witness<F>>>,
) -> Result<Inner<F>, LedgerError> {
    let log = LogStore::<F>::new(store.clone(), stored)?;
    let mut boot = identify(env, &store, stored, log.is_pristine()).await?;
    let snapshot = store.snapshot().await?;
    let view = {
        let load = move || View::<F>::new(snapshot.as_ref(), witness);
        Arc::new(env.blocking.call(load).await??)
    };
    let machine =
        Machine { view: view.clone(), store: store.clone(), blocking: env.blocking.clone(), metrics: metrics.clone() };
    let replayed_to = log.last_index();
    let network = Network(peers.clone());
    let raft = Raft::new(boot.node.0, raft_config(config)?, network, log, machine).await;
    let raft = raft.map_err(|error| fatal(&error))?;
    if let Err(error) = begin(&raft, &boot, replayed_to).await {
        // As above: the reason is worth more.
        let _ = raft.shutdown().await;
        return Err(error);
    }
    if !boot.founded {
        let env = env.clone();
        boot = env.clone().blocking.call(move || boot.found(&env).map(|()| boot)).await??;
    }
    tracing::info!(node = %boot.node, boots = boot.boots, index = view.read(|index, _| index), "ledger open");
    let funnel = Arc::new(Funnel::start(raft.clone()));
    let (voting, node) = (raft.metrics(), boot.node);
    let known = peers.clone();
    let holders = move || {
        let seen = voting.borrow();
        let voters: Vec<NodeId> = seen.membership_config.voter_ids().map(NodeId).collect();
        let learners = seen.membership_config.membership().learner_ids().map(NodeId);
        // A learner that never said where it is cannot take anything.
        let reachable = learners.filter(|learner| *learner == node || known.address(*learner).is_some());
        let helpers = reachable.take(HOLDERS.saturating_sub(voters.len())).collect();
        Holders { voters, helpers }
    };
    let way =
        Way { node: boot.node.0, raft: raft.clone(), funnel: funnel.clone(), peers: peers.clone(), view: view.clone() };
    Ok(Inner {
        proposer: Proposer::start(boot.session(), env, way, metrics.clone()),
        blobs: Blobs::new(store.clone(), env.blocking.clone(), (node, peers.clone()), Arc::new(holders)),
        funnel,
        peers,
        boot,
        raft,
        view,
        store,
        metrics,
    })
}

/// Counts this start, and makes sure that boot file and ledger are of the same node.
async fn identify(env: &Env, store: &Store, stored: &Stored, pristine: bool) -> Result<Boot, LedgerError> {
    let identity = stored.identity.as_deref().map(|frame| wire::decode::<Identity>(Kind::LedgerIdentity, frame));
    let identity = identity.transpose().map_err(|error| LedgerError::damaged("identity", error))?;
    let reading = env.clone();
    let found = env.blocking.call(move || Boot::read(&reading)).await??;
    let wrong = |why: String| Err(LedgerError::Identity { why });
    match (&found, &identity) {
        (Some(boot), Some(identity)) if boot.node != identity.node => {
            return wrong(format!("this node is {}, and its ledger is that of {}", boot.node, identity.node));
        }
        (None, Some(identity)) => {
            return wrong(format!("there is a ledger of node {}, and no boot file to say who this is", identity.node));
        }
        (Some(boot), None) if boot.founded => {
            return wrong(format!("node {} had a ledger, and it is gone", boot.node));
        }
        (_, None) if !pristine => return wrong("the ledger has a log, and no owner".to_owned()),
        _ => {}
    }
    let starting = env.clone();
    let boot = env.blocking.call(move || Boot::start(&starting, found)).await??;
    if identity.is_none() {
        let frame = wire::encode(Kind::LedgerIdentity, &Identity { node: boot.node });
        store.write(Write::Identity(frame.map_err(|source| LedgerError::NotStorable { source })?)).await?;
    }
    Ok(boot)
}

fn raft_config(config: &LedgerConfig) -> Result<Arc<Config>, LedgerError> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).expect("a constant of a few seconds");
    let config = Config {
        cluster_name: "skein".to_owned(),
        heartbeat_interval: millis(HEARTBEAT),
        election_timeout_min: millis(ELECTION_FROM),
        election_timeout_max: millis(ELECTION_TO),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_every),
        max_in_snapshot_log_to_keep: config.kept_after_snapshot,
        install_snapshot_timeout: millis(SNAPSHOT_PIECE_DEADLINE),
        max_payload_entries: ENTRIES_PER_APPEND,
        ..Config::default()
    };
    let config = config.validate().map_err(|error| LedgerError::Unavailable { why: error.to_string() })?;
    Ok(Arc::new(config))
}

/// Founds the ledger if need be. The only voter waits until it leads and has applied what was in its log; one of several
/// is not kept waiting for the others.
async fn begin<F: Fold>(raft: &Raft<Types<F>>, boot: &Boot, replayed_to: Option<u64>) -> Result<(), LedgerError> {
    let node = boot.node.0;
    let initialized = raft.is_initialized().await.map_err(|error| fatal(&error))?;
    if initialized {
        let voters: Vec<u64> = raft.metrics().borrow().membership_config.voter_ids().collect();
        if voters != [node] {
            return Ok(());
        }
        // The only voter need not wait for its own election timeout. A leader ignores this.
        raft.trigger().elect().await.map_err(|error| fatal(&error))?;
    } else if boot.joined {
        return Ok(());
    } else {
        match raft.initialize(BTreeMap::from([(node, BasicNode::default())])).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(RaftError::Fatal(error)) => return Err(fatal(&error)),
            Err(RaftError::APIError(error)) => return Err(LedgerError::Unavailable { why: error.to_string() }),
        }
    }
    lead(raft, node, replayed_to).await
}

/// Waits until this node leads and has applied what was in the log.
async fn lead<F: Fold>(raft: &Raft<Types<F>>, node: u64, replayed_to: Option<u64>) -> Result<(), LedgerError> {
    let give_up = Instant::now() + OPEN_DEADLINE;
    let mut metrics = raft.metrics();
    loop {
        {
            let seen = metrics.borrow_and_update();
            if let Err(error) = &seen.running_state {
                return Err(fatal(error));
            }
            let applied = seen.last_applied.map(|id| id.index);
            // The leader's own first entry comes after everything that was there before.
            if seen.current_leader == Some(node) && applied >= replayed_to && applied == seen.last_log_index {
                return Ok(());
            }
        }
        let changed = timeout_at(give_up, metrics.changed()).await;
        match changed {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(LedgerError::Stopping),
            Err(_) => return Err(LedgerError::Unavailable { why: metrics.borrow().to_string() }),
        }
    }
}

/// Why openraft stopped.
pub(super) fn fatal(error: &Fatal<u64>) -> LedgerError {
    match error {
        Fatal::Stopped => LedgerError::Stopping,
        Fatal::StorageError(error) => LedgerError::storage(error),
        Fatal::Panicked => LedgerError::storage("the consensus task panicked"),
    }
}
