//! The machines together, and the time that passes for all of them.
//!
//! In: how far time goes. Out: the machines as they are then. Holds: the rule of time: it goes on in quanta no longer
//! than the shortest way of a frame, and within one quantum each machine lives for itself, in an order that the seed
//! draws. Not here: what happens to them (`script`), what they shall do (`run`).

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use skein_node::env::memory::MemoryFabric;
use skein_node::scripted::World;

use crate::machine::Machine;
use crate::shim;
use crate::tape::Tape;

/// Machines of a simulated fleet: the smallest that survives a death.
pub(crate) const MACHINES: usize = 3;
/// Timers of tokio have this resolution, so no frame is faster.
const QUANTUM: Duration = Duration::from_millis(1);
/// Frames take from one quantum to this long.
const MOST_LATENCY: Duration = Duration::from_millis(5);

/// The machines.
pub(crate) struct Fleet {
    pub(crate) machines: Vec<Machine>,
    /// Time since the beginning.
    pub(crate) now: Duration,
    random: ChaCha8Rng,
}

impl Fleet {
    /// Machines on which nothing runs yet.
    pub(crate) fn new(seed: u64, world: &World, tape: &Tape) -> Self {
        let fabric = MemoryFabric::new(seed);
        fabric.set_latency(QUANTUM, MOST_LATENCY);
        let machine = |number| Machine::new(number, seed, world.clone(), fabric.clone(), tape.clone());
        Self {
            machines: (0..MACHINES).map(machine).collect(),
            now: Duration::ZERO,
            random: ChaCha8Rng::seed_from_u64(seed ^ 0x666c_6565),
        }
    }

    /// Lets one quantum pass. A machine whose disk has failed within it has crashed at the end of it.
    pub(crate) fn pass(&mut self) {
        let until = self.now + QUANTUM;
        let first = self.random.next_u32() as usize;
        for turn in 0..self.machines.len() {
            let number = (first + turn) % self.machines.len();
            self.machines[number].advance(until);
        }
        self.now = until;
        shim::set_now(until);
    }

    /// Starts a machine's node now.
    pub(crate) fn start(&mut self, number: usize) {
        let now = self.now;
        self.machines[number].start(now);
    }
}
