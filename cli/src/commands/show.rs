//! `show`: one migration.

use anyhow::Result;
use skein_protocol::api::{MigrationDetail, PlannedDataset};
use skein_protocol::ledger::migration::HistoryItem;

use super::plan::whole;
use crate::args::Format;
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{self, Table};

/// Batches that are shown one by one to people.
const SHOWN_BATCHES: usize = 20;

pub(super) fn run(client: &Client, migration: &str, plan: bool, script: bool, format: Format) -> Result<Exit> {
    if script {
        output::print(&client.get_text(&format!("/v1/migrations/{migration}/script"), &[])?)?;
        return Ok(Exit::Success);
    }
    if plan {
        let planned: PlannedDataset = client.get(&format!("/v1/migrations/{migration}/plan"), &[])?;
        if !output::document(format, &planned)? {
            output::print(&whole(&planned))?;
        }
        return Ok(Exit::Success);
    }
    let detail: MigrationDetail = client.get(&format!("/v1/migrations/{migration}"), &[])?;
    if !output::document(format, &detail)? {
        output::print(&text(&detail))?;
    }
    Ok(Exit::Success)
}

/// A migration for people.
fn text(detail: &MigrationDetail) -> String {
    let row = &detail.row;
    let mut text = format!("{} -> {}\n", output::bold(&row.dataset.to_string()), row.target);
    let mut line = |key: &str, value: &str| text.push_str(&format!("{key:<10}{value}\n"));
    line("id", &row.id.to_string());
    line("policy", &format!("{}, generation {}", row.policy, row.generation));
    let from = row.from.map(|from| format!(" (from {from})")).unwrap_or_default();
    line(
        "phase",
        &format!("{}{from}, since {}", output::phase(row.phase, row.phase.as_str()), output::time(row.changed_at)),
    );
    line("run", &format!("{}, epoch {}, node {}", row.run, detail.epoch, detail.owner));
    if let Some(plan) = &row.plan {
        let strategy = row.strategy.as_deref().unwrap_or_default();
        line("plan", &format!("{} ({strategy})", plan.short()));
    }
    if let Some((plan, actor, at)) = &detail.approved {
        line("approved", &format!("{} by {actor}, {}", plan.short(), output::time(*at)));
    }
    line("batches", &format!("{} of {}", row.batches_done, row.batches));
    line("rows", &format!("{} read, {} written", output::number(row.rows_in), output::number(row.rows_out)));
    if let Some(location) = &detail.metadata_location {
        line("visible", location);
    }
    if let Some(problem) = &detail.problem {
        line("problem", &format!("{}: {}", problem.code, problem.what));
        line("  why", &problem.why);
        line("  next", &problem.next);
    }
    let mut batches = Table::new(&["BATCH", "STATE", ">FAILURES", ">READ", ">REMOVED", ">WRITTEN", ">SIZE", "PROBLEM"]);
    for batch in detail.batches.iter().take(SHOWN_BATCHES) {
        batches.row(vec![
            batch.id.clone().into(),
            batch.state.clone().into(),
            batch.failures.to_string().into(),
            output::number(batch.rows_in).into(),
            output::number(batch.rows_removed).into(),
            output::number(batch.rows_out).into(),
            output::bytes(batch.bytes_out).into(),
            batch.problem.as_ref().map(|problem| problem.code.to_string()).unwrap_or_default().into(),
        ]);
    }
    format!("{text}\n{}\n{}", batches.render(), history(&detail.history))
}

/// What happened to a migration, a line each.
pub(super) fn history(items: &[HistoryItem]) -> String {
    let mut history = Table::new(&["TIME", "RUN", "PHASE", "WHO", "WHAT"]);
    for item in items {
        history.row(vec![
            output::time(item.at_millis).into(),
            item.run.to_string().into(),
            item.phase.as_str().into(),
            item.actor.clone().into(),
            item.what.clone().into(),
        ]);
    }
    history.render()
}
