//! Every crash point of the protocol that makes a target visible and takes it back, with every fault of the catalog.
//!
//! In: how thoroughly. Out: a table of points and faults, and the trials that failed. Holds: which trials there are: a part
//! of the protocol is first gone through without a crash; then the machine loses its power at each operation of the
//! ledger's disk, and before and after each call of the data plane, that was seen. Not here: fleets (`run`), one trial
//! (`trial`).

mod scenario;
mod site;
mod table;
mod trial;
mod trip;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::shim;
use scenario::Scenario;
use table::Table;
use trial::{CatalogFault, Outcome, Trial};
use trip::Point;

/// Unless all are asked for, one in so many disk operations is tried together with a fault of the catalog; without a
/// fault, all are.
const STRIDE: u64 = 9;
/// The seed of the process: trials have their own, which follow from their names.
const SEED: u64 = 1;

/// How crash points are tried.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Tries every disk operation with every fault, and not a sample of them.
    #[arg(long)]
    pub all: bool,
    /// Tries one point alone, as in `publish/late/disk:7`, and shows every call of the data plane.
    #[arg(long)]
    pub only: Option<String>,
}

/// Tries the points, prints the table, fails if a trial did.
///
/// # Errors
/// When `only` is no trial.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(only) = &arguments.only {
        let trial: Trial = only.parse().context("--only")?;
        let outcome = shim::inside(SEED, move || trial.run());
        println!("{}", outcome.trace.join("\n"));
        println!("{trial}: crashed: {}, {} disk operations", outcome.crashed, outcome.operations);
        outcome.failures.iter().for_each(|failure| println!("failed: {failure}"));
        return Ok(if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let all = arguments.all;
    let (table, failures) = shim::inside(SEED, move || every(all));
    print!("{table}");
    for failure in &failures {
        println!("failed: {failure}");
    }
    let (tried, failed) = table.totals();
    println!("{tried} crash points, {failed} failed");
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
                if outcome.crashed || failed.is_some() {
                    table.note(&trial, &outcome.calls, failed.is_some());
                }
                failures.extend(failed);
            }
        }
    }
    (table, failures)
}

/// How a trial failed, with what repeats it.
fn told(trial: &Trial, outcome: &Outcome) -> Option<String> {
    if outcome.failures.is_empty() {
        return None;
    }
    let what = outcome.failures.join("; ");
    Some(format!("{what}\n  again: cargo run --release -p skein-simulation -- crash-points --only {trial}"))
}
