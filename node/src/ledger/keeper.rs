//! The keeper: a voter has every document that the state names, also those that were written before it voted or while it
//! could not be reached.
//!
//! In: the hashes that a state names. Out: blobs fetched from the other voters. Holds: what was seen to be here. Not here: who
//! names what (the caller says).

use std::collections::BTreeSet;

use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;

use super::{Blobs, LedgerError};

/// Documents that are fetched in one round: bounds what a round costs the others.
const FETCHED_AT_ONCE: usize = 256;
/// Hashes that are remembered as being here: 32 bytes each. With more, some are looked up again.
const REMEMBERED: usize = 1 << 20;

/// What was seen to be here.
#[derive(Debug, Default)]
pub struct Keeper {
    here: BTreeSet<Hash256>,
}

impl Keeper {
    /// Fetches what is missing of `named` from `others`; how many documents came, and whether all are here now.
    ///
    /// # Errors
    /// When the storage fails, or nobody who may have a document can be asked.
    pub async fn fetch(
        &mut self,
        blobs: &Blobs,
        named: Vec<Hash256>,
        others: &[NodeId],
    ) -> Result<(usize, bool), LedgerError> {
        let unknown: Vec<Hash256> = named.into_iter().filter(|hash| !self.here.contains(hash)).collect();
        let missing = blobs.missing(unknown.clone()).await?;
        if self.here.len() > REMEMBERED {
            self.here.clear();
        }
        let lacking: BTreeSet<&Hash256> = missing.iter().collect();
        self.here.extend(unknown.iter().filter(|hash| !lacking.contains(hash)));
        let mut fetched = 0;
        for hash in missing.iter().take(FETCHED_AT_ONCE) {
            match blobs.fetch(*hash, others).await? {
                Some(_) => {
                    self.here.insert(*hash);
                    fetched += 1;
                }
                None => tracing::error!(%hash, "no node has a document that the ledger names"),
            }
        }
        Ok((fetched, missing.len() <= FETCHED_AT_ONCE))
    }
}
