//! The fleet as one node takes part in it: its session, what it hears of the others, what it gives and takes.
//!
//! In: a fabric, the ledger. Out: sessions kept and expired, voters chosen, work that moves. Holds: [`Fleet`], the parts
//! that all of them share; nothing in here is authority, that is the ledger alone. Not here: decisions
//! (`skein_protocol::fleet`), sockets (`fabric`).
//!
//! A node that is alone has the same parts, and nobody to talk to.

mod admission;
mod copies;
mod drain;
mod gossip;
mod guests;
mod rejoin;
mod session;
mod steal;
mod steward;
mod switchboard;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use skein_protocol::fleet::load::PeerLoad;
use skein_protocol::ids::NodeId;
use tokio::sync::watch;

use crate::actors::Task;
use crate::config::FleetConfig;
use crate::core::Core;
use crate::ledger::Peers;
pub(crate) use admission::issue_token;
pub use admission::{JOIN_TOKEN_FILE, PEERS_FILE};
pub(crate) use drain::hand_over;
use gossip::Gossip;
pub(crate) use gossip::inbox;
pub(crate) use guests::Guests;
pub(crate) use rejoin::come_back;
use session::Session;
pub(crate) use session::SessionState;
use steward::Heard;
pub(crate) use switchboard::Switchboard;
pub(crate) use view::{age_millis, has_quorum, view};

/// A node's part in the fleet.
pub(crate) struct Fleet {
    pub(crate) node: NodeId,
    pub(crate) config: FleetConfig,
    pub(crate) peers: Arc<Peers>,
    pub(crate) session: Session,
    pub(crate) gossip: Gossip,
    pub(crate) heard: Heard,
    pub(crate) guests: Guests,
    /// What this node has and what it has room for, as its dispatcher said last.
    pub(crate) load: watch::Sender<PeerLoad>,
    /// This node is leaving: it begins nothing more.
    leaving: AtomicBool,
}

impl Fleet {
    /// Of a node that has opened nothing yet. `inbox` brings gossip.
    pub(crate) fn new(
        node: NodeId,
        config: FleetConfig,
        peers: Arc<Peers>,
        inbox: gossip::Inbox,
        slots: usize,
    ) -> Self {
        let alone = peers.fabric().is_none();
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        let load = PeerLoad { node, slots, free: slots, ..PeerLoad::default() };
        Self {
            node,
            session: Session::new(alone, config.session_millis),
            gossip: Gossip::new(inbox),
            heard: Heard::default(),
            guests: Guests::default(),
            load: watch::Sender::new(load),
            leaving: AtomicBool::new(false),
            config,
            peers,
        }
    }

    /// Whether this node may act: it has a session, and nobody can have taken its place meanwhile.
    pub(crate) fn may_act(&self, monotonic: Duration) -> bool {
        self.session.may_act(monotonic)
    }

    /// Begins nothing more.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Whether this node is on its way out.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Whether this node shall own nothing: it is leaving, or a person said so.
    pub(crate) fn is_draining(&self, core: &Core) -> bool {
        self.is_leaving() || core.ledger.read(|state| state.member(self.node).is_some_and(|member| member.draining))
    }
}

/// Starts what a node does for the fleet all the time. The tasks end when this is dropped.
pub(crate) fn start(core: &Arc<Core>) -> Vec<Task> {
    let mut tasks = vec![Task::start(session::keep(core.clone())), Task::start(steward::serve(core.clone()))];
    if core.fleet.peers.fabric().is_some() {
        tasks.push(Task::start(gossip::talk(core.clone())));
        tasks.push(Task::start(steal::look_for_work(core.clone())));
        tasks.push(Task::start(copies::keep(core.clone())));
        tasks.push(Task::start(drain::watch(core.clone())));
        tasks.push(Task::start(switchboard::follow(core.clone())));
        tasks.push(Task::start(admission::keep_certificate(core.clone())));
        let founder = core.clone();
        tasks.push(Task::start(async move { admission::issue_first(&founder).await }));
    }
    tasks
}

/// How long a goodbye may take: what is not told is found out by the others.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long a leaving voter waits until another one votes in its place.
const REPLACED: Duration = Duration::from_secs(5);

/// Tells the fleet that this node leaves: its place among the voters is taken, what it owns is adopted.
pub(crate) async fn say_goodbye(core: &Core) {
    let Some(session) = core.session_number() else { return };
    let others = core.ledger.read(|state| state.active().filter(|member| member.node != core.node).count());
    // Without a quorum nobody hears a goodbye: the others find out.
    if others == 0 || !has_quorum(core) {
        return;
    }
    let votes = || core.ledger.raft_view().voters.contains(&core.node);
    let replaced = async {
        while votes() {
            core.ledger.raft_changed().await;
        }
    };
    if votes() && tokio::time::timeout(REPLACED, replaced).await.is_err() {
        tracing::info!("this node leaves while it votes: it is replaced later");
    }
    let entry = skein_protocol::ledger::Entry::SessionClosed { node: core.node, session };
    match tokio::time::timeout(GOODBYE, core.record(entry)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "no goodbye: the others find out"),
        Err(_) => tracing::warn!("no goodbye in time: the others find out"),
    }
}
