//! Every crash point of publishing and taking back, with every fault of the catalog.

#![cfg(target_os = "linux")]

use std::process::Command;

/// Fewer points mean that some were not found.
const FEWEST_POINTS: u64 = 1_500;

/// What is done to the target's name, and which call of the data plane does it: the owner is struck round that call.
const CHANGES: [(&str, usize); 4] = [("publish", 4), ("rollback", 2), ("cancel", 2), ("again", 8)];

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
fn an_owner_that_is_struck_while_its_change_of_a_name_is_late_is_adopted_and_does_no_harm_when_it_comes_back() {
    for (scenario, call) in CHANGES {
        for (moment, blow) in [("before", "crash"), ("before", "pause"), ("after", "crash"), ("after", "pause")] {
            let point = format!("fleet/{scenario}/late/{moment}:{call}/{blow}");
            let (well, text) = run(&["--brief", "--only", &point]);
            assert!(well, "{point}\n{text}");
            assert!(text.contains("another machine went on"), "{point}\n{text}");
        }
    }
}

#[test]
fn a_point_that_does_not_exist_is_refused_by_name() {
    let (well, text) = run(&["--only", "publish/late/nowhere:3"]);
    assert!(!well && text.contains("publish/late/nowhere:3"), "{text}");
}
