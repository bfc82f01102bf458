//! Gossip: what nodes say of themselves, carried from node to node. A hint, never authority.
//!
//! In: this node's load, messages of others. Out: who seems to live, and what each has and has room for. Holds: chitchat
//! over the fabric, and what it last heard. Not here: the fabric, who is a member (the ledger).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chitchat::transport::{Socket, Transport};
use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, ChitchatMessage, Deserializable, FailureDetectorConfig, Serializable,
    spawn_chitchat,
};
use skein_protocol::fleet::load::PeerLoad;
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::Standing;
use skein_protocol::peer;
use skein_protocol::wire::{self, Kind};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::core::Core;
use crate::fabric::Fabric;

/// Messages that wait to be taken; more are dropped, gossip comes again.
const INBOX: usize = 256;
/// A node talks to a few others this often.
const INTERVAL: Duration = Duration::from_millis(500);
/// What is forgotten of a dead node, after this time: a restart within it is no news to anybody.
const DEAD_GRACE: Duration = Duration::from_secs(15 * 60);
/// Identities that are kept. chitchat's digest of 1,200 overflows a message; with more than this it is begun anew.
const MAX_IDENTITIES: usize = 1000;
/// Longest value that is read of a peer.
const MAX_VALUE_BYTES: usize = 1024;

const LOAD: &str = "load";
const LEAVING: &str = "leaving";
const SIGNER: &str = "signer";

/// Where gossip of others comes in.
pub(crate) type Inbox = mpsc::Receiver<(SocketAddr, Vec<u8>)>;

/// Makes the two ends of an inbox.
pub(crate) fn inbox() -> (mpsc::Sender<(SocketAddr, Vec<u8>)>, Inbox) {
    mpsc::channel(INBOX)
}

/// What is heard of a node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// What it has and has room for.
    pub(crate) load: Option<PeerLoad>,
    /// It is about to leave.
    pub(crate) leaving: bool,
    /// It can sign certificates.
    pub(crate) signer: bool,
}

/// What this node hears.
pub(crate) struct Gossip {
    inbox: Mutex<Option<Inbox>>,
    heard: Mutex<BTreeMap<NodeId, Said>>,
}

impl Gossip {
    pub(super) fn new(inbox: Inbox) -> Self {
        Self { inbox: Mutex::new(Some(inbox)), heard: Mutex::default() }
    }

    /// The nodes that seem to live, this one included.
    pub(crate) fn live(&self) -> BTreeMap<NodeId, Said> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was heard of a node.
    pub(crate) fn said(&self, node: NodeId) -> Option<Said> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).get(&node).cloned()
    }

    /// Whether a node said that it leaves.
    pub(crate) fn is_leaving(&self, node: NodeId) -> bool {
        self.said(node).is_some_and(|said| said.leaving)
    }
}

/// Talks for as long as the node runs.
pub(super) async fn talk(core: Arc<Core>) {
    let Some(fabric) = core.fleet.peers.fabric().cloned() else { return };
    let Some(inbox) = core.fleet.gossip.inbox.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    // One inbox outlives every beginning.
    let inbox = Arc::new(tokio::sync::Mutex::new(inbox));
    loop {
        match begin(&core, &fabric, &inbox).await {
            Ok(handle) => {
                converse(&core, &handle).await;
                if let Err(error) = handle.shutdown().await {
                    tracing::warn!(%error, "gossip did not end cleanly");
                }
            }
            Err(error) => tracing::warn!(%error, "gossip does not begin"),
        }
        sleep(INTERVAL).await;
    }
}

type SharedInbox = Arc<tokio::sync::Mutex<Inbox>>;

async fn begin(core: &Core, fabric: &Arc<dyn Fabric>, inbox: &SharedInbox) -> anyhow::Result<ChitchatHandle> {
    let address = core.advertised().unwrap_or_else(|| fabric.address());
    let boots = core.ledger.boot().boots;
    let config = ChitchatConfig {
        chitchat_id: ChitchatId::new(name(core.node), boots, address),
        cluster_id: "skein".to_owned(),
        gossip_interval: INTERVAL,
        listen_addr: address,
        seed_nodes: core.seeds().into_iter().map(|seed| seed.to_string()).collect(),
        failure_detector_config: FailureDetectorConfig {
            dead_node_grace_period: DEAD_GRACE,
            initial_interval: INTERVAL,
            ..FailureDetectorConfig::default()
        },
        marked_for_deletion_grace_period: DEAD_GRACE,
        catchup_callback: None,
        extra_liveness_predicate: None,
    };
    let carrier = Carrier { fabric: fabric.clone(), inbox: inbox.clone(), address };
    spawn_chitchat(config, Vec::new(), &carrier).await
}

/// Says what is new and listens, until there are too many identities.
async fn converse(core: &Core, handle: &ChitchatHandle) {
    let mut said = (String::new(), false, false);
    loop {
        let load = serde_json::to_string(&*core.fleet.load.borrow()).unwrap_or_default();
        let now = (load, core.fleet.is_leaving(), core.is_signer());
        let live = handle.chitchat();
        let (heard, identities) = {
            let mut chitchat = live.lock().await;
            if now != said {
                let own = chitchat.self_node_state();
                own.set(LOAD, &now.0);
                own.set(LEAVING, if now.1 { "1" } else { "0" });
                own.set(SIGNER, if now.2 { "1" } else { "0" });
                said = now;
            }
            let mut heard = BTreeMap::new();
            for id in chitchat.live_nodes() {
                let (Some(node), Some(state)) = (number(&id.node_id), chitchat.node_state(id)) else { continue };
                let value = |key| state.get(key).filter(|value| value.len() <= MAX_VALUE_BYTES);
                let load = value(LOAD).and_then(|text| serde_json::from_str::<PeerLoad>(text).ok());
                let said = Said {
                    address: id.gossip_advertise_addr,
                    load: load.filter(|load| load.node == node),
                    leaving: value(LEAVING) == Some("1"),
                    signer: value(SIGNER) == Some("1"),
                };
                heard.insert(node, said);
            }
            (heard, chitchat.node_states().len())
        };
        greet(core, handle, &heard);
        for (node, said) in heard.iter().filter(|(node, _)| **node != core.node) {
            // Newer than what the ledger says; whoever answers there must prove who it is.
            core.fleet.peers.learn(*node, said.address);
        }
        let members = core.ledger.read(|state| state.members().len());
        *core.fleet.gossip.heard.lock().unwrap_or_else(PoisonError::into_inner) =
            heard.into_iter().filter(|(node, _)| members == 0 || is_member(core, *node)).collect();
        if identities > MAX_IDENTITIES {
            tracing::error!(identities, most = MAX_IDENTITIES, "too many identities in gossip: it is begun anew");
            return;
        }
        sleep(INTERVAL).await;
    }
}

fn is_member(core: &Core, node: NodeId) -> bool {
    core.ledger.read(|state| state.member(node).is_some_and(|member| member.standing != Standing::Removed))
}

/// Members that the ledger knows and gossip does not are talked to once in a while.
fn greet(core: &Core, handle: &ChitchatHandle, heard: &BTreeMap<NodeId, Said>) {
    let random = core.random();
    let unheard: Vec<SocketAddr> = core.ledger.read(|state| {
        let members = state.members().values().filter(|member| member.standing != Standing::Removed);
        let others = members.filter(|member| member.node != core.node && !heard.contains_key(&member.node));
        others.filter_map(|member| member.seat.address.parse().ok()).collect()
    });
    if unheard.is_empty() {
        return;
    }
    let chosen = usize::try_from(random % unheard.len() as u64).unwrap_or_default();
    if let Err(error) = handle.gossip(unheard[chosen]) {
        tracing::debug!(%error, "gossip cannot be sent");
    }
}

/// A node's name in gossip.
fn name(node: NodeId) -> String {
    format!("{:010x}", node.0)
}

fn number(name: &str) -> Option<NodeId> {
    u64::from_str_radix(name, 16).ok().map(NodeId)
}

/// Carries chitchat's messages over the fabric.
struct Carrier {
    fabric: Arc<dyn Fabric>,
    inbox: SharedInbox,
    address: SocketAddr,
}

struct Mouth {
    fabric: Arc<dyn Fabric>,
    inbox: SharedInbox,
    address: SocketAddr,
}

#[async_trait]
impl Transport for Carrier {
    async fn open(&self, _: SocketAddr) -> Result<Box<dyn Socket>, anyhow::Error> {
        let Self { fabric, inbox, address } = self;
        Ok(Box::new(Mouth { fabric: fabric.clone(), inbox: inbox.clone(), address: *address }))
    }
}

#[async_trait]
impl Socket for Mouth {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> Result<(), anyhow::Error> {
        let mut bytes = Vec::new();
        message.serialize(&mut bytes);
        let gossip = peer::Gossip { from: self.address.to_string(), message: bytes };
        match wire::encode(Kind::Gossip, &gossip) {
            Ok(frame) => self.fabric.cast(to, frame),
            Err(error) => tracing::warn!(%error, "a message of gossip is too large"),
        }
        Ok(())
    }

    async fn recv(&mut self) -> Result<(SocketAddr, ChitchatMessage), anyhow::Error> {
        loop {
            let received = self.inbox.lock().await.recv().await;
            let Some((from, bytes)) = received else { return std::future::pending().await };
            match ChitchatMessage::deserialize(&mut bytes.as_slice()) {
                Ok(message) => return Ok((from, message)),
                Err(error) => tracing::debug!(%error, %from, "a message of gossip does not read"),
            }
        }
    }
}
