//! `fleet`: found one, let nodes join, look at it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use skein_protocol::api::{FleetView, JoinToken, RevokedToken, TokenRequest, TokenRow};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;
use skein_protocol::peer::Secret;

use super::node;
use crate::args::{FleetCommand, FleetInit, Format};
use crate::client::Client;
use crate::demo;
use crate::exit::Exit;
use crate::output::{self, Table};

/// What `skein-node init` says that it made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Founded {
    /// The first node.
    pub(crate) node: NodeId,
    /// Its configuration.
    pub(crate) config: String,
    /// Its data folder.
    pub(crate) data_dir: String,
    /// Where its API will listen.
    pub(crate) listen: String,
    /// Where other nodes will reach it.
    pub(crate) fleet_address: String,
    /// The first join token.
    pub(crate) token: String,
    /// Until when it is valid, milliseconds since 1970.
    pub(crate) expires_at: u64,
}

pub(super) fn run(client: impl Fn() -> Result<Client>, command: &FleetCommand, format: Format) -> Result<Exit> {
    match command {
        FleetCommand::Init(init) => found(init, format),
        FleetCommand::Token { valid } => token(&client()?, *valid, format),
        FleetCommand::Tokens => tokens(&client()?, format),
        FleetCommand::Revoke { join_token } => revoke(&client()?, join_token, format),
        FleetCommand::Show => show(&client()?, format),
    }
}

fn found(init: &FleetInit, format: Format) -> Result<Exit> {
    let founded = init_node(init)?;
    if output::document(format, &founded)? {
        return Ok(Exit::Success);
    }
    let Founded { config, data_dir, fleet_address, token, expires_at, .. } = &founded;
    output::print(&format!(
        "a fleet is founded; nothing runs yet

authority      {data_dir}/ca.key: whoever has it can let nodes in. Keep a copy where it is safe
configuration  {config}: write connections into it before the first policy
join token     valid until {}, for one node:

  {token}

next: start the first node
  skein-node --config {config}
then, on each further machine, with a configuration of its own and a token of its own (skein fleet token)
  skein-node --config FILE --join {fleet_address} --token TOKEN
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
        .args(init.advertise.iter().flat_map(|advertise| ["--advertise", advertise]))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} cannot be started", binary.display()))?;
    if !output.status.success() {
        bail!("the fleet was not founded ({})", output.status);
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{} init said what is not understood", binary.display()))
}

fn token(client: &Client, valid: u64, format: Format) -> Result<Exit> {
    let token = issue(client, valid)?;
    if output::document(format, &token)? {
        return Ok(Exit::Success);
    }
    eprintln!("valid until {}, for one node:", output::time(token.expires_at));
    output::print(&format!("{}\n", token.token))?;
    eprintln!(
        "use: skein-node --config FILE --join HOST:PORT --token TOKEN (HOST:PORT of any node, see `skein node list`)"
    );
    Ok(Exit::Success)
}

fn tokens(client: &Client, format: Format) -> Result<Exit> {
    let rows: Vec<TokenRow> = client.get("/v1/fleet/tokens", &[])?;
    if output::document(format, &rows)? {
        return Ok(Exit::Success);
    }
    let mut table = Table::new(&["TOKEN", "VALID UNTIL", "MADE BY", "STATE"]);
    for row in &rows {
        let state = match (row.used_by, row.revoked) {
            (Some(node), _) => format!("used by node {node}"),
            (None, true) => "revoked".to_owned(),
            (None, false) => "open".to_owned(),
        };
        table.row(vec![
            row.token.to_string().into(),
            output::time(row.expires_at).into(),
            row.issued_by.clone().into(),
            state.into(),
        ]);
    }
    output::print(&table.render())?;
    Ok(Exit::Success)
}

fn revoke(client: &Client, token: &str, format: Format) -> Result<Exit> {
    let hash = hash_of(token)?;
    let revoked: RevokedToken = client.delete(&format!("/v1/fleet/tokens/{hash}"), &[])?;
    if !output::document(format, &revoked)? {
        eprintln!("the token is worthless now");
    }
    Ok(Exit::Success)
}

/// What the fleet knows of a token: the secret itself stays here.
fn hash_of(token: &str) -> Result<Hash256> {
    let token = token.trim();
    let hash = match token.split('.').collect::<Vec<_>>().as_slice() {
        [hash] => hash.parse().ok(),
        [_, secret, _] => secret.parse::<Hash256>().ok().map(|secret| Secret(secret.0).hash()),
        _ => None,
    };
    hash.context("this is neither a join token nor the hash of one")
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
