//! The seeds that run every time, and disks that no node is safe on.

#![cfg(target_os = "linux")]

use std::process::{Command, Output};

/// Enough that every kind of fault takes effect some hundred times.
const SEEDS: &str = "900";
/// Each kind of fault at least so often.
const LEAST: &str = "200";
/// Seeds that are run a second time, in a process of their own, and must have the same history.
const TWICE: &str = "30";

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_skein-sim"))
        .args(arguments)
        .output()
        .expect("cargo built the program beside this test")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn hundreds_of_fleets_lose_nothing_come_to_an_end_and_repeat_themselves() {
    let output = simulate(&["run", "--seeds", SEEDS, "--twice", TWICE, "--demand", LEAST]);
    println!("{}", said(&output));
    assert!(output.status.success());
}

#[test]
fn disks_that_lie_about_syncs_are_caught() {
    let caught = (1..=5).filter(|seed| !simulate(&["replay", &format!("{seed}"), "--lying-disks"]).status.success());
    assert!(caught.count() > 0, "no node is safe on such disks, and the simulation saw nothing");
}
