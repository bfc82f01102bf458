//! The end of a run in which all faults were healed: everything has ended, and all replicas are the same.
//!
//! In: states, digests. Not true in between: to be looked at when nothing happens any more.

use super::{Verdict, ensure};
use crate::hash::Hash256;
use crate::ids::PolicyName;
use crate::ledger::migration::{Migration, Phase};
use crate::ledger::state::State;

/// Every migration is at an end, or waits for a person, or for a policy that does not get through without one.
pub fn everything_ended(state: &State) -> Verdict {
    for migration in state.migrations().values() {
        let rests = migration.phase.is_end() || matches!(migration.phase, Phase::Paused | Phase::Approval);
        let waits = migration.phase == Phase::Ready && has_open_dependency(state, migration);
        ensure(rests || waits, || {
            let Migration { id, dataset, phase, owner, .. } = migration;
            format!("migration {id} of {dataset} is still in {phase}, owned by node {owner}")
        })?;
    }
    Ok(())
}

fn has_open_dependency(state: &State, migration: &Migration) -> bool {
    let Some(record) = state.policies().get(&migration.policy) else { return false };
    record.policy.after.iter().any(|name| !is_through(state, name))
}

/// Whether every migration of the policy's present generation, and every earlier one that nothing replaced, is committed.
fn is_through(state: &State, policy: &PolicyName) -> bool {
    let Some(record) = state.policies().get(policy) else { return false };
    record.migrations.iter().filter_map(|id| state.migration(*id)).all(|migration| {
        let ended = matches!(migration.phase, Phase::Cancelled | Phase::RolledBack);
        migration.phase == Phase::Committed || ended && migration.stands_for < record.generation
    })
}

/// A drained node owns nothing that has not ended, where others can have it.
pub fn drained_own_nothing(state: &State) -> Verdict {
    if !state.active().any(|member| !member.draining) {
        return Ok(());
    }
    let drained = |migration: &&Migration| state.member(migration.owner).is_some_and(|owner| owner.draining);
    match state.migrations().values().filter(|migration| !migration.phase.is_end()).find(drained) {
        None => Ok(()),
        Some(Migration { id, phase, owner, .. }) => {
            Err(format!("node {owner} is drained, and owns migration {id} in {phase}"))
        }
    }
}

/// Replicas that have applied the same entries are the same, byte for byte: indexes and digests of all of them.
pub fn replicas_agree(digests: &[(u64, Hash256)]) -> Verdict {
    ensure(digests.windows(2).all(|pair| pair[0] == pair[1]), || format!("the replicas differ: {digests:?}"))
}
