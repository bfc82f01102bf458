//! What the fabric over QUIC has of the world, and its endpoints on it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use quinn::{
    AsyncUdpSocket, ConnectionId, ConnectionIdGenerator, EndpointConfig, ServerConfig, TimeSource, TokioRuntime,
};
use ring::{hkdf, hmac};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use skein_protocol::hash::Hash256;
use skein_protocol::wire::{self, Kind, WireError};

use super::limits::LONG_FRAME;
use crate::env::{Blocking, Clock, Entropy, Env, Network};
use crate::pki::Credentials;

/// The parts of an `Env` that the fabric uses.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) network: Arc<dyn Network>,
    pub(super) blocking: Arc<dyn Blocking>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) clock: Arc<dyn Clock>,
}

impl World {
    pub(super) fn of(env: &Env) -> Self {
        Self {
            network: env.network.clone(),
            blocking: env.blocking.clone(),
            entropy: env.entropy.clone(),
            clock: env.clock.clone(),
        }
    }

    /// The wall clock, as certificates are judged by.
    pub(super) fn time(&self) -> Arc<WallTime> {
        Arc::new(WallTime(self.clock.clone()))
    }

    /// Binds an endpoint, and shows whether its socket is still held. With a server configuration it accepts
    /// connections.
    pub(super) async fn endpoint(
        &self,
        at: SocketAddr,
        server: Option<ServerConfig>,
        credentials: Option<&Credentials>,
    ) -> io::Result<(quinn::Endpoint, Weak<dyn AsyncUdpSocket>)> {
        let socket = self.network.datagrams(at).await?;
        let mut config = EndpointConfig::new(Arc::new(self.reset_key(credentials)));
        let mut seed = [0; 32];
        self.entropy.fill(&mut seed);
        config.rng_seed(Some(seed));
        let entropy = self.entropy.clone();
        config.cid_generator(move || Box::new(RandomIds(entropy.clone())));
        let held = Arc::downgrade(&socket);
        let endpoint = quinn::Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(TokioRuntime))?;
        Ok((endpoint, held))
    }

    /// Peers of an earlier start of this node learn from a packet signed with this key that their connections are
    /// gone; so it follows from what outlives a start, the node's private key.
    fn reset_key(&self, credentials: Option<&Credentials>) -> hmac::Key {
        let mut material = b"skein stateless reset".to_vec();
        match credentials {
            Some(credentials) => material.extend_from_slice(credentials.key.secret_pkcs8_der()),
            None => material.extend_from_slice(&self.entropy.number().to_le_bytes()),
        }
        hmac::Key::new(hmac::HMAC_SHA256, &Hash256::of(&material).0)
    }

    /// The key of the tokens with which peers show that they receive at their address.
    pub(super) fn token_key(&self) -> hkdf::Prk {
        let mut secret = [0; 32];
        self.entropy.fill(&mut secret);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"skein address token").extract(&secret)
    }

    /// [`wire::seal`], off the async threads if it takes long.
    pub(super) async fn seal(&self, frame: Vec<u8>) -> Vec<u8> {
        if frame.len() < LONG_FRAME {
            return wire::seal(frame);
        }
        // Lost work is of a node that stops: nothing is sent then.
        self.blocking.call(move || wire::seal(frame)).await.unwrap_or_default()
    }

    /// [`wire::open`], off the async threads if it takes long.
    pub(super) async fn open(&self, frame: Vec<u8>, open_bytes: usize) -> Result<(Kind, Vec<u8>), WireError> {
        if open_bytes < LONG_FRAME {
            return wire::open(frame);
        }
        let opened = self.blocking.call(move || wire::open(frame)).await;
        opened.unwrap_or(Err(WireError::NoHeader { bytes: 0 }))
    }
}

/// Ids of connections. QUIC's own generator marks them with a key of this start, and drops packets of connections of
/// an earlier one without a word: their senders would wait for a timeout.
struct RandomIds(Arc<dyn Entropy>);

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&self.0.number().to_le_bytes())
    }

    fn cid_len(&self) -> usize {
        size_of::<u64>()
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// The node's wall clock for TLS and QUIC.
#[derive(Debug)]
pub(super) struct WallTime(Arc<dyn Clock>);

impl WallTime {
    fn since_1970(&self) -> Duration {
        Duration::from_millis(self.0.wall_millis())
    }
}

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.since_1970()))
    }
}

impl TimeSource for WallTime {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.since_1970()
    }
}
