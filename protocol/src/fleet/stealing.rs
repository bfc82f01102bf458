//! Work stealing: a node with nothing to do asks one that has too much.
//!
//! In: how much the nodes have to do (a hint), the ledger's state. Out: whom to ask; what the one that is asked gives away. Two
//! levels: whole migrations that have not begun change their owner ([`consent`]); batches of those that have, or of a single large
//! one, are lent while the owner keeps the books ([`lend`]).
//!
//! No ping-pong: a migration moves only if the thief would be through with everything before the victim would have been. So
//! with each move the later of the two ends earlier, which cannot go on for ever.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::load::{PeerLoad, UNPLANNED_SECONDS, seconds, unstarted};
use super::placement::by_time;
use crate::ids::{BatchId, MigrationId, NodeId};
use crate::ledger::migration::{Migration, Phase};
use crate::ledger::state::State;
use crate::machine::{self, Step};
use crate::schedule::backlog::merged;
use crate::schedule::usage::Usage;
use crate::schedule::{Running, Waits};

/// Seconds for each slot that a node has to have to spare before it is asked at all: a transfer costs two round trips and an
/// entry in the ledger, which is some hundredths of a second. More would leave slots idle at the end of a run.
pub const WORTH_STEALING_SECONDS: u64 = 1;
/// Migrations that are given away at once: the entry stays below 10 KiB, and who is through with them comes again.
pub const MOST_GIVEN: usize = 256;
/// Migrations that are looked at for it: twice as many as are given, for every other one stays.
const MOST_LOOKED_AT: usize = 2 * MOST_GIVEN;

/// Whether a node asks for work: it has a free slot and nothing of its own to put there.
#[must_use]
pub fn wants(me: &PeerLoad) -> bool {
    !me.draining && me.free > 0 && me.spare_seconds() == 0
}

/// Whom to ask: of two nodes at random that have something to spare, the one that has more for each slot. Asking always the most
/// loaded one would send everybody there at once. A node that is draining has no slots left, so it counts as the most loaded.
#[must_use]
pub fn choose_victim(peers: &[PeerLoad], me: NodeId, random: u64) -> Option<NodeId> {
    let worth = |peer: &&PeerLoad| {
        let least = if peer.draining { 1 } else { WORTH_STEALING_SECONDS * u64::from(peer.slots.max(1)) };
        peer.node != me && peer.spare_seconds() >= least
    };
    let loaded: Vec<&PeerLoad> = peers.iter().filter(worth).collect();
    let count = loaded.len() as u64;
    let at = |index: u64| usize::try_from(index).ok().and_then(|index| loaded.get(index));
    let first = at(random.checked_rem(count)?)?;
    // One of the others.
    let Some(step) = (random >> 32).checked_rem(count - 1) else { return Some(first.node) };
    let second = at((random % count + 1 + step) % count)?;
    let slots = |peer: &PeerLoad| if peer.draining { 0 } else { peer.slots.max(1) };
    let order = by_time((second.spare_seconds(), slots(second)), (first.spare_seconds(), slots(first)));
    Some(if order == Ordering::Greater { second.node } else { first.node })
}

/// Which migrations that have not begun `victim` gives to `thief`, of its own load and `running` what it knows itself.
///
/// Both are filled up as a fleet of two would be, longest first; what falls to the thief is given: half of the seconds where both
/// have as many slots. The victim keeps what its own free slots can begin now. A victim that is draining gives everything. Empty
/// where the thief would not be better off.
#[must_use]
pub fn consent(state: &State, victim: &PeerLoad, running: &Running, thief: &PeerLoad) -> Vec<MigrationId> {
    if victim.node == thief.node || thief.draining || thief.slots == 0 {
        return Vec::new();
    }
    let own = unstarted(state, victim.node, running);
    let busy: BTreeSet<MigrationId> = running
        .batches
        .iter()
        .chain(&running.lent)
        .map(|(id, _)| *id)
        .chain(running.preparing.iter().copied())
        .collect();
    let items = merged(&own).filter(|migration| !busy.contains(&migration.id)).take(MOST_LOOKED_AT);
    let items: Vec<(MigrationId, u64)> = items.map(|migration| (migration.id, seconds(migration))).collect();
    let sum = |groups: &[crate::schedule::backlog::Group<'_>]| {
        groups.iter().map(|group| group.seconds(UNPLANNED_SECONDS)).fold(0, u64::saturating_add)
    };
    let has = Side {
        slots: victim.slots,
        free: victim.free,
        seconds: sum(&own).saturating_add(victim.open_seconds).saturating_add(victim.running_seconds),
        draining: victim.draining,
    };
    // What the thief owns is known better here than gossip tells: what was given to it a moment ago is in the ledger.
    let theirs = sum(&unstarted(state, thief.node, &Running::default()));
    let wants = Side {
        slots: thief.slots,
        free: thief.free,
        seconds: theirs.saturating_add(thief.open_seconds).saturating_add(thief.running_seconds),
        draining: false,
    };
    divide(&has, &wants, &items)
}

/// One of two nodes between which work is divided.
#[derive(Debug, Clone, Copy)]
struct Side {
    slots: u32,
    free: u32,
    /// Of everything that it has.
    seconds: u64,
    draining: bool,
}

/// Which of the victim's items, longest first, go to the thief.
fn divide(victim: &Side, thief: &Side, items: &[(MigrationId, u64)]) -> Vec<MigrationId> {
    let listed = items.iter().map(|(_, seconds)| *seconds).fold(0, u64::saturating_add);
    // All that the victim has; what of it is assigned to it for certain; the thief's.
    let (mut left, mut theirs) = (victim.seconds.max(listed), thief.seconds);
    let mut kept = left - listed;
    let mut given = Vec::new();
    for (position, (id, seconds)) in items.iter().enumerate() {
        if given.len() == MOST_GIVEN {
            break;
        }
        let keeps = position < victim.free as usize && !victim.draining;
        let with_thief = (theirs.saturating_add(*seconds), thief.slots);
        let falls_to_thief = by_time(with_thief, (kept.saturating_add(*seconds), victim.slots)) != Ordering::Greater;
        let is_better_off = by_time(with_thief, (left, victim.slots)) == Ordering::Less;
        if victim.draining || !keeps && falls_to_thief && is_better_off {
            theirs = theirs.saturating_add(*seconds);
            left = left.saturating_sub(*seconds);
            given.push(*id);
        } else {
            kept = kept.saturating_add(*seconds);
        }
    }
    given
}

/// Which batches `owner` hands to a node with `free` slots, when it has no whole migration to give.
///
/// Its own free slots are fed first; of the rest those of the longest migration go first, until it has none left, as its owner
/// takes them. (If those went first of which most is left, all of an owner's large migrations would come to their ends together,
/// and their validations, which only the owner does, would stand in line while the rest of the fleet has nothing to do.)
/// Limits of policies hold, batches that were handed out already are left out.
#[must_use]
pub fn lend(state: &State, owner: &PeerLoad, running: &Running, free: u32, now: u64) -> Vec<(MigrationId, BatchId)> {
    let keeps = if owner.draining { 0 } else { owner.free as usize };
    let most = keeps.saturating_add(free as usize);
    let mut pools = pools(state, owner.node, running, now, most);
    let available: usize = pools.values().map(|pool| pool.batches.len()).sum();
    let mut count = available.saturating_sub(keeps).min(free as usize);
    let mut usage = Usage::of(state, running);
    // The longest is on top; among equals the smaller id.
    let mut heap: BinaryHeap<(u64, Reverse<MigrationId>)> =
        pools.iter().map(|(id, pool)| (pool.seconds, Reverse(*id))).collect();
    let mut lent = Vec::new();
    while count > 0 {
        let Some((_, Reverse(id))) = heap.pop() else { break };
        let Some(pool) = pools.get_mut(&id) else { continue };
        let record = state.policies().get(&pool.migration.policy);
        if record.is_some_and(|record| usage.is_full(record)) {
            continue;
        }
        // The owner takes its own from the front.
        let Some(batch) = pool.batches.pop() else { continue };
        usage.add(state, pool.migration, 1);
        lent.push((id, batch));
        heap.push((pool.seconds, Reverse(id)));
        count -= 1;
    }
    lent
}

/// A migration with batches that nobody runs.
struct Pool<'a> {
    migration: &'a Migration,
    batches: Vec<BatchId>,
    /// All of it.
    seconds: u64,
}

/// The owner's migrations that have such batches: those in execution, and as many of those that are ready as it takes to come to
/// `most` batches.
fn pools<'a>(
    state: &'a State,
    owner: NodeId,
    running: &Running,
    now: u64,
    most: usize,
) -> BTreeMap<MigrationId, Pool<'a>> {
    let mut waits = Waits::new(state);
    let mut ready = crate::schedule::backlog::groups(state, owner, Phase::Ready);
    ready.retain(|group| !waits.waits(group.policy));
    let mut pools = BTreeMap::new();
    let mut found = 0;
    for migration in state.due_of(owner, Phase::Execution).chain(merged(&ready)) {
        if found >= most && migration.phase == Phase::Ready {
            break;
        }
        let Step::Batches(mut batches) = machine::next(migration, now) else { continue };
        batches.retain(|batch| !running.has(migration.id, *batch));
        if batches.is_empty() {
            continue;
        }
        found += batches.len();
        let seconds = seconds(migration);
        pools.insert(migration.id, Pool { migration, batches, seconds });
    }
    pools
}

#[cfg(test)]
mod tests;
