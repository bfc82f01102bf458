//! A small fold, a machine, and a runtime that a seed repeats.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skein_node::env::Env;
use skein_node::env::memory::{MemoryHost, NoDataPlane};
use skein_node::ledger::{Ledger, LedgerConfig, LedgerError};
use skein_protocol::ledger::fold::{Fold, Proposal};

/// Remembers under which indexes each text was applied, and in which session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Register {
    pub(crate) indexes: BTreeMap<String, Vec<u64>>,
    pub(crate) last: Option<(u64, u64, String)>,
}

impl Fold for Register {
    type Entry = String;
    type Answer = String;

    fn apply(&mut self, index: u64, proposal: &Proposal<String>) -> String {
        self.indexes.entry(proposal.entry.clone()).or_default().push(index);
        self.last = Some((proposal.session, proposal.at_millis, proposal.actor.clone()));
        format!("{}@{index}", proposal.entry)
    }
}

pub(crate) type Registry = Ledger<Register>;

pub(crate) fn env(host: &MemoryHost) -> Env {
    host.env(Arc::new(NoDataPlane))
}

/// Snapshots and purges after very few entries, so that short runs have them.
pub(crate) fn small() -> LedgerConfig {
    LedgerConfig { snapshot_every: 4, kept_after_snapshot: 2, ..LedgerConfig::default() }
}

pub(crate) async fn open(host: &MemoryHost) -> Result<Registry, LedgerError> {
    Ledger::open(&env(host), small()).await
}

/// Runs on a paused runtime whose scheduling follows from `seed`; the runtime is gone afterwards.
pub(crate) fn run<T>(seed: u64, test: impl Future<Output = T>) -> T {
    let seed = tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes());
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).rng_seed(seed).build().unwrap().block_on(test)
}

/// Proposes all texts at once, each in a task of its own; the answers in their order.
pub(crate) async fn propose_all(ledger: &Registry, texts: &[String]) -> Vec<Result<(u64, String), LedgerError>> {
    let propose = |text: &String| {
        let (ledger, text) = (ledger.clone(), text.clone());
        tokio::spawn(async move { ledger.propose(text, "test").await })
    };
    let tasks: Vec<_> = texts.iter().map(propose).collect();
    futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}
