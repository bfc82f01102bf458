//! The network of a ledger with one voter: there is no peer, so every call says that it cannot be reached.
//!
//! openraft asks for a network even when nobody is to be called. When the ledger gets more voters, the
//! node-to-node transport takes this place; until then no call is pretended to succeed.

use std::fmt;

use openraft::BasicNode;
use openraft::error::{InstallSnapshotError, RPCError, RaftError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use skein_protocol::ledger::fold::Fold;

use super::Types;

/// A network that reaches nobody.
pub(crate) struct NoPeers;

/// The connection to a peer that cannot be reached.
pub(crate) struct NoPeer(u64);

#[derive(Debug)]
struct NotReachable(u64);

impl fmt::Display for NotReachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} cannot be reached: this ledger has one voter and no transport", self.0)
    }
}

impl std::error::Error for NotReachable {}

impl NoPeer {
    fn refuse<E: std::error::Error>(&self) -> RPCError<u64, BasicNode, E> {
        RPCError::Unreachable(Unreachable::new(&NotReachable(self.0)))
    }
}

impl<F: Fold> RaftNetworkFactory<Types<F>> for NoPeers {
    type Network = NoPeer;

    async fn new_client(&mut self, target: u64, _: &BasicNode) -> NoPeer {
        NoPeer(target)
    }
}

impl<F: Fold> RaftNetwork<Types<F>> for NoPeer {
    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<Types<F>>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        Err(self.refuse())
    }

    async fn install_snapshot(
        &mut self,
        _: InstallSnapshotRequest<Types<F>>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, RPCError<u64, BasicNode, RaftError<u64, InstallSnapshotError>>> {
        Err(self.refuse())
    }

    async fn vote(
        &mut self,
        _: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        Err(self.refuse())
    }
}
