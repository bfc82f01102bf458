//! `fleet`: found one, let nodes join, look at it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use skein_protocol::api::{FleetView, JoinToken, TokenRequest};

use super::node;
use crate::args::{FleetCommand, FleetInit, Format};
use crate::client::Client;
use crate::demo;
use crate::exit::Exit;
use crate::output;

/// What `skein-node init` says that it made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Founded {
    /// The configuration of the first node.
    pub(crate) config: String,
    /// Its data folder.
    pub(crate) data_dir: String,
    /// Where its API will listen.
    pub(crate) listen: String,
    /// Where other nodes will reach it.
    pub(crate) fleet_listen: String,
    /// The first join token.
    pub(crate) token: String,
    /// Until when it is valid, milliseconds since 1970.
    pub(crate) expires_at: u64,
}

pub(super) fn run(client: impl Fn() -> Result<Client>, command: &FleetCommand, format: Format) -> Result<Exit> {
    match command {
        FleetCommand::Init(init) => found(init, format),
        FleetCommand::Token { valid } => token(&client()?, *valid, format),
        FleetCommand::Show => show(&client()?, format),
    }
}

fn found(init: &FleetInit, format: Format) -> Result<Exit> {
    let founded = init_node(init)?;
    if output::document(format, &founded)? {
        return Ok(Exit::Success);
    }
    let Founded { config, data_dir, fleet_listen, token, expires_at, .. } = &founded;
    output::print(&format!(
        "a fleet is founded; nothing runs yet

authority      {data_dir}/ca.key: whoever has it can let nodes in. Keep a copy where it is safe
configuration  {config}: write connections into it before the first policy
join token     valid until {}, for one node:

  {token}

next: start the first node
  skein-node --config {config}
then, on each further machine, with a configuration of its own and a token of its own (skein fleet token)
  skein-node --config FILE --join {fleet_listen} --token TOKEN
",
        output::time(*expires_at)
    ))?;
    Ok(Exit::Success)
}

/// Lets the node's binary found a fleet; this program knows nothing of certificates.
pub(crate) fn init_node(init: &FleetInit) -> Result<Founded> {
    let binary = demo::binary()?;
    let output = Command::new(&binary)
        .arg("init")
        .arg("--dir")
        .arg(&init.dir)
        .args(["--listen", &init.listen, "--fleet-listen", &init.fleet_listen])
        .args(["--valid-seconds", &init.valid.to_string(), "--zone", &init.zone])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} cannot be started", binary.display()))?;
    if !output.status.success() {
        bail!("the fleet was not founded ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("{} init said what is not understood", binary.display()))
}

fn token(client: &Client, valid: u64, format: Format) -> Result<Exit> {
    let token = issue(client, valid)?;
    if output::document(format, &token)? {
        return Ok(Exit::Success);
    }
    eprintln!("valid until {}, for one node:", output::time(token.expires_at));
    output::print(&format!("{}\n", token.token))?;
    eprintln!("use: skein-node --config FILE --join HOST:PORT --token TOKEN (HOST:PORT of any node, see `skein node list`)");
    Ok(Exit::Success)
}

/// Asks for a join token.
pub(crate) fn issue(client: &Client, valid: u64) -> Result<JoinToken> {
    client.post("/v1/fleet/tokens", &TokenRequest { valid_seconds: Some(valid) })
}

/// The fleet as the asked node sees it.
pub(crate) fn view(client: &Client) -> Result<FleetView> {
    client.get("/v1/fleet", &[])
}

fn show(client: &Client, format: Format) -> Result<Exit> {
    let view = view(client)?;
    if output::document(format, &view)? {
        return Ok(Exit::Success);
    }
    output::print(&format!("{}\n\n{}", head(&view), node::table(&view.nodes, false)))?;
    Ok(Exit::Success)
}

/// The fleet in a line.
pub(crate) fn head(view: &FleetView) -> String {
    let leader = match view.leader {
        Some(leader) => format!("led by node {leader} (term {})", view.term),
        None => "without a leader".to_owned(),
    };
    let quorum = if view.quorum { "quorum" } else { "NO QUORUM: nothing can be recorded" };
    let voters: Vec<String> = view.voters.iter().map(ToString::to_string).collect();
    format!(
        "fleet {}, {leader}; {quorum}; voters {}; as node {} sees it",
        view.fleet,
        if voters.is_empty() { "none".to_owned() } else { voters.join(", ") },
        view.answered_by
    )
}
