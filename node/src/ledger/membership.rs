//! Who votes: what the consensus says about itself, and the changes of its membership that a leader makes.
//!
//! In: decisions. Out: views, changes. Holds: the ledger's side of them. Not here: deciding (`skein_protocol::fleet`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::error::{CheckIsLeaderError, ClientWriteError, RaftError};
use openraft::{BasicNode, ChangeMembers};
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::fold::Fold;
use skein_protocol::wire::Kind;
use tokio::time::timeout;

use super::{Ledger, LedgerError};

/// A current read waits so long for a quorum and for this node.
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// A change of the membership takes at most so long; what takes longer goes on by itself and is looked at again.
const CHANGE_DEADLINE: Duration = Duration::from_secs(10);

/// What the consensus says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RaftView {
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeId>,
    /// Its term.
    pub term: u64,
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// Who learns.
    pub learners: BTreeSet<NodeId>,
    /// How far peers are: the last entry that each is known to have. Only a leader knows.
    pub matched: BTreeMap<NodeId, u64>,
    /// The last entry in this node's log.
    pub last_log: u64,
    /// The last entry that this node has applied.
    pub applied_log: u64,
    /// For a leader: milliseconds since a quorum answered.
    pub quorum_silent_millis: Option<u64>,
}

impl<F: Fold> Ledger<F> {
    /// What the consensus says about itself.
    #[must_use]
    pub fn raft_view(&self) -> RaftView {
        let metrics = self.0.raft.metrics();
        let seen = metrics.borrow();
        let membership = &seen.membership_config;
        let matched = seen.replication.iter().flatten();
        RaftView {
            leader: seen.current_leader.map(NodeId),
            term: seen.current_term,
            voters: membership.voter_ids().map(NodeId).collect(),
            learners: membership.membership().learner_ids().map(NodeId).collect(),
            matched: matched.map(|(node, log)| (NodeId(*node), log.map_or(0, |log| log.index))).collect(),
            last_log: seen.last_log_index.unwrap_or_default(),
            applied_log: seen.last_applied.map_or(0, |log| log.index),
            quorum_silent_millis: seen.millis_since_quorum_ack,
        }
    }

    /// Whether this node leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0.raft.metrics().borrow().current_leader == Some(self.0.boot.node.0)
    }

    /// Who leads, as far as this node knows.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.0.raft.metrics().borrow().current_leader.map(NodeId)
    }

    /// Waits until something about the consensus has changed: the leader, the voters, the progress.
    pub async fn raft_changed(&self) {
        let mut metrics = self.0.raft.server_metrics();
        metrics.borrow_and_update();
        // If it is gone, whoever waits finds out by asking.
        let _ = metrics.changed().await;
    }

    /// Makes sure that this node has applied everything that was acknowledged anywhere before this call.
    ///
    /// # Errors
    /// When there is no leader with a quorum, or this node does not get there in time.
    pub async fn catch_up(&self) -> Result<(), LedgerError> {
        let unavailable = |why: String| LedgerError::Unavailable { why };
        let within = timeout(READ_DEADLINE, self.current_index()).await;
        let index = within.map_err(|_| unavailable("no quorum in time".to_owned()))??;
        let mut applied = self.watch();
        match timeout(READ_DEADLINE, applied.wait_for(|applied| *applied >= index)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(LedgerError::Stopping),
            Err(_) => Err(unavailable("this node is behind".to_owned())),
        }
    }

    async fn current_index(&self) -> Result<u64, LedgerError> {
        let unavailable = |why: String| LedgerError::Unavailable { why };
        match self.leader() {
            None => Err(unavailable("the ledger has no leader".to_owned())),
            Some(leader) if leader == self.0.boot.node => match self.0.raft.ensure_linearizable().await {
                Ok(_) => Ok(self.read_at(|index, _| index)),
                Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(_))) => {
                    Err(unavailable("the leader changed meanwhile".to_owned()))
                }
                Err(error) => Err(unavailable(error.to_string())),
            },
            Some(leader) => {
                let asked = self.0.peers.call(leader, Kind::ReadIndex, &(), READ_DEADLINE).await;
                asked.map_err(|error| unavailable(error.to_string()))
            }
        }
    }

    /// Lets a node learn the log. Only a leader can.
    ///
    /// # Errors
    /// When this node does not lead, or another change is under way.
    pub async fn add_learner(&self, node: NodeId, address: &str) -> Result<(), LedgerError> {
        let adding = self.0.raft.add_learner(node.0, BasicNode::new(address), false);
        changed(timeout(CHANGE_DEADLINE, adding).await.map(|outcome| outcome.map(|_| ())))
    }

    /// Replaces the voters; those who voted until now go on as learners. Only a leader can.
    ///
    /// # Errors
    /// When this node does not lead, another change is under way, or a new voter is not a learner yet.
    pub async fn change_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), LedgerError> {
        let ids: BTreeSet<u64> = voters.into_iter().map(|node| node.0).collect();
        let changing = self.0.raft.change_membership(ids, true);
        changed(timeout(CHANGE_DEADLINE, changing).await.map(|outcome| outcome.map(|_| ())))
    }

    /// Sends the log no more to nodes that do not vote. Only a leader can.
    ///
    /// # Errors
    /// When this node does not lead, or another change is under way.
    pub async fn remove_learners(&self, nodes: BTreeSet<NodeId>) -> Result<(), LedgerError> {
        let ids: BTreeSet<u64> = nodes.into_iter().map(|node| node.0).collect();
        let changing = self.0.raft.change_membership(ChangeMembers::RemoveNodes(ids), true);
        changed(timeout(CHANGE_DEADLINE, changing).await.map(|outcome| outcome.map(|_| ())))
    }

    /// The other nodes.
    #[must_use]
    pub fn peers(&self) -> &std::sync::Arc<super::Peers> {
        &self.0.peers
    }

    /// A digest of the state, and the index that it is of: equal on all nodes at the same index.
    ///
    /// # Errors
    /// When the state does not encode.
    pub fn digest(&self) -> Result<(u64, skein_protocol::hash::Hash256), LedgerError> {
        self.0.view.digest().map_err(|source| LedgerError::NotStorable { source })
    }
}

type Changing<T> = Result<Result<T, RaftError<u64, ClientWriteError<u64, BasicNode>>>, tokio::time::error::Elapsed>;

fn changed(outcome: Changing<()>) -> Result<(), LedgerError> {
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(LedgerError::Unavailable { why: error.to_string() }),
        Err(_) => Err(LedgerError::Unknown { why: "the change takes longer".to_owned() }),
    }
}
