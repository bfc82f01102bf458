//! `skein-sim scale`: runs the model and writes down what it gave.
//!
//! In: which settings, how often. Out: a table on stdout, and in a folder the numbers and a picture of each and a page over all;
//! exit 1 when something is lost or a goal is missed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::{Outcome, Setting, run as run_setting, svg, table};

/// What `scale` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which fleet.
    #[arg(value_enum, default_value_t = Which::Story)]
    which: Which,
    /// Runs of it, each with the seed that follows.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kills so many percent of the nodes on the way.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=90))]
    kill: Option<u32>,
    /// Writes the numbers and a picture of each run into this folder, and `scale.md` over all runs that are there.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// 50 nodes, 1,500 datasets: a column added, copies dropped.
    Story,
    /// 500 nodes, 100,000 datasets.
    #[value(name = "100k")]
    HundredThousand,
    /// 5,000 nodes, 1,000,000 datasets.
    #[value(name = "1m")]
    Million,
    /// All three, each with all nodes alive and with a tenth of them killed.
    All,
}

/// Share of the nodes that are killed in every second run of all, percent.
const TENTH: u32 = 10;

impl Arguments {
    fn settings(&self) -> Vec<Setting> {
        let seeds = self.seed..self.seed + self.runs;
        let kill = self.kill.unwrap_or(0);
        match self.which {
            Which::Story => seeds.map(|seed| Setting::story(seed).killing(kill)).collect(),
            Which::HundredThousand => seeds.map(|seed| Setting::hundred_thousand(seed).killing(kill)).collect(),
            Which::Million => seeds.map(|seed| Setting::million(seed).killing(kill)).collect(),
            Which::All => {
                let each = |seed| [Setting::story(seed), Setting::hundred_thousand(seed), Setting::million(seed)];
                let both = |setting: Setting| [setting.clone(), setting.killing(TENTH)];
                seeds.flat_map(each).flat_map(both).collect()
            }
        }
    }
}

/// Runs `skein-sim scale`.
///
/// # Errors
/// When a setting cannot be run or a file cannot be written.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut outcomes = Vec::new();
    for setting in arguments.settings() {
        let outcome = run_setting(&setting)?;
        eprintln!("{}, seed {}: {:.3} of the bound", setting.name, setting.seed, outcome.ratio());
        outcomes.push(outcome);
    }
    println!("{}", table(&outcomes));
    if let Some(folder) = &arguments.out {
        write(folder, &outcomes)?;
    }
    let well = |outcome: &Outcome| outcome.failures.is_empty() && outcome.ratio() <= outcome.goal();
    Ok(if outcomes.iter().all(well) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the numbers and the picture of each run, and the page over all runs whose numbers are in the folder: large fleets are run
/// one by one, each in a process of its own.
fn write(folder: &Path, outcomes: &[Outcome]) -> Result<()> {
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for outcome in outcomes {
        put(&format!("{}.json", name(outcome)), serde_json::to_string_pretty(outcome)? + "\n")?;
        put(&format!("{}.svg", name(outcome)), svg(outcome))?;
    }
    put("scale.md", page(&read(folder)?))
}

/// All runs whose numbers are in a folder, small fleets first.
fn read(folder: &Path) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if file.starts_with("scale-") && file.ends_with(".json") {
            let text = fs::read_to_string(&path)?;
            let outcome: Outcome = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
            outcomes.push(outcome);
        }
    }
    outcomes.sort_by_key(|one| (one.setting.nodes, one.setting.killed_percent, one.setting.seed));
    Ok(outcomes)
}

fn page(outcomes: &[Outcome]) -> String {
    let mut page = String::from("# Fleets in the model\n\n");
    page.push_str(
        "The nodes' own decisions and the ledger's own fold; membership, the log's pace and the durations of work are modelled\n\
         (`skein-sim scale`, `simulation/src/scale`). The same setting and seed give the same numbers, but for time and memory.\n\n",
    );
    page.push_str(&table(outcomes));
    for outcome in outcomes {
        let (title, seed) = (&outcome.setting.name, outcome.setting.seed);
        page.push_str(&format!("\n## {title}, seed {seed}\n\n![slots over time]({}.svg)\n", name(outcome)));
    }
    page
}

/// The name of a run's files.
fn name(outcome: &Outcome) -> String {
    let setting = &outcome.setting;
    let killed = if setting.killed_percent > 0 { "-killed" } else { "" };
    let seed = if setting.seed == 1 { String::new() } else { format!("-seed-{}", setting.seed) };
    format!("scale-{}{killed}{seed}", setting.nodes)
}
