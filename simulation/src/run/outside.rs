//! What is asked and seen from outside, told to the auditor.
//!
//! In: questions, answers, changes of what readers see. Out: what contradicts the specification. Not here: the rules (`auditor`),
//! who asks (`people`).

use std::time::Duration;

use skein_node::scripted::{What, World};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::MigrationId;

use crate::client::Said;
use crate::plan::Plan;

/// What somebody asks.
#[derive(Debug, Clone)]
pub(super) enum Question {
    /// A policy, under a key.
    Submit { key: String, policy: String },
    /// An action on one migration.
    Act { action: &'static str, migration: MigrationId, target: String },
    /// Plans, as they were seen.
    Approve { items: Vec<(MigrationId, Hash256, String)> },
    /// A node shall own nothing, or may again.
    Drain { node: u64, cancel: bool },
    /// What is in quarantine gets another run: these, or all.
    Replay { migrations: Vec<(MigrationId, String)> },
    /// What of a policy is in quarantine is given up.
    Discard { policy: String },
}

/// The auditor's ears and eyes.
pub(super) struct Outside {
    next: u64,
    /// Happenings of the world that were looked at.
    seen: usize,
}

impl Outside {
    pub(super) fn new(_plan: &Plan) -> Self {
        Self { next: 0, seen: 0 }
    }

    /// Something is asked; its number.
    pub(super) fn asked(&mut self, _now: Duration, _question: &Question) -> u64 {
        self.next += 1;
        self.next
    }

    /// An answer came, or nothing will.
    pub(super) fn answered(&mut self, _id: u64, _now: Duration, _said: &Said) {}

    /// Looks at what readers see of tables that changed.
    pub(super) fn look(&mut self, world: &World, _now: Duration) {
        let news: Vec<_> = world.happenings().into_iter().skip(self.seen).collect();
        self.seen += news.len();
        for news in news {
            if let What::Named { target: _, .. } = news.what {}
        }
    }

    /// Everything has ended.
    pub(super) fn ended(&mut self, _now: Duration) {}

    /// What contradicts the specification.
    pub(super) fn finish(&mut self) -> Vec<String> {
        Vec::new()
    }
}
