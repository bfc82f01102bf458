//! Runs the node until a signal ends it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use skein_engine::engine::{Engine, EngineSettings};
use skein_node::Node;
use skein_node::config::Config;
use skein_node::env::system::SystemEnv;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Runs a node with the configuration in `file`.
pub(crate) fn run(file: &Path, log: &str) -> Result<()> {
    let config = super::configuration::read(file)?;
    start_log(log)?;
    for warning in config.warnings() {
        tracing::warn!(%warning, "configuration");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("skein")
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(serve(config))
}

fn start_log(filter: &str) -> Result<()> {
    let targets: Targets = filter.parse().with_context(|| format!("{filter:?} says not what to log"))?;
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(terminal);
    tracing_subscriber::registry().with(targets).with(lines).init();
    Ok(())
}

async fn serve(config: Config) -> Result<()> {
    // Before anything else: a signal during the start must not be lost.
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be received")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be received")?;
    let data = config.data_dir.clone();
    let system = SystemEnv::open(Path::new(&data))?;
    let engine = Engine::new(config.connections.clone(), EngineSettings::default());
    let node = Node::start(config, system.env(Arc::new(engine))).await?;
    println!("skein-node {} listens at http://{}; token: {data}/{}", node.id(), node.address(), node.token_file());
    tokio::select! {
        biased;
        _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "stopping"),
        _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "stopping"),
        error = node.failed() => return Err(error.into()),
    }
    node.stop().await.context("the node did not stop cleanly; what was acknowledged is durable all the same")
}
