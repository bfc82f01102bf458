//! openraft's own suite for storages, over a ledger in memory; golden bytes of what openraft stores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::testing::{StoreBuilder, Suite};
use openraft::{BasicNode, CommittedLeaderId, EntryPayload, Membership, StorageIOError, Vote};
use serde::{Deserialize, Serialize};
use skein_protocol::ledger::fold::{Fold, Proposal};
use skein_protocol::wire::{self, Kind};

use super::*;
use crate::env::memory::{MemoryHost, NoDataPlane};
use crate::ledger::LedgerMetrics;
use crate::ledger::store::Store;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Sum(u64);

impl Fold for Sum {
    type Entry = u64;
    type Answer = u64;

    fn apply(&mut self, _: u64, proposal: &Proposal<u64>) -> u64 {
        self.0 += proposal.entry;
        self.0
    }
}

#[derive(Default)]
struct Builder(AtomicU64);

impl StoreBuilder<Types<Sum>, LogStore<Sum>, Machine<Sum>, MemoryHost> for Builder {
    async fn build(&self) -> Result<(MemoryHost, LogStore<Sum>, Machine<Sum>), StorageError> {
        let host = MemoryHost::new(self.0.fetch_add(1, Ordering::Relaxed));
        let env = host.env(Arc::new(NoDataPlane));
        let metrics = Arc::new(LedgerMetrics::default());
        let failed = |error| StorageIOError::read(openraft::AnyError::new(&error));
        let (store, stored) = Store::open(&env, "ledger", metrics.clone()).await.map_err(failed)?;
        let log = LogStore::new(store.clone(), &stored).map_err(failed)?;
        let view = Arc::new(View::new(None, None).map_err(failed)?);
        Ok((host, log, Machine { view, store, blocking: env.blocking.clone(), metrics }))
    }
}

#[test]
fn log_and_state_machine_pass_openrafts_suite() {
    Suite::test_all(Builder::default()).unwrap();
}

fn entry(payload: EntryPayload<Types<Sum>>) -> Entry<Sum> {
    Entry::<Sum> { log_id: LogId::new(CommittedLeaderId::new(2, 9), 300), payload }
}

#[test]
fn the_bytes_of_stored_entries_and_votes_never_change() {
    let id: &[u8] = &[2, 9, 251, 44, 1];
    let blank = wire::check_storable(Kind::LogEntry, &entry(EntryPayload::Blank)).unwrap();
    assert_eq!(blank, [&[2, 1, 0], id, &[0]].concat());

    let proposal = Proposal { session: 5, sequence: 6, at_millis: 7, actor: "a".to_owned(), entry: 8 };
    let batch = Batch { session: 5, settled_below: 6, proposals: vec![Arc::new(proposal)] };
    let normal = wire::check_storable(
        Kind::LogEntry,
        &entry(EntryPayload::Normal(Arc::new(Group { batches: vec![Arc::new(batch)] }))),
    )
    .unwrap();
    assert_eq!(normal, [&[2, 1, 0], id, &[1, 1, 5, 6, 1, 5, 6, 7, 1], b"a", &[8]].concat());

    let members = Membership::new(vec![[9].into()], BTreeMap::from([(9, BasicNode::new("x"))]));
    let membership = wire::check_storable(Kind::LogEntry, &entry(EntryPayload::Membership(members))).unwrap();
    assert_eq!(membership, [&[2, 1, 0], id, &[2, 1, 1, 9, 1, 9, 1], b"x".as_slice()].concat());

    assert_eq!(wire::check_storable(Kind::Vote, &Vote::new_committed(2, 9_u64)).unwrap(), [2, 2, 0, 2, 9, 1]);
    let position = LogId::new(CommittedLeaderId::new(2, 9), 300);
    assert_eq!(wire::check_storable(Kind::LogPosition, &position).unwrap(), [&[2, 3, 0], id].concat());
}
