//! Known-bad variants of the nodes: each pinned seed catches its defect, and passes without it.
//!
//! Only a build with the feature `defects` has them: `cargo test -p skein-simulation --features defects --test known_bad`.

#![cfg(all(target_os = "linux", feature = "defects"))]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use skein_protocol::defects::{Defect, MARKER};
use skein_simulation::hunt::{End, Pin, Subject, Trial, pins};

/// So many variants are caught at least, by a seed that is known beforehand.
const LEAST: usize = 30;
/// Processes at once: the tests of a binary already run side by side.
const JOBS: usize = 2;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_skein-sim"))
}

/// Runs all of them, in no order; those that ended otherwise than wanted, told in a line each.
fn disappointments(trials: &[Trial], wanted: impl Fn(&End) -> bool + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut told = Vec::new();
        while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
            let end = trial.run_with(program()).expect("a process starts");
            if !wanted(&end) {
                told.push(format!("{trial:?}: {end:?}"));
            }
        }
        told
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..JOBS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker only asks and compares")).collect()
    })
}

#[test]
fn every_pinned_seed_catches_its_defect() {
    let pins = pins().unwrap();
    let names: BTreeSet<&str> = pins.iter().map(|pin| pin.defect.as_str()).collect();
    assert!(names.len() >= LEAST, "{} variants are pinned", names.len());
    let known: BTreeSet<&str> = Defect::ALL.iter().map(|defect| defect.name()).collect();
    assert_eq!(names.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new(), "pins of defects that are gone");
    let trials: Vec<Trial> = pins.iter().map(|Pin { defect, subject }| Trial::bad(subject.clone(), defect)).collect();
    let missed = disappointments(&trials, |end| matches!(end, End::Wrong(_)));
    assert!(missed.is_empty(), "not caught any more; hunt and pin again:\n{}", missed.join("\n"));
}

#[test]
fn every_pinned_seed_passes_without_a_defect() {
    let subjects: BTreeSet<Subject> = pins().unwrap().into_iter().map(|pin| pin.subject).collect();
    let trials: Vec<Trial> = subjects.into_iter().map(Trial::sound).collect();
    let failed = disappointments(&trials, |end| *end == End::Well);
    assert!(failed.is_empty(), "a seed that fails anyway catches nothing:\n{}", failed.join("\n"));
}

#[test]
fn a_build_with_defects_carries_the_marker_that_no_release_may_have() {
    let bytes = std::fs::read(program()).unwrap();
    let marker = MARKER.as_bytes();
    assert!(bytes.windows(marker.len()).any(|window| window == marker), "who looks for it would find it nowhere");
}

#[test]
fn an_unknown_defect_is_refused() {
    let output = std::process::Command::new(program()).args(["replay", "1", "--defect", "no-such"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such"));
}
