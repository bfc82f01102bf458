//! What happens to the machines of a seed, and when.
//!
//! In: a seed. Out: [`Script`]. Holds: the draws; each seed chooses which kinds of accident it has. Not here: doing it.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use skein_node::scripted::{Call, Effect, Fault};
use skein_protocol::data_plane::Failure;
use skein_protocol::problem::{Code, Problem};

use crate::fleet::MACHINES;

/// Accidents and submissions begin within this time after the fleet is complete.
const BUSY_MILLIS: u64 = 6_000;
/// A machine stays without power for at most this long.
const MOST_DARK_MILLIS: u64 = 8_000;
/// A disk dies within so many operations after the order; a busy node makes some hundred a second.
const MOST_OPERATIONS: u64 = 400;
/// Policies of a seed.
const POLICIES: u64 = 4;
/// Tables of each policy: at least, and so many more.
const TABLES: (u64, u64) = (5, 6);
/// Files, and thereby batches, of a table: at most.
const MOST_FILES: u64 = 4;

/// How a machine loses its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Between two steps of its node.
    Now,
    /// In the middle of the k-th disk operation from now on.
    AtOperation(u64),
}

/// One accident. Times are since the fleet was complete.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accident {
    pub(crate) at: Duration,
    pub(crate) machine: usize,
    pub(crate) crash: Crash,
    /// So long after the crash it starts again.
    pub(crate) dark: Duration,
}

/// A link over which nothing arrives for a while. Times are since the fleet was complete.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Nothing arrives the other way either.
    pub(crate) both_ways: bool,
}

/// One submission of a policy.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    pub(crate) at: Duration,
    pub(crate) machine: usize,
    /// Number of the policy; its tables carry it.
    pub(crate) policy: u64,
    /// Files of each of its tables.
    pub(crate) tables: Vec<u64>,
}

/// What happens in a seed.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) accidents: Vec<Accident>,
    pub(crate) cuts: Vec<Cut>,
    pub(crate) submissions: Vec<Submission>,
    pub(crate) faults: Vec<Fault>,
}

impl Script {
    /// The script of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x7363_7269_7074);
        let submissions = (0..POLICIES).map(|policy| submission(&mut random, policy)).collect();
        let crashes = 1 + below(&mut random, 3);
        let mut accidents: Vec<Accident> = (0..crashes).map(|_| accident(&mut random)).collect();
        accidents.sort_by_key(|accident| accident.at);
        let faults = faults(&mut random);
        Self { accidents, cuts: cuts(&mut random), submissions, faults }
    }
}

fn below(random: &mut ChaCha8Rng, limit: u64) -> u64 {
    random.next_u64() % limit
}

fn machine(random: &mut ChaCha8Rng) -> usize {
    random.next_u32() as usize % MACHINES
}

fn submission(random: &mut ChaCha8Rng, policy: u64) -> Submission {
    let tables = TABLES.0 + below(random, TABLES.1);
    Submission {
        at: Duration::from_millis(below(random, BUSY_MILLIS / 2)),
        machine: machine(random),
        policy,
        tables: (0..tables).map(|_| 1 + below(random, MOST_FILES)).collect(),
    }
}

fn accident(random: &mut ChaCha8Rng) -> Accident {
    let operations = 1 + below(random, MOST_OPERATIONS);
    Accident {
        at: Duration::from_millis(below(random, BUSY_MILLIS)),
        machine: machine(random),
        crash: if below(random, 3) == 0 { Crash::Now } else { Crash::AtOperation(operations) },
        dark: Duration::from_millis(1 + below(random, MOST_DARK_MILLIS)),
    }
}

/// In a third of the seeds links are cut too: one of them, or all of one machine.
fn cuts(random: &mut ChaCha8Rng) -> Vec<Cut> {
    if below(random, 3) != 0 {
        return Vec::new();
    }
    let at = Duration::from_millis(below(random, BUSY_MILLIS));
    let lasts = Duration::from_millis(1 + below(random, MOST_DARK_MILLIS));
    let (from, all, both_ways) = (machine(random), below(random, 2) == 0, below(random, 3) != 0);
    let others = (1..MACHINES).map(|step| (from + step) % MACHINES);
    others.take(if all { MACHINES } else { 1 }).map(|to| Cut { at, lasts, from, to, both_ways }).collect()
}

/// In half of the seeds the world outside of the nodes fails now and then too.
fn faults(random: &mut ChaCha8Rng) -> Vec<Fault> {
    let problem = |code| Problem::new(code, "a call", "the script says so", "wait");
    let mut faults = Vec::new();
    if below(random, 2) == 0 {
        let busy = Effect::Fail(Failure::transient(problem(Code::Io)));
        let after = u32::try_from(below(random, 20)).expect("below 20");
        faults.push(Fault { times: 2, ..Fault::once(Call::RunBatch, busy).after(after) });
    }
    if below(random, 2) == 0 {
        let silent = Effect::FailAfter(Failure::unknown(problem(Code::CatalogUnavailable)));
        let after = u32::try_from(below(random, 10)).expect("below 10");
        faults.push(Fault::once(Call::Register, silent).after(after));
    }
    faults
}
