//! `plan`: what a policy would do.

use std::path::Path;

use anyhow::{Result, bail};
use skein_protocol::api::{PlanLine, PlanTotals, PlannedDataset};
use skein_protocol::plan::{Plan, Planned, Refusal};

use super::read_document;
use crate::args::Format;
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{self, Cell, Table};
use crate::progress::Progress;

pub(super) fn run(client: &Client, file: &Path, dataset: Option<&str>, format: Format) -> Result<Exit> {
    let (planned, totals) = self::planned(client, &read_document(file)?)?;
    let code = match (totals.ready, totals.refused) {
        (0, 0) => Exit::Success,
        (0, _) => Exit::Failure,
        _ => Exit::Changes,
    };
    if let Some(wanted) = dataset {
        let Some(one) = planned.iter().find(|one| name(one).eq_ignore_ascii_case(wanted)) else {
            bail!("{wanted} is not among the {} datasets that would be planned", planned.len());
        };
        if !output::document(format, one)? {
            output::print(&whole(one))?;
        }
        return Ok(code);
    }
    if !output::document(format, &serde_json::json!({ "datasets": planned, "totals": totals }))? {
        output::print(&table(&planned))?;
        output::print(&summary(&totals))?;
    }
    Ok(code)
}

/// Asks the node for plans and shows how far it is.
pub(crate) fn planned(client: &Client, document: &str) -> Result<(Vec<PlannedDataset>, PlanTotals)> {
    let mut progress = Progress::new();
    let (mut planned, mut totals, mut selected) = (Vec::new(), None, 0);
    let mut failed = None;
    client.stream_policy("/v1/plan", document, |line: PlanLine| {
        match line {
            PlanLine::Selected { datasets, .. } => selected = datasets,
            PlanLine::Dataset(one) => {
                planned.push(*one);
                progress.show(&format!("planned {} of {selected} datasets", planned.len()));
            }
            PlanLine::Failed(problem) => failed = Some(problem),
            PlanLine::End(end) => totals = Some(end),
        }
        Ok(())
    })?;
    progress.end("");
    if let Some(problem) = failed {
        return Err(problem.into());
    }
    let Some(totals) = totals else { bail!("the node's answer broke off: {} of {selected} datasets", planned.len()) };
    planned.sort_by_key(name);
    Ok((planned, totals))
}

fn name(one: &PlannedDataset) -> String {
    match &one.planned {
        Planned::Ready(plan) => plan.source.dataset.to_string(),
        Planned::Refused(refusal) => refusal.dataset.to_string(),
    }
}

/// One line for each dataset.
pub(crate) fn table(planned: &[PlannedDataset]) -> String {
    let mut table =
        Table::new(&["DATASET", "TARGET", "STRATEGY", ">FILES", ">ROWS", ">SIZE", ">BATCHES", "PLAN", "WHY"]);
    for one in planned {
        table.row(match &one.planned {
            Planned::Ready(plan) => row(one, plan),
            Planned::Refused(refusal) => refused_row(refusal),
        });
    }
    table.render()
}

fn row(one: &PlannedDataset, plan: &Plan) -> Vec<Cell> {
    let batches: usize = plan.stages.iter().map(|stage| stage.batches.len()).sum();
    vec![
        plan.source.dataset.to_string().into(),
        plan.target.name.to_string().into(),
        format!("{:?}", plan.strategy.kind).to_lowercase().into(),
        output::number(plan.source.files.len() as u64).into(),
        plan.source_rows().map_or_else(|| "?".to_owned(), output::number).into(),
        output::bytes(plan.source_bytes()).into(),
        output::number(batches as u64).into(),
        one.hash.map(|hash| hash.short()).unwrap_or_default().into(),
        plan.strategy.reason.clone().into(),
    ]
}

fn refused_row(refusal: &Refusal) -> Vec<Cell> {
    let first = refusal.problems.first();
    let why = first.map(|problem| format!("{}: {}", problem.code, problem.why)).unwrap_or_default();
    let target = refusal.target.as_ref().map(ToString::to_string).unwrap_or_default();
    let none = || Cell::from("");
    vec![
        refusal.dataset.to_string().into(),
        target.into(),
        "refused".into(),
        none(),
        none(),
        none(),
        none(),
        none(),
        why.into(),
    ]
}

/// The last line.
pub(crate) fn summary(totals: &PlanTotals) -> String {
    let PlanTotals { ready, refused, settled, rows, bytes, seconds } = totals;
    let mut text = format!(
        "\n{} to migrate ({} rows, {}, about {} of one slot)",
        output::bold(&format!("{ready} datasets")),
        output::number(*rows),
        output::bytes(*bytes),
        output::seconds(*seconds)
    );
    if *refused > 0 {
        text.push_str(&format!(", {refused} refused"));
    }
    if *settled > 0 {
        text.push_str(&format!(", {settled} migrated already"));
    }
    text.push('\n');
    text
}

/// A whole plan for people.
pub(crate) fn whole(one: &PlannedDataset) -> String {
    let plan = match &one.planned {
        Planned::Ready(plan) => plan,
        Planned::Refused(refusal) => {
            let mut text = format!("{} is refused:\n", refusal.dataset);
            for problem in &refusal.problems {
                text.push_str(&format!("  {}: {}: {}. {}\n", problem.code, problem.what, problem.why, problem.next));
            }
            return text;
        }
    };
    let mut text = format!("{} -> {}\n", plan.source.dataset, plan.target.name);
    text.push_str(&format!("plan      {}\n", plan.hash()));
    text.push_str(&format!("strategy  {:?}: {}\n", plan.strategy.kind, plan.strategy.reason).to_lowercase());
    text.push_str(&format!("source    {}\n", plan.source.location));
    text.push_str(&format!("target    {}\n", plan.target.location));
    for note in &plan.notes {
        text.push_str(&format!("note      {note}\n"));
    }
    text.push_str(&format!("undo      {}\n\n{}", plan.undo, plan.script));
    text
}
