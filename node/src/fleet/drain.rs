//! Draining: a node that shall own nothing gives what it owns to the others.
//!
//! In: a person's wish in the ledger, or the end of the process. Out: transfers. What is being worked on comes to its end
//! first. Not here: the wish, the order of stopping (`node`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skein_protocol::defects::{self, Defect};
use skein_protocol::fleet::placement::{SeatLoad, place};
use skein_protocol::ids::{MigrationId, NodeId};
use skein_protocol::ledger::entry::{Fence, TransferReason};
use skein_protocol::ledger::{Entry, Migration, Phase, State};
use tokio::time::sleep;

use crate::core::{ACTOR, Core};
use crate::ledger::LedgerError;

/// A draining node looks this often whether there is more to give.
const LOOK: Duration = Duration::from_millis(500);
/// Migrations in one entry: a few hundred kilobytes.
const ITEMS: usize = 2000;

/// Hands over whatever a drained node still owns, for as long as it runs.
pub(super) async fn watch(core: Arc<Core>) {
    loop {
        sleep(LOOK).await;
        if core.fleet.is_draining(&core)
            && !defects::is(Defect::DrainKeepsWork)
            && core.may_act()
            && let Err(error) = hand_over(&core).await
        {
            tracing::warn!(%error, "work cannot be handed over now");
        }
    }
}

/// Gives away what this node owns and does not work on; how many migrations were given, whatever became of each.
pub(crate) async fn hand_over(core: &Core) -> Result<usize, LedgerError> {
    let stats = core.metrics.stats();
    let idle = stats.slots_busy == 0 && stats.preparations == 0;
    let by_target = core.ledger.read(|state| {
        let mut by_target: BTreeMap<NodeId, Vec<Fence>> = BTreeMap::new();
        for (id, to) in place(&takers(core, state), &leftover(state, core.node, idle)) {
            if let Some(migration) = state.migration(id) {
                by_target.entry(to).or_default().push(migration.fence());
            }
        }
        by_target
    });
    let mut given = 0;
    for (to, items) in by_target {
        for items in items.chunks(ITEMS) {
            let entry = Entry::Transferred { items: items.to_vec(), to, reason: TransferReason::Drain };
            core.ledger.propose(entry, ACTOR).await?;
            given += items.len();
        }
    }
    if given > 0 {
        tracing::info!(given, "work was handed over");
        core.metrics.count(|stats| stats.migrations_given += given as u64);
    }
    Ok(given)
}

fn takers(core: &Core, state: &State) -> Vec<SeatLoad> {
    let others = state
        .active()
        .filter(|member| member.takes_work() && member.node != core.node && !core.fleet.gossip.is_leaving(member.node));
    let seat = |member: &skein_protocol::ledger::Member| SeatLoad {
        node: member.node,
        slots: member.seat.slots,
        backlog_seconds: state
            .due_of(member.node, Phase::Ready)
            .filter_map(|one| one.plan.as_ref())
            .map(|p| p.seconds)
            .sum(),
    };
    others.map(seat).collect()
}

/// What `owner` has and does not work on.
fn leftover(state: &State, owner: NodeId, idle: bool) -> Vec<(MigrationId, u64)> {
    // What has come to its end is nobody's work; a goodbye gives it to others as it is.
    let mine = state.migrations().values().filter(|migration| migration.owner == owner && !migration.phase.is_end());
    let free = mine.filter(|migration| migration.running() == 0 && (idle || rests(migration)));
    free.map(|migration| (migration.id, migration.plan.as_ref().map_or(1, |plan| plan.seconds))).collect()
}

/// Nothing but batches is ever done for it in this phase.
fn rests(migration: &Migration) -> bool {
    matches!(migration.phase, Phase::Queued | Phase::Approval | Phase::Ready | Phase::Paused)
}
