//! Sockets in memory: every host that shares a [`MemoryNetwork`] reaches the others' listeners.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

use crate::env::{ByteStream, Network, StreamListener};

/// Bytes in flight in each direction of a connection before its writer waits.
const STREAM_BYTES: usize = 64 << 10;
/// Connections that wait to be accepted before further ones are refused.
const BACKLOG: usize = 128;
/// Ports that are given out when a listener asks for any.
const FIRST_FREE_PORT: u16 = 49_152;

type Waiting = mpsc::Sender<(DuplexStream, SocketAddr)>;

/// Sockets in memory. Clones are the same network.
#[derive(Debug, Clone, Default)]
pub struct MemoryNetwork {
    listeners: Arc<Mutex<BTreeMap<SocketAddr, Waiting>>>,
}

impl MemoryNetwork {
    /// Connects to the listener at `to`, as `from`.
    ///
    /// # Errors
    /// When nobody listens there, or its backlog is full.
    pub fn connect(&self, from: SocketAddr, to: SocketAddr) -> io::Result<DuplexStream> {
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, format!("nobody accepts at {to}"));
        let waiting = self.lock().get(&to).cloned().ok_or_else(refused)?;
        let (ours, theirs) = tokio::io::duplex(STREAM_BYTES);
        waiting.try_send((theirs, from)).map_err(|_| refused())?;
        Ok(ours)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Waiting>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Network for MemoryNetwork {
    async fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn StreamListener>> {
        let mut listeners = self.lock();
        // A listener that was dropped has left its address behind.
        listeners.retain(|_, waiting| !waiting.is_closed());
        let mut address = at;
        if at.port() == 0 {
            let free = |port: &u16| !listeners.contains_key(&SocketAddr::new(at.ip(), *port));
            let port = (FIRST_FREE_PORT..=u16::MAX).find(free);
            address.set_port(port.ok_or(io::ErrorKind::AddrInUse)?);
        } else if listeners.contains_key(&at) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{at} is taken")));
        }
        let (waiting, accepted) = mpsc::channel(BACKLOG);
        listeners.insert(address, waiting);
        Ok(Box::new(MemoryListener { address, accepted }))
    }

    async fn datagrams(&self, _at: SocketAddr) -> io::Result<Arc<dyn quinn::AsyncUdpSocket>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "the network in memory carries no datagrams; use its fabric"))
    }
}

struct MemoryListener {
    address: SocketAddr,
    accepted: mpsc::Receiver<(DuplexStream, SocketAddr)>,
}

#[async_trait]
impl StreamListener for MemoryListener {
    async fn accept(&mut self) -> io::Result<(Box<dyn ByteStream>, SocketAddr)> {
        match self.accepted.recv().await {
            Some((stream, peer)) => Ok((Box::new(stream), peer)),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
