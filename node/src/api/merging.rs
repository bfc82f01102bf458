//! Pages of plain lists, without looking at every migration.
//!
//! In: the state, a place. Out: what comes after it, in the order of lists. A policy keeps its migrations in the order of their
//! creation, which is generation by generation, and by dataset within each: runs that are sorted already. A page is merged out
//! of them, so it costs what it shows and the number of runs, not what there is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use skein_protocol::ids::{Generation, MigrationId, PolicyName, TableName};
use skein_protocol::ledger::policies::PolicyRecord;
use skein_protocol::ledger::{Migration, Phase, State};

/// A place in the order of lists.
pub(super) type Key<'a> = (&'a TableName, Generation, MigrationId);

/// A migration's place in the order of lists.
pub(super) fn key(migration: &Migration) -> Key<'_> {
    (&migration.dataset, migration.generation, migration.id)
}

/// The first `most` migrations after `after`, of one policy or of all, without those that were superseded.
pub(super) fn after<'a>(
    state: &'a State,
    policy: Option<&PolicyName>,
    after: Option<Key<'_>>,
    most: usize,
) -> Vec<&'a Migration> {
    let mut heads = BinaryHeap::new();
    for run in records(state, policy).flat_map(|record| runs(state, &record.migrations)) {
        let passed =
            |id: &MigrationId| state.migration(*id).is_some_and(|one| after.is_some_and(|after| key(one) <= after));
        push(&mut heads, state, &run[run.partition_point(passed)..]);
    }
    let mut page = Vec::with_capacity(most);
    while page.len() < most
        && let Some(Reverse((_, run))) = heads.pop()
    {
        if let Some(migration) = state.migration(run[0])
            && !state.is_superseded(migration)
        {
            page.push(migration);
        }
        push(&mut heads, state, &run[1..]);
    }
    page
}

type Heads<'a> = BinaryHeap<Reverse<(Key<'a>, &'a [MigrationId])>>;

/// Puts a run behind its first migration.
fn push<'a>(heads: &mut Heads<'a>, state: &'a State, run: &'a [MigrationId]) {
    if let Some(first) = run.first().and_then(|id| state.migration(*id)) {
        heads.push(Reverse((key(first), run)));
    }
}

/// How many migrations there are, of one policy or of all, without those that were superseded.
pub(super) fn count(state: &State, policy: Option<&PolicyName>) -> u64 {
    let all: usize = records(state, policy).map(|record| record.migrations.len()).sum();
    let ended = [Phase::Cancelled, Phase::RolledBack].into_iter().flat_map(|phase| state.in_phase(phase));
    let of_policy = |one: &&Migration| policy.is_none_or(|policy| *policy == one.policy);
    let superseded = ended.filter(of_policy).filter(|one| state.is_superseded(one)).count();
    all.saturating_sub(superseded) as u64
}

fn records<'a>(state: &'a State, policy: Option<&PolicyName>) -> Box<dyn Iterator<Item = &'a PolicyRecord> + 'a> {
    match policy {
        Some(policy) => Box::new(state.policies().get(policy).into_iter()),
        None => Box::new(state.policies().values()),
    }
}

/// The migrations of a policy, generation by generation.
fn runs<'a>(state: &'a State, mut rest: &'a [MigrationId]) -> Vec<&'a [MigrationId]> {
    let mut runs = Vec::new();
    while let Some(first) = rest.first().and_then(|id| state.migration(*id)) {
        let same = |id: &MigrationId| state.migration(*id).is_some_and(|one| one.generation == first.generation);
        let (run, others) = rest.split_at(rest.partition_point(same));
        runs.push(run);
        rest = others;
    }
    runs
}
