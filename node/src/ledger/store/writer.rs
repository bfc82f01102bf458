//! The writer: takes everything that is queued and makes it durable with one commit (group commit).
//!
//! While one commit is being synced, further writes gather; they are the next commit. Writes of one group are
//! made in the order in which they were queued, so a vote and the entries after it stay in order.

use std::sync::{Arc, PoisonError};

use skein_protocol::defects::{self, Defect};
use tokio::sync::mpsc;

use super::{CLOSED, Done, Order, Queued, Shared, Write, tables};

/// Writes in one commit: bounds the time that the first of them waits for the others.
const GROUP_WRITES: usize = 1024;
/// Bytes in one commit, for the same reason; a single larger write (a snapshot) is a group alone.
const GROUP_BYTES: usize = 16 << 20;

/// Runs until the store is closed or forgotten.
pub(super) async fn run(shared: Arc<Shared>, mut orders: mpsc::Receiver<Order>) {
    // After a failed commit nobody knows what is on the disk: everything fails until it is opened anew.
    let mut broken: Option<String> = None;
    let mut held: Option<Order> = None;
    loop {
        let order = match held.take() {
            Some(order) => order,
            None => match orders.recv().await {
                Some(order) => order,
                None => return,
            },
        };
        match order {
            Order::Close(closed) => {
                orders.close();
                // The receiver may have gone; closed is closed.
                let _ = closed.send(close(&shared).await);
                refuse_rest(&mut orders);
                return;
            }
            Order::Write(first) => {
                let group = collect(first, &mut orders, &mut held);
                commit(&shared, group, &mut broken).await;
            }
        }
    }
}

/// Takes what is queued, up to the limits; `held` gets what did not fit or is not a write.
fn collect(first: Queued, orders: &mut mpsc::Receiver<Order>, held: &mut Option<Order>) -> Vec<Queued> {
    let mut bytes = first.write.bytes();
    let mut group = vec![first];
    while group.len() < GROUP_WRITES && bytes < GROUP_BYTES {
        match orders.try_recv() {
            Ok(Order::Write(next)) if bytes + next.write.bytes() <= GROUP_BYTES => {
                bytes += next.write.bytes();
                group.push(next);
            }
            Ok(other) => {
                *held = Some(other);
                break;
            }
            Err(_) => break,
        }
    }
    group
}

async fn commit(shared: &Arc<Shared>, group: Vec<Queued>, broken: &mut Option<String>) {
    let (writes, dones): (Vec<Write>, Vec<Done>) = group.into_iter().map(|q| (q.write, q.done)).unzip();
    let count = writes.len();
    if broken.is_none() {
        let began = shared.env.clock.monotonic();
        let committing = shared.clone();
        let outcome = shared.env.blocking.call(move || commit_now(&committing, &writes)).await;
        match outcome {
            Ok(Ok(())) => {
                let took = shared.env.clock.monotonic().saturating_sub(began);
                shared.metrics.committed(count, took);
            }
            Ok(Err(why)) => *broken = Some(why),
            Err(error) => *broken = Some(error.to_string()),
        }
        if let Some(why) = &broken {
            tracing::error!(%why, writes = count, "ledger commit failed");
            shared.broken.send_replace(Some(why.clone()));
        }
    }
    for done in dones {
        done(broken.clone().map_or(Ok(()), Err));
    }
}

fn commit_now(shared: &Shared, writes: &[Write]) -> Result<(), String> {
    let database = shared.database.read().unwrap_or_else(PoisonError::into_inner);
    let database = database.as_ref().ok_or(CLOSED)?;
    let committed = shared.committed.lock().unwrap_or_else(PoisonError::into_inner).take();
    let all = || -> Result<(), redb::Error> {
        let mut transaction = database.begin_write()?;
        let only_log = writes.iter().all(|write| matches!(write, Write::Append(_)));
        if only_log && defects::is(Defect::AckBeforeFsync) {
            transaction.set_durability(redb::Durability::None)?;
        }
        for write in writes {
            tables::apply(&transaction, write)?;
        }
        if let Some(position) = &committed {
            tables::note_committed(&transaction, position)?;
        }
        Ok(transaction.commit()?)
    };
    all().map_err(|error| error.to_string())
}

async fn close(shared: &Arc<Shared>) -> Result<(), String> {
    let closing = shared.clone();
    let outcome = shared.env.blocking.call(move || {
        let database = closing.database.write().unwrap_or_else(PoisonError::into_inner).take();
        database.map_or(Ok(()), |database| database.close().map_err(|error| error.to_string()))
    });
    outcome.await.map_err(|error| error.to_string())?
}

fn refuse_rest(orders: &mut mpsc::Receiver<Order>) {
    while let Ok(order) = orders.try_recv() {
        match order {
            Order::Write(queued) => (queued.done)(Err(CLOSED.to_owned())),
            Order::Close(closed) => {
                // Whoever asks to close twice gets what it wants.
                let _ = closed.send(Ok(()));
            }
        }
    }
}

impl Write {
    /// About how many bytes this adds to a commit.
    fn bytes(&self) -> usize {
        match self {
            Self::Append(entries) => entries.iter().map(|(_, frame)| frame.len()).sum(),
            Self::Truncate { .. } | Self::Purge { .. } => 0,
            Self::Vote(frame) | Self::Identity(frame) => frame.len(),
            Self::Snapshot { meta, data } => meta.len() + data.len(),
            Self::Blobs(blobs) => blobs.iter().map(|(_, bytes)| bytes.len()).sum(),
        }
    }
}
