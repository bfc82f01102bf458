//! How a node comes into a fleet before its first start: it founds one, or joins one.
//!
//! In: an environment on an empty data folder. Out: node files: identity, credentials, the first join token, the addresses of
//! members. Holds: the order of the steps; each can be repeated after a crash. Not here: running the node, asking people.

use std::fmt;
use std::net::SocketAddr;

use skein_protocol::ids::NodeId;

use crate::env::{Env, FileMode};
use crate::fabric::quic::{self, JoinError};
use crate::fleet::{JOIN_TOKEN_FILE, PEERS_FILE};
use crate::ledger::{Boot, LedgerError};
use crate::pki::{self, Authority, JoinToken, PkiError};

/// A fleet that was not founded, or not joined.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// Its credentials cannot be made or used.
    #[error(transparent)]
    Credentials(#[from] PkiError),
    /// Its identity cannot be written.
    #[error(transparent)]
    Identity(#[from] LedgerError),
    /// A node file cannot be written.
    #[error("the node file {name} cannot be written: {source}")]
    File {
        /// Its name.
        name: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The folder has a node already.
    #[error("the data folder belongs to node {0} already; use an empty one")]
    Taken(NodeId),
    /// The fleet did not let it in.
    #[error(transparent)]
    Join(#[from] JoinError),
}

/// The first join token of a new fleet.
#[derive(Clone)]
pub struct Founded {
    /// The node that founded it.
    pub node: NodeId,
    /// Lets one node in: show it once, to whoever founds the fleet.
    pub token: String,
    /// It is of no use from this time on, milliseconds since 1970.
    pub expires_at: u64,
}

impl fmt::Debug for Founded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Founded")
            .field("node", &self.node)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Founds a fleet: its authority, this node's identity and certificate, the first join token. Blocks; starts nothing.
///
/// # Errors
/// When the folder has a node or an authority already, or files cannot be written.
pub fn found(env: &Env, token_millis: u64) -> Result<Founded, FoundingError> {
    if let Some(boot) = Boot::read(env)? {
        return Err(FoundingError::Taken(boot.node));
    }
    let (files, entropy, now) = (env.files.as_ref(), env.entropy.as_ref(), env.clock.wall_millis());
    let authority = Authority::create(files, entropy, now)?;
    let node = Boot::identify(env)?.node;
    let request = pki::prepare_key(files)?.request()?;
    let signed = authority.sign(&request, node, entropy, now)?;
    pki::install(files, &signed, node, now)?;
    let (token, expires_at) = (JoinToken::generate(entropy, authority.hash()).text(), now.saturating_add(token_millis));
    let text = format!("{token} {expires_at}\n");
    let written = files.write(JOIN_TOKEN_FILE, text.as_bytes(), FileMode::Secret);
    written.map_err(|source| FoundingError::File { name: JOIN_TOKEN_FILE, source })?;
    Ok(Founded { node, token, expires_at })
}

/// Joins the fleet of the node at `to`, unless this node belongs to one already; whether it was let in now. Others will
/// reach this node at `advertise`.
///
/// # Errors
/// When the fleet is another than the token's, refuses, or cannot be reached.
pub async fn join(env: &Env, to: SocketAddr, token: &JoinToken, advertise: SocketAddr) -> Result<bool, FoundingError> {
    let reading = env.clone();
    let known = env.blocking.call(move || pki::load(reading.files.as_ref())).await.map_err(LedgerError::from)?;
    if known?.is_some() {
        return Ok(false);
    }
    let preparing = env.clone();
    let prepare = move || -> Result<(Boot, Vec<u8>), FoundingError> {
        let boot = Boot::identify(&preparing)?;
        if boot.founded {
            return Err(FoundingError::Taken(boot.node));
        }
        Ok((boot, pki::prepare_key(preparing.files.as_ref())?.request()?))
    };
    let (boot, csr) = env.blocking.call(prepare).await.map_err(LedgerError::from)??;
    let node = boot.node;
    let joined = quic::join(env, to, token, node, csr, advertise).await?;
    let installing = env.clone();
    let install = move || -> Result<(), FoundingError> {
        let files = installing.files.as_ref();
        let mut peers: Vec<String> = joined.members.iter().map(|(_, address)| address.clone()).collect();
        peers.push(to.to_string());
        let written = files.write(PEERS_FILE, (peers.join("\n") + "\n").as_bytes(), FileMode::Shared);
        written.map_err(|source| FoundingError::File { name: PEERS_FILE, source })?;
        boot.join(&installing)?;
        let signed = skein_protocol::peer::Signed { chain: joined.chain.clone(), ca: joined.ca.clone() };
        // The last step: with the certificate the node belongs to the fleet.
        pki::install(files, &signed, node, installing.clock.wall_millis())?;
        Ok(())
    };
    env.blocking.call(install).await.map_err(LedgerError::from)??;
    Ok(true)
}
