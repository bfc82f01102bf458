//! A crash at every operation of the ledger's disk: the next start goes on, and every row arrives once.

use std::time::Duration;

use skein_protocol::ledger::Phase;
use tokio::time::timeout;

use crate::site::{DAWN, Ground, Site, add_tables, policy, runtime};

/// No start takes longer, in virtual time, unless it hangs.
const LONG: Duration = Duration::from_secs(3600);

/// How one start of a node ended.
enum Ended {
    /// Everything is published.
    Committed,
    /// The machine crashed.
    Crashed,
}

/// Starts a node, applies the policy (again), and waits for the end or a crash. The wall clock at the end.
async fn one_start(ground: &Ground, wall: u64) -> (Ended, u64) {
    let Ok(site) = ground.start(wall).await else { return (Ended::Crashed, wall + 1000) };
    let committed = async {
        // A call that failed is repeated after the next start.
        let _ = site.call(axum::http::Method::POST, "/v1/policies", policy("")).await;
        until_committed(&site).await
    };
    let ended = tokio::select! {
        biased;
        done = committed => if done { Ended::Committed } else { Ended::Crashed },
        _ = site.node.failed() => Ended::Crashed,
    };
    (ended, site.clock.wall_millis() + 1000)
}

async fn until_committed(site: &Site) -> bool {
    loop {
        let mut notices = site.node.subscribe();
        let done = site
            .node
            .read(|state| !state.migrations().is_empty() && state.count(Phase::Committed) == state.migrations().len());
        if done {
            return true;
        }
        if notices.next().await.is_none() {
            return false;
        }
    }
}

/// A short run whose machine crashes at operation `k`; whether it did, and the operations in all.
fn run(k: u64) -> (bool, u64) {
    let ground = Ground::new(100 + k);
    add_tables(&ground.world, &["a"], 2, 3);
    ground.host.storage.crash_at(k);
    let (mut wall, mut crashed) = (DAWN, false);
    for start in 0.. {
        assert!(start < 3, "k={k}: one crash takes one more start");
        let runtime = runtime(k * 10 + start);
        let bounded = async { timeout(LONG, one_start(&ground, wall)).await };
        let Ok((ended, until)) = runtime.block_on(bounded) else {
            panic!("k={k}: start {start} hangs: {:#?}", ground.world.trace());
        };
        wall = until;
        // First the disk is gone, then the tasks: nothing tidies up.
        crashed |= ground.host.storage.is_crashed();
        ground.host.storage.crash();
        drop(runtime);
        ground.host.storage.restart();
        match ended {
            Ended::Committed => break,
            Ended::Crashed => assert!(crashed, "k={k}: the node gave up without a crash"),
        }
    }
    let name = crate::site::table("a");
    assert_eq!(ground.world.visible(&name), Some(ground.world.source(&name)), "k={k}");
    assert_eq!(ground.world.violations(), Vec::<String>::new(), "k={k}");
    (crashed, ground.host.storage.operations())
}

fn every(start: u64, step: u64) {
    let mut crashes = 0;
    for k in (start..).step_by(usize::try_from(step).unwrap()) {
        if !run(k).0 {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 20, "only {crashes} points of a run were tried");
}

#[test]
fn a_crash_at_every_even_operation_of_the_disk_loses_nothing() {
    every(2, 2);
}

#[test]
fn a_crash_at_every_odd_operation_of_the_disk_loses_nothing() {
    every(1, 2);
}
