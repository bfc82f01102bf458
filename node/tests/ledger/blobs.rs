//! Blobs: hashes, durability, sharing of commits, limits.

use skein_node::env::memory::MemoryHost;
use skein_node::ledger::{LedgerError, MAX_BLOB_BYTES};
use skein_protocol::hash::Hash256;

use crate::support::{open, run};

#[test]
fn a_blob_is_found_by_the_hash_of_its_bytes_also_after_a_restart() {
    let host = MemoryHost::new(1);
    let large = vec![7; 300 << 10];
    run(1, async {
        let ledger = open(&host).await.unwrap();
        let hashes = ledger.blobs().put_many(vec![b"plan".to_vec(), large.clone(), Vec::new()]).await.unwrap();
        assert_eq!(hashes, [Hash256::of(b"plan"), Hash256::of(&large), Hash256::of(b"")]);
        assert_eq!(ledger.blobs().put(b"plan".to_vec()).await.unwrap(), hashes[0], "putting again changes nothing");
        assert!(!ledger.blobs().has(Hash256::of(b"other")).await.unwrap());
        assert_eq!(ledger.blobs().get(Hash256::of(b"other")).await.unwrap(), None);
        ledger.shutdown().await.unwrap();
    });
    run(2, async {
        let ledger = open(&host).await.unwrap();
        assert_eq!(ledger.blobs().get(Hash256::of(b"plan")).await.unwrap().unwrap(), b"plan");
        assert_eq!(ledger.blobs().get(Hash256::of(&large)).await.unwrap().unwrap(), large);
        assert!(ledger.blobs().has(Hash256::of(b"")).await.unwrap());
        ledger.shutdown().await.unwrap();
        assert!(ledger.blobs().put(b"late".to_vec()).await.is_err());
    });
}

#[test]
fn blobs_put_at_once_share_commits() {
    let host = MemoryHost::new(1);
    run(1, async {
        let ledger = open(&host).await.unwrap();
        let before = ledger.metrics().stats();
        let put = |n: u32| {
            let blobs = ledger.blobs().clone();
            tokio::spawn(async move { blobs.put(n.to_le_bytes().to_vec()).await })
        };
        for put in (0..500).map(put).collect::<Vec<_>>() {
            put.await.unwrap().unwrap();
        }
        let after = ledger.metrics().stats();
        assert!(after.commits - before.commits <= 4, "{after:?}");
        assert_eq!(after.commit_writes - before.commit_writes, 500);
        ledger.shutdown().await.unwrap();
    });
}

#[test]
fn a_blob_that_is_too_large_is_refused() {
    let host = MemoryHost::new(1);
    run(1, async {
        let ledger = open(&host).await.unwrap();
        let refused = ledger.blobs().put(vec![0; MAX_BLOB_BYTES + 1]).await.unwrap_err();
        assert!(matches!(refused, LedgerError::BlobTooLarge { .. }), "{refused}");
        ledger.shutdown().await.unwrap();
    });
}
