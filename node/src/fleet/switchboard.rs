//! The switchboard: takes every frame that peers send to where it is answered.
//!
//! In: frames. Out: answers. Holds: nothing but the way to the node's core, once there is one; calls that come before are
//! refused. Not here: what is answered.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use skein_protocol::calls::Heartbeat;
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::{Entry, Member, Standing};
use skein_protocol::peer::Gossip;
use skein_protocol::problem::{Code, Problem};
use skein_protocol::wire::{self, Kind};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{admission, guests, session, steal};
use crate::core::Core;
use crate::fabric::{Answering, Peer};
use crate::ledger::{Notice, encode_answer, malformed};

/// A node that was replaced or removed hears its last answer within this time; then its connections are closed.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// Takes frames to where they are answered.
pub(crate) struct Switchboard {
    core: OnceLock<Weak<Core>>,
    gossip: mpsc::Sender<(SocketAddr, Vec<u8>)>,
}

impl Switchboard {
    /// Nothing is answered yet; gossip goes to `gossip`.
    pub(crate) fn new(gossip: mpsc::Sender<(SocketAddr, Vec<u8>)>) -> Arc<Self> {
        Arc::new(Self { core: OnceLock::new(), gossip })
    }

    /// From now on calls are answered.
    pub(crate) fn connect(&self, core: &Arc<Core>) {
        // It is connected once, by the start of its node.
        let _ = self.core.set(Arc::downgrade(core));
    }

    fn core(&self) -> Option<Arc<Core>> {
        self.core.get().and_then(Weak::upgrade)
    }
}

#[async_trait]
impl Answering for Switchboard {
    async fn answer(&self, from: Peer, frame: Vec<u8>) -> Result<Vec<u8>, Problem> {
        let Some(core) = self.core() else {
            let why = "this node is starting or stopping";
            return Err(Problem::new(Code::ShuttingDown, "the call", why, "try again, or ask another node"));
        };
        let kind = wire::kind_of(&frame).map_err(|error| malformed(&error))?;
        let Some(node) = from.node else {
            return match kind {
                Kind::Join => admission::join(&core, &frame).await,
                _ => Err(Problem::new(Code::Unauthorized, "the call", "the peer has no certificate", "join the fleet")),
            };
        };
        if let Some(answer) = core.ledger.answer(kind, &frame).await {
            return answer;
        }
        match kind {
            Kind::Heartbeat => {
                let heartbeat: Heartbeat = wire::decode(kind, &frame).map_err(|error| malformed(&error))?;
                // A leader that has lost its quorum may not keep sessions alive which the others have expired.
                if heartbeat.node != node || !core.ledger.is_leader() || !super::has_quorum(&core) {
                    let why = "this node does not lead";
                    return Err(Problem::new(Code::LedgerUnavailable, "the heartbeat", why, "send it to the leader"));
                }
                encode_answer(&session::beat(&core, &heartbeat))
            }
            Kind::Steal => steal::answer(&core, from, &frame).await,
            Kind::RunBatch => guests::answer(&core, from, &frame).await,
            Kind::Renew => admission::renew(&core, node, &frame).await,
            Kind::Sign => admission::sign(&core, &frame).await,
            _ => {
                Err(Problem::new(Code::FrameInvalid, "the call", format!("{kind:?} is no call"), "report this defect"))
            }
        }
    }

    fn heard(&self, _: Peer, frame: Vec<u8>) {
        let Ok(gossip) = wire::decode::<Gossip>(Kind::Gossip, &frame) else { return };
        if let Ok(from) = gossip.from.parse() {
            // A full inbox drops it: gossip comes again.
            let _ = self.gossip.try_send((from, gossip.message));
        }
    }

    fn admits(&self, node: NodeId) -> bool {
        // A node that this one has not heard of has a certificate of the authority: it may be newer than this copy.
        self.core().is_none_or(|core| {
            core.ledger.read(|state| state.member(node).is_none_or(|member| member.standing != Standing::Removed))
        })
    }
}

/// Learns where members are and forgets those that were removed, for as long as the node runs.
pub(super) async fn follow(core: Arc<Core>) {
    let mut notices = core.ledger.subscribe();
    learn_all(&core);
    while let Some(notice) = notices.next().await {
        let applied = match notice {
            Notice::Missed => {
                learn_all(&core);
                continue;
            }
            Notice::Applied(applied) => applied,
        };
        match &applied.proposal.entry {
            Entry::SessionOpened { node, .. } => {
                // It may have taken the place of another, which is forgotten then.
                learn_all(&core);
                if *node != core.node {
                    session::remember_peers(&core).await;
                }
            }
            Entry::MemberAdmitted { node, .. } => {
                if let Some(member) = core.ledger.read(|state| state.member(*node).cloned()) {
                    learn(&core, &member);
                }
            }
            Entry::MemberRemoved { .. } => {
                // It shall hear of it.
                let core = core.clone();
                tokio::spawn(async move {
                    sleep(LAST_ANSWER).await;
                    learn_all(&core);
                });
            }
            _ => {}
        }
    }
}

fn learn_all(core: &Core) {
    let members: Vec<Member> = core.ledger.read(|state| state.members().values().cloned().collect());
    members.iter().for_each(|member| learn(core, member));
}

fn learn(core: &Core, member: &Member) {
    if member.node == core.node {
        return;
    }
    if member.standing == Standing::Removed {
        core.fleet.peers.forget(member.node);
    } else if let Ok(address) = member.seat.address.parse() {
        core.fleet.peers.learn(member.node, address);
    }
}
