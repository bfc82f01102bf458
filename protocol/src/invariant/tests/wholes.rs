//! The invariants over the whole state.

use super::joined;
use crate::ids::MigrationId;
use crate::invariant::{Violation, Watch};
use crate::ledger::migration::{HistoryItem, Phase};
use crate::ledger::scenario::{NODE, Scenario, opened};
use crate::ledger::state::State;

fn watched() -> (Scenario, MigrationId, Watch) {
    let mut scenario = Scenario::default();
    scenario.fact(opened(1));
    joined(&mut scenario);
    let ids = scenario.policy("p", &["t", "u"], |_| ());
    scenario.plan(ids[0], 2, 1);
    let watch = Watch::from_state(scenario.entries, &scenario.state);
    (scenario, ids[0], watch)
}

fn names(violations: &[Violation]) -> Vec<&'static str> {
    violations.iter().map(|violation| violation.invariant).collect()
}

fn breaks(invariant: &'static str, doctor: impl FnOnce(&mut State, MigrationId)) {
    let (mut scenario, id, watch) = watched();
    assert_eq!(watch.whole(&scenario.state), []);
    doctor(&mut scenario.state, id);
    let broken = watch.whole(&scenario.state);
    assert!(names(&broken).contains(&invariant), "{invariant} is not among {broken:?}");
    assert!(broken.iter().all(|violation| violation.to_string().contains(violation.invariant)));
}

#[test]
fn a_migration_or_a_generation_that_is_gone_is_seen() {
    breaks("submits-survive", |state, id| {
        state.doctor().migrations.remove(&id);
    });
    breaks("submits-survive", |state, _| {
        let doctored = state.doctor();
        doctored.policies.values_mut().for_each(|record| record.generation.0 -= 1);
    });
}

#[test]
fn a_change_without_an_entry_is_seen() {
    breaks("nothing-by-itself", |state, id| {
        state.doctor().migrations.get_mut(&id).expect("it is there").epoch.0 += 1;
    });
}

#[test]
fn counts_that_do_not_add_up_are_seen() {
    breaks("counts-conserved", |state, id| {
        state.doctor().by_phase.entry(Phase::Committed).or_default().insert(id);
    });
    breaks("counts-conserved", |state, id| {
        state.doctor().migrations.get_mut(&id).expect("it is there").phase = Phase::Validation;
    });
    breaks("counts-conserved", |state, _| {
        state.doctor().policies.values_mut().for_each(|record| record.migrations.truncate(1));
    });
}

#[test]
fn a_target_with_two_migrations_is_seen() {
    breaks("one-migration-a-target", |state, id| {
        let doctored = state.doctor();
        let target = doctored.migrations[&id].target.clone();
        doctored.migrations.values_mut().for_each(|migration| migration.target = target.clone());
    });
}

#[test]
fn an_owner_without_a_session_is_seen() {
    breaks("owners-live", |state, id| {
        let migration = state.doctor().migrations.get_mut(&id).expect("it is there");
        migration.owner = crate::ids::NodeId(NODE.0 + 90);
    });
}

#[test]
fn what_grows_without_bound_is_seen() {
    breaks("everything-bounded", |state, id| {
        let migration = state.doctor().migrations.get_mut(&id).expect("it is there");
        let line = migration.history[0].clone();
        migration.history.extend(std::iter::repeat_n(HistoryItem { index: 99, ..line }, 500));
    });
    breaks("everything-bounded", |state, id| {
        let migration = state.doctor().migrations.get_mut(&id).expect("it is there");
        let line = migration.history[0].clone();
        migration.history.push(HistoryItem { index: 0, ..line });
    });
}
