//! The funnel: batches of proposals, of this node and of others, enter the leader's log together.
//!
//! In: batches. Out: their answers. One entry of the log is under way at a time; what arrives meanwhile is the next
//! one, so that all nodes share a leader's syncs. Whoever does not lead refuses. Not here: trying again (`proposer`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::Raft;
use openraft::error::{ClientWriteError, RaftError};
use skein_protocol::ledger::fold::{Fold, Folding};
use skein_protocol::wire::Kind;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::gather::{Most, Weighed, gather};
use super::raft::{Batch, Group, Types};

/// After this many bytes of proposals a snapshot is due, however few entries they were in: bounds the log on the
/// disk and the time to replay it.
const SNAPSHOT_BYTES: usize = 64 << 20;
/// Bytes of proposals in one entry. One more batch of the largest size still fits.
pub(super) const GROUP_BYTES: usize = Kind::LogEntry.max_bytes() / 4;
/// Batches in one entry: a batch from every node of a large fleet.
const GROUP_BATCHES: usize = 512;
/// A quorum and a slow disk answer within this time, or nobody knows.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// Why a batch has no answers.
#[derive(Debug, Clone)]
pub(crate) enum Missed {
    /// This node does not lead: nothing was done.
    NotLeader,
    /// openraft is gone; only opening the ledger anew helps, and then the log tells.
    Fatal(String),
    /// It may have been recorded.
    Unknown(String),
}

type Answers<F> = Result<Vec<Folding<<F as Fold>::Answer>>, Missed>;

struct Offer<F: Fold> {
    batch: Arc<Batch<F::Entry>>,
    bytes: usize,
    answers: oneshot::Sender<Answers<F>>,
}

/// Takes batches into the log, if this node leads.
pub(crate) struct Funnel<F: Fold> {
    /// Absent once the ledger is stopping. Bounded by the proposers: each has one batch under way.
    queue: Mutex<Option<mpsc::UnboundedSender<Offer<F>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<F: Fold> Funnel<F> {
    /// Starts on the current runtime.
    pub(crate) fn start(raft: Raft<Types<F>>) -> Self {
        let (queue, queued) = mpsc::unbounded_channel();
        Self { queue: Mutex::new(Some(queue)), task: Mutex::new(Some(tokio::spawn(run(raft, queued)))) }
    }

    /// Offers a batch whose frame has so many bytes.
    pub(crate) async fn offer(&self, batch: Arc<Batch<F::Entry>>, bytes: usize) -> Answers<F> {
        let (answers, answered) = oneshot::channel();
        let offer = Offer { batch, bytes, answers };
        let stopping = || Missed::Fatal("the ledger is stopping".to_owned());
        {
            let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.as_ref().ok_or_else(stopping)?.send(offer).map_err(|_| stopping())?;
        }
        answered.await.unwrap_or_else(|_| Err(Missed::Unknown("the ledger went away".to_owned())))
    }

    /// Finishes what is queued.
    pub(crate) async fn stop(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // A panic in there was told to its callers already.
            let _ = task.await;
        }
    }
}

async fn run<F: Fold>(raft: Raft<Types<F>>, mut queued: mpsc::UnboundedReceiver<Offer<F>>) {
    let mut held: Option<Offer<F>> = None;
    let mut bytes_since_snapshot = 0;
    loop {
        let first = match held.take() {
            Some(first) => first,
            None => match queued.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        // Everybody who got the answers of the last entry can offer again before this one is closed.
        tokio::task::yield_now().await;
        let most = Most { items: GROUP_BATCHES, bytes: GROUP_BYTES };
        let (offers, bytes) = gather(first, &mut queued, &mut held, most);
        let group = Group { batches: offers.iter().map(|offer| offer.batch.clone()).collect() };
        match write(&raft, group).await {
            Ok(answers) => {
                for (offer, answers) in offers.into_iter().zip(answers) {
                    // Whoever offered it may have given up.
                    let _ = offer.answers.send(Ok(answers));
                }
            }
            Err(missed) => {
                for offer in offers {
                    let _ = offer.answers.send(Err(missed.clone()));
                }
            }
        }
        bytes_since_snapshot += bytes;
        // If openraft is gone, the next entry says so.
        if bytes_since_snapshot > SNAPSHOT_BYTES && raft.trigger().snapshot().await.is_ok() {
            bytes_since_snapshot = 0;
        }
    }
}

async fn write<F: Fold>(raft: &Raft<Types<F>>, group: Group<F::Entry>) -> Result<Vec<Vec<Folding<F::Answer>>>, Missed> {
    match timeout(WRITE_DEADLINE, raft.client_write(Arc::new(group))).await {
        Ok(Ok(response)) => Ok(response.data),
        Ok(Err(RaftError::Fatal(fatal))) => Err(Missed::Fatal(fatal.to_string())),
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => Err(Missed::NotLeader),
        Ok(Err(RaftError::APIError(error))) => Err(Missed::Unknown(error.to_string())),
        Err(_) => Err(Missed::Unknown("no quorum in time".to_owned())),
    }
}

impl<F: Fold> Weighed for Offer<F> {
    fn bytes(&self) -> usize {
        self.bytes
    }
}
