//! Proposals: order, batches, answers, limits.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use skein_node::env::memory::MemoryHost;
use skein_node::env::{Blocking, Work};
use skein_node::ledger::{Ledger, LedgerConfig, LedgerError};
use skein_protocol::data_plane::Outcome;
use skein_protocol::wire::Kind;

use crate::support::{Registry, env, open, propose_all, run};

#[test]
fn proposals_get_indexes_without_gaps_and_the_folds_answers() {
    let host = MemoryHost::new(1);
    run(1, async {
        let ledger = open(&host).await.unwrap();
        host.clock.advance(Duration::from_millis(5));
        assert_eq!(ledger.propose("a".to_owned(), "ann").await.unwrap(), (1, "a@1".to_owned()));
        assert_eq!(ledger.propose("b".to_owned(), "bob").await.unwrap(), (2, "b@2".to_owned()));
        let (session, at_millis, actor) = ledger.read(|state| state.last.clone()).unwrap();
        assert_eq!(session, ledger.boot().session());
        assert_eq!(at_millis, 1_767_268_800_005);
        assert_eq!(actor, "bob");
        assert_eq!(ledger.read_current(|index, _| index).await.unwrap(), 2);
        assert!(ledger.is_leader());
        ledger.shutdown().await.unwrap();
    });
}

#[test]
fn many_proposals_at_once_share_few_commits() {
    let host = MemoryHost::new(1);
    run(1, async {
        let ledger = Ledger::open(&env(&host), LedgerConfig::default()).await.unwrap();
        let before = ledger.metrics().stats();
        let texts: Vec<String> = (0..3000).map(|n| n.to_string()).collect();
        let answers = propose_all(&ledger, &texts).await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap().0, n as u64 + 1, "order of proposing is the order of applying");
        }
        let after = ledger.metrics().stats();
        assert_eq!(after.proposals, 3000);
        assert!(after.commits - before.commits <= 8, "{after:?}");
        assert!(after.batches <= after.commits - before.commits, "{after:?}");
        assert_eq!(after.propose.count, 3000);
        ledger.shutdown().await.unwrap();
    });
}

#[test]
fn a_proposal_that_its_caller_gave_up_is_applied_once() {
    let host = MemoryHost::new(1);
    run(1, async {
        let ledger = open(&host).await.unwrap();
        {
            let call = ledger.propose("given up".to_owned(), "test");
            futures::pin_mut!(call);
            assert!(futures::poll!(call.as_mut()).is_pending());
        }
        ledger.propose("after".to_owned(), "test").await.unwrap();
        assert_eq!(ledger.read(|state| state.indexes.len()), 2);
        ledger.shutdown().await.unwrap();
    });
}

/// Blocking work that takes a while when it is told to.
#[derive(Debug)]
struct Slow {
    inner: Arc<dyn Blocking>,
    next_takes: Mutex<Duration>,
}

impl Blocking for Slow {
    fn run(&self, work: Work) -> BoxFuture<'_, ()> {
        let takes = std::mem::take(&mut *self.next_takes.lock().unwrap());
        let inner = self.inner.clone();
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            inner.run(work).await;
        })
    }
}

#[test]
fn a_proposal_whose_outcome_is_unknown_is_proposed_again_and_applied_once() {
    let host = MemoryHost::new(1);
    run(1, async {
        let mut env = env(&host);
        let slow = Arc::new(Slow { inner: env.blocking.clone(), next_takes: Mutex::default() });
        env.blocking = slow.clone();
        let ledger: Registry = Ledger::open(&env, LedgerConfig::default()).await.unwrap();
        // The commit takes longer than a try, and shorter than the caller is willing to wait.
        *slow.next_takes.lock().unwrap() = Duration::from_secs(15);
        assert_eq!(ledger.propose("once".to_owned(), "test").await.unwrap(), (1, "once@1".to_owned()));
        let stats = ledger.metrics().stats();
        assert_eq!((stats.retries, stats.repeated, stats.proposals), (1, 1, 1));
        assert_eq!(ledger.read(|state| state.indexes["once"].clone()), [1]);
        assert_eq!(ledger.propose("next".to_owned(), "test").await.unwrap().0, 2);
        ledger.shutdown().await.unwrap();
    });
    run(2, async {
        let ledger = open(&host).await.unwrap();
        assert_eq!(ledger.read(|state| state.indexes["once"].clone()), [1], "replaying gives the same");
        ledger.shutdown().await.unwrap();
    });
}

#[test]
fn a_proposal_that_finds_no_quorum_in_time_ends_as_unknown() {
    let host = MemoryHost::new(1);
    run(1, async {
        let mut env = env(&host);
        let slow = Arc::new(Slow { inner: env.blocking.clone(), next_takes: Mutex::default() });
        env.blocking = slow.clone();
        let ledger: Registry = Ledger::open(&env, LedgerConfig::default()).await.unwrap();
        *slow.next_takes.lock().unwrap() = Duration::from_secs(100);
        let failed = ledger.propose("late".to_owned(), "test").await.unwrap_err();
        assert_eq!(failed.outcome(), Outcome::Unknown, "{failed}");
        // It was recorded all the same, as the state tells later.
        ledger.watch().wait_for(|index| *index == 1).await.unwrap();
        assert_eq!(ledger.propose("next".to_owned(), "test").await.unwrap().0, 2);
        ledger.shutdown().await.unwrap();
    });
}

#[test]
fn an_entry_that_is_too_large_is_refused_and_nothing_else_is_harmed() {
    let host = MemoryHost::new(1);
    run(1, async {
        let ledger = open(&host).await.unwrap();
        let refused = ledger.propose("x".repeat(Kind::Proposal.max_bytes()), "test").await.unwrap_err();
        assert!(matches!(refused, LedgerError::NotStorable { .. }), "{refused}");
        assert_eq!(refused.outcome(), Outcome::NotDone);
        // The largest that is allowed are several to a batch, and several batches.
        let large: Vec<String> = (0..6).map(|n| n.to_string().repeat(Kind::Proposal.max_bytes() - 100)).collect();
        for answer in propose_all(&ledger, &large).await {
            answer.unwrap();
        }
        assert_eq!(ledger.read_at(|index, _| index), 6);
        assert!(ledger.metrics().stats().batches >= 3, "half a log entry holds two of them");
        ledger.shutdown().await.unwrap();
    });
}

#[test]
fn after_a_shutdown_proposals_are_refused_as_not_done() {
    let host = MemoryHost::new(1);
    run(1, async {
        let ledger = open(&host).await.unwrap();
        ledger.propose("a".to_owned(), "test").await.unwrap();
        ledger.shutdown().await.unwrap();
        let refused = ledger.propose("b".to_owned(), "test").await.unwrap_err();
        assert!(matches!(refused, LedgerError::Stopping), "{refused}");
        assert_eq!(refused.outcome(), Outcome::NotDone);
        assert!(matches!(ledger.stopped().await, LedgerError::Stopping));
        ledger.shutdown().await.unwrap();
    });
}

#[test]
fn when_the_disk_fails_proposals_end_as_unknown_and_the_ledger_says_why_it_stopped() {
    let host = MemoryHost::new(1);
    run(1, async {
        let ledger = open(&host).await.unwrap();
        host.storage.crash();
        let failed = ledger.propose("a".to_owned(), "test").await.unwrap_err();
        assert_eq!(failed.outcome(), Outcome::Unknown, "{failed}");
        let stopped = ledger.stopped().await;
        assert!(matches!(stopped, LedgerError::Storage { .. }), "{stopped}");
    });
}
