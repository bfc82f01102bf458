//! Blobs: immutable documents (plans, evidence, reports) that are named by the hash of their bytes.
//!
//! In: bytes. Out: their hash, once they are durable; bytes that were checked against it. A blob is
//! durable before the entry that names it is proposed. Blobs share the ledger's commits: many puts, or a put and
//! an append, cost one sync. Not here: what is in them, and when they may go.

use std::sync::Arc;

use skein_protocol::hash::Hash256;

use super::LedgerError;
use super::store::{Store, Write};
use crate::env::Blocking;

/// No blob is larger: the plan of a table with 100,000 files has about 20 MB.
pub const MAX_BLOB_BYTES: usize = 64 << 20;
/// Bytes that are hashed in place; more are hashed off the async threads.
const HASH_IN_PLACE_BYTES: usize = 64 << 10;

/// The node's blobs. Clones are the same blobs.
#[derive(Clone)]
pub struct Blobs {
    store: Store,
    blocking: Arc<dyn Blocking>,
}

impl Blobs {
    pub(crate) fn new(store: Store, blocking: Arc<dyn Blocking>) -> Self {
        Self { store, blocking }
    }

    /// Stores a blob; it is durable when this returns. Putting it again does nothing.
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
        if let Some(large) = blobs.iter().find(|bytes| bytes.len() > MAX_BLOB_BYTES) {
            return Err(LedgerError::BlobTooLarge { bytes: large.len(), limit: MAX_BLOB_BYTES });
        }
        let named = self.hash(blobs).await?;
        let hashes = named.iter().map(|(hash, _)| *hash).collect();
        self.store.write(Write::Blobs(named)).await?;
        Ok(hashes)
    }

    /// The bytes with this hash, or nothing if they are not here.
    ///
    /// # Errors
    /// When reading failed, or the stored bytes have another hash (damage).
    pub async fn get(&self, hash: Hash256) -> Result<Option<Vec<u8>>, LedgerError> {
        let Some(bytes) = self.store.blob(hash).await? else { return Ok(None) };
        let (found, bytes) = self.hash(vec![bytes]).await?.remove(0);
        if found != hash {
            return Err(LedgerError::storage(format!("blob {hash} is damaged: its bytes have the hash {found}")));
        }
        Ok(Some(bytes))
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
