//! What nodes say to each other about work: the payloads of the frames that travel between members.
//!
//! In: nothing. Out: serialisable types, each the payload of one [`Kind`](crate::wire::Kind). Documents in here are JSON,
//! as blobs are: their types do not survive a format that does not describe itself.
//! Not here: credentials (`peer`), the ledger's own calls.

use serde::{Deserialize, Serialize};

use crate::fleet::load::PeerLoad;
use crate::hash::Hash256;
use crate::ids::{Attempt, BatchId, Epoch, MigrationId, NodeId, Run, SessionNo};

/// `Kind::Heartbeat`: a node tells the leader that it lives. The answer is a [`Pulse`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who.
    pub node: NodeId,
    /// Its session.
    pub session: SessionNo,
}

/// What a leader says to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pulse {
    /// The session goes on.
    Alive,
    /// The session is over: open another.
    Over,
}

/// `Kind::Steal`: a node without work asks one that has some. The answer is a [`StealAnswer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StealRequest {
    /// The one that asks: how much room it has.
    pub thief: PeerLoad,
}

/// What the asked node gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StealAnswer {
    /// Whole migrations: the ledger says by now that they belong to the one that asked.
    pub given: u32,
    /// Batches that will be handed over at once.
    pub lent: u32,
}

/// `Kind::RunBatch`: the owner of a migration hands a batch to another node. The answer is a [`BatchAnswer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchCall {
    /// The owner.
    pub owner: NodeId,
    /// The migration.
    pub migration: MigrationId,
    /// Its plan, by hash.
    pub plan: Hash256,
    /// Its run.
    pub run: Run,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// The batch.
    pub batch: BatchId,
    /// The number of this hand-out: part of the names of what is written.
    pub attempt: Attempt,
    /// Results of the stage before, by hash.
    pub prior: Vec<Hash256>,
    /// Most working memory, bytes.
    pub memory_bytes: u64,
}

/// How a batch ended that was run for another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BatchAnswer {
    /// Its result: JSON of [`BatchResult`](crate::data_plane::BatchResult).
    Done(Vec<u8>),
    /// Why it failed: JSON of [`Failure`](crate::data_plane::Failure).
    Failed(Vec<u8>),
}
