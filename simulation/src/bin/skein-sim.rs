//! `skein-sim`: a fleet of real nodes in virtual time.
//!
//! In: a subcommand. Out: what it prints; exit code 0 all is well, 1 something failed, 2 the arguments were wrong. Not here: the
//! subcommands (`skein_simulation`).

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use skein_simulation::command::{replay, report, run, shrink};
use skein_simulation::{crash_points, hunt, scale};

/// A fleet of real nodes in virtual time: one seed is one history, whatever goes wrong in it.
///
/// Exit codes: 0 all is well, 1 something failed, 2 the arguments were wrong.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Runs many seeds, each in a process of its own.
    Run(run::Arguments),
    /// Runs one seed again: the same history, with its log.
    Replay(replay::Arguments),
    /// Finds the fewest faults with which a seed still fails in the same way.
    Shrink(shrink::Arguments),
    /// Writes a page about a long run.
    Report(report::Arguments),
    /// Crashes a machine at each point of publishing and taking back, with each fault of the catalog.
    CrashPoints(crash_points::Arguments),
    /// Lets the nodes make one known mistake after the other, and counts the seeds until it is noticed.
    Hunt(hunt::Arguments),
    /// Fleets in the model: makespan, utilisation and losses at sizes that no machine has.
    Scale(scale::command::Arguments),
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().act {
        Act::Run(arguments) => run::main(&arguments),
        Act::Replay(arguments) => replay::main(arguments),
        Act::Shrink(arguments) => shrink::main(&arguments),
        Act::Report(arguments) => report::main(&arguments),
        Act::CrashPoints(arguments) => crash_points::main(&arguments),
        Act::Hunt(arguments) => hunt::main(arguments),
        Act::Scale(arguments) => scale::command::run(&arguments),
    }
}
