//! Calls between nodes in memory: every host that shares a [`MemoryFabric`] reaches the others.
//!
//! In: a seed; links, with their weather and their cuts. Out: the `Fabrics` of each start of a host. Holds:
//! [`MemoryFabric`], the registry of addresses, the connections. Not here: one host's end (`end`), what a link does to
//! a frame (`links`), credentials: a host is believed to be the node that it says.
//!
//! Waiting is tokio's, so a paused clock makes all of it take no time and happen in the same order. What a caller
//! learns is what it would learn over QUIC: a peer that never had a connection is unreachable, one whose
//! connection breaks leaves the outcome unknown.

mod end;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use end::Delivery;
pub(super) use end::HostFabrics;
use skein_protocol::ids::NodeId;
use tokio::sync::mpsc;

use super::handle::Pulse;
use super::links::Links;
use crate::fabric::{CallError, Peer};

/// Ports that are given out when a host asks for any.
const FIRST_FREE_PORT: u16 = 49_152;

/// The network that the hosts share. Clones are the same network.
#[derive(Debug, Clone)]
pub struct MemoryFabric {
    shared: Arc<Mutex<Shared>>,
    links: Links,
}

#[derive(Debug, Default)]
struct Shared {
    entrances: BTreeMap<SocketAddr, Entrance>,
    /// Pairs that have a connection: who dialled, whom.
    connected: BTreeSet<(SocketAddr, SocketAddr)>,
    /// Numbers the entrances, so that an answer of an earlier one is told apart.
    opened: u64,
}

/// A bound address.
#[derive(Debug, Clone)]
struct Entrance {
    number: u64,
    node: NodeId,
    /// Whether its host still runs.
    pulse: Pulse,
    inbox: mpsc::Sender<Delivery>,
}

/// How far a frame came.
enum Arrival {
    /// There is somebody.
    At(Entrance),
    /// It went nowhere. Over a connection that was there before, nobody can tell whether it arrived.
    Lost { connected: bool },
}

impl Default for MemoryFabric {
    fn default() -> Self {
        Self::new(0)
    }
}

impl MemoryFabric {
    /// A network whose latencies follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::over(Links::of_frames(seed))
    }

    /// A network over `links`.
    #[must_use]
    pub fn over(links: Links) -> Self {
        Self { shared: Arc::default(), links }
    }

    /// The links: their weather, their cuts, what they have done.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The addresses that are bound by hosts that run.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let shared = self.lock();
        shared.entrances.iter().filter(|(_, entrance)| entrance.pulse.beats()).map(|(at, _)| *at).collect()
    }

    /// Calls the host at `to` as one without a certificate would: it may only ask to join.
    ///
    /// # Errors
    /// As [`crate::fabric::Fabric::call`].
    pub async fn call_as_stranger(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        frame: Vec<u8>,
        deadline: Duration,
    ) -> Result<Vec<u8>, CallError> {
        end::call(self, Peer { node: None, at: from }, to, None, frame, deadline).await
    }

    fn bind(
        &self,
        at: SocketAddr,
        node: NodeId,
        pulse: Pulse,
        inbox: mpsc::Sender<Delivery>,
    ) -> io::Result<(SocketAddr, u64)> {
        let mut shared = self.lock();
        // A crashed host has left its address behind.
        shared.entrances.retain(|_, entrance| entrance.pulse.beats() && !entrance.inbox.is_closed());
        let mut address = at;
        if at.port() == 0 {
            let free = |port: &u16| !shared.entrances.contains_key(&SocketAddr::new(at.ip(), *port));
            let port = (FIRST_FREE_PORT..=u16::MAX).find(free);
            address.set_port(port.ok_or(io::ErrorKind::AddrInUse)?);
        } else if shared.entrances.contains_key(&at) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{at} is taken")));
        }
        shared.opened += 1;
        let number = shared.opened;
        // Connections to and from the address were those of an earlier start.
        shared.connected.retain(|(from, to)| *from != address && *to != address);
        shared.entrances.insert(address, Entrance { number, node, pulse, inbox });
        Ok((address, number))
    }

    fn unbind(&self, at: SocketAddr, number: u64) {
        let mut shared = self.lock();
        if shared.entrances.get(&at).is_some_and(|entrance| entrance.number == number) {
            shared.entrances.remove(&at);
            shared.connected.retain(|(from, to)| *from != at && *to != at);
        }
    }

    /// Drops the connections between `at` and `node`.
    fn disconnect(&self, at: SocketAddr, node: NodeId) {
        let mut shared = self.lock();
        let of_node: BTreeSet<SocketAddr> =
            shared.entrances.iter().filter(|(_, entrance)| entrance.node == node).map(|(at, _)| *at).collect();
        shared
            .connected
            .retain(|(from, to)| !(*from == at && of_node.contains(to) || *to == at && of_node.contains(from)));
    }

    /// Lets a frame arrive, or get lost. A connection needs both directions to come about, and then one to carry.
    fn arrive(&self, from: SocketAddr, to: SocketAddr) -> Arrival {
        let mut shared = self.lock();
        let connected = shared.connected.contains(&(from, to));
        let there = shared.entrances.get(&to).filter(|entrance| entrance.pulse.beats()).cloned();
        let passes = || !self.links.stops(from, to) && (connected || !self.links.stops(to, from));
        match there {
            Some(entrance) if passes() => {
                shared.connected.insert((from, to));
                Arrival::At(entrance)
            }
            _ => {
                shared.connected.remove(&(from, to));
                Arrival::Lost { connected }
            }
        }
    }

    /// Whether an answer of the entrance `number` at `from` arrives at `to`; if not, their connection is gone.
    fn answer_arrives(&self, from: SocketAddr, number: u64, to: SocketAddr) -> bool {
        let mut shared = self.lock();
        let same =
            shared.entrances.get(&from).is_some_and(|entrance| entrance.number == number && entrance.pulse.beats());
        let arrives = same && !self.links.stops(from, to);
        if !arrives {
            shared.connected.remove(&(to, from));
        }
        arrives
    }

    /// The connection of `from` to `to` is gone; whether there was one.
    fn break_off(&self, from: SocketAddr, to: SocketAddr) -> bool {
        self.lock().connected.remove(&(from, to))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
