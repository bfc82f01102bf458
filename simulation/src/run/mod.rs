//! One run of a seed, in two stages: faults, in which nothing unsafe may happen; then none, in which everything must end.
//!
//! In: a seed, and what is left out of it. Out: [`Outcome`]. Not here: what is planned (`plan`), the machines (`fleet`).

mod arrivals;
mod course;
mod inflict;
mod judge;
mod outside;
mod people;
mod survey;

use std::collections::BTreeMap;
use std::time::Duration;

use skein_node::scripted::World;

use crate::plan::{Plan, Without};
use crate::shim;
use crate::tape::Tape;
use course::Course;

/// What became of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The hash over everything that happened: equal for equal histories.
    pub hash: String,
    /// Virtual time that it took.
    pub took: Duration,
    /// Machines.
    pub machines: usize,
    /// Migrations, of all generations.
    pub migrations: usize,
    /// Frames between the nodes.
    pub frames: u64,
    /// Entries of the ledger.
    pub entries: u64,
    /// Calls of the data plane.
    pub calls: u64,
    /// How often each kind of fault took effect.
    pub inflicted: BTreeMap<String, u64>,
    /// How often the situations came up that a run over many seeds must see.
    pub marks: BTreeMap<String, u64>,
    /// The faults that were planned, each with its number.
    pub faults: Vec<(u32, String)>,
    /// What went wrong; empty if nothing did.
    pub failures: Vec<String>,
    /// Everything that happened, line by line.
    pub lines: Vec<String>,
}

/// What the machines of a run are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disks {
    /// What was synced is there after a crash.
    Honest,
    /// Syncs succeed and do nothing. No node is safe on these: a run over some seeds must fail, or it sees nothing.
    Lying,
}

/// Runs a seed without some of its faults. A process does this once.
#[must_use]
pub fn run(seed: u64, without: &Without, disks: Disks) -> Outcome {
    let without = without.clone();
    shim::inside(seed, move || {
        let plan = Plan::of(seed, &without);
        let (world, tape) = (World::new(seed), Tape::new());
        let mut course = Course::new(seed, plan.clone(), &world, &tape);
        if disks == Disks::Lying {
            course.fleet.machines.iter().for_each(|machine| machine.host.storage.lie_about_syncs());
        }
        let ended = course.run();
        let mut failures = course.judge();
        failures.extend(ended.err());
        let calls = world.trace();
        for line in &calls {
            tape.note(plan.machines, line);
        }
        for machine in &course.fleet.machines {
            let storage = &machine.host.storage;
            tape.note(machine.number, &format!("{} disk operations, {}", storage.operations(), storage.trace()));
        }
        let (frames, entries) = tape.counts();
        Outcome {
            seed,
            hash: tape.hash().to_string(),
            took: course.fleet.now,
            machines: plan.machines,
            migrations: course.migrations(),
            frames,
            entries,
            calls: calls.len() as u64,
            inflicted: course.inflicted(),
            marks: course.marks(),
            faults: plan.faults.iter().map(|planned| (planned.number, planned.to_string())).collect(),
            failures,
            lines: tape.lines(),
        }
    })
}
