//! The whole state: what holds over all of it, between any two entries.
//!
//! In: the ledger's state, and what was known of each migration. Costs all of it: to be looked at every so often.

use std::collections::{BTreeMap, BTreeSet};

use super::history::LINES_KEPT;
use super::view::{Glimpse, Seen};
use super::{Verdict, ensure};
use crate::ids::{Generation, MigrationId, NodeId, PolicyName};
use crate::ledger::migration::Phase;
use crate::ledger::state::State;

/// Nodes that are kept, those that were removed too.
const MEMBERS_KEPT: usize = 2000;
/// Join tokens that are kept.
const TOKENS_KEPT: usize = 1000;
/// Answers to requests with a key that are kept.
const ANSWERS_KEPT: usize = 1000;
/// Alerts that are kept as told.
const ALERTS_KEPT: usize = 10_000;

/// The state, and what is known of it from the entries alone.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    /// The state.
    pub state: &'a State,
    /// Each migration as the last entry that touched it left it.
    pub known: &'a BTreeMap<MigrationId, Glimpse>,
    /// The greatest generation of each policy.
    pub generations: &'a BTreeMap<PolicyName, Generation>,
}

/// What was acknowledged is there: no migration and no generation of a policy ever goes away.
pub(super) fn submits_survive(whole: &Whole<'_>) -> Verdict {
    for id in whole.known.keys() {
        ensure(whole.state.migration(*id).is_some(), || format!("migration {id} is gone"))?;
    }
    for (name, generation) in whole.generations {
        let found = whole.state.policies().get(name).map(|record| record.generation);
        ensure(found >= Some(*generation), || {
            format!("policy {name} was at generation {generation}, and is at {found:?}")
        })?;
    }
    for record in whole.state.policies().values() {
        for id in &record.migrations {
            ensure(whole.state.migration(*id).is_some(), || {
                format!("migration {id} of policy {} is gone", record.policy.name)
            })?;
        }
    }
    Ok(())
}

/// Nothing changes without an entry that names it or its node.
pub(super) fn nothing_changes_by_itself(whole: &Whole<'_>) -> Verdict {
    for (id, migration) in whole.state.migrations().iter() {
        let known = whole.known.get(id).ok_or_else(|| format!("migration {id} came without an entry"))?;
        let found = Glimpse::of(migration);
        ensure(*known == found, || format!("migration {id} changed without an entry: {}", difference(known, &found)))?;
    }
    Ok(())
}

fn difference(known: &Glimpse, found: &Glimpse) -> String {
    let (known, found) = (format!("{known:?}"), format!("{found:?}"));
    let at = known.bytes().zip(found.bytes()).take_while(|(one, other)| one == other).count();
    let about = |text: &str| {
        let from = text.char_indices().map(|(place, _)| place).take_while(|place| *place + 40 <= at).last();
        text[from.unwrap_or_default()..].chars().take(120).collect::<String>()
    };
    format!("… {} … became … {} …", about(&known), about(&found))
}

/// Counts are conserved: each migration is in exactly one phase, the indexes over phases and work have all of them and no others.
pub(super) fn counts_are_conserved(whole: &Whole<'_>) -> Verdict {
    let mut by_phase: BTreeMap<Phase, usize> = BTreeMap::new();
    for migration in whole.state.migrations().values() {
        *by_phase.entry(migration.phase).or_default() += 1;
    }
    for phase in Phase::ALL {
        let wanted = by_phase.get(&phase).copied().unwrap_or_default();
        let counted = whole.state.count(phase);
        ensure(counted == wanted, || format!("{wanted} migrations are in {phase}, and {counted} are counted"))?;
        ensure(whole.state.in_phase(phase).filter(|migration| migration.phase == phase).count() == wanted, || {
            format!("the index of {phase} lists others than those in it")
        })?;
        if phase.is_active() {
            let due = whole.state.due(phase).filter(|migration| migration.phase == phase).count();
            ensure(due == wanted, || format!("{wanted} migrations are in {phase}, and the scheduler sees {due}"))?;
        }
    }
    let listed: usize = whole.state.policies().values().map(|record| record.migrations.len()).sum();
    let all = whole.state.migrations().len();
    ensure(listed == all, || format!("there are {all} migrations, and policies list {listed}"))
}

/// A target belongs to one migration at a time.
pub(super) fn targets_have_one_migration(whole: &Whole<'_>) -> Verdict {
    let mut held = BTreeMap::new();
    for migration in whole.state.migrations().values() {
        if matches!(migration.phase, Phase::RolledBack | Phase::Cancelled | Phase::Quarantined) {
            continue;
        }
        if let Some(other) = held.insert((&migration.target_connection, &migration.target), migration.id) {
            return Err(format!("{} belongs to migration {other} and to migration {}", migration.target, migration.id));
        }
    }
    Ok(())
}

/// Whoever owns work has a session, as long as a node that takes work has one.
pub(super) fn owners_live(whole: &Whole<'_>) -> Verdict {
    let fleet: BTreeMap<NodeId, Seen> =
        whole.state.members().iter().map(|(node, member)| (*node, Seen::of(member))).collect();
    if !fleet.values().any(|node| node.is_active() && !node.draining) {
        return Ok(());
    }
    let owners: BTreeSet<NodeId> = whole.state.migrations().values().map(|migration| migration.owner).collect();
    match owners.into_iter().find(|owner| !fleet.get(owner).is_some_and(Seen::is_active)) {
        None => Ok(()),
        Some(owner) => Err(format!("node {owner} owns migrations and has no session, while others have one")),
    }
}

/// Everything that is kept has a bound.
pub(super) fn everything_is_bounded(whole: &Whole<'_>) -> Verdict {
    let state = whole.state;
    for (what, count, most) in [
        ("members", state.members().len(), MEMBERS_KEPT),
        ("join tokens", state.join_tokens().len(), TOKENS_KEPT),
        ("answers to requests", state.remembered_requests(), ANSWERS_KEPT),
        ("alerts", state.alerts().len(), ALERTS_KEPT),
    ] {
        ensure(count <= most, || format!("{count} {what} are kept; {most} may be"))?;
    }
    for migration in state.migrations().values() {
        let (id, lines) = (migration.id, migration.history.len());
        ensure(lines <= LINES_KEPT, || format!("migration {id} has {lines} lines of history; {LINES_KEPT} may be"))?;
        let ordered = migration.history.windows(2).all(|pair| pair[0].index <= pair[1].index);
        ensure(ordered, || format!("the history of migration {id} is out of order"))?;
    }
    Ok(())
}
