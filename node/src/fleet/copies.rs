//! Copies of documents: a node that votes gets those that it lacks.

use std::sync::Arc;
use std::time::Duration;

use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::{Migration, State};
use tokio::time::sleep;

use crate::core::Core;
use crate::ledger::Keeper;

/// Whether documents are missing is looked at this often.
const LOOK: Duration = Duration::from_secs(5);
/// With more to fetch the next round begins after this pause.
const PAUSE: Duration = Duration::from_millis(100);

/// Keeps a voter's documents complete, for as long as the node runs.
pub(super) async fn keep(core: Arc<Core>) {
    let mut keeper = Keeper::default();
    let mut seen = None;
    loop {
        sleep(LOOK).await;
        let raft = core.ledger.raft_view();
        let index = core.ledger.read_at(|index, _| index);
        // Nothing new, nothing to look for.
        if !raft.voters.contains(&core.node) || seen == Some((index, raft.voters.clone())) {
            continue;
        }
        let others: Vec<NodeId> = core.ledger.read(|state| {
            let living = state.active().map(|member| member.node);
            living.filter(|node| *node != core.node).collect()
        });
        loop {
            let named = core.ledger.read(named);
            match keeper.fetch(core.ledger.blobs(), named, &others).await {
                Ok((fetched, all)) => {
                    if fetched > 0 {
                        tracing::info!(fetched, "documents of the ledger were copied to this voter");
                        core.metrics.count(|stats| stats.documents_fetched += fetched as u64);
                    }
                    if all {
                        seen = Some((index, raft.voters.clone()));
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "documents of the ledger cannot be copied now");
                    break;
                }
            }
            sleep(PAUSE).await;
        }
    }
}

/// Every document that the state names.
fn named(state: &State) -> Vec<Hash256> {
    state.migrations().values().flat_map(of).collect()
}

fn of(migration: &Migration) -> impl Iterator<Item = Hash256> {
    let done = migration.stages.iter().flatten().filter_map(|batch| batch.done.as_ref()).map(|(hash, _)| *hash);
    let plan = migration.plan.as_ref().map(|plan| plan.hash);
    let evidence = migration.intent.as_ref().map(|intent| intent.evidence);
    done.chain(plan).chain(evidence).chain(migration.refusal).chain(migration.difference)
}
