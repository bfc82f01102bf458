//! A crash at every disk operation of a short run, and at operations of the recovery from it.

use std::collections::BTreeMap;

use skein_node::env::memory::MemoryHost;
use skein_protocol::hash::Hash256;

use crate::support::{Registry, open, propose_all, run};

/// What a run was told is durable.
#[derive(Default)]
struct Promised {
    indexes: BTreeMap<String, u64>,
    blobs: Vec<Hash256>,
}

/// A short run with everything in it: single proposals, batches, blobs, snapshots, purges. Ends at the first error.
async fn short_run(host: &MemoryHost, name: &str, promised: &mut Promised) {
    let Ok(ledger) = open(host).await else { return };
    for round in 0..4 {
        if steps(&ledger, &format!("{name}-{round}"), promised).await.is_none() {
            return;
        }
    }
    // A clean end is part of the run: closing writes too.
    let _ = ledger.shutdown().await;
}

async fn steps(ledger: &Registry, name: &str, promised: &mut Promised) -> Option<()> {
    let text = format!("{name}-single");
    let (index, answer) = ledger.propose(text.clone(), "crash").await.ok()?;
    assert_eq!(answer, format!("{text}@{index}"));
    promised.indexes.insert(text, index);

    let blob = format!("{name}-blob").repeat(300).into_bytes();
    let put = ledger.blobs().put(blob);
    let texts: Vec<String> = (0..5).map(|n| format!("{name}-{n}")).collect();
    let (hash, answers) = futures::future::join(put, propose_all(ledger, &texts)).await;
    for (text, answer) in texts.into_iter().zip(&answers) {
        if let Ok((index, _)) = answer {
            promised.indexes.insert(text, *index);
        }
    }
    promised.blobs.push(hash.ok()?);
    answers.iter().all(Result::is_ok).then_some(())
}

/// Everything promised is there, nothing is there twice, and the ledger goes on.
async fn check(host: &MemoryHost, promised: &mut Promised, at: &str) {
    let ledger = open(host).await.unwrap_or_else(|error| panic!("{at}: {error}"));
    ledger.read_at(|last, state| {
        let mut indexes: Vec<u64> = state.indexes.values().flatten().copied().collect();
        indexes.sort_unstable();
        assert_eq!(indexes, (1..=last).collect::<Vec<_>>(), "{at}: indexes have no gap and no double");
        for (text, index) in &promised.indexes {
            assert_eq!(state.indexes.get(text), Some(&vec![*index]), "{at}: {text} was acknowledged");
        }
        for (text, indexes) in &state.indexes {
            assert_eq!(indexes.len(), 1, "{at}: {text} was applied more than once");
        }
    });
    for hash in &promised.blobs {
        assert!(ledger.blobs().get(*hash).await.unwrap().is_some(), "{at}: blob {hash} was acknowledged");
    }
    let text = format!("after {at}");
    let (index, _) = ledger.propose(text.clone(), "check").await.unwrap();
    promised.indexes.insert(text, index);
    ledger.shutdown().await.unwrap();
}

/// Runs until the crash, and makes the machine usable again.
fn crash_during(host: &MemoryHost, seed: u64, name: &str, k: u64, promised: &mut Promised) {
    host.storage.crash_at(k);
    run(seed, async {
        short_run(host, name, promised).await;
        // First the disk goes, then the runtime: no destructor can tidy up.
        host.storage.crash();
    });
    host.storage.restart();
}

#[test]
fn whatever_was_acknowledged_survives_a_crash_at_every_disk_operation() {
    let whole = MemoryHost::new(0);
    run(0, short_run(&whole, "run", &mut Promised::default()));
    let operations = whole.storage.operations();
    assert!(operations > 100, "a short run has {operations} operations");

    for k in 1..=operations {
        let (host, mut promised) = (MemoryHost::new(k), Promised::default());
        crash_during(&host, k, "run", k, &mut promised);
        run(k, check(&host, &mut promised, &format!("crash at {k}")));
    }
}

#[test]
fn a_crash_during_the_recovery_from_a_crash_loses_nothing_either() {
    for seed in 0..150 {
        let (host, mut promised) = (MemoryHost::new(1000 + seed), Promised::default());
        crash_during(&host, seed, "first", 30 + seed, &mut promised);
        for again in 0..3 {
            crash_during(&host, seed, &format!("again-{again}"), 1 + (seed * 7 + again * 5) % 23, &mut promised);
        }
        run(seed, check(&host, &mut promised, &format!("seed {seed}")));
        run(seed, check(&host, &mut promised, &format!("seed {seed}, once more")));
    }
}

#[test]
fn these_checks_catch_a_disk_that_lies_about_syncing() {
    let mut caught = 0;
    for seed in 0..20 {
        let (host, mut promised) = (MemoryHost::new(seed), Promised::default());
        // The founding is honest, so that there is something to lose.
        run(seed, check(&host, &mut promised, "founding"));
        host.storage.lie_about_syncs();
        crash_during(&host, seed, "lies", 40 + seed, &mut promised);
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(seed, check(&host, &mut promised, "lies"));
        }));
        caught += u32::from(checked.is_err());
    }
    assert!(caught >= 10, "only {caught} of 20 lies were caught");
}
