//! One seed, one history: every disk operation with its bytes, and every applied proposal.

use skein_node::env::memory::MemoryHost;
use skein_node::ledger::Notice;
use skein_protocol::hash::Hash256;

use crate::support::{open, propose_all, run};

/// The process that prints a trace finds its seed under this name.
const SEED: &str = "SKEIN_TEST_TRACE_SEED";

/// A run of some starts, crashes included; hashes of the disk's history and of the applied proposals.
fn trace(seed: u64) -> (Hash256, Hash256) {
    let host = MemoryHost::new(seed);
    let mut applied = Vec::new();
    for start in 0..3 {
        if start == 1 {
            host.storage.crash_at(40 + seed % 50);
        }
        run(seed, async {
            let Ok(ledger) = open(&host).await else { return };
            let mut subscription = ledger.subscribe();
            for round in 0..6 {
                let texts: Vec<String> = (0..round + 1).map(|n| format!("{start}-{round}-{n}")).collect();
                propose_all(&ledger, &texts).await;
            }
            if start != 1 {
                ledger.shutdown().await.unwrap();
            }
            drop(ledger);
            while let Some(notice) = futures::FutureExt::now_or_never(subscription.next()).flatten() {
                let Notice::Applied(notice) = notice else { continue };
                applied.extend_from_slice(format!("{notice:?}\n").as_bytes());
            }
            host.storage.crash();
        });
        host.storage.restart();
    }
    assert!(!applied.is_empty());
    (host.storage.trace(), Hash256::of(&applied))
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..10 {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
    assert_ne!(trace(1), trace(2));
}

#[test]
#[ignore = "prints the trace of a seed for the test below, which starts it in processes of its own"]
fn prints_a_trace() {
    #[expect(clippy::disallowed_methods, reason = "how one test process is told what to do by another")]
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    println!("trace {:?}", trace(seed));
}

#[test]
#[expect(clippy::disallowed_types, reason = "the test needs processes, the node does not")]
fn the_same_seed_gives_the_same_trace_in_two_processes() {
    let in_a_process = |seed: u64| {
        let test = std::env::current_exe().unwrap();
        let output = std::process::Command::new(test)
            .args(["--exact", "traces::prints_a_trace", "--ignored", "--nocapture"])
            .env(SEED, seed.to_string())
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let line = printed.lines().find_map(|line| line.split("trace (").nth(1).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no trace in {printed}"))
    };
    for seed in 0..5 {
        assert_eq!(in_a_process(seed), in_a_process(seed), "seed {seed}");
    }
}
