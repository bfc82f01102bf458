//! Joining: the one call that a node makes before it has a certificate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::{ClientConfig, Connection};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;
use skein_protocol::peer::{JoinRequest, Joined};
use skein_protocol::problem::Problem;
use skein_protocol::wire::{self, Kind};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::call::opened_answer;
use super::limits::{CLOSE_TIMEOUT, CONNECT_TIMEOUT, FRAMES_KIB, SERVER_NAME};
use super::world::World;
use super::{codes, limits, stream, tls};
use crate::env::Env;
use crate::fabric::CallError;
use crate::pki::JoinToken;

/// The fleet must agree on the new member; without a leader that takes an election.
const JOIN_DEADLINE: Duration = Duration::from_secs(30);

/// Why a node did not join.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The asked node did not get the request: the token is as good as before.
    #[error("the node at {to} cannot be asked to join: {why}")]
    Unreachable {
        /// Who was asked.
        to: SocketAddr,
        /// What stood in the way.
        why: String,
    },
    /// Whoever answers is not of the fleet that the token is for; it did not get the token's secret.
    #[error("the node at {to} does not belong to the fleet of this token: {why}")]
    AnotherFleet {
        /// Who was asked.
        to: SocketAddr,
        /// What it presented instead.
        why: String,
    },
    /// The fleet said no.
    #[error("the fleet refused: {0}")]
    Refused(Problem),
    /// No answer came: the token may be used up.
    #[error("no answer came from {to}: {why}; the token may be used up: ask for another")]
    Unknown {
        /// Who was asked.
        to: SocketAddr,
        /// What ended the wait.
        why: String,
    },
}

/// Asks the node at `to` to let `node` into the fleet. `csr` is the request of a key that was prepared
/// (`pki::NodeKey::request`); `advertise` is where other nodes will reach this one. The answer is to be installed with
/// `pki::install`, which checks the certificate.
///
/// # Errors
/// When the fleet cannot be asked, is another than the token's, refuses, or does not answer.
pub async fn join(
    env: &Env,
    to: SocketAddr,
    token: &JoinToken,
    node: NodeId,
    csr: Vec<u8>,
    advertise: SocketAddr,
) -> Result<Joined, JoinError> {
    let unreachable = |why: String| JoinError::Unreachable { to, why };
    let world = World::of(env);
    let config = tls::joining(token.authority, world.time()).map_err(|error| unreachable(error.to_string()))?;
    let mut client = ClientConfig::new(Arc::new(config));
    client.transport_config(Arc::new(limits::dialling()));
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let endpoint = world.endpoint(SocketAddr::new(any, 0), None, None);
    let (endpoint, _) = endpoint.await.map_err(|error| unreachable(error.to_string()))?;
    let connecting = endpoint.connect_with(client, to, SERVER_NAME).map_err(|error| unreachable(error.to_string()))?;
    let connection = match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error @ quinn::ConnectionError::TransportError(_))) => {
            return Err(JoinError::AnotherFleet { to, why: codes::why(&error) });
        }
        Ok(Err(error)) => return Err(unreachable(codes::why(&error))),
        Err(_) => return Err(unreachable(format!("nobody answers at {to}"))),
    };
    let request = JoinRequest { secret: token.secret, node, csr, address: advertise.to_string() };
    let result = match timeout(JOIN_DEADLINE, ask(&world, &connection, &request)).await {
        Ok(result) => result,
        Err(_) => Err(CallError::Unknown { why: "its deadline passed".to_owned() }),
    };
    connection.close(codes::UNUSED, b"the join has ended");
    let _ = timeout(CLOSE_TIMEOUT, endpoint.wait_idle()).await;
    let joined = result.map_err(|error| match error {
        CallError::Unreachable { why } => JoinError::Unreachable { to, why },
        CallError::Refused(problem) => JoinError::Refused(problem),
        CallError::Unknown { why } => JoinError::Unknown { to, why },
    })?;
    match CertificateDer::from_pem_slice(joined.ca.as_bytes()) {
        Ok(authority) if Hash256::of(&authority) == token.authority => Ok(joined),
        _ => Err(JoinError::AnotherFleet { to, why: "it sent another authority than the token names".to_owned() }),
    }
}

async fn ask(world: &World, connection: &Connection, request: &JoinRequest) -> Result<Joined, CallError> {
    let unreachable = |why: String| CallError::Unreachable { why };
    let frame = wire::encode(Kind::Join, request).map_err(|error| unreachable(error.to_string()))?;
    let opened = connection.open_bi().await;
    let (mut asking, mut answer) = opened.map_err(|error| unreachable(codes::why(&error)))?;
    let millis = u32::try_from(JOIN_DEADLINE.as_millis()).unwrap_or(u32::MAX);
    stream::write(&mut asking, &millis.to_le_bytes(), world.seal(frame).await)
        .await
        .map_err(|error| codes::of_write(&error))?;
    let memory = Arc::new(Semaphore::new(FRAMES_KIB));
    let read = stream::read(&mut answer, |_| true, JOIN_DEADLINE, &memory, world).await;
    let read = read.map_err(|error| match error {
        stream::NotRead::Ended(error) => codes::of_read(&error),
        other => CallError::Unknown { why: format!("the answer cannot be read: {other}") },
    })?;
    let frame = opened_answer(read.kind, read.frame)?;
    wire::decode(Kind::Answer, &frame).map_err(|error| CallError::Unknown { why: error.to_string() })
}
