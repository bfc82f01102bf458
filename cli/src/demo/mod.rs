//! `demo`: the whole thing on this machine, in the order in which a person would do it.
//!
//! In: a folder and a size. Out: a sample warehouse, a fleet of nodes as processes of their own, a migrated lake, a report.
//! Running it again in the same folder goes on where it ended.

mod files;
mod fleet;
mod node;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use skein_protocol::api::{ApplyAnswer, MigrationRow, PlanDecision, Report};
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::Phase;

use crate::args::DemoArgs;
use crate::client::Client;
use crate::commands::{self, wait};
use crate::exit::Exit;
use crate::output::{self, Table};
use files::Layout;
use fleet::Fleet;
pub(crate) use node::binary;

/// Plans that are shown one by one; of more the rest is counted.
const SHOWN_PLANS: usize = 15;

pub(crate) fn run(arguments: &DemoArgs) -> Result<Exit> {
    let layout = Layout::prepare(&arguments.dir)?;
    let binary = node::binary()?;
    step("A legacy warehouse in Hive's layout");
    node::sample(&binary, &layout, arguments)?;
    let title = if arguments.nodes == 1 { "A fleet of one node" } else { "A fleet: nodes as processes of their own" };
    step(title);
    let mut fleet = Fleet::start(&binary, &layout, arguments)?;
    let outcome = migrate(&mut fleet, &layout, arguments.kill_one);
    if arguments.exit || outcome.is_err() {
        fleet.stop()?;
    }
    let exit = outcome?;
    if !arguments.exit {
        go_on(&fleet, &layout);
    }
    Ok(exit)
}

fn migrate(fleet: &mut Fleet, layout: &Layout, kill_one: bool) -> Result<Exit> {
    let client = &fleet.client.clone();
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
    let killed = if kill_one { fleet.kill_one(&name)? } else { None };
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
    match killed {
        Some(killed) => {
            step("What the killed node had begun");
            fleet.show_adoption(&killed)?;
        }
        None if kill_one => eprintln!("nothing was left to be taken over: try more --datasets or --rows"),
        None => {}
    }
    step("Who did the work");
    show_shares(client, &name)?;
    step("The report of the first dataset, with its evidence");
    show_report(client, &name)?;
    if committed == all { Ok(Exit::Success) } else { trouble(client, &name) }
}

/// How many migrations each node brought to their end.
fn show_shares(client: &Client, policy: &str) -> Result<()> {
    let query = [("policy", policy.to_owned())];
    let mut shares: BTreeMap<NodeId, (u64, u64)> = BTreeMap::new();
    for row in commands::all(client, &query, u32::MAX)?.items {
        let share = shares.entry(row.owner).or_default();
        share.0 += 1;
        share.1 += row.rows_in;
    }
    let mut table = Table::new(&["NODE", ">MIGRATIONS", ">ROWS READ"]);
    for (node, (migrations, rows)) in shares {
        table.row(vec![node.to_string().into(), output::number(migrations).into(), output::number(rows).into()]);
    }
    output::print(&table.render())
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

fn go_on(fleet: &Fleet, layout: &Layout) {
    let folder = shell(layout.root());
    let program = program();
    let servers: Vec<&str> = fleet.nodes.iter().map(|node| node.client.server()).collect();
    let pids: Vec<String> = fleet.nodes.iter().map(|node| node.pid.to_string()).collect();
    eprintln!("\n{}", output::bold("== How to go on"));
    for node in &fleet.nodes {
        let log = shell(&layout.log(node.number));
        eprintln!(
            "Node {} runs as process {} and listens at {}; its log is {log}.",
            node.number,
            node.pid,
            node.client.server()
        );
    }
    eprintln!(
        "
  export SKEIN_SERVER={servers} SKEIN_TOKEN_FILE={token}
  {program} status --watch
  {program} fleet show
  {program} list --limit 20
  {program} show playlists.playlist_0001
  {program} report playlists.playlist_0001
  {program} rollback playlists.playlist_0001
  {program} lint {folder}/policy.yaml

To stop them: kill {pids}. To start them again: {program} demo --dir {folder} --nodes {nodes}",
        servers = servers.join(","),
        token = shell(&layout.data(1).join("token")),
        pids = pids.join(" "),
        nodes = std::fs::read_dir(layout.root().join("nodes")).map_or(fleet.nodes.len(), Iterator::count),
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
