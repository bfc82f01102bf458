use super::*;
use crate::env::{FileMode, LedgerDisk, NodeFiles};

fn disk(storage: &MemoryStorage) -> Box<dyn redb::StorageBackend> {
    let handle = storage.handle();
    handle.open("disk").unwrap().unwrap_or_else(|| handle.create("disk").unwrap())
}

#[test]
fn a_disk_has_one_user_at_a_time() {
    let storage = MemoryStorage::new(1);
    let opened = disk(&storage);
    assert_eq!(storage.handle().open("disk").unwrap_err().kind(), std::io::ErrorKind::ResourceBusy);
    drop(opened);
    storage.handle().open("disk").unwrap();
}

fn content(storage: &MemoryStorage) -> Vec<u8> {
    let disk = disk(storage);
    let mut bytes = vec![0; disk.len().unwrap() as usize];
    disk.read(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn synced_writes_survive_every_crash() {
    for seed in 0..50 {
        let storage = MemoryStorage::new(seed);
        let opened = disk(&storage);
        opened.set_len(2048).unwrap();
        opened.write(0, &[1; 2048]).unwrap();
        opened.sync_data().unwrap();
        opened.write(100, &[2; 1000]).unwrap();
        opened.set_len(4096).unwrap();
        opened.write(3000, &[3; 96]).unwrap();
        storage.crash();
        storage.restart();
        let bytes = content(&storage);
        assert!(bytes[..100].iter().all(|b| *b == 1), "seed {seed}");
        assert!(bytes[1100..2048].iter().all(|b| *b == 1), "seed {seed}");
        assert!(bytes.len() >= 2048, "seed {seed}");
    }
}

#[test]
fn crashes_lose_keep_and_tear_unsynced_writes() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let storage = MemoryStorage::new(seed);
        let opened = disk(&storage);
        opened.set_len(1024).unwrap();
        opened.sync_data().unwrap();
        opened.write(0, &[7; 1024]).unwrap();
        storage.crash();
        storage.restart();
        let bytes = content(&storage);
        seen.insert(bytes.iter().filter(|b| **b == 7).count());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 512, 1024]);
}

#[test]
fn after_the_crash_every_operation_of_the_old_start_fails() {
    let storage = MemoryStorage::new(1);
    let opened = disk(&storage);
    let files = storage.handle();
    opened.set_len(10).unwrap();
    storage.crash_at(1);
    assert!(opened.write(0, &[1]).is_err());
    assert!(storage.is_crashed());
    assert!(opened.len().is_err() && opened.sync_data().is_err() && files.list().is_err());
    storage.restart();
    assert!(opened.len().is_err() && files.list().is_err(), "old handles stay dead");
    assert!(disk(&storage).len().is_ok());
}

#[test]
fn a_length_that_shrank_and_was_lost_comes_back_with_its_bytes() {
    let mut lost = 0;
    for seed in 0..40 {
        let storage = MemoryStorage::new(seed);
        let opened = disk(&storage);
        opened.write(0, b"0123456789").unwrap();
        opened.sync_data().unwrap();
        opened.set_len(3).unwrap();
        storage.crash();
        storage.restart();
        match content(&storage).as_slice() {
            b"012" => {}
            b"0123456789" => lost += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(lost > 0);
}

#[test]
fn a_node_file_has_its_old_content_or_its_new_one_after_a_crash() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        for k in 1..=2 {
            let storage = MemoryStorage::new(seed);
            storage.handle().write("a", b"old", FileMode::Secret).unwrap();
            storage.crash_at(k);
            assert!(storage.handle().write("a", b"new", FileMode::Secret).is_err());
            storage.restart();
            seen.insert((k, storage.handle().read("a").unwrap().unwrap()));
        }
    }
    let expected = [(1, b"old".to_vec()), (2, b"new".to_vec()), (2, b"old".to_vec())];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_disk_has_its_old_name_or_its_new_one_after_a_crash() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let storage = MemoryStorage::new(seed);
        disk(&storage).set_len(5).unwrap();
        storage.crash_at(1);
        assert!(storage.handle().rename("disk", "final").is_err());
        storage.restart();
        let there = |name| storage.handle().open(name).unwrap().is_some();
        seen.insert((there("disk"), there("final")));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(false, true), (true, false)]);
}

#[test]
fn node_files_are_listed_replaced_and_removed() {
    let storage = MemoryStorage::new(1);
    let files = storage.handle();
    assert_eq!(files.read("token").unwrap(), None);
    files.write("token", b"1", FileMode::Secret).unwrap();
    files.write("boot.json", b"2", FileMode::Shared).unwrap();
    files.write("token", b"3", FileMode::Secret).unwrap();
    assert_eq!(files.list().unwrap(), ["boot.json", "token"]);
    assert_eq!(files.read("token").unwrap().unwrap(), b"3");
    assert!(files.remove("token").unwrap() && !files.remove("token").unwrap());
    assert!(files.write("../x", b"", FileMode::Secret).is_err());
}

#[test]
fn a_seed_repeats_its_randomness() {
    use crate::env::Entropy;
    let numbers = |seed| {
        let entropy = SeededEntropy::new(seed);
        let entropy: &dyn Entropy = &entropy;
        [entropy.number(), entropy.number()]
    };
    assert_eq!(numbers(1), numbers(1));
    assert_ne!(numbers(1), numbers(2));
}

#[tokio::test]
async fn streams_in_memory_carry_bytes_both_ways() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::env::Network;
    let network = MemoryNetwork::default();
    let mut listener = network.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = listener.local_addr().unwrap();
    assert!(network.listen(at).await.is_err(), "the address is taken");
    let mut client = network.connect("10.0.0.1:9".parse().unwrap(), at).unwrap();
    let (mut server, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, "10.0.0.1:9".parse().unwrap());
    client.write_all(b"ping").await.unwrap();
    let mut four = [0; 4];
    server.read_exact(&mut four).await.unwrap();
    server.write_all(&four).await.unwrap();
    client.read_exact(&mut four).await.unwrap();
    assert_eq!(&four, b"ping");
    drop(listener);
    assert!(network.connect("10.0.0.1:9".parse().unwrap(), at).is_err());
}

#[tokio::test]
async fn a_panic_in_blocking_work_is_an_error_with_its_text() {
    use crate::env::{Blocking, BlockingError};
    let blocking: Arc<dyn Blocking> = Arc::new(InlineBlocking);
    assert_eq!(blocking.call(|| 7).await, Ok(7));
    let panicked = blocking.call(|| -> u8 { panic!("goose {}", 3) }).await;
    assert_eq!(panicked, Err(BlockingError::Panicked("goose 3".to_owned())));
}

#[test]
fn what_a_failed_sync_left_is_read_until_a_crash_and_no_later_sync_makes_it_durable() {
    let mut left = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let storage = MemoryStorage::new(seed);
        let opened = disk(&storage);
        opened.write(0, &[1; 512]).unwrap();
        opened.sync_data().unwrap();
        storage.fail_sync_at(1);
        opened.write(0, &[2; 512]).unwrap();
        assert!(opened.sync_data().is_err());
        let mut seen = [0; 512];
        opened.read(0, &mut seen).unwrap();
        assert_eq!(seen, [2; 512], "the system still shows it");
        opened.write(512, &[3; 512]).unwrap();
        opened.sync_data().unwrap();
        storage.crash();
        storage.restart();
        let bytes = content(&storage);
        assert!(bytes[512..].iter().all(|byte| *byte == 3) && bytes.len() == 1024, "what was synced later is there");
        left.insert(bytes[0]);
        assert_eq!(storage.inflicted()["sync failed"], 1);
    }
    assert_eq!(left.into_iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_write_fails_when_it_is_told_to_and_a_full_disk_takes_nothing_more() {
    let storage = MemoryStorage::new(1);
    let opened = disk(&storage);
    storage.fail_write_at(2);
    opened.write(0, &[1; 100]).unwrap();
    assert!(opened.write(0, &[2; 100]).is_err());
    opened.write(0, &[3; 100]).unwrap();
    storage.set_room(Some(50));
    opened.write(0, &[4; 150]).unwrap();
    opened.set_len(20_000).unwrap();
    assert_eq!(opened.write(9_000, &[5]).unwrap_err().kind(), std::io::ErrorKind::StorageFull, "its block is new");
    let full = storage.handle().write("a", &[1; 51], FileMode::Secret);
    assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    storage.heal();
    opened.write(9_000, &[5]).unwrap();
    assert_eq!(storage.inflicted(), [("disk full", 2), ("write failed", 1)].into());
}

#[test]
fn a_process_that_dies_loses_nothing_that_was_written_and_its_machine_still_may() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let storage = MemoryStorage::new(seed);
        let opened = disk(&storage);
        opened.write(0, b"0123456789").unwrap();
        storage.crash();
        storage.restart_process();
        assert!(opened.len().is_err(), "the process is gone");
        drop(opened);
        assert_eq!(content(&storage), b"0123456789");
        storage.crash();
        storage.restart();
        lengths.insert(content(&storage).len());
    }
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [0, 10]);
}

#[tokio::test(start_paused = true)]
async fn work_that_syncs_takes_as_long_as_a_slow_disk_one_after_the_other() {
    use std::time::Duration;

    use tokio::time::Instant;
    let host = MemoryHost::new(1);
    let env = host.env(Arc::new(NoDataPlane));
    host.storage.set_sync_takes(Duration::from_millis(40));
    let opened: Arc<dyn redb::StorageBackend> = Arc::from(disk(&host.storage));
    let sync = || {
        let opened = opened.clone();
        env.blocking.call(move || opened.sync_data().unwrap())
    };
    let began = Instant::now();
    let (one, other, none) = tokio::join!(sync(), sync(), env.blocking.call(Instant::now));
    one.and(other).unwrap();
    assert_eq!(began.elapsed(), Duration::from_millis(80));
    assert_eq!(none.unwrap(), began, "work that does not sync does not wait");
    assert_eq!(host.storage.inflicted()["slow sync"], 2);
}
