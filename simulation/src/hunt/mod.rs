//! The hunt: for each known-bad variant of the nodes, how many seeds it takes until one of them catches it.
//!
//! In: which defects, how many seeds, how many beginnings. Out: a table, and the seeds that the tests pin. Holds: the order
//! of it. Not here: the defects (`skein_protocol::defects`), what a seed is; this drives whole processes, each of which
//! replays one seed with one defect, and knows nothing of them but how they end.

mod log;
mod pins;
mod pursuit;
mod table;
mod trial;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

pub use pins::{Pin, pins};
pub use table::{Found, results};
pub use trial::{End, Subject, Trial};

/// What to hunt, and how long.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Only these, by name; all without.
    #[arg(long)]
    defect: Vec<String>,
    /// Seeds that are tried from each beginning before a defect counts as not caught.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// Beginnings, each with seeds of its own: the table shows the median.
    #[arg(long, default_value_t = 5)]
    starts: u64,
    /// Processes at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Goes on where an earlier hunt with this folder ended.
    #[arg(long)]
    resume: Option<PathBuf>,
    /// Hunts from the first beginning alone and writes the seeds down that the tests pin.
    #[arg(long)]
    pin: bool,
    /// Where table and pins go.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR")))]
    into: PathBuf,
    /// Lists the defects and ends.
    #[arg(long)]
    list: bool,
}

/// Chooses the defect of this process.
///
/// # Errors
/// When there is none of this name, or this program carries none.
#[cfg(feature = "defects")]
pub fn choose(name: &str) -> Result<()> {
    skein_protocol::defects::choose(name)?;
    Ok(())
}

/// Chooses the defect of this process.
///
/// # Errors
/// Always: this program carries none.
#[cfg(not(feature = "defects"))]
pub fn choose(name: &str) -> Result<()> {
    bail!("this program has no defect {name}: build it with `--features defects`")
}

/// A defect as the hunt knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    name: &'static str,
    sentence: &'static str,
    seen_by: &'static str,
}

#[cfg(feature = "defects")]
fn known() -> Vec<Known> {
    let known = |defect: &skein_protocol::defects::Defect| Known {
        name: defect.name(),
        sentence: defect.sentence(),
        seen_by: defect.seen_by(),
    };
    skein_protocol::defects::Defect::ALL.iter().map(known).collect()
}

#[cfg(not(feature = "defects"))]
fn known() -> Vec<Known> {
    Vec::new()
}

/// The folder of this package when it was built: pins and results are there.
#[must_use]
pub fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Hunts. Exit 1 when a defect was not caught.
///
/// # Errors
/// When this program carries no defects, or files cannot be read or written.
pub fn main(arguments: Arguments) -> Result<ExitCode> {
    let mut wanted = known();
    if wanted.is_empty() {
        bail!("this program carries no defects: build it with `--features defects`");
    }
    if let Some(unknown) = arguments.defect.iter().find(|name| !wanted.iter().any(|known| known.name == *name)) {
        bail!("there is no defect {unknown:?}");
    }
    wanted.retain(|known| arguments.defect.is_empty() || arguments.defect.iter().any(|name| name == known.name));
    if arguments.list {
        for Known { name, sentence, seen_by } in wanted {
            println!("{name}: {sentence} ({seen_by})");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let starts = if arguments.pin { 1 } else { arguments.starts.max(1) };
    // Without pins there is nothing that was caught earlier.
    let earlier = if arguments.pin { pins::read(&arguments.into).unwrap_or_default() } else { Vec::new() };
    let plan = pursuit::Plan { seeds: arguments.seeds, starts, jobs: arguments.jobs.max(1), earlier };
    let log = log::Log::open(arguments.resume.as_deref())?;
    let results = pursuit::hunt(&wanted, &plan, &log)?;
    print!("{}", table::markdown(&results, &plan));
    let whole = arguments.defect.is_empty();
    if arguments.pin {
        pins::write(&arguments.into, &results, whole)?;
    } else if whole {
        table::write(&arguments.into.join(table::FOLDER), &results, &plan)?;
        arguments.resume.map_or(Ok(()), |folder| table::write(&folder, &results, &plan))?;
    }
    let all = results.iter().all(|result| result.caught().next().is_some());
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
