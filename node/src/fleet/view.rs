//! The fleet as this node sees it, for people: what the ledger says of the members, and what is heard of them.

use std::collections::BTreeMap;
use std::time::Duration;

use skein_protocol::api::{FleetView, NodeRole, NodeRow};
use skein_protocol::fleet::load::PeerLoad;
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::{Member, Phase, State};

use super::gossip::Said;
use crate::core::Core;
use crate::ledger::RaftView;

/// A leader whose quorum was silent for longer than this has none.
const QUORUM_SILENCE_MILLIS: u64 = 2500;

/// Whether this node can have facts recorded, as far as it knows.
pub(crate) fn has_quorum(core: &Core) -> bool {
    let raft = core.ledger.raft_view();
    match raft.leader {
        None => false,
        Some(leader) if leader == core.node => {
            raft.voters.len() <= 1 || raft.quorum_silent_millis.is_some_and(|millis| millis < QUORUM_SILENCE_MILLIS)
        }
        // It answers this node's heartbeats.
        Some(_) => core.may_act() || core.fleet.session.number().is_none(),
    }
}

/// Milliseconds since this node last knew that it was up to date; 0 for a leader with a quorum.
pub(crate) fn age_millis(core: &Core) -> u64 {
    match core.ledger.leader() {
        Some(leader) if leader == core.node && has_quorum(core) => 0,
        _ => core.fleet.session.silence(core.env.clock.monotonic()),
    }
}

/// The fleet as this node sees it.
pub(crate) fn view(core: &Core) -> FleetView {
    let (raft, live) = (core.ledger.raft_view(), core.fleet.gossip.live());
    FleetView {
        fleet: core.fleet_name(),
        answered_by: core.node,
        leader: raft.leader,
        term: raft.term,
        voters: raft.voters.iter().copied().collect(),
        quorum: has_quorum(core),
        nodes: core.ledger.read(|state| rows(core, state, &raft, &live)),
    }
}

fn rows(core: &Core, state: &State, raft: &RaftView, live: &BTreeMap<NodeId, Said>) -> Vec<NodeRow> {
    let mut work: BTreeMap<NodeId, (u32, u32)> = BTreeMap::new();
    for migration in state.migrations().values().filter(|one| !one.phase.is_end()) {
        let counts = work.entry(migration.owner).or_default();
        counts.0 += 1;
        counts.1 += u32::from(matches!(migration.phase, Phase::Queued | Phase::Ready));
    }
    let now = core.env.clock.monotonic();
    let row = |member: &Member| {
        let own = member.node == core.node;
        let load =
            if own { Some(*core.fleet.load.borrow()) } else { live.get(&member.node).and_then(|said| said.load) };
        let (owned, unstarted) = work.get(&member.node).copied().unwrap_or_default();
        NodeRow {
            node: member.node,
            address: member.seat.address.clone(),
            api: member.seat.api.clone(),
            zone: member.seat.zone.clone(),
            version: member.seat.version.clone(),
            slots: member.seat.slots,
            slots_busy: load.as_ref().map(|load: &PeerLoad| load.slots.saturating_sub(load.free)),
            backlog_seconds: load.as_ref().map(|load| load.backlog_seconds),
            standing: member.standing,
            draining: member.draining,
            role: role(raft, member.node),
            session: member.session,
            // Whoever gossips was heard a moment ago, by whichever node; heartbeats are heard by the leader alone.
            last_heard_millis: if own || live.contains_key(&member.node) {
                Some(0)
            } else {
                heard(core, member.node, now)
            },
            owned,
            unstarted,
            note: member.note.clone(),
        }
    };
    state.members().values().map(row).collect()
}

fn role(raft: &RaftView, node: NodeId) -> NodeRole {
    if raft.leader == Some(node) {
        NodeRole::Leader
    } else if raft.voters.contains(&node) {
        NodeRole::Voter
    } else if raft.learners.contains(&node) {
        NodeRole::Learner
    } else {
        NodeRole::None
    }
}

fn heard(core: &Core, node: NodeId, now: Duration) -> Option<u64> {
    let at = core.fleet.heard.at(node)?;
    Some(u64::try_from(now.saturating_sub(at).as_millis()).unwrap_or(u64::MAX))
}
