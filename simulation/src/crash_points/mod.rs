//! Every crash point of the protocol that makes a target visible and takes it back, with every fault of the catalog.
//!
//! In: how thoroughly. Out: a table of points and faults, and the trials that failed. Holds: which trials there are: a part
//! of the protocol is first gone through without a crash; then the machine loses its power at each operation of the
//! ledger's disk, and before and after each call of the data plane, that was seen. Not here: fleets (`run`), one trial
//! (`trial`).

mod asking;
mod company;
mod company_every;
mod scenario;
mod site;
mod table;
mod trial;
mod trip;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::{hunt, shim};
use company::CompanyTrial;
use scenario::Scenario;
use table::{Kind, Table};
use trial::{CatalogFault, Outcome, Trial};
use trip::Point;

/// Unless all are asked for, one in so many disk operations is tried together with a fault of the catalog; without a
/// fault, all are.
const STRIDE: u64 = 9;
/// The seed of the process: trials have their own, which follow from their names.
const SEED: u64 = 1;

/// What stands before a trial in the line that repeats it.
pub(crate) const AGAIN: &str = "  again: cargo run --release -p skein-simulation -- crash-points --only ";
/// Fewer adoptions over all trials mean that a fleet of three waits for its dead instead.
const FEWEST_ADOPTIONS: u64 = 50;

/// How crash points are tried.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Tries every disk operation with every fault, and not a sample of them.
    #[arg(long)]
    pub all: bool,
    /// Strikes the owner in a fleet of three at each call of the data plane, by a crash and by a pause that is longer than
    /// its session; each trial in a process of its own.
    #[arg(long)]
    pub fleet: bool,
    /// Processes at once.
    #[arg(long, default_value_t = 2)]
    pub jobs: usize,
    /// Tries one point alone, as in `publish/late/disk:7` or `fleet/publish/late/before:3/pause`, and shows every call of the
    /// data plane.
    #[arg(long)]
    pub only: Option<String>,
    /// Does not show them.
    #[arg(long, requires = "only")]
    pub brief: bool,
    /// Lets the node make this mistake; needs a build with the feature `defects`.
    #[arg(long, conflicts_with = "fleet")]
    pub defect: Option<String>,
}

/// Tries the points, prints the table, fails if a trial did.
///
/// # Errors
/// When `only` is no trial, or the defect is not known.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(defect) = &arguments.defect {
        hunt::choose(defect)?;
    }
    if let Some(only) = &arguments.only {
        let (trace, failures) = if only.starts_with("fleet/") { company(only)? } else { alone(only)? };
        let shown = if arguments.brief { trace.len().saturating_sub(2) } else { 0 };
        println!("{}", trace[shown..].join("\n"));
        failures.iter().for_each(|failure| println!("failed: {failure}"));
        return Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if arguments.fleet {
        let (tables, mut failures, elsewhere) = company_every::every(arguments.all, arguments.jobs)?;
        println!("In {elsewhere} trials another machine went on.\n");
        if elsewhere < FEWEST_ADOPTIONS {
            failures.push(format!("in fewer than {FEWEST_ADOPTIONS} trials another machine went on"));
        }
        let tables: Vec<(String, Table)> = tables
            .into_iter()
            .map(|(blow, table)| (format!("The owner is struck by a {}.\n", blow.name()), table))
            .collect();
        return Ok(report(&tables, &failures));
    }
    let all = arguments.all;
    let (table, failures) = shim::inside(SEED, move || every(all));
    Ok(report(&[(String::new(), table)], &failures))
}

fn report(tables: &[(String, Table)], failures: &[String]) -> ExitCode {
    let (mut all, mut bad) = (0, 0);
    for (title, table) in tables {
        println!("{title}{table}");
        let (tried, failed) = table.totals();
        (all, bad) = (all + tried, bad + failed);
    }
    failures.iter().for_each(|failure| println!("failed: {failure}"));
    println!("{all} crash points, {bad} failed");
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One trial of one machine: what it did, its last line says what came of it, and what went wrong.
fn alone(only: &str) -> Result<(Vec<String>, Vec<String>)> {
    let trial: Trial = only.parse().context("--only")?;
    let outcome = shim::inside(SEED, move || trial.run());
    let mut trace = outcome.trace;
    trace.push(format!("{trial}: crashed: {}, {} disk operations", outcome.crashed, outcome.operations));
    Ok((trace, outcome.failures))
}

/// One trial of three machines: what it did, its last lines say which calls it made, and what went wrong.
fn company(only: &str) -> Result<(Vec<String>, Vec<String>)> {
    let trial: CompanyTrial = only.parse().context("--only")?;
    let outcome = shim::inside(SEED, move || trial.run());
    let (mut trace, mut failures) = (outcome.trace, outcome.failures);
    if trial.at.is_some() && outcome.struck == 0 && failures.is_empty() {
        failures.push("the point was never reached".to_owned());
    }
    let calls: Vec<String> = outcome.calls.iter().map(|(call, _)| format!("{call:?}")).collect();
    let machines: BTreeSet<_> = outcome.calls.iter().map(|(_, machine)| machine).collect();
    trace.push(if machines.len() > 1 { company_every::ELSEWHERE.to_owned() } else { String::new() });
    trace.push(format!("{} {}", company_every::CALLS, calls.join(" ")));
    Ok((trace, failures))
}

/// Tries all points, or a sample; the table, and what failed.
fn every(all: bool) -> (Table, Vec<String>) {
    let (mut table, mut failures) = (Table::default(), Vec::new());
    for scenario in Scenario::ALL {
        for (number, fault) in (0_u64..).zip(CatalogFault::ALL) {
            let calm = Trial { scenario, fault, point: None };
            let outcome = calm.run();
            failures.extend(told(&calm, &outcome));
            let stride = if all || fault == CatalogFault::None { 1 } else { STRIDE };
            let disk = (1..=outcome.operations).filter(|k| k % stride == number % stride).map(Point::Disk);
            let calls = (0..outcome.calls.len()).flat_map(|n| [Point::Before(n), Point::After(n)]);
            for point in disk.chain(calls) {
                let trial = Trial { point: Some(point), ..calm };
                let outcome = trial.run();
                let failed = told(&trial, &outcome);
                // Where chance decides, as in the order of what is under way at once, a late point may not be reached.
                if let Some(kind) = kind_of(point, &outcome).filter(|_| outcome.crashed || failed.is_some()) {
                    table.note(scenario, fault, kind, failed.is_some());
                }
                failures.extend(failed);
            }
        }
    }
    (table, failures)
}

fn kind_of(point: Point, outcome: &Outcome) -> Option<Kind> {
    let call = |n: usize| outcome.calls.get(n).copied();
    match point {
        Point::Disk(_) => Some(Kind::Disk),
        Point::Before(n) => call(n).map(Kind::Before),
        Point::After(n) => call(n).map(Kind::After),
    }
}

/// How a trial failed, with what repeats it.
fn told(trial: &Trial, outcome: &Outcome) -> Option<String> {
    if outcome.failures.is_empty() {
        return None;
    }
    let what = outcome.failures.join("; ");
    Some(format!("{what}\n{AGAIN}{trial}"))
}
