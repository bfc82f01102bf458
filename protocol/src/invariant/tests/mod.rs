//! Each invariant: it holds for what the ledger does, and is broken by a doctored view.

mod chance;
mod ends;
mod steps;
mod watched;
mod wholes;
mod worlds;

use super::step::{Fleet, Step};
use super::{ALL, Glimpse, Level, Seen};
use crate::hash::Hash256;
use crate::ids::{BatchId, MigrationId, NodeId, PolicyName};
use crate::ledger::entry::{Answer, BatchTotals, Entry};
use crate::ledger::migration::HistoryItem;
use crate::ledger::scenario::{Scenario, opened_by};

/// One entry and one migration, to be doctored.
pub(super) struct Scene {
    entry: Entry,
    answer: Answer,
    actor: String,
    at_millis: u64,
    id: MigrationId,
    before: Option<Glimpse>,
    after: Glimpse,
    told: Vec<HistoryItem>,
    fleet_before: Fleet,
    fleet: Fleet,
    unmet: Vec<PolicyName>,
    passed_by: u64,
    inverted: u64,
}

fn fleet(scenario: &Scenario) -> Fleet {
    scenario.state.members().iter().map(|(node, member)| (*node, Seen::of(member))).collect()
}

impl Scene {
    /// Applies an entry, and looks at what it did to a migration.
    pub(super) fn of(scenario: &mut Scenario, id: MigrationId, entry: Entry) -> Self {
        let (before, fleet_before) = (scenario.state.migration(id).map(Glimpse::of), fleet(scenario));
        let answer = scenario.apply(entry.clone());
        let migration = scenario.migration(id);
        let told = migration.history.iter().filter(|line| line.index == scenario.entries).cloned().collect();
        Self {
            entry,
            answer,
            actor: "test".to_owned(),
            at_millis: 1000 * scenario.entries,
            id,
            before,
            after: Glimpse::of(migration),
            told,
            fleet_before,
            fleet: fleet(scenario),
            unmet: Vec::new(),
            passed_by: 0,
            inverted: 0,
        }
    }

    /// The invariants that do not hold.
    pub(super) fn broken(&self) -> Vec<&'static str> {
        let step = Step {
            index: 7,
            at_millis: self.at_millis,
            actor: &self.actor,
            entry: &self.entry,
            answer: &self.answer,
            id: self.id,
            before: self.before.as_ref(),
            after: &self.after,
            told: &self.told,
            fleet_before: &self.fleet_before,
            fleet: &self.fleet,
            unmet: &self.unmet,
            passed_by: self.passed_by,
            inverted: self.inverted,
        };
        super::list::steps().filter(|(_, check)| check(&step).is_err()).map(|(name, _)| name).collect()
    }

    /// As it is, all is well.
    pub(super) fn holds(self) -> Self {
        assert_eq!(self.broken(), [""; 0], "{:?} -> {:?}", self.entry, self.answer);
        self
    }

    /// Doctored so, the invariant does not hold.
    pub(super) fn breaks(mut self, invariant: &'static str, doctor: impl FnOnce(&mut Self)) {
        doctor(&mut self);
        let broken = self.broken();
        assert!(broken.contains(&invariant), "{invariant} is not among {broken:?}");
    }
}

/// Totals of a batch that read, removed and wrote so many rows.
pub(super) fn totals(rows_in: u64, rows_removed: u64, rows_out: u64) -> BatchTotals {
    BatchTotals { rows_in, rows_removed, rows_out, bytes_out: rows_out, files: 1 }
}

/// The only batch of a migration with one.
pub(super) fn first_batch() -> BatchId {
    crate::ledger::scenario::batch_id(0)
}

/// Another node than the scenario's own.
pub(super) const OTHER: NodeId = NodeId(8);

/// Lets another node join and open its first session.
pub(super) fn joined(scenario: &mut Scenario) {
    let token = Hash256::of(b"token");
    scenario.fact(Entry::JoinTokenIssued { token, expires_at: u64::MAX });
    scenario.fact(Entry::MemberAdmitted { node: OTHER, token, address: String::new() });
    scenario.fact(opened_by(OTHER, 1, 2));
}

#[test]
fn every_name_is_there_once_and_every_sentence_ends() {
    let mut names: Vec<&str> = ALL.iter().map(|invariant| invariant.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALL.len());
    assert!(ALL.iter().all(|invariant| invariant.sentence.ends_with('.')));
    assert!(ALL.iter().any(|invariant| invariant.level() == Level::Auditor));
}

#[test]
fn the_documentation_lists_every_invariant_with_where_it_is_checked() {
    let page = include_str!("../../../../docs/invariants.md");
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let wanted: Vec<String> = ALL
        .iter()
        .map(|invariant| {
            let (level, node) = (invariant.level(), if invariant.level().is_in_nodes() { "yes" } else { "" });
            format!("| `{}` | {} | {} | {node} |", invariant.name, invariant.sentence, level.as_str())
        })
        .collect();
    assert_eq!(listed, wanted, "docs/invariants.md shall have these lines:\n{}", wanted.join("\n"));
}
