//! How a machine comes into the fleet: the first one founds it, others ask to join.
//!
//! In: an environment, a token. Out: the node files of a member. Holds: over datagrams, nothing but a call of
//! `skein_node::founding::join`; over the fabric in memory the same steps, with that fabric in the place of QUIC. Not
//! here: who is let in (the asked node and its ledger).

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use skein_node::env::memory::MemoryFabric;
use skein_node::env::{Env, FileMode};
use skein_node::fleet::PEERS_FILE;
use skein_node::founding;
use skein_node::ledger::Boot;
use skein_node::pki::{self, JoinToken};
use skein_protocol::peer::{JoinRequest, Joined, Signed};
use skein_protocol::wire::{self, Kind};

use crate::net::Net;

/// The fleet must agree on the new member; without a leader that takes an election.
const JOIN_DEADLINE: Duration = Duration::from_secs(30);

/// Joins the fleet of the node at `to`, unless this machine belongs to it already.
pub(crate) async fn join(env: &Env, net: &Net, (from, to): (SocketAddr, SocketAddr), token: &str) -> Result<()> {
    match net {
        Net::Messages(fabric) => over_messages(env, fabric, (from, to), token).await,
        Net::Quic(_) => {
            founding::join(env, to, &token.parse()?, from).await?;
            Ok(())
        }
    }
}

async fn over_messages(
    env: &Env,
    fabric: &MemoryFabric,
    (from, to): (SocketAddr, SocketAddr),
    token: &str,
) -> Result<()> {
    let files = env.files.as_ref();
    if pki::load(files)?.is_some() {
        return Ok(());
    }
    let token: JoinToken = token.parse()?;
    let boot = Boot::identify(env)?;
    let node = boot.node;
    let csr = pki::prepare_key(files)?.request()?;
    let request = JoinRequest { secret: token.secret, node, csr, address: from.to_string() };
    let frame = wire::encode(Kind::Join, &request)?;
    let answer =
        fabric.call_as_stranger(from, to, frame, JOIN_DEADLINE).await.context("the fleet does not let it in")?;
    let joined: Joined = wire::decode(Kind::Answer, &answer)?;
    let mut peers: Vec<String> = joined.members.iter().map(|(_, address)| address.clone()).collect();
    peers.push(to.to_string());
    files.write(PEERS_FILE, (peers.join("\n") + "\n").as_bytes(), FileMode::Shared)?;
    boot.join(env)?;
    let signed = Signed { chain: joined.chain, ca: joined.ca };
    pki::install(files, &signed, node, env.clock.wall_millis())?;
    Ok(())
}
