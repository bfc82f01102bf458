//! The tables of the ledger's database, and every access to them.
//!
//! `log`: index to entry. `meta`: vote, positions, identity, what the snapshot covers. `snapshot`: the
//! snapshot in pieces. `blobs`: hash to content. All values but blobs are frames of `protocol::wire`.

use redb::{Database, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use skein_protocol::hash::Hash256;

use super::Write;

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const SNAPSHOT: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("snapshot");
const BLOBS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("blobs");

const VOTE: &str = "vote";
const PURGED: &str = "purged";
const COMMITTED: &str = "committed";
const IDENTITY: &str = "identity";
const SNAPSHOT_META: &str = "snapshot";

/// redb keeps a value in adjacent pages: a snapshot in pieces of this size never asks for a large gap.
const PIECE_BYTES: usize = 1 << 20;

/// What a ledger remembers from its last start, as frames.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) identity: Option<Vec<u8>>,
    pub(crate) vote: Option<Vec<u8>>,
    pub(crate) purged: Option<Vec<u8>>,
    pub(crate) committed: Option<Vec<u8>>,
    /// The last log entry.
    pub(crate) last: Option<Vec<u8>>,
}

/// A snapshot as two frames.
#[derive(Debug)]
pub(crate) struct StoredSnapshot {
    pub(crate) meta: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// Creates the tables of a new database.
pub(super) fn create(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(LOG)?;
    transaction.open_table(META)?;
    transaction.open_table(SNAPSHOT)?;
    transaction.open_table(BLOBS)?;
    Ok(transaction.commit()?)
}

pub(super) fn stored(transaction: &ReadTransaction) -> Result<Stored, redb::Error> {
    let meta = transaction.open_table(META)?;
    let get = |key| -> Result<_, redb::Error> { Ok(meta.get(key)?.map(|frame| frame.value().to_vec())) };
    Ok(Stored {
        identity: get(IDENTITY)?,
        vote: get(VOTE)?,
        purged: get(PURGED)?,
        committed: get(COMMITTED)?,
        last: transaction.open_table(LOG)?.last()?.map(|(_, frame)| frame.value().to_vec()),
    })
}

pub(super) fn log(transaction: &ReadTransaction, start: u64, end: u64) -> Result<Vec<Vec<u8>>, redb::Error> {
    let log = transaction.open_table(LOG)?;
    let mut frames = Vec::new();
    for entry in log.range(start..end)? {
        frames.push(entry?.1.value().to_vec());
    }
    Ok(frames)
}

pub(super) fn snapshot(transaction: &ReadTransaction) -> Result<Option<StoredSnapshot>, redb::Error> {
    let Some(meta) = transaction.open_table(META)?.get(SNAPSHOT_META)?.map(|frame| frame.value().to_vec()) else {
        return Ok(None);
    };
    let mut data = Vec::new();
    for piece in transaction.open_table(SNAPSHOT)?.iter()? {
        data.extend_from_slice(piece?.1.value());
    }
    Ok(Some(StoredSnapshot { meta, data }))
}

pub(super) fn blob(transaction: &ReadTransaction, hash: Hash256) -> Result<Option<Vec<u8>>, redb::Error> {
    Ok(transaction.open_table(BLOBS)?.get(hash.0)?.map(|blob| blob.value().to_vec()))
}

pub(super) fn has_blob(transaction: &ReadTransaction, hash: Hash256) -> Result<bool, redb::Error> {
    Ok(transaction.open_table(BLOBS)?.get(hash.0)?.is_some())
}

pub(super) fn missing_blobs(transaction: &ReadTransaction, hashes: Vec<Hash256>) -> Result<Vec<Hash256>, redb::Error> {
    let blobs = transaction.open_table(BLOBS)?;
    let mut missing = Vec::new();
    for hash in hashes {
        if blobs.get(hash.0)?.is_none() {
            missing.push(hash);
        }
    }
    Ok(missing)
}

pub(super) fn note_committed(transaction: &WriteTransaction, position: &[u8]) -> Result<(), redb::Error> {
    put_meta(transaction, COMMITTED, position)
}

/// Makes one write part of a transaction.
pub(super) fn apply(transaction: &WriteTransaction, write: &Write) -> Result<(), redb::Error> {
    match write {
        Write::Append(entries) => {
            let mut log = transaction.open_table(LOG)?;
            for (index, frame) in entries {
                log.insert(index, frame.as_slice())?;
            }
        }
        Write::Truncate { from } => transaction.open_table(LOG)?.retain_in(*from.., |_, _| false)?,
        Write::Purge { upto, position } => {
            transaction.open_table(LOG)?.retain_in(..=*upto, |_, _| false)?;
            put_meta(transaction, PURGED, position)?;
        }
        Write::Vote(frame) => put_meta(transaction, VOTE, frame)?,
        Write::Identity(frame) => put_meta(transaction, IDENTITY, frame)?,
        Write::Snapshot { meta, data } => {
            let mut pieces = transaction.open_table(SNAPSHOT)?;
            let (mut number, before) = (0_u32, pieces.len()?);
            for piece in data.chunks(PIECE_BYTES) {
                pieces.insert(number, piece)?;
                number += 1;
            }
            if u64::from(number) < before {
                pieces.retain_in(number.., |_, _| false)?;
            }
            put_meta(transaction, SNAPSHOT_META, meta)?;
        }
        Write::Blobs(blobs) => {
            let mut table = transaction.open_table(BLOBS)?;
            for (hash, bytes) in blobs {
                if table.get(hash.0)?.is_none() {
                    table.insert(hash.0, bytes.as_slice())?;
                }
            }
        }
    }
    Ok(())
}

fn put_meta(transaction: &WriteTransaction, key: &str, frame: &[u8]) -> Result<(), redb::Error> {
    transaction.open_table(META)?.insert(key, frame)?;
    Ok(())
}
