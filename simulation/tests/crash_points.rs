//! Every crash point of publishing and taking back, with every fault of the catalog.

#![cfg(target_os = "linux")]

use std::process::Command;

/// Fewer points mean that some were not found.
const FEWEST_POINTS: u64 = 1_500;

/// Fewer adoptions mean that a fleet of three waits for its dead instead.
const FEWEST_ADOPTIONS: u64 = 50;

fn run(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_skein-sim"))
        .arg("crash-points")
        .args(arguments)
        .output()
        .expect("cargo built the program beside this test");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

#[test]
fn a_crash_at_any_point_of_publishing_or_taking_back_with_any_fault_of_the_catalog_does_no_harm() {
    let (well, text) = run(&["--all"]);
    assert!(well, "{text}");
    let last = text.lines().last().expect("it counts");
    let points: u64 = last.split(' ').next().and_then(|word| word.parse().ok()).expect("a number comes first");
    assert!(points > FEWEST_POINTS, "{text}");
    for part in ["publish", "rollback", "cancel", "again"] {
        for crash in ["at a disk operation", "before Load", "after Load"] {
            let row = format!("| {part} | {crash} |");
            assert!(text.lines().any(|line| line.starts_with(&row) && !line.contains('–')), "{row}\n{text}");
        }
    }
    println!("{text}");
}

#[test]
#[ignore = "takes minutes: a part of the long run"]
fn a_machine_that_is_struck_in_the_middle_of_a_call_does_no_harm_when_it_comes_back() {
    let (well, text) = run(&["--fleet"]);
    assert!(well, "{text}");
    let line = text.lines().find(|line| line.starts_with("In ")).expect("it counts");
    let elsewhere: u64 = line.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a number comes second");
    assert!(elsewhere > FEWEST_ADOPTIONS, "{text}");
    println!("{text}");
}

#[test]
fn a_point_that_does_not_exist_is_refused_by_name() {
    let (well, text) = run(&["--only", "publish/late/nowhere:3"]);
    assert!(!well && text.contains("publish/late/nowhere:3"), "{text}");
}
