//! Runs the node until a signal ends it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use skein_engine::engine::{Engine, EngineSettings};
use skein_node::Node;
use skein_node::config::Config;
use skein_node::env::system::SystemEnv;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Work that blocks may take so long to end when the process does; what is longer is done again after the next start.
const LAST_WORK: Duration = Duration::from_secs(5);

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
    let outcome = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LAST_WORK);
    outcome
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
    tokio::select! {
        biased;
        // Who asks twice does not want to wait for the work under way.
        _ = terminate.recv() => bail!("stopped at once by a second signal; what was acknowledged is durable"),
        _ = interrupt.recv() => bail!("stopped at once by a second signal; what was acknowledged is durable"),
        stopped = node.stop() => {
            stopped.context("the node did not stop cleanly; what was acknowledged is durable all the same")
        }
    }
}
