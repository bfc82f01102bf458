//! `quarantine`: what failed for good.

use anyhow::{Result, bail};
use skein_protocol::api::{ActionAnswer, MAX_PAGE, Page, QuarantineFilter, QuarantineRequest, QuarantineRow};

use super::act::finish;
use super::show::history;
use super::{confirm, pages};
use crate::args::{Format, QuarantineAction, QuarantineCommand, QuarantineFilterArgs};
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{self, Table};

/// Migrations that the preview of a bulk action names.
const PREVIEW: usize = 10;

pub(super) fn run(client: &Client, command: &QuarantineCommand, format: Format) -> Result<Exit> {
    match command {
        QuarantineCommand::List { filter, limit } => list(client, filter, *limit, format),
        QuarantineCommand::Show { migration } => {
            let row: QuarantineRow = client.get(&format!("/v1/quarantine/{migration}"), &[])?;
            if !output::document(format, &row)? {
                output::print(&text(&row))?;
            }
            Ok(Exit::Success)
        }
        QuarantineCommand::Replay(action) => act(client, "replay", action, format),
        QuarantineCommand::Discard(action) => act(client, "discard", action, format),
    }
}

fn list(client: &Client, filter: &QuarantineFilterArgs, limit: u32, format: Format) -> Result<Exit> {
    let page: Page<QuarantineRow> = pages(client, "/v1/quarantine", &query(filter), limit)?;
    if output::document(format, &page)? {
        return Ok(Exit::Success);
    }
    output::print(&table(&page.items))?;
    if (page.items.len() as u64) < page.total {
        eprintln!("{} of {}; more with --limit", page.items.len(), page.total);
    } else if page.total == 0 {
        eprintln!("nothing is in quarantine");
    }
    Ok(Exit::Success)
}

fn query(filter: &QuarantineFilterArgs) -> Vec<(&'static str, String)> {
    let all = [("policy", &filter.policy), ("code", &filter.code), ("label", &filter.label), ("text", &filter.text)];
    all.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
}

fn act(client: &Client, verb: &str, action: &QuarantineAction, format: Format) -> Result<Exit> {
    let (chosen, total) = preview(client, action)?;
    if total == 0 {
        bail!("nothing is chosen: skein quarantine list shows what there is");
    }
    if !action.yes {
        eprint!("{}", table(&chosen[..chosen.len().min(PREVIEW)]));
        if total > PREVIEW as u64 {
            eprintln!("… and {} more", total - PREVIEW as u64);
        }
    }
    let what = if verb == "discard" { "They end as cancelled." } else { "Their next runs begin at the start." };
    if !confirm(&format!("{verb} {total} migrations? {what}"), action.yes)? {
        bail!("nothing was done");
    }
    let named = !action.migrations.is_empty();
    let request = QuarantineRequest {
        migrations: if named { chosen.iter().map(|row| row.row.id).collect() } else { Vec::new() },
        filter: (!named).then(|| filter(&action.filter)),
        reason: action.reason.clone(),
    };
    let answer: ActionAnswer = client.post(&format!("/v1/quarantine/{verb}"), &request)?;
    finish(&answer, verb, format)
}

/// What is chosen (of a filter the first page), and how many that are.
fn preview(client: &Client, action: &QuarantineAction) -> Result<(Vec<QuarantineRow>, u64)> {
    if action.migrations.is_empty() {
        let page: Page<QuarantineRow> = pages(client, "/v1/quarantine", &query(&action.filter), PREVIEW as u32)?;
        return Ok((page.items, page.total));
    }
    let asked = query(&action.filter);
    if !asked.is_empty() {
        bail!("name migrations or give a filter, not both");
    }
    if action.migrations.len() > MAX_PAGE as usize {
        bail!("at most {MAX_PAGE} migrations can be named at once; use a filter");
    }
    let get = |name: &String| client.get::<QuarantineRow>(&format!("/v1/quarantine/{name}"), &[]);
    let rows: Vec<QuarantineRow> = action.migrations.iter().map(get).collect::<Result<_>>()?;
    let total = rows.len() as u64;
    Ok((rows, total))
}

fn filter(arguments: &QuarantineFilterArgs) -> QuarantineFilter {
    let QuarantineFilterArgs { policy, code, label, text } = arguments.clone();
    let policy = policy.map(skein_protocol::ids::PolicyName);
    QuarantineFilter { policy, code, label, text, ..QuarantineFilter::default() }
}

fn table(rows: &[QuarantineRow]) -> String {
    let mut table = Table::new(&["DATASET", "POLICY", ">RUN", "FROM", "PROBLEM", "WHY", "SINCE"]);
    for row in rows {
        table.row(vec![
            row.row.dataset.to_string().into(),
            row.row.policy.0.clone().into(),
            row.row.run.to_string().into(),
            row.row.from.map(|phase| phase.as_str()).unwrap_or_default().into(),
            row.problem.code.to_string().into(),
            output::shortened(&row.problem.why, 60).into(),
            output::time(row.since).into(),
        ]);
    }
    table.render()
}

fn text(row: &QuarantineRow) -> String {
    let about = &row.row;
    let mut text = format!("{} -> {}\n", output::bold(&about.dataset.to_string()), about.target);
    let mut line = |key: &str, value: &str| text.push_str(&format!("{key:<10}{value}\n"));
    line("id", &about.id.to_string());
    line("policy", &format!("{}, generation {}", about.policy, about.generation));
    let from = about.from.map_or_else(|| "?".to_owned(), |phase| phase.to_string());
    line("failed in", &format!("{from}, run {}, at {}", about.run, output::time(row.since)));
    line("node", &format!("{}, epoch {}", about.owner, row.epoch));
    line("attempts", &format!("{} allowed", row.attempts));
    if row.work_failures > 0 {
        line("failures", &format!("{} in phase {from}", row.work_failures));
    }
    line("problem", &format!("{}: {}", row.problem.code, row.problem.what));
    line("  why", &row.problem.why);
    line("  next", &row.problem.next);
    for blob in &row.evidence {
        line(&blob.what, &format!("/v1/blobs/{}", blob.hash));
    }
    if !row.batches.is_empty() {
        let mut batches = Table::new(&["BATCH", ">FAILURES", "DIED ON", "PROBLEM", "WHY"]);
        for batch in &row.batches {
            let deaths: Vec<String> = batch.deaths.iter().map(ToString::to_string).collect();
            let problem = batch.problem.as_ref();
            batches.row(vec![
                batch.id.clone().into(),
                batch.failures.to_string().into(),
                deaths.join(" ").into(),
                problem.map(|problem| problem.code.to_string()).unwrap_or_default().into(),
                problem.map(|problem| output::shortened(&problem.why, 60)).unwrap_or_default().into(),
            ]);
        }
        text.push_str(&format!("\n{}", batches.render()));
    }
    format!("{text}\n{}\nnext: skein quarantine replay {}, or discard it\n", history(&row.history), about.id)
}
