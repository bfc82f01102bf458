//! The network of a fleet: whole frames in memory, or datagrams under the nodes' own QUIC.
//!
//! In: which kind a seed wants. Out: [`Net`]; for each start of a machine the sockets that it has. Holds: that both
//! kinds have the same links, so that whoever makes the weather needs not know which it is. Not here: what the links do
//! (`skein_node::env::memory`), how datagrams travel (`datagrams`), what a node makes of them.

mod datagrams;
mod socket;

pub(crate) use datagrams::Datagrams;
use skein_node::env::memory::{Links, MemoryFabric};
pub(crate) use socket::MachineNetwork;

/// What travels between the nodes of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FabricKind {
    /// Whole frames: quick to simulate.
    #[default]
    Messages,
    /// Datagrams, with the nodes' own QUIC, mutual TLS and certificates over them.
    Quic,
}

/// The network of a fleet. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) enum Net {
    Messages(MemoryFabric),
    Quic(Datagrams),
}

impl Net {
    /// A network of this kind; everything about it follows from `seed`.
    pub(crate) fn new(kind: FabricKind, seed: u64) -> Self {
        match kind {
            FabricKind::Messages => Self::Messages(MemoryFabric::new(seed)),
            FabricKind::Quic => Self::Quic(Datagrams::new(seed)),
        }
    }

    /// The links between the machines.
    pub(crate) fn links(&self) -> &Links {
        match self {
            Self::Messages(fabric) => fabric.links(),
            Self::Quic(datagrams) => datagrams.links(),
        }
    }
}
