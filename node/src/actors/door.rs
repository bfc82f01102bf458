//! The way from other parts of the node to its actors.

use std::fmt;

use ractor::ActorRef;
use skein_protocol::fleet::load::PeerLoad;
use skein_protocol::ledger::entry::Fence;
use tokio::sync::oneshot;

use super::supervisor::SupervisorMessage;

/// The way to the actors; without any, nothing happens.
#[derive(Clone, Default)]
pub(crate) struct Door(Option<ActorRef<SupervisorMessage>>);

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

/// What is given to a node that asks for work.
#[derive(Debug, Default)]
pub(crate) struct Gift {
    /// Whole migrations: the ledger must say so yet.
    pub(crate) whole: Vec<Fence>,
    /// Batches that are being handed over.
    pub(crate) lent: u32,
}

impl Door {
    pub(super) fn new(supervisor: ActorRef<SupervisorMessage>) -> Self {
        Self(Some(supervisor))
    }

    /// What may be given to `thief`; nothing when nobody can tell.
    pub(crate) async fn steal(&self, thief: PeerLoad) -> Option<Gift> {
        let (gift, given) = oneshot::channel();
        self.0.as_ref()?.cast(SupervisorMessage::Steal(thief, gift)).ok()?;
        given.await.ok()
    }

    /// Something may have become possible.
    pub(crate) fn wake(&self) {
        if let Some(supervisor) = &self.0 {
            // Actors that are gone need no wake.
            let _ = supervisor.cast(SupervisorMessage::Wake);
        }
    }
}
