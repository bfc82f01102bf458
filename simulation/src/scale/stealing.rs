//! Stealing as the nodes do it: by what gossip says, with questions and answers that take their time.

use skein_protocol::fleet::load::{PeerLoad, load};
use skein_protocol::fleet::stealing::{choose_victim, consent, lend, wants};
use skein_protocol::ledger::entry::TransferReason;
use skein_protocol::ledger::{Answer, Entry, Migration};

use super::log::NET_MICROS;
use super::model::{Event, Model, Then};
use super::node::{id_of, index_of};
use super::random::mixed;

/// A node without work asks this often.
const ASK_MICROS: u64 = 200_000;
/// After it got something it asks again when the ledger has told its dispatcher.
const DIGEST_MICROS: u64 = 50_000;
/// Lent batches arrive within this time, or their slots are free again.
const LENT_ARRIVE_MICROS: u64 = 500_000;
/// A node that is dead is found out about within this time.
const UNREACHABLE_MICROS: u64 = 1_000_000;
/// A node tells a few others what it knows this often.
const GOSSIP_MICROS: u64 = 500_000;
/// To how many others each time.
const GOSSIP_FANOUT: u32 = 3;

impl Model<'_> {
    fn load(&self, index: usize) -> PeerLoad {
        let node = &self.nodes[index];
        let load = load(&self.state, node.id, self.setting.slots, &node.running, false);
        PeerLoad { free: load.free.saturating_sub(node.reserved), ..load }
    }

    /// A node with a free slot and nothing to put there will ask for something.
    pub(super) fn want(&mut self, index: usize) {
        let node = &self.nodes[index];
        let taken = node.running.busy() + node.reserved as usize;
        if node.asking || taken >= self.setting.slots as usize || !wants(&self.load(index)) {
            return;
        }
        self.nodes[index].asking = true;
        // It looks every so often; by chance it just did or is about to.
        let wait = mixed(&[self.setting.seed, self.now, index as u64]) % ASK_MICROS;
        self.agenda.at(self.now + wait, Event::Ask(index));
    }

    pub(super) fn ask(&mut self, thief: usize) {
        self.nodes[thief].asking = false;
        let me = self.load(thief);
        if !self.nodes[thief].lives() || !wants(&me) {
            return;
        }
        self.nodes[thief].asking = true;
        let random = mixed(&[self.setting.seed, thief as u64, self.now, 1]);
        let Some(victim) = choose_victim(&self.gossip, me.node, random) else {
            return self.agenda.at(self.now + ASK_MICROS, Event::Ask(thief));
        };
        self.nodes[thief].reserved += me.free;
        self.measured.asked += 1;
        let victim = index_of(victim);
        self.agenda.at(self.now + NET_MICROS, Event::Asked { thief, victim, load: me });
    }

    pub(super) fn asked(&mut self, thief: usize, victim: usize, thief_load: &PeerLoad) {
        let slots = thief_load.free;
        if !self.nodes[victim].lives() {
            let at = self.now + UNREACHABLE_MICROS;
            return self.agenda.at(at, Event::Answered { thief, given: 0, lent: 0, slots });
        }
        let (me, running) = (self.load(victim), &self.nodes[victim].running);
        let whole = consent(&self.state, &me, running, thief_load);
        if !whole.is_empty() {
            let items: Vec<_> = whole.iter().filter_map(|id| self.state.migration(*id)).map(Migration::fence).collect();
            let count = items.len();
            let entry = Entry::Transferred { items, to: id_of(thief), reason: TransferReason::Steal };
            return self.send(entry, Then::Given { victim, thief, count, slots });
        }
        let lent = lend(&self.state, &me, running, slots, self.wall_millis());
        let count = u32::try_from(lent.len()).unwrap_or(u32::MAX);
        for (id, batch) in lent {
            self.measured.loans += 1;
            self.hand_out(victim, thief, id, batch);
        }
        self.agenda.at(self.now + NET_MICROS, Event::Answered { thief, given: 0, lent: count, slots });
    }

    pub(super) fn given(&mut self, victim: usize, thief: usize, count: usize, slots: u32, answer: &Answer) {
        let given = match answer {
            Answer::Applied => count,
            Answer::Partly(refused) => count.saturating_sub(refused.len()),
            _ => 0,
        };
        self.measured.steals += given as u64;
        self.agenda.at(self.now + NET_MICROS, Event::Answered { thief, given, lent: 0, slots });
        self.wake(victim);
    }

    pub(super) fn answered(&mut self, thief: usize, given: usize, lent: u32, slots: u32) {
        let node = &mut self.nodes[thief];
        if !node.lives() {
            return;
        }
        node.reserved = node.reserved.saturating_sub(slots.saturating_sub(lent));
        let pause = match (given, lent) {
            (0, 0) => ASK_MICROS,
            (_, 0) => DIGEST_MICROS,
            _ => LENT_ARRIVE_MICROS + DIGEST_MICROS,
        };
        if lent > 0 {
            self.agenda.at(self.now + LENT_ARRIVE_MICROS, Event::Unreserve { node: thief, slots: lent });
        }
        self.agenda.at(self.now + pause, Event::Ask(thief));
        self.wake(thief);
    }

    /// What the nodes say of themselves is known everywhere; until next time it grows old.
    pub(super) fn talk(&mut self) {
        let mut gossip = std::mem::take(&mut self.gossip);
        gossip.clear();
        let living = (0..self.nodes.len()).filter(|index| self.nodes[*index].lives());
        // Whoever has nothing to spare is asked by nobody.
        gossip.extend(living.map(|index| self.load(index)).filter(|load| load.spare_seconds() > 0));
        self.gossip = gossip;
        let rounds = self.setting.nodes.max(2).ilog(GOSSIP_FANOUT + 1) + 1;
        self.agenda.at(self.now + u64::from(rounds) * GOSSIP_MICROS, Event::Gossip);
    }
}
