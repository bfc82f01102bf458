//! Everything that reaches a node from outside, as one struct of traits.
//!
//! In: implementations, chosen by the caller. Out: [`Env`], which every part of the node is given.
//! Holds: the traits; [`system`], the implementation over a real machine; [`memory`], one that
//! lives in memory, repeats itself for a seed, and can crash. Not here: any decision, any state of a node.
//!
//! Timers are not in here: they are tokio's, on the runtime of the caller, who may pause its time.

mod blocking;
mod clock;
mod disk;
mod entropy;
mod files;
pub mod memory;
mod network;
mod outbound;
pub mod system;

use std::fmt;
use std::sync::Arc;

pub use blocking::{Blocking, BlockingError, Work};
pub use clock::Clock;
pub use disk::LedgerDisk;
pub use entropy::Entropy;
pub use files::{FileMode, MAX_NODE_FILE_BYTES, NodeFiles};
pub use network::{ByteStream, HttpListener, Network, StreamListener};
pub use outbound::{MAX_OUTBOUND_ANSWER_BYTES, Outbound, OutboundAnswer, OutboundCall, OutboundError};
use skein_protocol::data_plane::DataPlane;

use crate::fabric::Fabrics;

/// What a node has of the world. Cheap to clone; clones are the same world.
#[derive(Clone)]
pub struct Env {
    /// Wall clock and monotonic clock.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Runs what would block the async threads.
    pub blocking: Arc<dyn Blocking>,
    /// Storage of the ledger.
    pub ledger_disk: Arc<dyn LedgerDisk>,
    /// Small files of the node: tokens, its identity.
    pub files: Arc<dyn NodeFiles>,
    /// Sockets.
    pub network: Arc<dyn Network>,
    /// Calls to other nodes.
    pub fabrics: Arc<dyn Fabrics>,
    /// Calls to programs outside of the fleet.
    pub outbound: Arc<dyn Outbound>,
    /// Moves the bytes of migrations.
    pub data_plane: Arc<dyn DataPlane>,
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("ledger_disk", &self.ledger_disk)
            .field("files", &self.files)
            .field("network", &self.network)
            .field("fabrics", &self.fabrics)
            .finish_non_exhaustive()
    }
}
