//! Runs the node until a signal ends it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use skein_node::Node;
use skein_node::config::Config;
use skein_node::env::system::SystemEnv;
use skein_node::founding;
use skein_node::pki::JoinToken;
use skein_protocol::data_plane::DataPlane;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::otlp::Traces;
use crate::{MakePlane, RunArguments};

/// Work that blocks may take so long to end when the process does; what is longer is done again after the next start.
const LAST_WORK: Duration = Duration::from_secs(5);

/// How a node joins a fleet.
struct Joining {
    to: String,
    token: JoinToken,
}

/// Runs a node as the arguments say.
pub(crate) fn run(arguments: &RunArguments, plane: &MakePlane) -> Result<()> {
    let config = super::configuration::read(&arguments.config)?;
    let joining = match (&arguments.join, &arguments.token) {
        (Some(to), Some(token)) => Some(Joining { to: to.clone(), token: token.parse().context("--token")? }),
        _ => None,
    };
    if joining.is_some() && config.fleet.is_none() {
        bail!(
            "--join needs the section `fleet` in {}: write at least `fleet: {{listen: HOST:PORT}}`",
            arguments.config.display()
        );
    }
    let traces = arguments.otlp.as_deref().map(Traces::start).transpose()?;
    start_log(&arguments.log, traces.as_ref())?;
    for warning in config.warnings() {
        tracing::warn!(%warning, "configuration");
    }
    let plane = plane(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("skein")
        .build()
        .context("the runtime cannot be started")?;
    let outcome = runtime.block_on(serve(config, plane, joining, traces.as_ref()));
    runtime.shutdown_timeout(LAST_WORK);
    if let Some(traces) = traces {
        traces.stop();
    }
    outcome
}

pub(crate) fn start_log(filter: &str, traces: Option<&Traces>) -> Result<()> {
    let targets: Targets = filter.parse().with_context(|| format!("{filter:?} says not what to log"))?;
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(terminal);
    // The filter is the log's own: what is traced does not depend on what is logged.
    let log = tracing_subscriber::registry().with(lines.with_filter(targets));
    match traces {
        Some(traces) => log.with(traces.layer()).init(),
        None => log.init(),
    }
    Ok(())
}

async fn serve(
    config: Config,
    plane: Arc<dyn DataPlane>,
    joining: Option<Joining>,
    traces: Option<&Traces>,
) -> Result<()> {
    // Before anything else: a signal during the start must not be lost.
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be received")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be received")?;
    let data = config.data_dir.clone();
    let system = SystemEnv::open(Path::new(&data))?;
    let env = system.env(plane);
    if let (Some(joining), Some(part)) = (joining, &config.fleet) {
        let advertise = part.advertise.unwrap_or(part.listen);
        join(&env, &joining, advertise).await?;
    }
    let node = Node::start(config, env).await?;
    if let Some(traces) = traces {
        traces.of_node(&node.id().to_string());
    }
    println!("skein-node {} listens at http://{}; token: {data}/{}", node.id(), node.address(), node.token_file());
    if let Some(address) = node.fleet_address() {
        println!("fleet at {address}");
    }
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

async fn join(env: &skein_node::env::Env, joining: &Joining, advertise: SocketAddr) -> Result<()> {
    let found = tokio::net::lookup_host(&joining.to).await;
    let addresses: Vec<SocketAddr> = found.with_context(|| format!("--join {}", joining.to))?.collect();
    let to = addresses.first().copied().with_context(|| format!("--join {}: the name has no address", joining.to))?;
    if founding::join(env, to, &joining.token, advertise).await? {
        tracing::info!(%to, "this node was let into the fleet");
    } else {
        tracing::info!("this node belongs to a fleet already");
    }
    Ok(())
}
