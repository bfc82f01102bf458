//! The binary `skein-paced-node`: a real node whose data plane takes a stated time and moves next to nothing.
//!
//! In:    the arguments and the configuration of `skein-node`; `paced.json` in the source's warehouse.
//! Out:   a node of a fleet, on as many of a machine's cores as nothing needs.
//! Holds: everything but the data plane is what runs in production.
//! Not here: what a node does (`skein-node`), what the runs measure (`bench/fleet`, `tests/suite/fleet`).

mod catalog;
mod plane;
mod rows;
mod script;
mod shared;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Parser;
use skein_node::Node;
use skein_node::config::{Config, parse};
use skein_node::env::system::SystemEnv;
use skein_protocol::connection::Connection;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::plane::PacedPlane;

/// The variable that names the node in its trace.
const NAME: &str = "SKEIN_PACED_NAME";

/// A node whose data plane follows a script.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration, YAML.
    #[arg(long)]
    config: PathBuf,
    /// What is logged.
    #[arg(long, env = "SKEIN_LOG", default_value = "info,openraft=warn")]
    log: String,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let text = std::fs::read_to_string(&arguments.config).context("the configuration cannot be read")?;
    let config = parse(&text, 1, &|_| Err("a paced node knows no secrets".to_owned()))
        .map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let targets: Targets = arguments.log.parse()?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(targets).with(lines).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(config))
}

/// The data plane that a configuration's connections stand for: the first source and the first target.
fn plane(config: &Config) -> Result<PacedPlane> {
    let (mut source, mut target) = (None, None);
    for connection in config.connections.values() {
        match connection {
            Connection::HiveFiles(hive) => source = source.or(Some(hive)),
            Connection::Iceberg(iceberg) => target = target.or(Some(iceberg)),
        }
    }
    let (Some(source), Some(target)) = (source, target) else {
        bail!(
            "a paced node needs a connection of kind hive-files, with the script in its warehouse, and one of kind iceberg"
        )
    };
    let node = std::env::var(NAME).unwrap_or_else(|_| std::process::id().to_string());
    PacedPlane::open(Path::new(&source.warehouse), &target.warehouse, Path::new(&target.catalog_file), &node)
}

async fn serve(config: Config) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let plane = plane(&config)?;
    let data = config.data_dir.clone();
    let system = SystemEnv::open(Path::new(&data))?;
    let node = Node::start(config, system.env(Arc::new(plane))).await?;
    println!("skein-node {} listens at http://{}; token: {data}/{}", node.id(), node.address(), node.token_file());
    tokio::select! {
        _ = terminate.recv() => {}
        error = node.failed() => return Err(error.into()),
    }
    Ok(node.stop().await?)
}
