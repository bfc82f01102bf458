//! How much a node has to do, as it tells the others.
//!
//! In: the ledger's state, what runs on the node. Out: [`PeerLoad`], which gossip carries. A hint: whoever acts on it asks the
//! node itself, and only the ledger makes it true.

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;
use crate::ledger::migration::{Migration, Phase};
use crate::ledger::state::State;
use crate::schedule::backlog::{Group, groups};
use crate::schedule::usage::Usage;
use crate::schedule::{Running, Waits};

/// Seconds that a migration counts as long as nobody has planned it: the order of a small table's, so that many of them weigh
/// something and a large one that is known weighs more.
pub const UNPLANNED_SECONDS: u64 = 10;

/// How much a node has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeerLoad {
    /// The node.
    pub node: NodeId,
    /// Batches at once.
    pub slots: u32,
    /// Slots in which nothing runs.
    pub free: u32,
    /// Seconds of one slot of migrations that have not begun and could: those that wait for other policies, or whose
    /// policies have as many batches as they may, do not count.
    pub backlog_seconds: u64,
    /// Seconds of one slot of batches that nobody runs yet, of migrations that have begun.
    pub open_seconds: u64,
    /// Seconds of one slot of batches that run here, from their starts.
    pub running_seconds: u64,
    /// It is about to leave.
    pub draining: bool,
}

impl PeerLoad {
    /// Seconds of one slot that it could give away.
    #[must_use]
    pub fn spare_seconds(&self) -> u64 {
        self.backlog_seconds.saturating_add(self.open_seconds)
    }
}

/// What `node` has to do. Costs the number of policies and the batches of migrations in execution.
#[must_use]
pub fn load(state: &State, node: NodeId, slots: u32, running: &Running, draining: bool) -> PeerLoad {
    let busy = u32::try_from(running.busy()).unwrap_or(u32::MAX);
    let groups = unstarted(state, node, running);
    let mut load = PeerLoad { node, slots, free: slots.saturating_sub(busy), draining, ..PeerLoad::default() };
    load.backlog_seconds = groups.iter().map(|group| group.seconds(UNPLANNED_SECONDS)).fold(0, u64::saturating_add);
    for migration in state.due_of(node, Phase::Execution) {
        let each = batch_seconds(migration);
        let (done, all) = migration.batch_counts();
        let open = u64::from(all - done).saturating_sub(u64::from(migration.running()));
        load.open_seconds = load.open_seconds.saturating_add(each.saturating_mul(open));
    }
    for (id, _) in running.batches.iter().chain(&running.borrowed) {
        let each = state.migration(*id).map_or(0, batch_seconds);
        load.running_seconds = load.running_seconds.saturating_add(each);
    }
    load
}

/// Estimated seconds of one batch of a migration, at least one.
pub(super) fn batch_seconds(migration: &Migration) -> u64 {
    let batches = migration.stages.iter().map(Vec::len).sum::<usize>().max(1) as u64;
    migration.plan.as_ref().map_or(UNPLANNED_SECONDS, |plan| plan.seconds / batches).max(1)
}

/// Estimated seconds of one slot of a migration that has not begun.
pub(super) fn seconds(migration: &Migration) -> u64 {
    migration.plan.as_ref().map_or(UNPLANNED_SECONDS, |plan| plan.seconds).max(1)
}

/// The migrations of `owner` that have not begun and could.
pub(super) fn unstarted<'a>(state: &'a State, owner: NodeId, running: &Running) -> Vec<Group<'a>> {
    let mut waits = Waits::new(state);
    let mut usage: Option<Usage<'a>> = None;
    let mut runnable = Vec::new();
    for group in groups(state, owner, Phase::Ready) {
        let record = state.policies().get(group.policy);
        let full = record.is_some_and(|record| {
            // Most policies have no limit, and counting costs.
            record.policy.max_parallel < u32::MAX
                && usage.get_or_insert_with(|| Usage::of(state, running)).is_full(record)
        });
        if !full && !waits.waits(group.policy) {
            runnable.push(group);
        }
    }
    runnable.extend(groups(state, owner, Phase::Queued));
    runnable
}
