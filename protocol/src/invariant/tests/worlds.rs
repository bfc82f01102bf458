//! The invariants over the world outside of the nodes.

use crate::ids::{MigrationId, Run};
use crate::invariant::world::{Holder, NameChange, SourceView, TargetView, Visible, WorldView, check};
use crate::ledger::migration::Phase;

fn rows(numbers: &[u64]) -> Vec<String> {
    numbers.iter().map(u64::to_string).collect()
}

/// A table that was published as it should be.
fn good() -> WorldView {
    let id = MigrationId::derive(&"p".into(), crate::ids::Generation(1), &crate::ids::TableName::new("d", "t"));
    let intent = Some(("/lake/1.json".to_owned(), "uuid".to_owned()));
    let files = || ["/lake/1.json", "/lake/1.parquet"].map(str::to_owned).into_iter();
    let target = TargetView {
        name: "p.t".to_owned(),
        visible: Some(Visible {
            uuid: "uuid".to_owned(),
            location: "/lake/1.json".to_owned(),
            rows: rows(&[2, 1, 1]),
            reachable: files().collect(),
        }),
        expected: Some(rows(&[1, 1, 2])),
        holders: vec![Holder { migration: id, run: Run(1), phase: Phase::Committed, from: None, intent }],
    };
    let change = |to: &str, tombstone| NameChange { target: "p.t".to_owned(), to: Some(to.to_owned()), tombstone };
    WorldView {
        targets: vec![target],
        changes: vec![change("/lake/0.json", true), change("/lake/1.json", false)],
        sources: vec![SourceView { dataset: "d.t".to_owned(), wanted: rows(&[1, 1, 2]), found: rows(&[1, 1, 2]) }],
        objects: files().collect(),
    }
}

fn breaks(invariant: &'static str, doctor: impl FnOnce(&mut WorldView)) {
    let mut view = good();
    assert_eq!(check(&view), []);
    doctor(&mut view);
    let broken: Vec<&str> = check(&view).into_iter().map(|violation| violation.invariant).collect();
    assert!(broken.contains(&invariant), "{invariant} is not among {broken:?}");
}

fn visible(view: &mut WorldView) -> &mut Visible {
    view.targets[0].visible.as_mut().expect("it is published")
}

#[test]
fn a_source_that_was_changed_is_seen() {
    breaks("source-untouched", |view| view.sources[0].found.push("3".to_owned()));
}

#[test]
fn rows_that_are_missing_or_strange_are_seen() {
    breaks("target-equals-transform", |view| visible(view).rows = rows(&[1, 1]));
    breaks("target-equals-transform", |view| visible(view).rows = rows(&[1, 2]));
    breaks("target-equals-transform", |view| visible(view).rows = rows(&[1, 1, 2, 3]));
}

#[test]
fn a_row_that_is_there_twice_is_seen() {
    breaks("no-row-twice", |view| visible(view).rows = rows(&[1, 1, 1, 2]));
}

#[test]
fn a_table_that_no_intent_names_is_seen() {
    breaks("visible-implies-validated", |view| visible(view).location.push('2'));
    breaks("visible-implies-validated", |view| visible(view).uuid.push('2'));
}

#[test]
fn a_table_that_belongs_to_nobody_any_more_is_seen() {
    breaks("no-visible-orphan", |view| view.targets[0].holders[0].phase = Phase::Quarantined);
    breaks("no-visible-orphan", |view| view.targets[0].holders.clear());
}

#[test]
fn a_file_that_is_gone_is_seen() {
    breaks("reachable-files-stay", |view| {
        view.objects.remove("/lake/1.parquet");
    });
}

#[test]
fn a_table_that_comes_back_under_its_name_is_seen() {
    breaks("published-once", |view| view.changes.push(view.changes[1].clone()));
}

#[test]
fn a_table_that_was_rolled_back_and_is_visible_is_seen() {
    breaks("rollback-restores", |view| view.targets[0].holders[0].phase = Phase::RolledBack);
}
