//! openraft's network: its three calls as frames between nodes.
//!
//! In: openraft's requests. Out: the peer's answers. Holds: the frames' payloads. A peer that cannot be reached is told
//! apart from one that did not answer; openraft tries again in both cases. Not here: the fabric, answering
//! (`answering`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use openraft::BasicNode;
use openraft::error::{
    InstallSnapshotError, NetworkError, PayloadTooLarge, RPCError, RaftError, RemoteError, Unreachable,
};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use serde::{Deserialize, Serialize};
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::fold::Fold;
use skein_protocol::wire::{self, Kind, WireError};

use super::Types;
use crate::fabric::CallError;
use crate::ledger::Peers;

/// What a peer answers to a piece of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SnapshotAnswer {
    /// It has it.
    Taken(InstallSnapshotResponse<u64>),
    /// It waits for another piece.
    Mismatch(openraft::error::SnapshotMismatch),
}

/// Makes connections to peers.
pub(crate) struct Network(pub(crate) Arc<Peers>);

/// One peer.
pub(crate) struct Link {
    peers: Arc<Peers>,
    target: u64,
}

#[derive(Debug)]
struct Why(String);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Why {}

fn failed<E: std::error::Error>(error: &CallError) -> RPCError<u64, BasicNode, E> {
    match error {
        // A peer that says no (it starts, say) says so again at once: openraft rests before the next try.
        CallError::Unreachable { .. } | CallError::Refused(_) => {
            RPCError::Unreachable(Unreachable::new(&Why(error.to_string())))
        }
        CallError::Unknown { .. } => RPCError::Network(NetworkError::new(&Why(error.to_string()))),
    }
}

fn not_encoded<E: std::error::Error>(error: &WireError) -> RPCError<u64, BasicNode, E> {
    RPCError::Network(NetworkError::new(error))
}

impl Link {
    async fn call<A: serde::de::DeserializeOwned>(&self, frame: Vec<u8>, within: Duration) -> Result<A, CallError> {
        self.peers.call_frame(NodeId(self.target), frame, within).await
    }
}

impl<F: Fold> RaftNetworkFactory<Types<F>> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Link {
        // What gossip or the ledger said later is better than what the membership says.
        if self.0.address(NodeId(target)).is_none()
            && let Ok(address) = node.addr.parse()
        {
            self.0.learn(NodeId(target), address);
        }
        Link { peers: self.0.clone(), target }
    }
}

impl<F: Fold> RaftNetwork<Types<F>> for Link {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types<F>>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        let entries = request.entries.len() as u64;
        let frame = match wire::encode(Kind::RaftAppend, &request) {
            Ok(frame) => frame,
            Err(WireError::TooLarge { .. }) if entries > 1 => {
                return Err(RPCError::PayloadTooLarge(PayloadTooLarge::new_entries_hint((entries / 2).max(1))));
            }
            Err(error) => return Err(not_encoded(&error)),
        };
        self.call(frame, option.hard_ttl()).await.map_err(|error| failed(&error))
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types<F>>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, RPCError<u64, BasicNode, RaftError<u64, InstallSnapshotError>>> {
        let frame = wire::encode(Kind::RaftSnapshot, &request).map_err(|error| not_encoded(&error))?;
        match self.call(frame, option.hard_ttl()).await.map_err(|error| failed(&error))? {
            SnapshotAnswer::Taken(response) => Ok(response),
            SnapshotAnswer::Mismatch(mismatch) => {
                let error = RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch));
                Err(RPCError::RemoteError(RemoteError::new(self.target, error)))
            }
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        let frame = wire::encode(Kind::RaftVote, &request).map_err(|error| not_encoded(&error))?;
        self.call(frame, option.hard_ttl()).await.map_err(|error| failed(&error))
    }
}
