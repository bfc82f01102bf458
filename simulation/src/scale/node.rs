//! A node of the model: what it runs, whether it lives.

use skein_protocol::ids::{BatchId, MigrationId, NodeId};
use skein_protocol::schedule::Running;

use super::work::Job;

/// One node.
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) running: Running,
    /// When it was killed.
    pub(super) died_at: Option<u64>,
    /// It waits for its entry about preparations: its dispatcher does nothing else meanwhile.
    pub(super) recording: bool,
    /// It asks for work, or will.
    pub(super) asking: bool,
    /// Slots that are kept free for batches of others.
    pub(super) reserved: u32,
    /// Slots in which something happens.
    pub(super) working: u32,
    /// The next time at which it wakes by itself.
    pub(super) wakes_at: u64,
}

impl Node {
    pub(super) fn new(index: usize) -> Self {
        Self {
            id: id_of(index),
            running: Running::default(),
            died_at: None,
            recording: false,
            asking: false,
            reserved: 0,
            working: 0,
            wakes_at: 0,
        }
    }

    pub(super) fn lives(&self) -> bool {
        self.died_at.is_none()
    }

    /// Notes that a piece of work of its own migrations begins, here or on another node.
    pub(super) fn enter(&mut self, id: MigrationId, job: Job, lent: bool) {
        match job {
            Job::Prepare => self.running.preparing.push(id),
            Job::Batch(batch, _) if lent => self.running.lent.push((id, batch)),
            Job::Batch(batch, _) => self.running.batches.push((id, batch)),
            Job::Validate | Job::Publish | Job::Collect => self.running.finishing.push(id),
        }
    }

    /// Notes that it is over.
    pub(super) fn leave(&mut self, id: MigrationId, job: Job) {
        match job {
            Job::Prepare => self.running.preparing.retain(|one| *one != id),
            Job::Batch(batch, _) => {
                self.running.batches.retain(|one| *one != (id, batch));
                self.running.lent.retain(|one| *one != (id, batch));
            }
            Job::Validate | Job::Publish | Job::Collect => self.running.finishing.retain(|one| *one != id),
        }
    }

    /// Ends the stay of a guest; false when it was sent away before.
    pub(super) fn see_off(&mut self, id: MigrationId, batch: BatchId) -> bool {
        let before = self.running.borrowed.len();
        self.running.borrowed.retain(|one| *one != (id, batch));
        before != self.running.borrowed.len()
    }
}

/// The id of the node at `index`.
pub(super) fn id_of(index: usize) -> NodeId {
    NodeId(index as u64 + 1)
}

/// Where a node stands in the model's list.
pub(super) fn index_of(node: NodeId) -> usize {
    usize::try_from(node.0 - 1).expect("nodes are numbered from 1 and few")
}
