//! Opening: identity, restarts, snapshots, neighbours, damage.

use skein_node::env::FileMode;
use skein_node::env::memory::MemoryHost;
use skein_node::ledger::{BOOT_FILE, LEDGER_NAME, LedgerError};
use skein_protocol::problem::Code;

use crate::support::{env, open, propose_all, run};

fn refusal(host: &MemoryHost) -> LedgerError {
    run(9, open(host)).expect_err("it must not open")
}

/// A machine whose ledger has some entries and was shut down.
fn used(seed: u64) -> MemoryHost {
    let host = MemoryHost::new(seed);
    run(seed, async {
        let ledger = open(&host).await.unwrap();
        for n in 0..30 {
            ledger.propose(format!("{n}"), "test").await.unwrap();
        }
        ledger.shutdown().await.unwrap();
    });
    host
}

#[test]
fn each_start_is_counted_and_has_a_session_of_its_own() {
    let host = MemoryHost::new(1);
    let mut sessions = Vec::new();
    for boots in 1..=3 {
        run(boots, async {
            let ledger = open(&host).await.unwrap();
            assert_eq!(ledger.boot().boots, boots);
            assert!(ledger.boot().founded);
            sessions.push((ledger.boot().node, ledger.boot().session()));
            ledger.shutdown().await.unwrap();
        });
    }
    assert!(sessions.iter().all(|(node, _)| *node == sessions[0].0), "the node stays the same");
    sessions.dedup();
    assert_eq!(sessions.len(), 3);
}

#[test]
fn a_reopened_ledger_has_its_state_from_snapshot_and_log() {
    let host = used(1);
    run(2, async {
        let ledger = open(&host).await.unwrap();
        assert_eq!(ledger.read_at(|index, state| (index, state.indexes.len())), (30, 30));
        assert_eq!(*ledger.watch().borrow(), 30);
        assert_eq!(ledger.propose("more".to_owned(), "test").await.unwrap().0, 31);
        ledger.shutdown().await.unwrap();
    });
}

#[test]
fn snapshots_are_written_and_the_log_before_them_is_purged() {
    let host = MemoryHost::new(1);
    run(1, async {
        let ledger = open(&host).await.unwrap();
        for n in 0..200 {
            ledger.propose(format!("{}", n % 5), "test").await.unwrap();
        }
        let stats = ledger.metrics().stats();
        assert!(stats.snapshots >= 20, "{stats:?}");
        ledger.shutdown().await.unwrap();
    });
    run(2, async {
        let ledger = open(&host).await.unwrap();
        assert_eq!(ledger.read_at(|index, state| (index, state.indexes.len())), (200, 5));
        ledger.shutdown().await.unwrap();
    });
    let size = host.storage.disk_bytes(LEDGER_NAME);
    assert!(size < 4 << 20, "200 entries, all but a few purged, take {size} bytes");
}

#[test]
fn two_ledgers_in_one_process_do_not_know_of_each_other() {
    let (one, two) = (MemoryHost::new(1), MemoryHost::new(2));
    run(1, async {
        let (first, second) = (open(&one).await.unwrap(), open(&two).await.unwrap());
        assert_ne!(first.boot().node, second.boot().node);
        let texts: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let (left, right) = futures::join!(propose_all(&first, &texts), propose_all(&second, &texts[..7]));
        assert!(left.iter().chain(&right).all(Result::is_ok));
        assert_eq!((first.read_at(|index, _| index), second.read_at(|index, _| index)), (20, 7));
        assert_eq!((first.metrics().stats().proposals, second.metrics().stats().proposals), (20, 7));
        first.shutdown().await.unwrap();
        second.propose("alone".to_owned(), "test").await.unwrap();
        second.shutdown().await.unwrap();
    });
}

#[test]
fn a_ledger_that_is_open_already_is_not_opened_twice() {
    let host = used(1);
    run(2, async {
        let ledger = open(&host).await.unwrap();
        let refused = open(&host).await.unwrap_err();
        assert!(matches!(refused, LedgerError::DoesNotOpen { .. }), "{refused}");
        ledger.propose("unharmed".to_owned(), "test").await.unwrap();
        ledger.shutdown().await.unwrap();
    });
}

#[test]
fn a_ledger_that_does_not_open_is_a_typed_error_with_its_code() {
    let host = used(1);
    host.storage.damage(LEDGER_NAME, 0, b"this is no database");
    let refused = refusal(&host);
    assert!(matches!(&refused, LedgerError::DoesNotOpen { name, .. } if name == LEDGER_NAME), "{refused}");
    assert_eq!(refused.code(), Code::LedgerUnavailable);
    assert!(refused.problem().next.contains("backup"));
}

#[test]
fn damage_anywhere_in_the_file_is_an_error_or_harmless_and_never_a_wrong_state() {
    let length = used(1).storage.disk_bytes(LEDGER_NAME);
    let mut refused = 0;
    for offset in (0..length.min(512 << 10)).step_by(4096) {
        let host = used(1);
        host.storage.damage(LEDGER_NAME, offset, &[0xA5; 512]);
        let opened = run(3, async {
            let ledger = open(&host).await?;
            let state = ledger.read_at(|index, state| (index, state.indexes.len()));
            ledger.shutdown().await?;
            Ok::<_, LedgerError>(state)
        });
        match opened {
            Ok(state) => assert_eq!(state, (30, 30), "damage at {offset}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_lost_ledger_a_lost_boot_file_and_a_foreign_ledger_are_refused() {
    let host = used(1);
    host.storage.lose_disk(LEDGER_NAME);
    let refused = refusal(&host);
    assert!(matches!(&refused, LedgerError::Identity { why } if why.contains("it is gone")), "{refused}");

    let host = used(1);
    env(&host).files.remove(BOOT_FILE).unwrap();
    let refused = refusal(&host);
    assert!(matches!(&refused, LedgerError::Identity { why } if why.contains("no boot file")), "{refused}");
    assert_eq!(env(&host).files.read(BOOT_FILE).unwrap(), None, "a refused start leaves no trace");

    let host = used(1);
    let other = env(&used(2)).files.read(BOOT_FILE).unwrap().unwrap();
    env(&host).files.write(BOOT_FILE, &other, FileMode::Secret).unwrap();
    let refused = refusal(&host);
    assert!(matches!(&refused, LedgerError::Identity { why } if why.contains("its ledger is that of")), "{refused}");
}

#[test]
fn a_boot_file_that_makes_no_sense_is_refused() {
    for nonsense in ["", "{}", r#"{"node":1,"boots":16777215,"founded":false}"#] {
        let host = MemoryHost::new(1);
        env(&host).files.write(BOOT_FILE, nonsense.as_bytes(), FileMode::Secret).unwrap();
        let refused = refusal(&host);
        assert!(matches!(refused, LedgerError::NodeFile { .. }), "{nonsense}: {refused}");
    }
}
