//! One seed, one history: two processes tell the same events, byte for byte.

use std::fmt::Write as _;
use std::process::Command;

use skein_node::ledger::Notice;
use skein_node::scripted::{Call, Effect, Fault};
use skein_protocol::data_plane::Failure;
use skein_protocol::ledger::Phase;
use skein_protocol::problem::Code;

use crate::failures::problem;
use crate::site::{DAWN, Ground, add_tables, policy, runtime, table};

/// Says which seed the other process runs.
const SEED: &str = "SKEIN_TEST_SEED";
/// Stands before each line of the history in the other process's output.
const MARK: &str = "history: ";

/// A run with failures, a pause and a rollback: everything that was applied, every call, every byte on the disk.
fn history(seed: u64) -> String {
    let ground = Ground::new(seed);
    add_tables(&ground.world, &["a", "b", "c", "d", "e"], 3, 4);
    let failure = |code| Effect::Fail(Failure::transient(problem(code)));
    ground.world.fault(Fault { times: 4, ..Fault::once(Call::RunBatch, failure(Code::Io)).of(&table("c")) });
    ground
        .world
        .fault(Fault::once(Call::Register, Effect::FailAfter(Failure::unknown(problem(Code::CatalogUnavailable)))));
    ground.world.fault(Fault::once(Call::RunBatch, Effect::LoseRow).of(&table("d")));
    let mut text = String::new();
    runtime(seed).block_on(async {
        let site = ground.start(DAWN).await.unwrap();
        let mut notices = site.node.subscribe();
        site.apply(&policy("")).await;
        site.until_phase("d", Phase::Paused).await;
        site.act("resume", "d").await;
        site.until_committed().await;
        site.act("rollback", "b").await;
        site.until_at_rest().await;
        let last = site.node.status().applied_index;
        loop {
            match notices.next().await {
                Some(Notice::Applied(applied)) => {
                    let (index, proposal) = (applied.index, &applied.proposal);
                    let (at, actor, entry) = (proposal.at_millis, &proposal.actor, &proposal.entry);
                    writeln!(text, "{MARK}{index} {at} {actor} {entry:?} -> {:?}", applied.answer).unwrap();
                    if index >= last {
                        break;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        site.node.stop().await.unwrap();
    });
    for line in ground.world.trace() {
        writeln!(text, "{MARK}{line}").unwrap();
    }
    writeln!(text, "{MARK}{} operations, {}", ground.host.storage.operations(), ground.host.storage.trace()).unwrap();
    text
}

#[test]
#[ignore = "runs in a process of its own, started by the test below"]
fn the_history_of_a_seed() {
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    println!("\n{}", history(seed));
}

fn in_another_process(seed: u64) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "same_seed::the_history_of_a_seed", "--ignored", "--nocapture", "--test-threads=1"])
        .env(SEED, seed.to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| line.starts_with(MARK)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_same_seed_gives_the_same_history_in_two_processes() {
    for seed in [1, 2, 3] {
        let (one, other) = (in_another_process(seed), in_another_process(seed));
        assert!(one.lines().count() > 100, "{one}");
        let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        assert!(one == other, "seed {seed}: {differs:?}");
    }
    assert_ne!(in_another_process(4), in_another_process(5), "another seed is another history");
}
