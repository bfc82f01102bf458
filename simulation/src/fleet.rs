//! The machines together, and the time that passes for all of them.
//!
//! In: how far time goes. Out: the machines as they are then. Holds: the rule of time: it goes on in quanta no longer
//! than the shortest way of a frame, and within one quantum each machine lives for itself, in an order that the seed
//! draws. Not here: what happens to them (`script`), what they shall do (`run`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use skein_node::env::memory::Links;
use skein_node::scripted::World;

use crate::machine::Machine;
use crate::net::{FabricKind, Net};
use crate::shim;
use crate::tape::Tape;

/// Timers of tokio have this resolution, so no frame is faster.
pub(crate) const QUANTUM: Duration = Duration::from_millis(1);
/// A node looks at its gossip half as often as this.
const GOSSIP_LOOK_MILLIS: u128 = 250;
/// Gossip takes a node for dead that lives.
const FALSE_DEATH: &str = "false death by gossip";
/// Frames take from one quantum to this long.
const MOST_LATENCY: Duration = Duration::from_millis(5);

/// The machine that lives at the moment; one seed is one process, so it is one for all.
static PRESENT: AtomicUsize = AtomicUsize::new(0);

/// The machine that lives at the moment, and the microseconds since the beginning: for the log.
pub(crate) fn present() -> (usize, u128) {
    (PRESENT.load(Ordering::Relaxed), shim::since_start().as_micros())
}

/// How large a fleet is, and what connects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Machines.
    pub(crate) machines: usize,
    /// Voters that the fleet wants: 1, 3 or 5.
    pub(crate) voters: usize,
    /// What travels between them.
    pub(crate) fabric: FabricKind,
}

/// The machines.
pub(crate) struct Fleet {
    pub(crate) machines: Vec<Machine>,
    /// Time since the beginning.
    pub(crate) now: Duration,
    net: Net,
    random: ChaCha8Rng,
    /// Whom each start of a node has heard in gossip: the listener, its start, the other, its start; whether it was
    /// declared dead since.
    heard: BTreeMap<(usize, u64, usize, u64), bool>,
    false_deaths: u64,
}

impl Fleet {
    /// Machines on which nothing runs yet.
    pub(crate) fn new(seed: u64, setup: Setup, world: &World, tape: &Tape) -> Self {
        let net = Net::new(setup.fabric, seed);
        net.links().set_latency(QUANTUM, MOST_LATENCY);
        let machine = |number| Machine::new(number, seed, setup.voters, world.clone(), net.clone(), tape.clone());
        Self {
            machines: (0..setup.machines).map(machine).collect(),
            now: Duration::ZERO,
            net: net.clone(),
            random: ChaCha8Rng::seed_from_u64(seed ^ 0x666c_6565),
            heard: BTreeMap::new(),
            false_deaths: 0,
        }
    }

    /// Lets one quantum pass. A machine whose disk has failed within it has crashed at the end of it.
    pub(crate) fn pass(&mut self) {
        let until = self.now + QUANTUM;
        let first = self.random.next_u32() as usize;
        for turn in 0..self.machines.len() {
            let number = (first + turn) % self.machines.len();
            PRESENT.store(number, Ordering::Relaxed);
            self.machines[number].advance(until);
        }
        self.now = until;
        shim::set_now(until);
        if until.as_millis().is_multiple_of(GOSSIP_LOOK_MILLIS) {
            self.listen_to_gossip();
        }
    }

    /// Starts a machine's node now.
    pub(crate) fn start(&mut self, number: usize) {
        let now = self.now;
        self.machines[number].start(now);
    }

    /// Lets a machine stand still for so long, while time goes on for the others.
    pub(crate) fn pause(&mut self, number: usize, lasts: Duration) {
        let until = self.now + lasts;
        self.machines[number].pause(self.now, until);
    }

    /// The links between the machines.
    pub(crate) fn links(&self) -> &Links {
        self.net.links()
    }

    /// Where a machine's node is reached.
    pub(crate) fn at(&self, number: usize) -> SocketAddr {
        self.machines[number].at
    }

    /// Heals everything but crashes: the links are fair and whole, the disks work, the clocks run as they should (they
    /// stay as wrong as they are), machines that stand still wake.
    pub(crate) fn heal(&mut self) {
        self.links().heal_all();
        let now = self.now;
        for machine in &mut self.machines {
            machine.host.storage.heal();
            machine.clock.set_drift(0);
            machine.wake_at(now);
        }
    }

    /// Looks whom gossip takes for dead that lives and runs.
    fn listen_to_gossip(&mut self) {
        let awake = |machine: &&Machine| !machine.is_paused() && machine.node().is_some();
        let awake: Vec<&Machine> = self.machines.iter().filter(awake).collect();
        for listener in &awake {
            let Some(hears) = listener.node().map(|node| node.hears()) else { continue };
            for other in awake.iter().filter(|other| other.number != listener.number) {
                let key = (listener.number, listener.starts(), other.number, other.starts());
                let alive = other.node().is_some_and(|node| hears.contains(&node.id()));
                if alive {
                    self.heard.insert(key, false);
                } else if let Some(dead @ false) = self.heard.get_mut(&key) {
                    *dead = true;
                    self.false_deaths += 1;
                }
            }
        }
    }

    /// How often each kind of fault has taken effect.
    pub(crate) fn inflicted(&self) -> BTreeMap<&'static str, u64> {
        let mut all = self.links().inflicted();
        if self.false_deaths > 0 {
            all.insert(FALSE_DEATH, self.false_deaths);
        }
        for machine in &self.machines {
            for (kind, times) in machine.inflicted() {
                *all.entry(kind).or_default() += times;
            }
        }
        all
    }
}
