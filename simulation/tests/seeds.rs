//! The seeds that run every time, each twice, each time in a process of its own.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=20;

fn start(seed: u64, options: &[&str]) -> Child {
    let program = env!("CARGO_BIN_EXE_skein-sim");
    Command::new(program)
        .args(["replay", &seed.to_string()])
        .args(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo built the program beside this test")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn twenty_seeds_with_crashes_lose_nothing_and_repeat_themselves_in_another_process() {
    let mut situations: BTreeMap<String, u64> = BTreeMap::new();
    let mut hashes = Vec::new();
    for seed in SEEDS {
        let again = format!("cargo run --release -p skein-simulation -- replay {seed}");
        let (one, other) = (start(seed, &[]), start(seed, &[]));
        let (one, other) = (one.wait_with_output().unwrap(), other.wait_with_output().unwrap());
        assert!(one.status.success(), "{}\nagain: {again}", said(&one));
        assert!(one.stdout == other.stdout, "seed {seed} differs:\n{}{}again: {again}", said(&one), said(&other));
        let line = String::from_utf8(one.stdout).unwrap();
        hashes.push(line.split(' ').nth(3).unwrap().to_owned());
        for situation in line.trim().split("; ").skip(1) {
            let (name, times) = situation.rsplit_once(' ').unwrap();
            *situations.entry(name.to_owned()).or_default() += times.parse::<u64>().unwrap();
        }
    }
    // A simulation in which nothing ever happens proves nothing.
    for wanted in ["crash in a disk operation", "crash of the leader", "session expired", "migration adopted"] {
        assert!(situations.contains_key(wanted), "{wanted} never came up: {situations:?}");
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len() as u64, SEEDS.end() - SEEDS.start() + 1, "every seed is another history");
}

#[test]
fn disks_that_lie_about_syncs_are_caught() {
    let caught = SEEDS.take(5).filter(|seed| {
        let output = start(*seed, &["--lying-disks"]).wait_with_output().unwrap();
        !output.status.success()
    });
    assert!(caught.count() > 0, "no node is safe on such disks, and the simulation saw nothing");
}
