//! A node as a process: arguments, configuration, log, signals. The binary `skein-node` is this with the engine; other
//! binaries (for measurements) are this with another data plane.
//!
//! In: arguments, a configuration file, signals. Out: a running node; its log on standard error; traces, if somebody wants them.
//! Holds: what is process-wide: the runtime, the log, signals. Not here: what a node does (`skein-node`), how bytes move (`skein-engine`).

mod configuration;
mod init;
mod otlp;
mod run;
mod sample;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use skein_node::config::Config;
use skein_protocol::data_plane::DataPlane;

pub use worker::worker_program;

/// Makes the data plane of a node from its configuration.
pub type MakePlane = dyn Fn(&Config) -> anyhow::Result<Arc<dyn DataPlane>>;

/// What is logged unless somebody says otherwise.
const DEFAULT_LOG: &str = "info,openraft=error,openraft::replication=off,chitchat=warn";

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
    #[arg(long, env = "SKEIN_LOG", default_value = DEFAULT_LOG)]
    log: String,
    /// Join the fleet of the node at this address (its fleet address, see `skein node list`). Needed once: a node that belongs
    /// to a fleet ignores it.
    #[arg(long, env = "SKEIN_JOIN", value_name = "HOST:PORT", requires = "token")]
    join: Option<String>,
    /// The join token, from `skein fleet token`. Better in the variable, where other users do not see it.
    #[arg(long, env = "SKEIN_JOIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Send traces of migrations to this OpenTelemetry collector: OTLP over HTTP. Without a path, `/v1/traces`.
    #[arg(long, env = "SKEIN_OTLP", value_name = "URL")]
    otlp: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the configuration and say everything that is wrong with it; starts nothing.
    CheckConfig {
        /// The configuration, YAML.
        #[arg(long, env = "SKEIN_CONFIG", value_name = "FILE", default_value = "skein-node.yaml")]
        config: PathBuf,
    },
    /// Found a fleet: its certificate authority, the first node's identity and configuration, the first join token. Says what it
    /// made as one JSON document; starts nothing.
    Init(init::InitArguments),
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
    /// Decode files for the node that started this process.
    #[command(name = worker::COMMAND, hide = true)]
    Worker {
        /// What is logged.
        #[arg(long, env = "SKEIN_LOG", default_value = DEFAULT_LOG)]
        log: String,
    },
}

/// Does what the process' arguments say, with nodes that have such a data plane.
#[must_use]
pub fn main_with(plane: &MakePlane) -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A reader that went away is no reason to complain.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    let outcome = match arguments.command {
        Some(Command::Worker { log }) => return worker::work(&log).unwrap_or_else(failed),
        Some(Command::CheckConfig { config }) => configuration::check(&config),
        Some(Command::Init(arguments)) => init::init(&arguments),
        Some(Command::Sample { dir, datasets, rows }) => sample::write(&dir, datasets, rows),
        None => run::run(&arguments.run, plane),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error),
    }
}

fn failed(error: anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
