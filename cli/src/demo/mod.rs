//! `demo`: the whole thing on this machine, in the order in which a person would do it.
//!
//! In: a folder and a size. Out: a sample warehouse, a node as a process of its own, a migrated lake, a report. Running it
//! again in the same folder goes on where it ended.

mod files;
mod node;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use skein_protocol::api::{ApplyAnswer, MigrationRow, PlanDecision, Report};
use skein_protocol::ledger::Phase;

use crate::args::DemoArgs;
use crate::client::Client;
use crate::commands::{self, wait};
use crate::exit::Exit;
use crate::output;
use files::Layout;

/// Plans that are shown one by one; of more the rest is counted.
const SHOWN_PLANS: usize = 15;

pub(crate) fn run(arguments: &DemoArgs) -> Result<Exit> {
    let layout = Layout::prepare(&arguments.dir)?;
    let binary = node::binary()?;
    step("A legacy warehouse in Hive's layout");
    node::sample(&binary, &layout, arguments)?;
    step("A node, as a process of its own");
    let mut node = node::start(&binary, &layout)?;
    let outcome = migrate(&node.client, &layout);
    if arguments.exit || outcome.is_err() {
        node.stop()?;
    }
    let exit = outcome?;
    if !arguments.exit {
        go_on(&node, &layout);
    }
    Ok(exit)
}

fn migrate(client: &Client, layout: &Layout) -> Result<Exit> {
    let policy = layout.write_policy()?;
    step("A policy: one column added, duplicates removed");
    output::print(&policy)?;
    step("The plan (nothing was written yet)");
    show_plan(client, &policy)?;
    step("Applied, planned again for the record, approved by the hashes of the plans");
    let applied: ApplyAnswer = client.post_policy("/v1/policies", &policy, None)?;
    let name = applied.policy.0.clone();
    wait::until(client, &name, |status| {
        [Phase::Queued, Phase::Preparation].iter().all(|phase| status.phases.get(phase).is_none_or(|count| *count == 0))
    })?;
    approve(client, &name)?;
    step("The migration");
    let began = std::time::Instant::now();
    let status = wait::until(client, &name, wait::at_rest)?;
    let took = began.elapsed();
    let committed = status.phases.get(&Phase::Committed).copied().unwrap_or(0);
    let all: u32 = status.phases.values().sum();
    output::print(&format!(
        "{committed} of {all} datasets are committed after {}.{} s: {} rows read, {} exact duplicates removed, {} written\n",
        took.as_secs(),
        took.subsec_millis() / 100,
        output::number(status.rows_in),
        output::number(status.rows_removed),
        output::number(status.rows_out),
    ))?;
    step("The report of the first dataset, with its evidence");
    show_report(client, &name)?;
    if committed == all { Ok(Exit::Success) } else { trouble(client, &name) }
}

fn step(title: &str) {
    eprintln!("\n{}", output::bold(&format!("== {title}")));
}

fn show_plan(client: &Client, policy: &str) -> Result<()> {
    let (planned, totals) = commands::plan_table(client, policy)?;
    output::print(&commands::plan_lines(&planned[..planned.len().min(SHOWN_PLANS)]))?;
    if planned.len() > SHOWN_PLANS {
        output::print(&format!("… and {} more\n", planned.len() - SHOWN_PLANS))?;
    }
    output::print(&commands::plan_summary(&totals))?;
    if let Some(first) = planned.first() {
        step("One of the generated scripts");
        output::print(&commands::plan_whole(first))?;
    }
    Ok(())
}

fn approve(client: &Client, policy: &str) -> Result<()> {
    let rows = in_phase(client, policy, Phase::Approval)?;
    let items: Vec<PlanDecision> =
        rows.iter().filter_map(|row| row.plan.map(|plan| PlanDecision { migration: row.id, plan })).collect();
    if items.is_empty() {
        return Ok(());
    }
    let answer = commands::send_decisions(client, true, &items, "the demonstration")?;
    output::print(&format!("{} plans approved\n", answer.done))?;
    if let Some(refused) = answer.refused.first() {
        bail!("an approval was refused: {}", crate::client::refusal_line(refused));
    }
    Ok(())
}

fn in_phase(client: &Client, policy: &str, phase: Phase) -> Result<Vec<MigrationRow>> {
    let query = [("policy", policy.to_owned()), ("phase", phase.as_str().to_owned())];
    Ok(commands::all(client, &query, u32::MAX)?.items)
}

fn show_report(client: &Client, policy: &str) -> Result<()> {
    let query = [("policy", policy.to_owned())];
    let page = commands::all(client, &query, 1)?;
    let first = page.items.first().context("the policy has no migrations")?;
    let report: Report = client.get(&format!("/v1/migrations/{}/report", first.id), &[])?;
    output::print(&commands::render_report(&report, true))
}

fn trouble(client: &Client, policy: &str) -> Result<Exit> {
    for phase in [Phase::Quarantined, Phase::Paused] {
        for row in in_phase(client, policy, phase)?.iter().take(SHOWN_PLANS) {
            let code = row.problem.map(|code| code.to_string()).unwrap_or_default();
            eprintln!("{} is {phase}: {code}", row.dataset);
        }
    }
    Ok(Exit::NotCommitted)
}

fn go_on(node: &node::Node, layout: &Layout) {
    let folder = shell(layout.root());
    let program = program();
    eprintln!("\n{}", output::bold("== How to go on"));
    eprintln!(
        "The node runs as process {} and listens at {}; its log is {folder}/node.log.

  export SKEIN_SERVER={} SKEIN_TOKEN_FILE={folder}/node/token
  {program} status
  {program} list --limit 20
  {program} show playlists.playlist_0001
  {program} report playlists.playlist_0001
  {program} rollback playlists.playlist_0001
  {program} lint {folder}/policy.yaml

To stop it: kill {}. To start it again: {program} demo --dir {folder}",
        node.pid,
        node.client.server(),
        node.client.server(),
        node.pid,
    );
}

/// How this program can be called again.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| "skein".to_owned(), |path| shell(&path))
}

/// A path as a shell reads it.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@:".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// An absolute path, whether or not anything stands there.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} has no absolute form", path.display()))
}
