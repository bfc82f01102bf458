//! Nodes are killed; the leader finds out, and the ledger gives what they owned to others.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use skein_protocol::fleet::expiry::{self, MassDeath, SessionView};
use skein_protocol::ids::{BatchId, MigrationId, NodeId, SessionNo};
use skein_protocol::ledger::{Entry, Phase};

use super::log::ELECTION_MICROS;
use super::model::{Event, Model, Then};
use super::node::index_of;
use super::random::mixed;
use super::work::Job;

/// A session as it is configured by default.
const SESSION_MILLIS: u64 = 5_000;
/// The leader looks this often who is silent.
const LOOK_MICROS: u64 = 250_000;
/// Nodes die in this part of the time that the work takes at best, per mille.
const KILLED_FROM: u64 = 100;
const KILLED_UNTIL: u64 = 750;
/// Half of them die alone; the others with their racks, which are this many.
const RACKS: usize = 3;

/// A node is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Killing {
    /// When, milliseconds.
    pub millis: u64,
    /// Which.
    pub node: u32,
}

/// A batch that ran on, or for, a node that is dead.
pub(super) struct Hurt {
    owner: usize,
    runner: usize,
    id: MigrationId,
    batch: BatchId,
}

impl Model<'_> {
    /// Who will be killed, and when: half of them one by one, the others rack by rack.
    pub(super) fn plan_killings(&mut self, expected_micros: u64) {
        let seed = self.setting.seed;
        let count = self.nodes.len() * self.setting.killed_percent as usize / 100;
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|index| mixed(&[seed, 77, *index as u64]));
        let alone = count.div_ceil(2);
        let span = |words: &[u64]| {
            let per_mille = KILLED_FROM + mixed(words) % (KILLED_UNTIL - KILLED_FROM);
            expected_micros * per_mille / 1000
        };
        for (position, index) in order.into_iter().take(count).enumerate() {
            let at = if position < alone {
                span(&[seed, 78, index as u64])
            } else {
                // Machines of a rack do not stop in the same microsecond.
                span(&[seed, 79, (position % RACKS) as u64]) + mixed(&[seed, 80, index as u64]) % 300_000
            };
            self.agenda.at(at, Event::Die(index));
        }
    }

    pub(super) fn die(&mut self, index: usize) {
        let leads = self.leader() == Some(index);
        let node = &mut self.nodes[index];
        node.died_at = Some(self.now);
        node.running = skein_protocol::schedule::Running::default();
        self.measured.working -= u64::from(node.working);
        (node.working, node.reserved) = (0, 0);
        let node = u32::try_from(index).unwrap_or(u32::MAX);
        self.killings.push(Killing { millis: self.now / 1000, node });
        if leads {
            self.log.elect(self.now);
            self.leads_from = self.now + ELECTION_MICROS;
            self.mass = MassDeath::default();
            self.measured.elections += 1;
        }
    }

    /// Who leads: as if the voters were the first that live.
    fn leader(&self) -> Option<usize> {
        self.nodes.iter().position(super::node::Node::lives)
    }

    /// The leader looks who is silent.
    pub(super) fn look(&mut self) {
        self.agenda.at(self.now + LOOK_MICROS, Event::Look);
        if self.now < self.leads_from {
            return;
        }
        let silent = |node: NodeId| {
            let died_at = self.nodes[index_of(node)].died_at;
            // A new leader has heard nobody before it led.
            died_at.map_or(0, |at| self.now.saturating_sub(at.max(self.leads_from)) / 1000)
        };
        let active = self.state.active().map(|member| member.node).filter(|node| !self.expelled.contains(node));
        let fleet: Vec<SessionView> =
            active.map(|node| SessionView { node, silent_millis: silent(node), draining: false }).collect();
        let verdict = expiry::decide(&fleet, SESSION_MILLIS, &mut self.mass, self.now / 1000);
        if verdict.expire.is_empty() {
            return;
        }
        self.expelled.extend(&verdict.expire);
        let sessions = verdict.expire.iter().map(|node| (*node, SessionNo(1))).collect();
        self.send(Entry::SessionsExpired { sessions, mass: verdict.mass }, Then::Expired(verdict.expire));
    }

    /// The batches that dead nodes run for others, and those that others run for them.
    pub(super) fn touched_by(&self, dead: &[NodeId]) -> Vec<Hurt> {
        let dead: BTreeSet<NodeId> = dead.iter().copied().collect();
        let mut hurt = Vec::new();
        for migration in self.state.in_phase(Phase::Execution) {
            for (batch, ..) in migration.running_batches() {
                let Some(runner) = migration.batch(batch).and_then(|batch| batch.running.and(batch.runner)) else {
                    continue;
                };
                if runner != migration.owner && (dead.contains(&runner) || dead.contains(&migration.owner)) {
                    let (owner, runner) = (index_of(migration.owner), index_of(runner));
                    hurt.push(Hurt { owner, runner, id: migration.id, batch });
                }
            }
        }
        hurt
    }

    /// The ledger has given everything to others: what ran with or for the dead is over.
    pub(super) fn expired(&mut self, dead: &[NodeId], hurt: &[Hurt]) {
        self.expelled.retain(|node| !dead.contains(node));
        self.measured.expired += dead.len() as u64;
        for Hurt { owner, runner, id, batch } in hurt {
            if self.nodes[*owner].lives() {
                self.nodes[*owner].leave(*id, Job::Batch(*batch, skein_protocol::ids::Attempt(0)));
            }
            if self.nodes[*runner].lives() && self.nodes[*runner].see_off(*id, *batch) {
                self.nodes[*runner].working -= 1;
                self.measured.working -= 1;
            }
        }
        self.wake_all();
    }
}
