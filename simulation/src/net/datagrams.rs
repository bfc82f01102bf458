//! Datagrams on their way: who is bound where, what is under way, when it arrives.
//!
//! In: datagrams that sockets send. Out: those that have arrived, in the order of their arrival. Holds: [`Datagrams`],
//! one mailbox for each bound address. Not here: the sockets themselves (`socket`), the draws of their fates (`Links`).
//!
//! What is not held back or delayed stays in the order in which it was sent: to QUIC, packets in another order look like
//! lost ones, and links that shuffle all the time would make every connection crawl.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use skein_node::env::memory::{Links, Trip};
use tokio::time::Instant;

/// Datagrams that wait at one address before further ones are dropped: what a system's buffer of two mebibytes holds.
const MAX_WAITING: usize = 1_600;
/// Ports that are given out when a socket asks for any.
const FIRST_FREE_PORT: u16 = 49_152;

/// The network of all machines. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Datagrams {
    inner: Arc<Mutex<Inner>>,
    links: Links,
}

#[derive(Debug, Default)]
struct Inner {
    bound: BTreeMap<SocketAddr, Bound>,
    /// When the last one that went in line arrives, for each link.
    lines: BTreeMap<(SocketAddr, SocketAddr), Instant>,
    /// Sockets so far.
    opened: u64,
    /// Datagrams so far.
    sent: u64,
}

#[derive(Debug)]
struct Bound {
    number: u64,
    /// By arrival, then by the order in which they were sent.
    waiting: BTreeMap<(Instant, u64), Datagram>,
    waker: Option<Waker>,
}

/// One datagram.
#[derive(Debug, Clone)]
pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) bytes: Vec<u8>,
    trip: Trip,
    is_copy: bool,
}

/// What became of a datagram when it was sent, for the tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    UnderWay,
    Lost,
    CutOff,
    /// Nobody is bound there, or too many wait.
    Nowhere,
}

/// What a socket finds when it looks.
pub(super) enum Found {
    Arrived(Datagram),
    /// The next one arrives then; none: nothing is under way.
    Nothing(Option<Instant>),
}

impl Datagrams {
    pub(super) fn new(seed: u64) -> Self {
        Self { inner: Arc::default(), links: Links::of_datagrams(seed) }
    }

    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    /// Binds an address; port 0: any free one. The number tells this socket from later ones there.
    pub(super) fn bind(&self, at: SocketAddr) -> io::Result<(SocketAddr, u64)> {
        let mut inner = self.lock();
        let mut address = at;
        if at.port() == 0 {
            let free = |port: &u16| !inner.bound.contains_key(&SocketAddr::new(at.ip(), *port));
            address.set_port((FIRST_FREE_PORT..=u16::MAX).find(free).ok_or(io::ErrorKind::AddrInUse)?);
        } else if inner.bound.contains_key(&at) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{at} is taken")));
        }
        inner.opened += 1;
        let number = inner.opened;
        inner.bound.insert(address, Bound { number, waiting: BTreeMap::new(), waker: None });
        Ok((address, number))
    }

    pub(super) fn unbind(&self, at: SocketAddr, number: u64) {
        let mut inner = self.lock();
        if inner.bound.get(&at).is_some_and(|bound| bound.number == number) {
            inner.bound.remove(&at);
        }
    }

    /// Sends one datagram now.
    pub(super) fn send(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Sent {
        if self.links.stops(from, to) {
            return Sent::CutOff;
        }
        let trip = self.links.trip(from, to);
        if trip.lost {
            self.links.lose();
            return Sent::Lost;
        }
        let mut inner = self.lock();
        let mut arrives = Instant::now() + trip.takes;
        if trip.is_in_line() {
            let last = inner.lines.entry((from, to)).or_insert(arrives);
            arrives = arrives.max(*last);
            *last = arrives;
        }
        let again = trip.again.map(|later| arrives + later);
        let datagram = Datagram { from, bytes: bytes.to_vec(), trip, is_copy: false };
        let copy = again.map(|at| (at, Datagram { is_copy: true, ..datagram.clone() }));
        for (at, datagram) in [Some((arrives, datagram)), copy].into_iter().flatten() {
            inner.sent += 1;
            let number = inner.sent;
            let Some(bound) = inner.bound.get_mut(&to).filter(|bound| bound.waiting.len() < MAX_WAITING) else {
                return Sent::Nowhere;
            };
            bound.waiting.insert((at, number), datagram);
            if let Some(waker) = bound.waker.take() {
                waker.wake();
            }
        }
        Sent::UnderWay
    }

    /// Takes what has arrived at an address, or remembers whom to wake when something is sent there.
    pub(super) fn receive(&self, at: SocketAddr, number: u64, waker: &Waker) -> Found {
        let mut inner = self.lock();
        let Some(bound) = inner.bound.get_mut(&at).filter(|bound| bound.number == number) else {
            return Found::Nothing(None);
        };
        match bound.waiting.first_entry() {
            Some(first) if first.key().0 <= Instant::now() => {
                let datagram = first.remove();
                if datagram.is_copy {
                    self.links.arrive_again();
                } else {
                    self.links.arrive(&datagram.trip);
                }
                Found::Arrived(datagram)
            }
            first => {
                let next = first.map(|first| first.key().0);
                bound.waker = Some(waker.clone());
                Found::Nothing(next)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
