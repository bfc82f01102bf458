//! All trials with three machines, each in a process of its own.
//!
//! In: how thoroughly. Out: a table for each blow, and what failed. Holds: nothing. Not here: one trial (`company`).

use std::collections::VecDeque;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, bail};
use skein_node::scripted::Call;

use super::company::{Blow, CompanyTrial};
use super::scenario::Scenario;
use super::table::{Kind, Table};
use super::trial::CatalogFault;

/// Unless all are asked for, these faults are tried: none, and those in which a request or its answer outlives its caller.
const SAMPLE: [CatalogFault; 3] = [CatalogFault::None, CatalogFault::AnswerLost, CatalogFault::Late];
/// Stands before the calls that a trial made.
pub(super) const CALLS: &str = "calls:";

/// What a trial says in which another machine went on.
pub(super) const ELSEWHERE: &str = "another machine went on";

/// A table for each blow.
type Tables = Vec<(Blow, Table)>;

/// Tries all points, or a sample, so many at once; the tables, what failed, and in how many another machine went on.
pub(super) fn every(all: bool, jobs: usize) -> Result<(Tables, Vec<String>, u64)> {
    let faults: &[CatalogFault] = if all { &CatalogFault::ALL } else { &SAMPLE };
    let mut failures = Vec::new();
    let mut trials = VecDeque::new();
    for scenario in Scenario::ALL {
        for fault in faults {
            let calm = CompanyTrial { scenario, fault: *fault, at: None, blow: Blow::Pause };
            let (calls, failed) = heard(&calm, &start(&calm)?.wait_with_output()?)?;
            failures.extend(failed);
            for (n, call) in calls.into_iter().enumerate() {
                for blow in Blow::ALL {
                    trials.push_back((CompanyTrial { at: Some((n, false)), blow, ..calm }, Kind::Before(call)));
                    trials.push_back((CompanyTrial { at: Some((n, true)), blow, ..calm }, Kind::After(call)));
                }
            }
        }
    }
    let mut tables = Blow::ALL.map(|blow| (blow, Table::default()));
    let mut under_way: VecDeque<(CompanyTrial, Kind, Child)> = VecDeque::new();
    let mut elsewhere = 0;
    loop {
        while under_way.len() < jobs.max(1)
            && let Some((trial, kind)) = trials.pop_front()
        {
            under_way.push_back((trial, kind, start(&trial)?));
        }
        let Some((trial, kind, child)) = under_way.pop_front() else { break };
        let output = child.wait_with_output()?;
        elsewhere += u64::from(String::from_utf8_lossy(&output.stdout).contains(ELSEWHERE));
        let (_, failed) = heard(&trial, &output)?;
        if let Some((_, table)) = tables.iter_mut().find(|(blow, _)| *blow == trial.blow) {
            table.note(trial.scenario, trial.fault, kind, failed.is_some());
        }
        failures.extend(failed);
    }
    Ok((tables.into(), failures, elsewhere))
}

fn start(trial: &CompanyTrial) -> Result<Child> {
    let program = std::env::current_exe().context("the way to this program")?;
    let only = trial.to_string();
    let mut command = Command::new(program);
    command.args(["crash-points", "--brief", "--only", &only]).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).spawn().context("this program cannot be started again")
}

/// The calls that a trial made, and how it failed, if it did.
fn heard(trial: &CompanyTrial, output: &Output) -> Result<(Vec<Call>, Option<String>)> {
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = (!output.status.success()).then(|| {
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("failed: ")).collect();
        let why =
            if lines.is_empty() { String::from_utf8_lossy(&output.stderr).into_owned() } else { lines.join("; ") };
        format!("{why}\n  again: cargo run --release -p skein-simulation -- crash-points --only {trial}")
    });
    let Some(line) = text.lines().find_map(|line| line.strip_prefix(CALLS)) else {
        if failed.is_some() {
            return Ok((Vec::new(), failed));
        }
        bail!("{trial} does not say which calls it made: {text}");
    };
    Ok((line.split_whitespace().filter_map(call).collect(), failed))
}

/// The call with this name.
fn call(name: &str) -> Option<Call> {
    use Call::{
        Collect, Inspect, ListSource, Load, ReadStaged, Register, Replace, RunBatch, Select, Stage, StageTombstone,
    };
    let all =
        [Select, Inspect, ListSource, RunBatch, Stage, ReadStaged, Register, Load, StageTombstone, Replace, Collect];
    all.into_iter().find(|call| format!("{call:?}") == name)
}
