//! How many proposals a second the ledger of one node records on this machine, and how many fsyncs they cost.
//!
//! `cargo run --release -p skein-node --example ledger_rate [FOLDER]`: the folder decides which disk is measured.
#![expect(clippy::disallowed_methods, reason = "an example is a main: it owns clock and runtime")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use skein_node::env::memory::NoDataPlane;
use skein_node::env::system::SystemEnv;
use skein_node::ledger::{Ledger, LedgerConfig, LedgerStats};
use skein_protocol::ledger::fold::{Fold, Proposal};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Bytes(u64);

impl Fold for Bytes {
    type Entry = Vec<u8>;
    type Answer = u64;

    fn apply(&mut self, _: u64, proposal: &Proposal<Vec<u8>>) -> u64 {
        self.0 += proposal.entry.len() as u64;
        self.0
    }
}

/// About the size of a batch's entry.
const ENTRY_BYTES: usize = 400;
/// Each row of the table takes this long.
const TIME: Duration = Duration::from_secs(3);

async fn measure(ledger: &Ledger<Bytes>, in_flight: usize, blobs: bool) -> anyhow::Result<()> {
    let before = ledger.metrics().stats();
    let began = Instant::now();
    let mut tasks = Vec::new();
    for task in 0..in_flight {
        let ledger = ledger.clone();
        tasks.push(tokio::spawn(async move {
            let mut count = 0_u64;
            while began.elapsed() < TIME {
                if blobs {
                    let blob = format!("{task} {count}").repeat(200).into_bytes();
                    ledger.blobs().put(blob).await?;
                }
                ledger.propose(vec![7; ENTRY_BYTES], "rate").await?;
                count += 1;
            }
            anyhow::Ok(count)
        }));
    }
    let mut count = 0;
    for task in tasks {
        count += task.await??;
    }
    print(in_flight, blobs, count, began.elapsed(), before, ledger.metrics().stats());
    Ok(())
}

fn print(in_flight: usize, blobs: bool, count: u64, took: Duration, before: LedgerStats, after: LedgerStats) {
    let syncs = after.syncs - before.syncs;
    println!(
        "{in_flight:>9} {:>6} {:>12.0} {syncs:>8} {:>14.1} {:>12} {:>12}",
        if blobs { "yes" } else { "no" },
        count as f64 / took.as_secs_f64(),
        count as f64 / syncs.max(1) as f64,
        after.sync.p50_micros,
        after.propose.p99_micros,
    );
}

fn main() -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::args().nth(1).map_or_else(|| temporary.path().to_owned(), Into::into);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let env = SystemEnv::open(&folder)?.env(Arc::new(NoDataPlane));
        let ledger = Ledger::<Bytes>::open(&env, LedgerConfig::default()).await?;
        println!(
            "in flight  blobs  proposals/s   fsyncs  proposals/sync  fsync p50us  answer p99us (both since start)"
        );
        for (in_flight, blobs) in [(1, false), (16, false), (128, false), (1024, false), (1, true), (128, true)] {
            measure(&ledger, in_flight, blobs).await?;
        }
        println!("{:#?}", ledger.metrics().stats());
        ledger.shutdown().await?;
        let began = Instant::now();
        let ledger = Ledger::<Bytes>::open(&env, LedgerConfig::default()).await?;
        println!("reopened at index {} in {:?}", ledger.read_at(|index, _| index), began.elapsed());
        ledger.shutdown().await?;
        Ok(())
    })
}
