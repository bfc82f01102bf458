//! The state machine: folds committed entries into the state in memory, and writes snapshots of it.
//!
//! In: committed entries. Out: answers; the state to readers ([`View`]); notices to subscribers.
//! The state itself is never cloned: readers borrow it, a snapshot encodes it in place. It is rebuilt from the
//! snapshot and the log at every start, so applying needs no disk.

use std::io::Cursor;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, BasicNode, EntryPayload, OptionalSend, RaftLogId, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    StorageIOError, StoredMembership,
};
use skein_protocol::hash::Hash256;
use skein_protocol::ledger::fold::{Fold, Folded, Folding};
use skein_protocol::wire::{self, Kind, WireError};
use tokio::sync::watch;

use super::{Batch, Entry, LogId, StorageError, Types};
use crate::env::Blocking;
use crate::ledger::store::{Store, StoredSnapshot, Write};
use crate::ledger::subscription::{Applied, Notices};
use crate::ledger::{LedgerError, LedgerMetrics, Witness};

type Meta = SnapshotMeta<u64, BasicNode>;

/// The state as everybody but openraft sees it.
pub(crate) struct View<F: Fold> {
    held: RwLock<Held<F>>,
    index: watch::Sender<u64>,
    notices: Notices<F>,
}

struct Held<F: Fold> {
    folded: Folded<F>,
    applied: Option<LogId>,
    membership: StoredMembership<u64, BasicNode>,
    witness: Option<Box<dyn Witness<F>>>,
}

impl<F: Fold> View<F> {
    /// The state from a snapshot, or from nothing.
    pub(crate) fn new(
        snapshot: Option<&StoredSnapshot>,
        mut witness: Option<Box<dyn Witness<F>>>,
    ) -> Result<Self, LedgerError> {
        let held = match snapshot {
            None => Held { folded: Folded::default(), applied: None, membership: StoredMembership::default(), witness },
            Some(snapshot) => {
                let decoded = decode_snapshot::<F>(snapshot);
                let (meta, folded) = decoded.map_err(|error| LedgerError::damaged("snapshot", error))?;
                if let Some(witness) = &mut witness {
                    witness.replaced(folded.index(), folded.state());
                }
                Held { folded, applied: meta.last_log_id, membership: meta.last_membership, witness }
            }
        };
        let index = watch::Sender::new(held.folded.index());
        Ok(Self { held: RwLock::new(held), index, notices: Notices::default() })
    }

    /// Looks at the state; the first argument is the index of the last proposal in it.
    pub(crate) fn read<R>(&self, look: impl FnOnce(u64, &F) -> R) -> R {
        let held = self.held();
        look(held.folded.index(), held.folded.state())
    }

    /// Follows the index of the last applied proposal.
    pub(crate) fn index(&self) -> watch::Receiver<u64> {
        self.index.subscribe()
    }

    pub(crate) fn notices(&self) -> &Notices<F> {
        &self.notices
    }

    fn held(&self) -> RwLockReadGuard<'_, Held<F>> {
        self.held.read().expect("poisoned only when a fold panicked, and then there is no state to show")
    }

    fn held_to_change(&self) -> RwLockWriteGuard<'_, Held<F>> {
        self.held.write().expect("poisoned only when a fold panicked, and then there is no state to change")
    }

    /// The digest of the whole fold, and the index that it is of.
    pub(crate) fn digest(&self) -> Result<(u64, Hash256), WireError> {
        let held = self.held();
        let frame = wire::encode(Kind::Snapshot, &held.folded)?;
        Ok((held.folded.index(), Hash256::of(&frame)))
    }

    /// Frames of the whole state and of what it covers.
    fn encode(&self) -> Result<(Meta, StoredSnapshot), WireError> {
        let (meta, data) = {
            let held = self.held();
            let applied = held.applied.map_or_else(|| "none".to_owned(), |id| id.to_string());
            let meta = SnapshotMeta {
                last_log_id: held.applied,
                last_membership: held.membership.clone(),
                snapshot_id: applied,
            };
            (meta, wire::encode(Kind::Snapshot, &held.folded)?)
        };
        // The log is purged on the word of this snapshot: it must read back.
        wire::check_reads_back::<Folded<F>>(Kind::Snapshot, &data)?;
        let frame = wire::check_storable(Kind::SnapshotMeta, &meta)?;
        Ok((meta, StoredSnapshot { meta: frame, data }))
    }
}

fn decode_snapshot<F: Fold>(snapshot: &StoredSnapshot) -> Result<(Meta, Folded<F>), WireError> {
    Ok((wire::decode(Kind::SnapshotMeta, &snapshot.meta)?, wire::decode(Kind::Snapshot, &snapshot.data)?))
}

/// What openraft calls.
pub(crate) struct Machine<F: Fold> {
    pub(crate) view: Arc<View<F>>,
    pub(crate) store: Store,
    pub(crate) blocking: Arc<dyn Blocking>,
    pub(crate) metrics: Arc<LedgerMetrics>,
}

impl<F: Fold> Clone for Machine<F> {
    fn clone(&self) -> Self {
        Self {
            view: self.view.clone(),
            store: self.store.clone(),
            blocking: self.blocking.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

impl<F: Fold> Machine<F> {
    fn fold(&self, held: &mut Held<F>, batch: &Batch<F::Entry>, news: &mut Vec<Applied<F>>) -> Vec<Folding<F::Answer>> {
        let listened_to = self.view.notices.are_listened_to();
        let mut answers = Vec::with_capacity(batch.proposals.len());
        for proposal in &batch.proposals {
            let answer = held.folded.apply(proposal);
            if let (Some(witness), Folding::Answered { index, answer, repeated: false }) = (&mut held.witness, &answer)
            {
                witness.applied(*index, proposal, answer, held.folded.state());
            }
            if listened_to && let Folding::Answered { index, answer, repeated: false } = &answer {
                news.push(Applied { index: *index, proposal: proposal.clone(), answer: answer.clone() });
            }
            answers.push(answer);
        }
        held.folded.settle(batch.session, batch.settled_below);
        answers
    }
}

impl<F: Fold> RaftStateMachine<Types<F>> for Machine<F> {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership<u64, BasicNode>), StorageError> {
        let held = self.view.held();
        Ok((held.applied, held.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Vec<Vec<Folding<F::Answer>>>>, StorageError>
    where
        I: IntoIterator<Item = Entry<F>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let (mut answers, mut news) = (Vec::new(), Vec::new());
        let index = {
            let mut held = self.view.held_to_change();
            for entry in entries {
                let id = *entry.get_log_id();
                answers.push(match &entry.payload {
                    EntryPayload::Blank => Vec::new(),
                    EntryPayload::Normal(group) => {
                        group.batches.iter().map(|batch| self.fold(&mut held, batch, &mut news)).collect()
                    }
                    EntryPayload::Membership(membership) => {
                        held.membership = StoredMembership::new(Some(id), membership.clone());
                        Vec::new()
                    }
                });
                held.applied = Some(id);
            }
            held.folded.index()
        };
        // Whoever is told finds the state already there.
        self.view.index.send_if_modified(|seen| std::mem::replace(seen, index) != index);
        self.view.notices.tell(news);
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(&mut self, meta: &Meta, snapshot: Box<Cursor<Vec<u8>>>) -> Result<(), StorageError> {
        let signature = meta.signature();
        let failed = |error: &dyn std::error::Error| {
            StorageIOError::read_snapshot(Some(signature.clone()), AnyError::error(error.to_string()))
        };
        let data = snapshot.into_inner();
        let folded: Folded<F> = wire::decode(Kind::Snapshot, &data).map_err(|error| failed(&error))?;
        let frame = wire::encode(Kind::SnapshotMeta, meta).map_err(|error| failed(&error))?;
        self.store.write(Write::Snapshot { meta: frame, data }).await.map_err(|error| failed(&error))?;
        let index = folded.index();
        {
            let mut held = self.view.held_to_change();
            let mut witness = held.witness.take();
            if let Some(witness) = &mut witness {
                witness.replaced(folded.index(), folded.state());
            }
            *held = Held { folded, applied: meta.last_log_id, membership: meta.last_membership.clone(), witness };
        }
        self.view.index.send_replace(index);
        self.view.notices.tell_missed();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types<F>>>, StorageError> {
        let failed =
            |error: &dyn std::error::Error| StorageIOError::read_snapshot(None, AnyError::error(error.to_string()));
        let Some(stored) = self.store.snapshot().await.map_err(|error| failed(&error))? else { return Ok(None) };
        let meta = wire::decode(Kind::SnapshotMeta, &stored.meta).map_err(|error| failed(&error))?;
        Ok(Some(Snapshot { meta, snapshot: Box::new(Cursor::new(stored.data)) }))
    }
}

impl<F: Fold> RaftSnapshotBuilder<Types<F>> for Machine<F> {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types<F>>, StorageError> {
        let failed =
            |error: &dyn std::error::Error| StorageIOError::write_snapshot(None, AnyError::error(error.to_string()));
        let view = self.view.clone();
        let encoded = self.blocking.call(move || view.encode()).await.map_err(|error| failed(&error))?;
        let (meta, stored) = encoded.map_err(|error| failed(&error))?;
        let data = stored.data.clone();
        let write = Write::Snapshot { meta: stored.meta, data: stored.data };
        self.store.write(write).await.map_err(|error| failed(&error))?;
        self.metrics.snapshot();
        tracing::info!(covers = %meta.snapshot_id, bytes = data.len(), "ledger snapshot written");
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(data)) })
    }
}
