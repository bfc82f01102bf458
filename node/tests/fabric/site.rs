//! A fleet's authority, nodes of it that answer numbers, and peers that speak QUIC by themselves.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use quinn::Runtime;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::crypto::ring;
use skein_node::env::memory::{ManualClock, MemoryHost, NoDataPlane};
use skein_node::env::system::SystemEnv;
use skein_node::env::{Clock, Env};
use skein_node::fabric::quic::{QuicFabric, QuicFabrics};
use skein_node::fabric::{Answering, CallError, Fabric, FabricSetup, Peer};
use skein_node::pki::{self, Authority, Credentials, Identity, JoinToken};
use skein_protocol::ids::NodeId;
use skein_protocol::peer::{JoinRequest, Joined};
use skein_protocol::problem::{Code, Problem};
use skein_protocol::wire::{self, Kind};
use tempfile::TempDir;
use tokio::sync::mpsc;

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
/// Any free port of loopback.
pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A fleet: its authority, and a clock that its nodes share. It begins at the real time, for peers of the tests' own
/// have the real clock.
pub(crate) struct Site {
    pub(crate) authority: Arc<Authority>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) env: Env,
    _folder: TempDir,
}

impl Site {
    pub(crate) fn new(seed: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let system = SystemEnv::open(folder.path()).unwrap().env(Arc::new(NoDataPlane));
        let host = MemoryHost::new(seed);
        host.clock.set_wall_millis(system.clock.wall_millis());
        // Files in memory, sockets and threads of the machine.
        let env = Env {
            network: system.network.clone(),
            blocking: system.blocking.clone(),
            ..host.env(Arc::new(NoDataPlane))
        };
        let authority = Authority::create(&*env.files, &*env.entropy, env.clock.wall_millis()).unwrap();
        Self { authority: Arc::new(authority), clock: host.clock, env, _folder: folder }
    }

    /// Credentials of this fleet for `node`, from now on.
    pub(crate) fn credentials(&self, node: u64) -> Credentials {
        let files = MemoryHost::new(node).env(Arc::new(NoDataPlane)).files;
        let request = pki::prepare_key(&*files).unwrap().request().unwrap();
        let now = self.clock.wall_millis();
        let signed = self.authority.sign(&request, NodeId(node), &*self.env.entropy, now).unwrap();
        pki::install(&*files, &signed, NodeId(node), now).unwrap()
    }

    pub(crate) async fn node(&self, node: u64) -> Node {
        self.node_with(node, LOOPBACK, self.credentials(node)).await
    }

    pub(crate) async fn node_with(&self, node: u64, listen: SocketAddr, credentials: Credentials) -> Node {
        let env = &self.env;
        let fabrics =
            QuicFabrics::new(env.network.clone(), env.blocking.clone(), env.entropy.clone(), env.clock.clone());
        let (heard, hearing) = mpsc::unbounded_channel();
        let identity = Arc::new(Identity::new(credentials));
        let answering = Arc::new(Numbers {
            authority: self.authority.clone(),
            env: env.clone(),
            asked: Mutex::default(),
            removed: Mutex::default(),
            tokens: Mutex::default(),
            heard,
        });
        let setup = FabricSetup { node: NodeId(node), listen, identity: identity.clone() };
        let fabric = fabrics.open_quic(setup, answering.clone()).await.unwrap();
        Node { id: NodeId(node), fabric, answering, identity, hearing }
    }
}

/// One node.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) fabric: Arc<QuicFabric>,
    pub(crate) answering: Arc<Numbers>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) hearing: mpsc::UnboundedReceiver<(Peer, u64)>,
}

impl Node {
    pub(crate) fn at(&self) -> SocketAddr {
        self.fabric.address()
    }

    /// Asks another for the number after `number`.
    pub(crate) async fn ask(&self, other: &Node, number: u64) -> Result<u64, CallError> {
        let answer = self.fabric.call(other.at(), Some(other.id), question(number), DEADLINE).await?;
        Ok(wire::decode(Kind::Answer, &answer).unwrap())
    }

    pub(crate) fn asked(&self) -> Vec<(Peer, Kind)> {
        self.answering.asked.lock().unwrap().clone()
    }
}

pub(crate) fn question(number: u64) -> Vec<u8> {
    wire::encode(Kind::ReadIndex, &number).unwrap()
}

/// Answers a number with the one after it, refuses 0, and never answers the largest; keeps blobs' lengths; lets those
/// join that have a token.
pub(crate) struct Numbers {
    authority: Arc<Authority>,
    env: Env,
    pub(crate) asked: Mutex<Vec<(Peer, Kind)>>,
    pub(crate) removed: Mutex<BTreeSet<NodeId>>,
    /// Tokens that are good for one join.
    pub(crate) tokens: Mutex<Vec<JoinToken>>,
    heard: mpsc::UnboundedSender<(Peer, u64)>,
}

impl Numbers {
    fn join(&self, frame: &[u8]) -> Result<Vec<u8>, Problem> {
        let request: JoinRequest = wire::decode(Kind::Join, frame).unwrap();
        request.check().unwrap();
        let mut tokens = self.tokens.lock().unwrap();
        let Some(at) = tokens.iter().position(|token| token.hash() == request.secret.hash()) else {
            return Err(Problem::new(
                Code::Unauthorized,
                "joining",
                "the token is unknown or used up",
                "ask for another",
            ));
        };
        tokens.remove(at);
        let now = self.env.clock.wall_millis();
        let signed = self.authority.sign(&request.csr, request.node, &*self.env.entropy, now).unwrap();
        let joined = Joined { chain: signed.chain, ca: signed.ca, members: vec![(request.node, request.address)] };
        Ok(wire::encode(Kind::Answer, &joined).unwrap())
    }
}

#[async_trait]
impl Answering for Numbers {
    async fn answer(&self, from: Peer, frame: Vec<u8>) -> Result<Vec<u8>, Problem> {
        let kind = Kind::from_byte(frame[1]).unwrap();
        self.asked.lock().unwrap().push((from, kind));
        match kind {
            Kind::ReadIndex => match wire::decode::<u64>(Kind::ReadIndex, &frame).unwrap() {
                0 => Err(Problem::new(Code::RequestInvalid, "zero", "it follows nothing", "ask for another")),
                u64::MAX => std::future::pending().await,
                number => Ok(wire::encode(Kind::Answer, &(number + 1)).unwrap()),
            },
            Kind::BlobPut => Ok(wire::encode(Kind::Answer, &wire::decode::<Vec<u8>>(kind, &frame).unwrap()).unwrap()),
            Kind::Join => self.join(&frame),
            other => panic!("nobody asks for {other:?}"),
        }
    }

    fn heard(&self, from: Peer, frame: Vec<u8>) {
        let _ = self.heard.send((from, wire::decode(Kind::Gossip, &frame).unwrap()));
    }

    fn admits(&self, node: NodeId) -> bool {
        !self.removed.lock().unwrap().contains(&node)
    }
}

/// A peer that speaks QUIC without the fabric: it may send what it likes.
pub(crate) struct Rogue {
    endpoint: quinn::Endpoint,
    client: quinn::ClientConfig,
}

impl Rogue {
    /// With the credentials of a node, or without any. It believes `authority`, the certificate of a fleet.
    pub(crate) async fn new(site: &Site, credentials: Option<Credentials>) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(site.credentials(0).authorities[0].clone()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match credentials {
            Some(Credentials { chain, key, .. }) => config.with_client_auth_cert(chain, key.into()).unwrap(),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"skein/1".to_vec()];
        let mut client = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()));
        let mut transport = quinn::TransportConfig::default();
        transport.keep_alive_interval(Some(Duration::from_secs(1)));
        client.transport_config(Arc::new(transport));
        let socket = site.env.network.datagrams(LOOPBACK).await.unwrap();
        let runtime: Arc<dyn Runtime> = Arc::new(quinn::TokioRuntime);
        let endpoint =
            quinn::Endpoint::new_with_abstract_socket(quinn::EndpointConfig::default(), None, socket, runtime);
        Self { endpoint: endpoint.unwrap(), client }
    }

    pub(crate) async fn connect(&self, node: &Node) -> quinn::Connection {
        let name = pki::server_name(node.id);
        self.endpoint.connect_with(self.client.clone(), node.at(), &name).unwrap().await.unwrap()
    }

    /// Sends `bytes` on a stream of its own and ends it; the number with which the node ends the answer.
    pub(crate) async fn stopped(connection: &quinn::Connection, bytes: &[u8]) -> u64 {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        // The node may stop the stream before all is sent.
        let _ = send.write_all(bytes).await;
        let _ = send.finish();
        let answer = tokio::time::timeout(DEADLINE, receive.read_to_end(1 << 20)).await.unwrap();
        match answer {
            Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))) => code.into(),
            other => panic!("{} bytes were answered: {other:?}", bytes.len()),
        }
    }
}

/// The bytes of a call on its stream: a deadline, a length, a frame.
pub(crate) fn call_bytes(length: u32, frame: &[u8]) -> Vec<u8> {
    [&30_000_u32.to_le_bytes()[..], &length.to_le_bytes(), frame].concat()
}
