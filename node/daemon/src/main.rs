//! The binary `skein-node`: a node with the engine, as a process.
//!
//! In: arguments, a configuration file, signals. Out: a running node; its log on standard error. Holds: what is
//! process-wide: the runtime, the log, signals. Not here: what a node does (`skein-node`), how bytes move (`skein-engine`).

mod configuration;
mod run;
mod sample;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// A node of Skein: takes policies, migrates datasets, keeps the evidence.
#[derive(Debug, Parser)]
#[command(name = "skein-node", version, args_conflicts_with_subcommands = true, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArguments,
}

#[derive(Debug, Args)]
struct RunArguments {
    /// The configuration, YAML.
    #[arg(long, env = "SKEIN_CONFIG", value_name = "FILE", default_value = "skein-node.yaml")]
    config: PathBuf,
    /// What is logged: a level (error, warn, info, debug, trace), or targets with levels (`warn,skein_engine=debug`).
    #[arg(long, env = "SKEIN_LOG", default_value = "info,openraft=warn")]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the configuration and say everything that is wrong with it; starts nothing.
    CheckConfig {
        /// The configuration, YAML.
        #[arg(long, env = "SKEIN_CONFIG", value_name = "FILE", default_value = "skein-node.yaml")]
        config: PathBuf,
    },
    /// Write a sample legacy warehouse in Hive's layout: playlists, the same for the same numbers.
    Sample {
        /// The folder; made if it does not exist.
        #[arg(long)]
        dir: PathBuf,
        /// Datasets.
        #[arg(long, default_value_t = 12)]
        datasets: u32,
        /// Rows of each dataset.
        #[arg(long, default_value_t = 20_000)]
        rows: u32,
    },
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A reader that went away is no reason to complain.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    let outcome = match arguments.command {
        Some(Command::CheckConfig { config }) => configuration::check(&config),
        Some(Command::Sample { dir, datasets, rows }) => sample::write(&dir, datasets, rows),
        None => run::run(&arguments.run.config, &arguments.run.log),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
