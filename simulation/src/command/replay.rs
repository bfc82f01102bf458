//! `skein-sim replay`: one seed, with everything that happened in it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use super::log::{Log, Shown};
use super::{Summary, again};
use crate::fleet;
use crate::plan::Without;
use crate::{Disks, Outcome, hunt, run};

/// Which seed, and what of it is shown.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The seed.
    seed: u64,
    /// Numbers of faults that are left out, as `shrink` finds them: 1,4,7
    #[arg(long, value_delimiter = ',')]
    without: Vec<u32>,
    /// Lists the planned faults with their numbers.
    #[arg(long)]
    faults: bool,
    /// Writes everything that happened to this file, line by line: microseconds, machine, what.
    #[arg(long)]
    tape: Option<PathBuf>,
    /// Shows the nodes' own log on stderr, each line with time and machine: error, warn, info or debug.
    #[arg(long)]
    log: Option<tracing::Level>,
    /// Shows tape and log of one machine alone (from 0).
    #[arg(long)]
    node: Option<usize>,
    /// Shows only lines of tape and log that name this migration (or have this text).
    #[arg(long)]
    migration: Option<String>,
    /// Prints what came of it as one line of JSON.
    #[arg(long)]
    json: bool,
    /// Lets the nodes make this mistake; needs a build with the feature `defects`.
    #[arg(long)]
    defect: Option<String>,
    /// Lets all disks lie about syncs: then some seeds must fail.
    #[arg(long)]
    lying_disks: bool,
}

/// Runs the seed.
///
/// # Errors
/// When the defect is not known, or the tape cannot be written.
pub fn main(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { seed, without, .. } = &arguments;
    if let Some(defect) = &arguments.defect {
        hunt::choose(defect)?;
    }
    let shown = Shown { machine: arguments.node, text: arguments.migration.clone() };
    if let Some(level) = arguments.log {
        let log = tracing_subscriber::fmt().with_max_level(level).with_writer(Log(shown.clone()));
        log.without_time().with_ansi(false).init();
    }
    // Some seeds let the data plane panic, and nodes must survive it: a line each is enough.
    std::panic::set_hook(Box::new(|panic| eprintln!("machine {} panicked: {panic}", fleet::present().0)));
    let without = Without(without.iter().copied().collect::<BTreeSet<u32>>());
    let disks = if arguments.lying_disks { Disks::Lying } else { Disks::Honest };
    let outcome = run(*seed, &without, disks);
    if let Some(path) = &arguments.tape {
        let lines = outcome.lines.iter().filter(|line| {
            let machine = line.split(' ').nth(1).and_then(|machine| machine.parse().ok()).unwrap_or_default();
            shown.shows(machine, line)
        });
        let text: String = lines.fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        });
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    let well = outcome.summary.failures.is_empty();
    if arguments.json {
        let summary = Summary { cpu_millis: cpu_millis(), ..outcome.summary };
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        print!("{}", text(&outcome, arguments.faults));
    }
    if well {
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.json {
        let mut more = String::new();
        if !without.0.is_empty() {
            let numbers: Vec<String> = without.0.iter().map(u32::to_string).collect();
            let _ = write!(more, " --without {}", numbers.join(","));
        }
        if let Some(defect) = &arguments.defect {
            let _ = write!(more, " --defect {defect}");
        }
        println!("again: {}", again(*seed, &more));
    }
    Ok(ExitCode::FAILURE)
}

/// Processor time of this process so far, in milliseconds; 0 where the system does not tell.
fn cpu_millis() -> u64 {
    /// The kernel counts in hundredths of a second, on every architecture that we run on.
    const TICK_MILLIS: u64 = 10;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name, in brackets, may have blanks in it. User and system time are the 14th and 15th field.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * TICK_MILLIS
}

fn text(outcome: &Outcome, faults: bool) -> String {
    let summary = &outcome.summary;
    let mut text = format!(
        "seed {} hash {}\n{} machines, {} migrations, {:.1} s of virtual time, {} frames, {} entries, {} calls of the data plane\n",
        summary.seed,
        summary.hash,
        summary.machines,
        summary.migrations,
        Duration::from_millis(summary.millis).as_secs_f64(),
        summary.frames,
        summary.entries,
        summary.calls
    );
    let counted = |counts: &std::collections::BTreeMap<String, u64>| {
        let parts: Vec<String> = counts.iter().map(|(name, times)| format!("{name} {times}")).collect();
        parts.join(", ")
    };
    let _ = writeln!(text, "inflicted: {}", counted(&summary.inflicted));
    let _ = writeln!(text, "marks: {}", counted(&summary.marks));
    if faults {
        for (_, fault) in &outcome.faults {
            let _ = writeln!(text, "fault {fault}");
        }
    }
    for failure in &summary.failures {
        let _ = writeln!(text, "failed: {failure}");
    }
    text
}
