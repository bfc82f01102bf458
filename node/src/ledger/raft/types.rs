//! The types that openraft is instantiated with.
//!
//! One entry of openraft's log is a [`Group`] of batches of proposals: openraft 0.9 waits for each append to be durable
//! before the next, so many proposals share one sync only if they share an entry.

use std::cmp::Ordering;
use std::fmt;
use std::io::Cursor;
use std::marker::PhantomData;
use std::sync::Arc;

use openraft::raft::responder::OneshotResponder;
use openraft::{BasicNode, RaftTypeConfig, TokioRuntime};
use serde::{Deserialize, Serialize};
use skein_protocol::ledger::fold::{Fold, Folding, Proposal};

/// Proposals of one session that enter the log together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch<E> {
    /// The session of all of them.
    pub(crate) session: u64,
    /// The session waits for no answer below this sequence.
    pub(crate) settled_below: u64,
    /// In the order of their sequences.
    pub(crate) proposals: Vec<Arc<Proposal<E>>>,
}

/// Batches of several nodes that enter the log together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group<E> {
    /// In the order in which they are applied.
    pub(crate) batches: Vec<Arc<Batch<E>>>,
}

/// openraft's type parameters for the ledger of `F`.
pub(crate) struct Types<F>(PhantomData<fn() -> F>);

pub(crate) type Entry<F> = openraft::Entry<Types<F>>;
pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type StorageError = openraft::StorageError<u64>;

impl<F: Fold> RaftTypeConfig for Types<F> {
    type D = Arc<Group<F::Entry>>;
    type R = Vec<Vec<Folding<F::Answer>>>;
    type NodeId = u64;
    type Node = BasicNode;
    type Entry = Entry<F>;
    type SnapshotData = Cursor<Vec<u8>>;
    type AsyncRuntime = TokioRuntime;
    type Responder = OneshotResponder<Self>;
}

// What openraft wants of its type parameters; derived, these would ask the same of `F`.

impl<F> fmt::Debug for Types<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Types")
    }
}

impl<F> Clone for Types<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Types<F> {}

impl<F> Default for Types<F> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<F> PartialEq for Types<F> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<F> Eq for Types<F> {}

impl<F> PartialOrd for Types<F> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<F> Ord for Types<F> {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}
