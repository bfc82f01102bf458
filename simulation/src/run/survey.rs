//! The world as it is when everything has ended, in the words of the invariants.
//!
//! In: the data world, the plan, the ledger's state. Out: a view for `skein_protocol::invariant::world`. Holds: what is left out:
//! tables of strangers, and sources that somebody else changed (the data world judges those when they are published). Not here:
//! the sentences.

use std::collections::BTreeSet;

use skein_node::scripted::{What, World};
use skein_protocol::ids::TableName;
use skein_protocol::invariant::world::{Holder, NameChange, SourceView, TargetView, Visible, WorldView};
use skein_protocol::ledger::State;

use super::inflict::is_strange;
use crate::auditor::line;
use crate::plan::{Plan, TablePlan};

/// Looks at everything.
pub(super) fn view(world: &World, plan: &Plan, state: &State) -> WorldView {
    let happenings = world.happenings();
    let mut changed: BTreeSet<TableName> = BTreeSet::new();
    let mut changes = Vec::new();
    for happening in happenings {
        match happening.what {
            What::SourceChanged { dataset, .. } => {
                changed.insert(dataset);
            }
            What::Named { target, to, author, .. } if author.is_some() || to.is_none() => {
                let tombstone = to.as_deref().is_some_and(is_tombstone);
                changes.push(NameChange { target: target.to_string(), to, tombstone });
            }
            _ => {}
        }
    }
    let untouched = |table: &&TablePlan| !changed.contains(&table.name);
    WorldView {
        targets: targets(world, plan, state, &changed),
        changes,
        sources: plan.tables().filter(untouched).map(|table| source(world, table)).collect(),
        objects: world.objects().into_iter().collect(),
    }
}

fn is_tombstone(location: &str) -> bool {
    location.rsplit('/').next().is_some_and(|file| file.starts_with("tombstone-"))
}

fn targets(world: &World, plan: &Plan, state: &State, changed: &BTreeSet<TableName>) -> Vec<TargetView> {
    let mut holders = Holder::by_target(state);
    let names: BTreeSet<&TableName> = plan.tables().map(|table| &table.target).collect();
    let mut view = |target: &TableName| {
        let seen = world.read(target).filter(|seen| !seen.tombstone && !is_strange(&seen.location));
        let visible = seen.map(|seen| Visible {
            rows: seen.rows.iter().map(|row| line(row)).collect(),
            reachable: world.reachable(target),
            uuid: seen.uuid,
            location: seen.location,
        });
        let name = target.to_string();
        let holders = holders.remove(&name).unwrap_or_default();
        TargetView { visible, expected: expected(world, plan, target, changed), holders, name }
    };
    names.into_iter().map(&mut view).collect()
}

/// The transformed source of a target, where one policy alone moves one table there and nobody changed it.
fn expected(world: &World, plan: &Plan, target: &TableName, changed: &BTreeSet<TableName>) -> Option<Vec<String>> {
    let tables = plan.policies.iter().flat_map(|policy| policy.tables.iter().map(move |table| (policy, table)));
    let mut movers = tables.filter(|(_, table)| table.target == *target);
    let (policy, table) = movers.next()?;
    if movers.next().is_some() || changed.contains(&table.name) {
        return None;
    }
    let contents = world.transformed(&table.name, &policy.recipe)?;
    Some(contents.rows.iter().map(|row| line(row)).collect())
}

fn source(world: &World, table: &TablePlan) -> SourceView {
    let text = |numbers: Vec<u64>| numbers.iter().map(u64::to_string).collect();
    let mut wanted: Vec<u64> = table.files.iter().flatten().copied().collect();
    wanted.sort_unstable();
    SourceView { dataset: table.name.to_string(), wanted: text(wanted), found: text(world.source(&table.name)) }
}
