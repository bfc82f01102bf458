//! The ledger's storage: one redb database, written by one task that commits many writes at once.
//!
//! In: [`Write`]s, reads. Out: durability (a write is done when its commit is synced), stored bytes.
//! Holds: [`Store`]. Not here: what the bytes mean (`raft`, `blobs`), which storage it is (`Env`).

mod meter;
mod tables;
mod writer;

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use redb::{Builder, Database, ReadTransaction, ReadableDatabase, StorageBackend};
use skein_protocol::hash::Hash256;
pub(crate) use tables::{Stored, StoredSnapshot};
use tokio::sync::{mpsc, oneshot, watch};

use super::{LedgerError, LedgerMetrics};
use crate::env::{Env, LedgerDisk};

/// redb's cache. Log entries and blobs are read rarely; this keeps the upper pages of its trees.
const CACHE_BYTES: usize = 16 << 20;
/// Writes that wait for the writer; further ones wait to wait. Each is one caller's, and callers are bounded.
const QUEUED_WRITES: usize = 1024;
/// Ending of the name of a database that is being made.
const UNFINISHED: &str = ".unfinished";

/// A change of the stored ledger.
#[derive(Debug)]
pub(crate) enum Write {
    /// Adds log entries: index and frame.
    Append(Vec<(u64, Vec<u8>)>),
    /// Removes the log entries from an index on.
    Truncate { from: u64 },
    /// Removes the log entries up to an index, inclusive, and notes its position.
    Purge { upto: u64, position: Vec<u8> },
    /// Replaces the vote.
    Vote(Vec<u8>),
    /// Notes whose ledger this is.
    Identity(Vec<u8>),
    /// Replaces the snapshot.
    Snapshot { meta: Vec<u8>, data: Vec<u8> },
    /// Adds blobs that are not there yet.
    Blobs(Vec<(Hash256, Vec<u8>)>),
}

/// Gets to know that a write is durable, or why it is not.
pub(crate) type Done = Box<dyn FnOnce(Result<(), String>) + Send>;

struct Queued {
    write: Write,
    done: Done,
}

enum Order {
    Write(Queued),
    Close(oneshot::Sender<Result<(), String>>),
}

struct Shared {
    /// Absent once it is closed.
    database: RwLock<Option<Database>>,
    /// The newest committed position: written along with whatever is written next.
    committed: Mutex<Option<Vec<u8>>>,
    /// Why a commit failed, once one has.
    broken: watch::Sender<Option<String>>,
    env: Env,
    metrics: Arc<LedgerMetrics>,
}

/// The ledger's storage. Clones are the same storage.
#[derive(Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
}

impl Store {
    /// Opens or creates the database and starts its writer on the current runtime.
    pub(crate) async fn open(
        env: &Env,
        name: &str,
        metrics: Arc<LedgerMetrics>,
    ) -> Result<(Self, Stored), LedgerError> {
        let (disk, clock) = (env.ledger_disk.clone(), env.clock.clone());
        let (named, metered) = (name.to_owned(), metrics.clone());
        let opened = env.blocking.call(move || {
            let meter = |backend| meter::Metered { backend, clock: clock.clone(), metrics: metered.clone() };
            open_database(disk.as_ref(), &named, meter).map_err(|error| error.to_string())
        });
        let does_not_open = |why| LedgerError::DoesNotOpen { name: name.to_owned(), why };
        let (database, stored) = match opened.await {
            Ok(opened) => opened.map_err(does_not_open)?,
            Err(error) => return Err(does_not_open(error.to_string())),
        };
        let shared = Arc::new(Shared {
            database: RwLock::new(Some(database)),
            committed: Mutex::new(None),
            broken: watch::Sender::new(None),
            env: env.clone(),
            metrics,
        });
        let (orders, received) = mpsc::channel(QUEUED_WRITES);
        tokio::spawn(writer::run(shared.clone(), received));
        Ok((Self { shared, orders }, stored))
    }

    /// Queues a write; `done` is called when it is durable, or when it failed.
    pub(crate) async fn submit(&self, write: Write, done: Done) {
        if let Err(mpsc::error::SendError(Order::Write(refused))) =
            self.orders.send(Order::Write(Queued { write, done })).await
        {
            (refused.done)(Err(CLOSED.to_owned()));
        }
    }

    /// Queues a write and waits until it is durable.
    pub(crate) async fn write(&self, write: Write) -> Result<(), LedgerError> {
        let (done, result) = oneshot::channel();
        let tell = move |outcome| {
            // Whoever asked may have gone.
            let _ = done.send(outcome);
        };
        self.submit(write, Box::new(tell)).await;
        match result.await {
            Ok(outcome) => outcome.map_err(LedgerError::storage),
            Err(_) => Err(LedgerError::storage(CLOSED)),
        }
    }

    /// Notes the committed position; it becomes durable with the next write. Losing it is harmless: the
    /// leader finds it again.
    pub(crate) fn note_committed(&self, position: Vec<u8>) {
        *self.shared.committed.lock().unwrap_or_else(PoisonError::into_inner) = Some(position);
    }

    /// Reads what is durable.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let shared = self.shared.clone();
        let result = self.shared.env.blocking.call(move || {
            let database = shared.database.read().unwrap_or_else(PoisonError::into_inner);
            let database = database.as_ref().ok_or_else(|| CLOSED.to_owned())?;
            let transaction = database.begin_read().map_err(|error| error.to_string())?;
            read(&transaction).map_err(|error| error.to_string())
        });
        result.await?.map_err(LedgerError::storage)
    }

    /// The log entries in `[start, end)`, as far as there are any.
    pub(crate) async fn log(&self, start: u64, end: u64) -> Result<Vec<Vec<u8>>, LedgerError> {
        self.read(move |transaction| tables::log(transaction, start, end)).await
    }

    /// The snapshot, if there is one.
    pub(crate) async fn snapshot(&self) -> Result<Option<StoredSnapshot>, LedgerError> {
        self.read(tables::snapshot).await
    }

    /// The blob with this hash, as it is stored.
    pub(crate) async fn blob(&self, hash: Hash256) -> Result<Option<Vec<u8>>, LedgerError> {
        self.read(move |transaction| tables::blob(transaction, hash)).await
    }

    /// Whether there is a blob with this hash.
    pub(crate) async fn has_blob(&self, hash: Hash256) -> Result<bool, LedgerError> {
        self.read(move |transaction| tables::has_blob(transaction, hash)).await
    }

    /// Those of `hashes` that no blob has.
    pub(crate) async fn missing_blobs(&self, hashes: Vec<Hash256>) -> Result<Vec<Hash256>, LedgerError> {
        self.read(move |transaction| tables::missing_blobs(transaction, hashes)).await
    }

    /// Waits until a commit fails, and says why. From then on everything fails until the database is opened anew.
    pub(crate) async fn broken(&self) -> LedgerError {
        let mut broken = self.shared.broken.subscribe();
        match broken.wait_for(Option::is_some).await {
            Ok(why) => LedgerError::storage(why.as_deref().unwrap_or_default()),
            // The sender lives in `self`.
            Err(_) => LedgerError::Stopping,
        }
    }

    /// Finishes what is queued and closes the database. Later calls fail.
    pub(crate) async fn close(&self) -> Result<(), LedgerError> {
        let (closed, result) = oneshot::channel();
        if self.orders.send(Order::Close(closed)).await.is_err() {
            return Ok(());
        }
        match result.await {
            Ok(outcome) => outcome.map_err(LedgerError::storage),
            Err(_) => Err(LedgerError::Stopping),
        }
    }
}

const CLOSED: &str = "the ledger is closed";

/// A database is made under another name and gets its own when it is complete: redb cannot open one that a crash
/// left half made, and must not be told to make one where one was.
fn open_database(
    disk: &dyn LedgerDisk,
    name: &str,
    meter: impl Fn(Box<dyn StorageBackend>) -> meter::Metered,
) -> Result<(Database, Stored), redb::Error> {
    let open = |backend| Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(meter(backend));
    let backend = match disk.open(name)? {
        Some(backend) => backend,
        None => {
            let unfinished = format!("{name}{UNFINISHED}");
            let database = open(disk.create(&unfinished)?)?;
            tables::create(&database)?;
            database.close()?;
            disk.rename(&unfinished, name)?;
            disk.open(name)?.ok_or(io::Error::from(io::ErrorKind::NotFound))?
        }
    };
    let database = open(backend)?;
    let stored = tables::stored(&database.begin_read()?)?;
    Ok((database, stored))
}
