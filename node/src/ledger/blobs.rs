//! Blobs: immutable documents (plans, evidence, reports) that are named by the hash of their bytes.
//!
//! In: bytes. Out: their hash, once they are durable here and at a quorum of the voters (and, where those are few, at
//! learners); bytes that were checked against their hash, fetched from others if need be. A blob is durable before the entry that names it is proposed. Blobs share
//! the ledger's commits: many puts, or a put and an append, cost one sync. Not here: what is in them, and when they may go.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use skein_protocol::defects::{self, Defect};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;
use skein_protocol::wire::{self, Kind};

use super::store::{Store, Write};
use super::{LedgerError, Peers};
use crate::env::Blocking;

/// No blob is larger: the plan of a table with a million files has about 200 MB, and a frame holds no more than this and a little.
pub const MAX_BLOB_BYTES: usize = 240 << 20;
/// Bytes that are hashed in place; more are hashed off the async threads.
const HASH_IN_PLACE_BYTES: usize = 64 << 10;

/// A peer takes or gives a blob within this time, a large one over a slow network too.
const COPY_DEADLINE: Duration = Duration::from_secs(20);
/// A holder without which it goes gets less: work waits for it.
const HELP_DEADLINE: Duration = Duration::from_secs(2);

/// Nodes that should hold a copy of each document, while there are as many: fewer voters than this are helped by learners, so
/// that a fleet that begins with one voter can lose it.
pub(crate) const HOLDERS: usize = 3;

/// Who holds copies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holders {
    /// All voters: a quorum of them must have a document.
    pub(crate) voters: Vec<NodeId>,
    /// Learners that can be reached, where voters are few. What they cannot take is not refused for it: a fleet whose only
    /// other node is down goes on, as its ledger does.
    pub(crate) helpers: Vec<NodeId>,
}

/// Says who holds copies at the moment.
pub(crate) type HoldersNow = Arc<dyn Fn() -> Holders + Send + Sync>;

/// The node's blobs. Clones are the same blobs.
#[derive(Clone)]
pub struct Blobs {
    store: Store,
    blocking: Arc<dyn Blocking>,
    node: NodeId,
    peers: Arc<Peers>,
    holders: HoldersNow,
}

impl Blobs {
    pub(crate) fn new(
        store: Store,
        blocking: Arc<dyn Blocking>,
        (node, peers): (NodeId, Arc<Peers>),
        holders: HoldersNow,
    ) -> Self {
        Self { store, blocking, node, peers, holders }
    }

    /// Stores a blob; it is durable, here and at a quorum of the voters, when this returns. Putting it again does nothing.
    ///
    /// # Errors
    /// When it is too large, or the storage failed; then it may be stored or not.
    pub async fn put(&self, bytes: Vec<u8>) -> Result<Hash256, LedgerError> {
        let hashes = self.put_many(vec![bytes]).await?;
        Ok(*hashes.first().expect("one blob was put, and each gets its hash"))
    }

    /// Stores several blobs in one step: all or none. Their hashes, in the same order.
    ///
    /// # Errors
    /// As for [`Blobs::put`].
    pub async fn put_many(&self, blobs: Vec<Vec<u8>>) -> Result<Vec<Hash256>, LedgerError> {
        if defects::is(Defect::BlobBeforeDurable) {
            let (later, putting) = (self.clone(), blobs.clone());
            tokio::spawn(async move { futures::join!(later.put_here(putting.clone()), later.copy(&putting)) });
            return Ok(self.hash(blobs).await?.into_iter().map(|(hash, _)| hash).collect());
        }
        let (ours, theirs) = futures::join!(self.put_here(blobs.clone()), self.copy(&blobs));
        theirs?;
        ours
    }

    /// Stores several blobs on this node alone.
    pub(crate) async fn put_here(&self, blobs: Vec<Vec<u8>>) -> Result<Vec<Hash256>, LedgerError> {
        if let Some(large) = blobs.iter().find(|bytes| bytes.len() > MAX_BLOB_BYTES) {
            return Err(LedgerError::BlobTooLarge { bytes: large.len(), limit: MAX_BLOB_BYTES });
        }
        let named = self.hash(blobs).await?;
        let hashes = named.iter().map(|(hash, _)| *hash).collect();
        self.store.write(Write::Blobs(named)).await?;
        Ok(hashes)
    }

    /// Copies blobs to the other holders, until enough of them have them that a quorum is left when this node is lost.
    async fn copy(&self, blobs: &[Vec<u8>]) -> Result<(), LedgerError> {
        let Holders { voters, helpers } = (self.holders)();
        let quorum = |of: usize, ours: bool| (of / 2 + 1).saturating_sub(usize::from(ours));
        let needed = quorum(voters.len(), voters.contains(&self.node));
        let all: Vec<NodeId> = voters.iter().chain(&helpers).copied().collect();
        let wanted = quorum(all.len(), all.contains(&self.node));
        let others: Vec<NodeId> = all.into_iter().filter(|holder| *holder != self.node).collect();
        if wanted == 0 || others.is_empty() || defects::is(Defect::BlobHereOnly) {
            return Ok(());
        }
        let frame = wire::encode(Kind::BlobPut, blobs).map_err(|source| LedgerError::NotStorable { source })?;
        let put = |holder: NodeId| {
            let (peers, frame) = (self.peers.clone(), frame.clone());
            let votes = voters.contains(&holder);
            let within = if votes { COPY_DEADLINE } else { HELP_DEADLINE };
            async move { (votes, peers.call_frame::<Vec<Hash256>>(holder, frame, within).await) }
        };
        let mut puts: FuturesUnordered<_> = others.into_iter().map(put).collect();
        let (mut copies, mut by_voters, mut last) = (0, 0, None);
        while let Some((votes, outcome)) = puts.next().await {
            match outcome {
                Ok(_) => {
                    copies += 1;
                    by_voters += usize::from(votes);
                }
                Err(error) => last = Some(error),
            }
            if copies >= wanted && by_voters >= needed {
                // The others get theirs too, without anybody waiting for it.
                tokio::spawn(async move { while puts.next().await.is_some() {} });
                return Ok(());
            }
        }
        let why = last.map_or_else(String::new, |error| error.to_string());
        if by_voters >= needed {
            tracing::warn!(copies, wanted, %why, "fewer nodes than usual hold a document");
            return Ok(());
        }
        let why = format!("{by_voters} of {needed} voters took a copy of a document: {why}");
        Err(LedgerError::Unavailable { why })
    }

    /// The bytes with this hash, or nothing if they are nowhere. What is fetched from another node stays here.
    ///
    /// # Errors
    /// When reading failed, the stored bytes have another hash (damage), or a node that may have them cannot be asked.
    pub async fn get(&self, hash: Hash256) -> Result<Option<Vec<u8>>, LedgerError> {
        match self.get_here(hash).await? {
            Some(bytes) => Ok(Some(bytes)),
            None => {
                // Whoever made it has it too, and those who voted once.
                let Holders { mut voters, helpers } = (self.holders)();
                voters.extend(helpers);
                let mut others = voters;
                others.extend(self.peers.known().into_iter().filter(|node| !others.contains(node)).collect::<Vec<_>>());
                self.fetch(hash, &others).await
            }
        }
    }

    /// Fetches a blob from `other`, unless it is here.
    ///
    /// # Errors
    /// As for [`Blobs::get`].
    pub async fn fetch_missing(&self, hash: Hash256, other: NodeId) -> Result<(), LedgerError> {
        if !self.has(hash).await? {
            self.fetch(hash, &[other]).await?;
        }
        Ok(())
    }

    /// The bytes with this hash, from `others`; stays here.
    ///
    /// # Errors
    /// As for [`Blobs::get`].
    pub async fn fetch(&self, hash: Hash256, others: &[NodeId]) -> Result<Option<Vec<u8>>, LedgerError> {
        let mut silent = None;
        for other in others.iter().filter(|other| **other != self.node) {
            let answer = self.peers.call::<_, Option<Vec<u8>>>(*other, Kind::BlobGet, &hash, COPY_DEADLINE).await;
            match answer {
                Ok(Some(bytes)) => {
                    let stored = self.put_here(vec![bytes.clone()]).await?;
                    if stored.first() == Some(&hash) {
                        return Ok(Some(bytes));
                    }
                    tracing::error!(%hash, %other, "a node gave other bytes than were asked for");
                }
                Ok(None) => {}
                Err(error) => silent = Some(format!("node {other}: {error}")),
            }
        }
        match silent {
            Some(why) => Err(LedgerError::Unavailable { why: format!("blob {hash} is not here, and {why}") }),
            None => Ok(None),
        }
    }

    /// The bytes with this hash, if they are on this node.
    pub(crate) async fn get_here(&self, hash: Hash256) -> Result<Option<Vec<u8>>, LedgerError> {
        let Some(bytes) = self.store.blob(hash).await? else { return Ok(None) };
        let (found, bytes) = self.hash(vec![bytes]).await?.remove(0);
        if found != hash {
            return Err(LedgerError::storage(format!("blob {hash} is damaged: its bytes have the hash {found}")));
        }
        Ok(Some(bytes))
    }

    /// Those of `hashes` whose blobs are not here.
    ///
    /// # Errors
    /// When reading failed.
    pub(crate) async fn missing(&self, hashes: Vec<Hash256>) -> Result<Vec<Hash256>, LedgerError> {
        self.store.missing_blobs(hashes).await
    }

    /// Whether a blob with this hash is here.
    ///
    /// # Errors
    /// When reading failed.
    pub async fn has(&self, hash: Hash256) -> Result<bool, LedgerError> {
        self.store.has_blob(hash).await
    }

    async fn hash(&self, blobs: Vec<Vec<u8>>) -> Result<Vec<(Hash256, Vec<u8>)>, LedgerError> {
        let name = |bytes: Vec<u8>| (Hash256::of(&bytes), bytes);
        if blobs.iter().map(Vec::len).sum::<usize>() <= HASH_IN_PLACE_BYTES {
            return Ok(blobs.into_iter().map(name).collect());
        }
        Ok(self.blocking.call(move || blobs.into_iter().map(name).collect()).await?)
    }
}
