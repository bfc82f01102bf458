//! `skein-sim`: runs seeds of the simulation.
//!
//! In: a seed, or how many. Out: one line for each seed; exit 1 when one fails or does not repeat itself. Not here:
//! the simulation (`skein_simulation`).

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use skein_simulation::{Disks, crash_points, hunt};

/// A fleet of real nodes in virtual time: one seed is one history.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Runs a seed.
    Replay {
        /// Which.
        seed: u64,
        /// Writes everything that happened to this file, line by line.
        #[arg(long)]
        tape: Option<PathBuf>,
        /// Shows the nodes' own log on stderr: error, warn, info or debug.
        #[arg(long)]
        log: Option<tracing::Level>,
        /// Lets all disks lie about syncs: then some seeds must fail.
        #[arg(long)]
        lying_disks: bool,
        /// Lets all nodes make this mistake; only a build with the feature `defects` can.
        #[arg(long)]
        defect: Option<String>,
    },
    /// Hunts known-bad variants of the nodes: how many seeds it takes to catch each.
    Hunt(hunt::Arguments),
    /// Crashes a machine at each point of publishing and taking back, with each fault of the catalog.
    CrashPoints(crash_points::Arguments),
    /// Runs many seeds, each twice, each time in a process of its own.
    Run {
        /// How many.
        #[arg(long)]
        seeds: u64,
        /// The first of them.
        #[arg(long, default_value_t = 1)]
        from: u64,
    },
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().act {
        Act::Replay { seed, tape, log, lying_disks, defect } => {
            defect.as_deref().map_or(Ok(()), hunt::choose)?;
            replay(seed, tape, log, if lying_disks { Disks::Lying } else { Disks::Honest })
        }
        Act::Hunt(arguments) => hunt::main(arguments),
        Act::CrashPoints(arguments) => crash_points::main(&arguments),
        Act::Run { seeds, from } => many(from, seeds),
    }
}

fn replay(seed: u64, tape: Option<PathBuf>, log: Option<tracing::Level>, disks: Disks) -> Result<ExitCode> {
    if let Some(level) = log {
        // Virtual time is in the tape; the log's own would be the same all the time.
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).without_time().init();
    }
    let outcome = skein_simulation::run(seed, disks);
    if let Some(path) = tape {
        std::fs::write(&path, outcome.lines.join("\n") + "\n").with_context(|| path.display().to_string())?;
    }
    let mut line = format!(
        "seed {seed} hash {} millis {} frames {} entries {} calls {}",
        outcome.hash,
        outcome.took.as_millis(),
        outcome.frames,
        outcome.entries,
        outcome.calls
    );
    for (situation, times) in &outcome.marks {
        write!(line, "; {situation} {times}")?;
    }
    println!("{line}");
    for failure in &outcome.failures {
        println!("failed: {failure}");
    }
    if outcome.failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("again: cargo run --release -p skein-simulation -- replay {seed}");
    Ok(ExitCode::FAILURE)
}

fn many(from: u64, seeds: u64) -> Result<ExitCode> {
    let program = std::env::current_exe()?;
    let mut all_well = true;
    for seed in from..from + seeds {
        let start =
            || Command::new(&program).args(["replay", &seed.to_string()]).stdout(std::process::Stdio::piped()).spawn();
        let (one, other) = (start()?, start()?);
        let (one, other) = (one.wait_with_output()?, other.wait_with_output()?);
        print!("{}", String::from_utf8_lossy(&one.stdout));
        if one.stdout != other.stdout {
            print!("differs: {}", String::from_utf8_lossy(&other.stdout));
        }
        all_well &= one.status.success() && one.stdout == other.stdout;
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
