//! What the ledger answers to its peers: openraft's calls, forwarded proposals, reads, blobs.
//!
//! In: frames of peers. Out: answers. Holds: what each kind does. A call for a leader is refused by whoever does not
//! lead: the caller asks again. Not here: who may call (the node), the way there (`peers`).

use std::sync::Arc;
use std::time::Duration;

use openraft::error::{InstallSnapshotError, RaftError};
use openraft::raft::{AppendEntriesRequest, InstallSnapshotRequest, VoteRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skein_protocol::hash::Hash256;
use skein_protocol::ledger::fold::Fold;
use skein_protocol::problem::{Code, Problem};
use skein_protocol::wire::{self, Kind, WireError};

use super::funnel::Missed;
use super::raft::{Batch, SnapshotAnswer, Types};
use super::{Ledger, LedgerError};

/// A leader that cannot reach its quorum says so after this time.
const QUORUM_DEADLINE: Duration = Duration::from_secs(5);

impl<F: Fold> Ledger<F> {
    /// Answers a peer's call of one of the ledger's kinds; `None` for other kinds.
    pub async fn answer(&self, kind: Kind, frame: &[u8]) -> Option<Result<Vec<u8>, Problem>> {
        Some(match kind {
            Kind::RaftAppend => self.append(frame).await,
            Kind::RaftVote => self.vote(frame).await,
            Kind::RaftSnapshot => self.install(frame).await,
            Kind::Propose => self.propose_for(frame).await,
            Kind::ReadIndex => self.read_index().await,
            Kind::BlobPut => self.put_for(frame).await,
            Kind::BlobGet => self.get_for(frame).await,
            _ => return None,
        })
    }

    async fn append(&self, frame: &[u8]) -> Result<Vec<u8>, Problem> {
        let request: AppendEntriesRequest<Types<F>> = decode(Kind::RaftAppend, frame)?;
        encode(&self.0.raft.append_entries(request).await.map_err(|error| unavailable(&error))?)
    }

    async fn vote(&self, frame: &[u8]) -> Result<Vec<u8>, Problem> {
        let request: VoteRequest<u64> = decode(Kind::RaftVote, frame)?;
        encode(&self.0.raft.vote(request).await.map_err(|error| unavailable(&error))?)
    }

    async fn install(&self, frame: &[u8]) -> Result<Vec<u8>, Problem> {
        let request: InstallSnapshotRequest<Types<F>> = decode(Kind::RaftSnapshot, frame)?;
        match self.0.raft.install_snapshot(request).await {
            Ok(response) => encode(&SnapshotAnswer::Taken(response)),
            Err(RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch))) => {
                encode(&SnapshotAnswer::Mismatch(mismatch))
            }
            Err(RaftError::Fatal(error)) => Err(unavailable(&error)),
        }
    }

    async fn propose_for(&self, frame: &[u8]) -> Result<Vec<u8>, Problem> {
        let batch: Batch<F::Entry> = decode(Kind::Propose, frame)?;
        match self.0.funnel.offer(Arc::new(batch), frame.len()).await {
            Ok(foldings) => encode(&foldings),
            Err(Missed::NotLeader) => Err(unavailable(&"this node does not lead")),
            Err(Missed::Fatal(why) | Missed::Unknown(why)) => Err(unavailable(&why)),
        }
    }

    /// The index up to which a reader must have applied to see everything that was acknowledged before.
    async fn read_index(&self) -> Result<Vec<u8>, Problem> {
        let current = tokio::time::timeout(QUORUM_DEADLINE, self.0.raft.ensure_linearizable()).await;
        match current {
            Ok(Ok(_)) => encode(&self.read_at(|index, _| index)),
            Ok(Err(error)) => Err(unavailable(&error)),
            Err(_) => Err(unavailable(&"no quorum in time")),
        }
    }

    async fn put_for(&self, frame: &[u8]) -> Result<Vec<u8>, Problem> {
        let blobs: Vec<Vec<u8>> = decode(Kind::BlobPut, frame)?;
        let hashes = self.0.blobs.put_here(blobs).await.map_err(|error| error.problem())?;
        encode(&hashes)
    }

    async fn get_for(&self, frame: &[u8]) -> Result<Vec<u8>, Problem> {
        let hash: Hash256 = decode(Kind::BlobGet, frame)?;
        let found = self.0.blobs.get_here(hash).await.map_err(|error: LedgerError| error.problem())?;
        encode(&found)
    }
}

fn decode<T: DeserializeOwned>(kind: Kind, frame: &[u8]) -> Result<T, Problem> {
    wire::decode(kind, frame).map_err(|error| malformed(&error))
}

/// A frame that a peer sent and that does not read.
pub(crate) fn malformed(error: &WireError) -> Problem {
    let next = "look whether the two nodes run versions that work together";
    Problem::new(Code::FrameInvalid, "the call", error.to_string(), next)
}

pub(crate) fn encode<T: Serialize>(answer: &T) -> Result<Vec<u8>, Problem> {
    wire::encode(Kind::Answer, answer).map_err(|error| malformed(&error))
}

fn unavailable(why: &dyn std::fmt::Display) -> Problem {
    Problem::new(Code::LedgerUnavailable, "the ledger", why.to_string(), "ask the leader, or try again")
}
