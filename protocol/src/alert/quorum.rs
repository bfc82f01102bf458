//! When a node says that it sees no quorum, and that it does again.
//!
//! The ledger cannot remember it: without a quorum nothing is recorded. Each node remembers for itself.

use super::{Incident, IncidentKind};
use crate::hash::Hash256;
use crate::ids::NodeId;
use crate::problem::{Code, Problem};

/// Elections take a second or two, a restart of a voter some more: what lasts longer needs a person.
pub const QUORUM_GRACE_MILLIS: u64 = 15_000;

/// What a node knows of its quorum over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumWatch {
    fleet: String,
    node: NodeId,
    /// Since when it is away, milliseconds since 1970.
    lost: Option<u64>,
    /// What was told and is not over.
    told: Option<Incident>,
}

impl QuorumWatch {
    /// Nothing is wrong yet.
    #[must_use]
    pub fn new(fleet: String, node: NodeId) -> Self {
        Self { fleet, node, lost: None, told: None }
    }

    /// Looks: is there a quorum at this time (milliseconds since 1970)?
    pub fn look(&mut self, quorum: bool, now: u64) {
        match (quorum, self.lost) {
            (true, _) => self.lost = None,
            (false, None) => self.lost = Some(now),
            (false, Some(_)) => {}
        }
    }

    /// The incident that is to be told, if it lasts longer than the grace and was not told.
    #[must_use]
    pub fn opened(&self, now: u64) -> Option<Incident> {
        let since = self.lost?;
        let lasts = now.saturating_sub(since) >= QUORUM_GRACE_MILLIS;
        (lasts && self.told.is_none()).then(|| Incident {
            id: Hash256::of(format!("skein incident\nquorum\n{}\n{}\n{since}", self.fleet, self.node).as_bytes()),
            kind: IncidentKind::NoQuorum,
            since,
            migration: None,
            node: Some(self.node),
            problem: Some(Problem::new(
                Code::LedgerUnavailable,
                format!("the ledger, as node {} sees it", self.node),
                "no leader that a majority of the voters follows is known",
                "look at `skein fleet show` on several nodes; start the voters that are down, or repair the network",
            )),
        })
    }

    /// The incident whose end is to be told.
    #[must_use]
    pub fn resolved(&self) -> Option<Incident> {
        let told = self.told.as_ref().filter(|_| self.lost.is_none())?;
        Some(Incident { problem: None, ..told.clone() })
    }

    /// An incident of this watch was told; `None`: its end was.
    pub fn told(&mut self, incident: Option<Incident>) {
        self.told = incident;
    }
}
