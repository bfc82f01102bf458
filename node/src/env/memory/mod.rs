//! The implementation of [`Env`] in memory: it repeats itself for a seed, and it can crash.
//!
//! In: a seed; faults to inject. Out: an [`Env`] for each start of one node. Holds: [`MemoryHost`], what
//! outlives the starts of one node, and the parts it is made of. Not here: virtual time (tokio's, paused by
//! the caller), several nodes' packets.
//!
//! Used by tests and simulations; public for that reason, never by a node in production.

mod clock;
mod disk_faults;
mod entropy;
mod fabric;
mod handle;
mod inline;
mod links;
mod network;
mod no_data_plane;
mod outbound;
mod storage;
mod undo;
mod weather;

use std::sync::Arc;

pub use clock::ManualClock;
pub use entropy::SeededEntropy;
use fabric::HostFabrics;
pub use fabric::MemoryFabric;
use handle::Pulse;
use inline::DiskBlocking;
pub use inline::InlineBlocking;
pub use links::{Links, Trip};
pub use network::MemoryNetwork;
pub use no_data_plane::NoDataPlane;
pub use outbound::MemoryOutbound;
use skein_protocol::data_plane::DataPlane;
pub use storage::MemoryStorage;
pub use weather::Weather;

use super::Env;

/// The machine of one node: its storage and clock outlive a crash of the node.
///
/// To crash a node: [`MemoryStorage::crash`] first, so that destructors cannot tidy up, then drop its runtime,
/// then [`MemoryStorage::restart`], then a new [`MemoryHost::env`].
#[derive(Debug, Clone)]
pub struct MemoryHost {
    /// Ledger disk and node files.
    pub storage: MemoryStorage,
    /// The clock.
    pub clock: Arc<ManualClock>,
    /// The source of randomness; it goes on over restarts.
    pub entropy: Arc<SeededEntropy>,
    /// Sockets; shared with other hosts if they shall reach each other.
    pub network: MemoryNetwork,
    /// Calls to other nodes; shared with other hosts if they shall reach each other.
    pub fabric: MemoryFabric,
    /// Calls to programs outside of the fleet.
    pub outbound: MemoryOutbound,
}

impl MemoryHost {
    /// A fresh machine; everything about it follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            storage: MemoryStorage::new(seed),
            clock: Arc::new(ManualClock::default()),
            entropy: Arc::new(SeededEntropy::new(seed)),
            network: MemoryNetwork::default(),
            fabric: MemoryFabric::new(seed),
            outbound: MemoryOutbound::default(),
        }
    }

    /// The world of one start of the node. After a crash the worlds of earlier starts only fail.
    #[must_use]
    pub fn env(&self, data_plane: Arc<dyn DataPlane>) -> Env {
        Env {
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            blocking: Arc::new(DiskBlocking(self.storage.clone())),
            ledger_disk: self.storage.handle(),
            files: self.storage.handle(),
            network: Arc::new(self.network.clone()),
            fabrics: Arc::new(HostFabrics::new(self.fabric.clone(), Pulse::of(self.storage.handle()))),
            outbound: Arc::new(self.outbound.clone()),
            data_plane,
        }
    }
}

#[cfg(test)]
mod tests;
