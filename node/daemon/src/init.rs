//! `init`: founds a fleet. Makes the authority, the first node's certificate and configuration, the first join token.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use skein_node::config::parse;
use skein_node::env::memory::NoDataPlane;
use skein_node::env::system::SystemEnv;
use skein_node::founding::{Founded, found};

/// The configuration's name in the folder.
const CONFIG: &str = "skein-node.yaml";
/// The data folder's name in the folder.
const DATA: &str = "data";
/// How long the first join token is valid, unless asked otherwise: a day to set up the second machine.
const TOKEN_SECONDS: u64 = 24 * 60 * 60;
/// Longest validity of the first join token.
const MAX_TOKEN_SECONDS: u64 = 7 * 24 * 60 * 60;

/// What a fleet is founded with.
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// Where configuration and data of the first node go; made if it does not exist.
    #[arg(long)]
    dir: PathBuf,
    /// Where the first node's API listens.
    #[arg(long, default_value = "127.0.0.1:7400")]
    listen: SocketAddr,
    /// Where the first node listens for other nodes (UDP).
    #[arg(long, default_value = "127.0.0.1:7401")]
    fleet_listen: SocketAddr,
    /// Where other nodes reach it, if that is another address: needed with 0.0.0.0.
    #[arg(long)]
    advertise: Option<SocketAddr>,
    /// What the node shares with those that fail together with it: a rack, a room.
    #[arg(long, default_value = "")]
    zone: String,
    /// How long the first join token is valid, seconds.
    #[arg(long, default_value_t = TOKEN_SECONDS, value_parser = clap::value_parser!(u64).range(1..=MAX_TOKEN_SECONDS))]
    valid_seconds: u64,
}

/// Founds the fleet, and prints what was made as one JSON document.
pub(crate) fn init(arguments: &InitArguments) -> Result<()> {
    let folder = std::path::absolute(&arguments.dir).context("the folder has no absolute form")?;
    let (config, data) = (folder.join(CONFIG), folder.join(DATA));
    if config.exists() {
        bail!("{} is there already: a fleet is founded once, in a folder of its own", config.display());
    }
    let text = configuration(arguments, &data)?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let Founded { node, token, expires_at } =
        found(&SystemEnv::open(&data)?.env(Arc::new(NoDataPlane)), arguments.valid_seconds * 1000)?;
    std::fs::write(&config, text).with_context(|| format!("{} cannot be written", config.display()))?;
    let made = json!({
        "node": node,
        "config": config,
        "dataDir": data,
        "listen": arguments.listen,
        "fleetAddress": arguments.advertise.unwrap_or(arguments.fleet_listen),
        "token": token,
        "expiresAt": expires_at,
    });
    writeln!(std::io::stdout().lock(), "{made:#}").context("the document cannot be printed")
}

/// The first node's configuration, checked as the node will check it.
fn configuration(arguments: &InitArguments, data: &Path) -> Result<String> {
    let InitArguments { listen, fleet_listen, advertise, zone, .. } = arguments;
    let data = data.to_str().with_context(|| format!("{} is no text", data.display()))?;
    // A JSON text is a YAML text too.
    let mut text = format!(
        "# The first node of a fleet; docs/configuration.md has every key.
node:
  listen: {listen}
  dataDir: {}
fleet:
  listen: {fleet_listen}
",
        json!(data)
    );
    if let Some(advertise) = advertise {
        text.push_str(&format!("  advertise: {advertise}\n"));
    }
    if !zone.is_empty() {
        text.push_str(&format!("  zone: {}\n", json!(zone)));
    }
    text.push_str(
        "# Where data lives; every node of the fleet needs the same. For example:
#   legacy: { kind: hive-files, warehouse: /srv/hive/warehouse }
#   lake: { kind: iceberg, catalogFile: /srv/lake/catalog.db, warehouse: /srv/lake/warehouse }
connections: {}
",
    );
    match parse(&text, 1, &|_| Err("there are no references in it".to_owned())) {
        Ok(_) => Ok(text),
        Err(errors) => {
            let list: Vec<String> = errors.iter().map(|error| format!("  {error}")).collect();
            bail!("a node could not be started with this:\n{}", list.join("\n"))
        }
    }
}
