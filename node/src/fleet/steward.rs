//! The steward: what the leader does for the fleet. It ends the sessions of silent nodes and keeps the voters.
//!
//! In: heartbeats, gossip, the ledger's members, the consensus' own view. Out: entries, changes of the membership. Holds:
//! when each node was heard last, from the moment on that this node leads. Not here: deciding (`fleet::expiry`,
//! `fleet::voters`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skein_protocol::fleet::expiry::{self, MassDeath, SessionView};
use skein_protocol::fleet::voters::{self, Candidate, Change, Rules};
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::{Entry, Member, Standing};
use tokio::time::sleep;

use crate::core::Core;
use crate::ledger::{LedgerError, RaftView};

/// The steward looks this often.
const LOOK: Duration = Duration::from_millis(250);
/// Session times after which a node that said goodbye is not waited for any more.
const GONE_SESSIONS: u64 = 12;
/// A node that was removed gets the entry that says so within this time; then it gets nothing more.
const TOLD_MILLIS: u64 = 3000;
/// A learner that lacks no more entries than this keeps up.
const NEARLY: u64 = 512;

/// When nodes were heard last, monotonic.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<BTreeMap<NodeId, Duration>>);

impl Heard {
    pub(super) fn note(&self, node: NodeId, now: Duration) {
        self.lock().insert(node, now);
    }

    pub(super) fn at(&self, node: NodeId) -> Option<Duration> {
        self.lock().get(&node).copied()
    }

    fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the steward remembers while its node leads.
struct Reign {
    term: u64,
    since: Duration,
    mass: MassDeath,
    /// Since when each node has been alive without a break.
    alive_since: BTreeMap<NodeId, Duration>,
}

/// Serves for as long as the node runs; does something only while it leads.
pub(super) async fn serve(core: Arc<Core>) {
    let mut reign: Option<Reign> = None;
    loop {
        sleep(LOOK).await;
        let raft = core.ledger.raft_view();
        if raft.leader != Some(core.node) {
            reign = None;
            continue;
        }
        let now = core.env.clock.monotonic();
        if reign.as_ref().is_none_or(|reign| reign.term != raft.term) {
            core.fleet.heard.clear();
            tracing::info!(term = raft.term, "this node leads");
            core.metrics.count(|stats| stats.elections_won += 1);
            reign =
                Some(Reign { term: raft.term, since: now, mass: MassDeath::default(), alive_since: BTreeMap::new() });
        }
        let Some(reign) = &mut reign else { continue };
        if let Err(error) = expire(&core, reign, now).await {
            tracing::warn!(%error, "sessions cannot be expired now");
        }
        if let Err(error) = keep_voters(&core, reign, &raft, now).await {
            tracing::debug!(%error, "the voters cannot be changed now");
        }
    }
}

fn silent_millis(core: &Core, reign: &Reign, node: NodeId, now: Duration) -> u64 {
    let heard = core.fleet.heard.at(node).unwrap_or_default().max(reign.since);
    u64::try_from(now.saturating_sub(heard).as_millis()).unwrap_or(u64::MAX)
}

/// Ends the sessions of nodes that were silent for too long.
async fn expire(core: &Core, reign: &mut Reign, now: Duration) -> Result<(), LedgerError> {
    if core.fleet.peers.fabric().is_none() {
        return Ok(());
    }
    let active: Vec<Member> = core.ledger.read(|state| state.active().cloned().collect());
    let views: Vec<SessionView> = active
        .iter()
        .map(|member| SessionView {
            node: member.node,
            silent_millis: silent_millis(core, reign, member.node, now),
            draining: member.draining,
        })
        .collect();
    let now_millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let verdict = expiry::decide(&views, core.fleet.config.session_millis, &mut reign.mass, now_millis);
    if verdict.expire.is_empty() {
        return Ok(());
    }
    let sessions: Vec<_> = active
        .iter()
        .filter(|member| verdict.expire.contains(&member.node))
        .map(|member| (member.node, member.session))
        .collect();
    for (node, session) in &sessions {
        tracing::warn!(%node, %session, mass = verdict.mass, "the node is silent: its work goes to others");
    }
    core.metrics.count(|stats| stats.sessions_expired += sessions.len() as u64);
    core.record(Entry::SessionsExpired { sessions, mass: verdict.mass }).await.map(|_| ())
}

/// One step towards the voters that the fleet should have.
async fn keep_voters(core: &Core, reign: &mut Reign, raft: &RaftView, now: Duration) -> Result<(), LedgerError> {
    if core.fleet.peers.fabric().is_none() {
        return Ok(());
    }
    let members: Vec<Member> = core.ledger.read(|state| state.members().values().cloned().collect());
    if let Some(gone) = removed(&members, raft, core.now()) {
        let mut voters = raft.voters.clone();
        return if voters.remove(&gone) && !voters.is_empty() {
            core.ledger.change_voters(voters).await
        } else {
            core.ledger.remove_learners(BTreeSet::from([gone])).await
        };
    }
    let live = core.fleet.gossip.live();
    let candidates: Vec<Candidate> = members
        .iter()
        .filter(|member| member.standing != Standing::Removed)
        .map(|member| candidate(core, reign, raft, member, live.contains_key(&member.node), now))
        .collect();
    let rules = Rules { most: core.fleet.config.voters, stable_millis: core.fleet.config.stable_millis };
    match voters::next(&candidates, core.node, rules) {
        None => Ok(()),
        Some(Change::AddLearner(node)) => {
            let address = members.iter().find(|member| member.node == node).map(|member| member.seat.address.clone());
            tracing::info!(%node, "the node learns the ledger");
            core.ledger.add_learner(node, &address.unwrap_or_default()).await
        }
        Some(Change::Voters(voters)) => {
            tracing::info!(?voters, "other voters");
            core.metrics.count(|stats| stats.voter_changes += 1);
            core.ledger.change_voters(voters).await
        }
        Some(Change::RemoveLearner(node)) => core.ledger.remove_learners(BTreeSet::from([node])).await,
    }
}

/// A node of the consensus that is no member any more.
fn removed(members: &[Member], raft: &RaftView, now: u64) -> Option<NodeId> {
    let gone = members.iter().filter(|member| member.standing == Standing::Removed);
    let mut told = gone.filter(|member| member.changed_at.saturating_add(TOLD_MILLIS) <= now).map(|member| member.node);
    told.find(|node| raft.voters.contains(node) || raft.learners.contains(node))
}

fn candidate(
    core: &Core,
    reign: &mut Reign,
    raft: &RaftView,
    member: &Member,
    gossips: bool,
    now: Duration,
) -> Candidate {
    let node = member.node;
    let silent = silent_millis(core, reign, node, now);
    let alive = match member.standing {
        // Half a session: a voter should be replaced soon, but not for one lost packet.
        Standing::Active => silent < core.fleet.config.session_millis / 2,
        Standing::Admitted => true,
        Standing::Expired | Standing::Left => gossips,
        Standing::Removed => false,
    };
    let since = if alive { *reign.alive_since.entry(node).or_insert(now) } else { now };
    if !alive {
        reign.alive_since.remove(&node);
    }
    let steady = matches!(member.standing, Standing::Active);
    let stable = now.saturating_sub(since);
    let matched = raft.matched.get(&node).copied().unwrap_or_default();
    Candidate {
        node,
        alive,
        silent_millis: if alive { 0 } else { silent },
        // One without a session votes never.
        stable_millis: if steady { u64::try_from(stable.as_millis()).unwrap_or(u64::MAX) } else { 0 },
        draining: member.draining || core.fleet.gossip.is_leaving(node),
        gone: member.standing == Standing::Left && !alive && silent > core.fleet.config.session_millis * GONE_SESSIONS,
        zone: member.seat.zone.clone(),
        is_voter: raft.voters.contains(&node),
        is_learner: raft.learners.contains(&node),
        caught_up: matched.saturating_add(NEARLY) >= raft.last_log,
    }
}
