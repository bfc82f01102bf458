//! One run of a seed, in two stages: faults, in which nothing unsafe may happen; then none, in which everything must end.
//!
//! In: a seed, and what is left out of it. Out: [`Outcome`]. Not here: what is planned (`plan`), the machines (`fleet`).

mod arrivals;
mod course;
mod inflict;
mod judge;
mod outside;
mod people;
mod summary;
mod survey;

use skein_node::scripted::World;

use crate::plan::{Plan, Without};
use crate::shim;
use crate::tape::Tape;
use course::Course;
pub use summary::Summary;

/// What became of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// What is kept of it.
    pub summary: Summary,
    /// The faults that were planned, each with its number.
    pub faults: Vec<(u32, String)>,
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
        let summary = Summary {
            seed,
            hash: tape.hash().to_string(),
            millis: u64::try_from(course.fleet.now.as_millis()).unwrap_or(u64::MAX),
            cpu_millis: 0,
            machines: plan.machines,
            migrations: course.migrations(),
            frames,
            entries,
            calls: calls.len() as u64,
            inflicted: course.inflicted(),
            marks: course.marks(),
            failures,
        };
        Outcome {
            summary,
            faults: plan.faults.iter().map(|planned| (planned.number, planned.to_string())).collect(),
            lines: tape.lines(),
        }
    })
}
