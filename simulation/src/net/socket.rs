//! The sockets of one machine: QUIC's datagrams over the simulated network.
//!
//! In: what the node's QUIC sends. Out: what has arrived. Holds: that a machine without power neither sends nor
//! hears anything, whatever its destructors still try; a line on the tape for each datagram. Not here: the ways of
//! datagrams (`datagrams`), streams of the API (in memory, as in all simulations).

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use skein_node::env::memory::{MemoryNetwork, MemoryStorage};
use skein_node::env::{Network, StreamListener};
use skein_protocol::hash::Hash256;
use tokio::time::{Sleep, sleep_until};

use super::Datagrams;
use super::datagrams::Found;
use crate::tape::Tape;

/// The sockets that one machine can have.
#[derive(Debug, Clone)]
pub(crate) struct MachineNetwork {
    pub(crate) machine: usize,
    /// Its own address.
    pub(crate) at: SocketAddr,
    pub(crate) tape: Tape,
    /// Whether it has power.
    pub(crate) storage: MemoryStorage,
    pub(crate) streams: MemoryNetwork,
    pub(crate) datagrams: Datagrams,
}

#[async_trait]
impl Network for MachineNetwork {
    async fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn StreamListener>> {
        self.streams.listen(at).await
    }

    async fn datagrams(&self, at: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let ip = if at.ip().is_unspecified() { self.at.ip() } else { at.ip() };
        let (at, number) = self.datagrams.bind(SocketAddr::new(ip, at.port()))?;
        Ok(Arc::new(Socket { network: self.clone(), at, number, timer: Mutex::default() }))
    }
}

/// One bound address.
#[derive(Debug)]
struct Socket {
    network: MachineNetwork,
    at: SocketAddr,
    number: u64,
    /// Wakes whoever waits when the next datagram arrives.
    timer: Mutex<Option<Pin<Box<Sleep>>>>,
}

impl Socket {
    fn has_power(&self) -> bool {
        !self.network.storage.is_crashed()
    }

    fn send_one(&self, to: SocketAddr, bytes: &[u8]) {
        let sent = self.network.datagrams.send(self.at, to, bytes);
        let what = format!("sends {to} {} {} {sent:?}", bytes.len(), Hash256::of(bytes).short());
        self.network.tape.frame(self.network.machine, &what);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.network.datagrams.unbind(self.at, self.number);
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.has_power() {
            let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
            transmit.contents.chunks(segment).for_each(|bytes| self.send_one(transmit.destination, bytes));
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta), true) = (buffers.first_mut(), meta.first_mut(), self.has_power()) else {
            return Poll::Pending;
        };
        loop {
            match self.network.datagrams.receive(self.at, self.number, context.waker()) {
                Found::Arrived(datagram) => {
                    // What is longer than its receiver's buffer is cut, as a system does.
                    let length = datagram.bytes.len().min(buffer.len());
                    buffer[..length].copy_from_slice(&datagram.bytes[..length]);
                    *meta = RecvMeta { addr: datagram.from, len: length, stride: length, ..RecvMeta::default() };
                    return Poll::Ready(Ok(1));
                }
                Found::Nothing(None) => return Poll::Pending,
                Found::Nothing(Some(next)) => {
                    let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
                    let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(next)));
                    timer.as_mut().reset(next);
                    if timer.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.at)
    }

    /// So that QUIC does not look for longer datagrams: what travels does not depend on the time of its probes.
    fn may_fragment(&self) -> bool {
        true
    }
}

/// There is always room for what is sent.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
