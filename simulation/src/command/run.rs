//! `skein-sim run`: many seeds, each in a process of its own, some of them twice.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use anyhow::{Context, Result};
use clap::Args;

use super::child::Running;
use super::{Summary, again};
use crate::{kinds, marks};

/// One seed in so many is run twice, unless it is said otherwise.
const TWICE_EACH: u64 = 100;
/// The file of a long run's folder that has its seeds, one line of JSON each.
pub(super) const SEEDS_FILE: &str = "seeds.jsonl";

/// Which seeds, and what is demanded of them.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How many.
    #[arg(long)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Processes at once; as many as there are processors, unless given.
    #[arg(long)]
    jobs: Option<usize>,
    /// So many of them are run a second time, and must have the same history; one in a hundred, unless given.
    #[arg(long)]
    twice: Option<u64>,
    /// Keeps what came of each seed in this folder, and leaves those out that are there already.
    #[arg(long)]
    resume: Option<PathBuf>,
    /// Fails too when a kind of fault took effect less often than this, or a situation never came up.
    #[arg(long)]
    demand: Option<u64>,
}

/// A seed's summary, and whether its second run was another history.
struct Ended {
    summary: Summary,
    differs: Option<String>,
}

/// Runs the seeds.
///
/// # Errors
/// When a process cannot be started, or the folder cannot be used.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    let mut summaries = match &arguments.resume {
        Some(folder) => known(folder)?,
        None => BTreeMap::new(),
    };
    let end = arguments.from + arguments.seeds;
    let left: Vec<u64> = (arguments.from..end).filter(|seed| !summaries.contains_key(seed)).collect();
    let twice = arguments.twice.unwrap_or_else(|| arguments.seeds.div_ceil(TWICE_EACH));
    let jobs = arguments.jobs.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let mut kept = match &arguments.resume {
        Some(folder) => Some(keeper(folder)?),
        None => None,
    };
    let mut different = Vec::new();
    all(&left, jobs, arguments.from + twice, |done, ended| {
        if let Some(file) = &mut kept {
            writeln!(file, "{}", serde_json::to_string(&ended.summary)?)?;
        }
        for failure in &ended.summary.failures {
            println!("seed {}: {failure}\n  {}", ended.summary.seed, again(ended.summary.seed, ""));
        }
        if let Some(why) = ended.differs {
            println!("seed {} is not repeatable: {why}", ended.summary.seed);
            different.push(ended.summary.seed);
        }
        summaries.insert(ended.summary.seed, ended.summary);
        if std::io::stderr().is_terminal() {
            eprint!("\r{done} of {} seeds", left.len());
        }
        Ok(())
    })?;
    let within: Vec<&Summary> = summaries.range(arguments.from..end).map(|(_, summary)| summary).collect();
    let twice = left.iter().filter(|seed| **seed < arguments.from + twice).count();
    Ok(told(&within, twice, &different, arguments.demand))
}

/// Runs seeds, `jobs` at once; those below `twice_below` a second time.
fn all(seeds: &[u64], jobs: usize, twice_below: u64, mut take: impl FnMut(usize, Ended) -> Result<()>) -> Result<()> {
    let (next, (tell, told)) = (AtomicU64::new(0), mpsc::channel());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (next, tell) = (&next, tell.clone());
            scope.spawn(move || {
                loop {
                    let place = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
                    let Some(seed) = seeds.get(place) else { return };
                    if tell.send(one(*seed, *seed < twice_below)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        for (done, ended) in (1..).zip(told) {
            take(done, ended?)?;
        }
        Ok(())
    })
}

fn one(seed: u64, twice: bool) -> Result<Ended> {
    let summary = Running::start(seed, &[])?.end()?;
    let mut differs = None;
    if twice {
        let other = Running::start(seed, &[])?.end()?;
        let same = Summary { cpu_millis: summary.cpu_millis, ..other.clone() } == summary;
        differs = (!same).then(|| format!("{} and then {}", summary.hash, other.hash));
    }
    Ok(Ended { summary, differs })
}

/// The seeds that a folder has.
pub(super) fn known(folder: &Path) -> Result<BTreeMap<u64, Summary>> {
    let path = folder.join(SEEDS_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    // The last line of a run that was ended is not whole; its seed is run again.
    let summaries = text.lines().filter_map(|line| serde_json::from_str::<Summary>(line).ok());
    Ok(summaries.map(|summary| (summary.seed, summary)).collect())
}

fn keeper(folder: &Path) -> Result<fs::File> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(SEEDS_FILE);
    let mut file =
        OpenOptions::new().create(true).append(true).open(&path).with_context(|| path.display().to_string())?;
    // Ends a line that an earlier run may have left unfinished.
    writeln!(file)?;
    Ok(file)
}

/// Times and seeds of each name, of those that are wanted and those that came up.
pub(super) fn counted<'a>(
    summaries: &[&'a Summary],
    wanted: &[&'a str],
    of: impl Fn(&'a Summary) -> &'a BTreeMap<String, u64>,
) -> BTreeMap<&'a str, (u64, u64)> {
    let mut counts: BTreeMap<&str, (u64, u64)> = wanted.iter().map(|name| (*name, (0, 0))).collect();
    for summary in summaries {
        for (name, times) in of(summary).iter().filter(|(_, times)| **times > 0) {
            let count = counts.entry(name).or_default();
            *count = (count.0 + times, count.1 + 1);
        }
    }
    counts
}

/// Prints what came of it all; the exit code.
fn told(summaries: &[&Summary], twice: usize, different: &[u64], demand: Option<u64>) -> ExitCode {
    let faults = counted(summaries, &kinds::WANTED, |summary| &summary.inflicted);
    let marks = counted(summaries, &marks::WANTED, |summary| &summary.marks);
    println!("\n{:44} {:>9} {:>7}", "fault", "times", "seeds");
    faults.iter().for_each(|(name, (times, seeds))| println!("{name:44} {times:>9} {seeds:>7}"));
    println!("\n{:44} {:>9} {:>7}", "situation", "times", "seeds");
    marks.iter().for_each(|(name, (times, seeds))| println!("{name:44} {times:>9} {seeds:>7}"));
    let failed = summaries.iter().filter(|summary| !summary.failures.is_empty()).count();
    let sum = |of: fn(&Summary) -> u64| summaries.iter().map(|summary| of(summary)).sum::<u64>();
    println!(
        "\n{} seeds, {failed} failed; {twice} run twice, {} of them another history; {} migrations, {} entries, {} frames, \
         {} s of virtual time, {} s of processor time",
        summaries.len(),
        different.len(),
        sum(|one| one.migrations as u64),
        sum(|one| one.entries),
        sum(|one| one.frames),
        sum(|one| one.millis) / 1000,
        sum(|one| one.cpu_millis) / 1000,
    );
    let mut missing = Vec::new();
    if let Some(least) = demand {
        let rare = kinds::WANTED.iter().filter(|name| faults.get(*name).is_none_or(|(times, _)| *times < least));
        missing.extend(rare.map(|name| format!("the fault \"{name}\" took effect less than {least} times")));
        let never = marks::WANTED.iter().filter(|name| marks.get(*name).is_none_or(|(times, _)| *times == 0));
        missing.extend(never.map(|name| format!("\"{name}\" never came up")));
    }
    missing.iter().for_each(|line| println!("missing: {line}"));
    if failed == 0 && different.is_empty() && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
