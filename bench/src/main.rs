//! `skein-bench`: writes the legacy warehouses that the measurements run on, and loads a fleet with calls.
//!
//! In:    which dataset, where, how much of it, a seed; or a fleet's addresses.
//! Out:   Parquet files in Hive's layout, and `facts.json` beside them; a line of JSON on stdout.
//! Holds: the same arguments give the same bytes, whatever the number of threads.
//! Not here: running and measuring anything (`bench/run`, `bench/fleet`).

mod load;
mod playlists;
mod random;
mod shape;
mod warehouse;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use crate::shape::{Dataset, Shape};

/// Measurements of Skein and its peers: the data.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write one of the two datasets as a Hive warehouse.
    Generate(Generate),
    /// Pause and resume migrations of a running fleet, one to a call, as fast as it takes them.
    Load(load::Load),
}

#[derive(clap::Args)]
struct Generate {
    /// `a`: one large table. `b`: many small ones.
    dataset: Dataset,
    /// The folder to make; it must not exist.
    #[arg(long)]
    out: PathBuf,
    /// Share of the full size: of the rows of A, of the tables of B.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Other seeds give other rows of the same shape.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Partitions of each table (default: 30 for A, 3 for B).
    #[arg(long)]
    partitions: Option<u32>,
    /// Files of each partition (default: 2 for A, 1 for B).
    #[arg(long)]
    files: Option<u32>,
    /// Threads that write.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Generate(arguments) => generate(&arguments),
        Command::Load(arguments) => load::run(&arguments),
    }
}

fn generate(arguments: &Generate) -> Result<()> {
    ensure!(arguments.scale > 0.0, "--scale must be above 0");
    let mut shape = Shape::of(arguments.dataset, arguments.scale, arguments.seed);
    shape.partitions = arguments.partitions.unwrap_or(shape.partitions).max(1);
    shape.files_per_partition = arguments.files.unwrap_or(shape.files_per_partition).max(1);
    let facts = warehouse::write(&arguments.out, &shape, arguments.threads.max(1))?;
    println!("{}", serde_json::to_string(&facts)?);
    Ok(())
}
