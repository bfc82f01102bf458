//! Following the ledger: the index, the applied proposals, and falling behind.

use skein_node::env::memory::MemoryHost;
use skein_node::ledger::Notice;

use crate::support::{open, propose_all, run};

#[test]
fn a_subscriber_sees_every_proposal_once_in_order_with_its_answer() {
    let host = MemoryHost::new(1);
    run(1, async {
        let ledger = open(&host).await.unwrap();
        ledger.propose("before".to_owned(), "test").await.unwrap();
        let mut subscription = ledger.subscribe();
        let texts: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        propose_all(&ledger, &texts).await;
        for (n, text) in texts.iter().enumerate() {
            let Some(Notice::Applied(applied)) = subscription.next().await else { panic!("a proposal is missing") };
            assert_eq!(applied.index, n as u64 + 2);
            assert_eq!(&applied.proposal.entry, text);
            assert_eq!(applied.answer, format!("{text}@{}", applied.index));
            assert!(ledger.read_at(|index, _| index) >= applied.index, "the state has it already");
        }
        ledger.shutdown().await.unwrap();
        drop(ledger);
        assert!(subscription.next().await.is_none(), "the end of the ledger is the end of the subscription");
    });
}

#[test]
fn a_slow_subscriber_is_told_that_it_missed_something_and_holds_nobody_up() {
    let host = MemoryHost::new(1);
    run(1, async {
        let ledger = open(&host).await.unwrap();
        let mut subscription = ledger.subscribe();
        for n in 0..1500 {
            ledger.propose(format!("{}", n % 3), "test").await.unwrap();
        }
        assert!(matches!(subscription.next().await, Some(Notice::Missed)));
        let index = ledger.read_at(|index, _| index);
        let mut last = 0;
        while last < index {
            let Some(Notice::Applied(applied)) = subscription.next().await else { panic!("missed twice") };
            assert!(last == 0 || applied.index == last + 1);
            last = applied.index;
        }
        ledger.shutdown().await.unwrap();
    });
}

#[test]
fn the_watched_index_wakes_whoever_waits_for_it() {
    let host = MemoryHost::new(1);
    run(1, async {
        let ledger = open(&host).await.unwrap();
        let mut watched = ledger.watch();
        assert_eq!(*watched.borrow_and_update(), 0);
        let (waited, proposed) =
            futures::join!(watched.wait_for(|index| *index >= 1), ledger.propose("a".to_owned(), "test"));
        assert_eq!((*waited.unwrap(), proposed.unwrap().0), (1, 1));
        ledger.shutdown().await.unwrap();
    });
}
