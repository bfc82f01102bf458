//! The proposer: gathers proposals into batches and sees each batch through to its answers.
//!
//! In: entries from many callers. Out: for each its index and answer, or an error that says whether it may
//! have happened. One batch is under way at a time; what arrives meanwhile is the next batch. A batch whose
//! outcome is unknown is proposed again with the same session and sequences: the fold gives the first answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::Raft;
use openraft::error::{ClientWriteError, RaftError};
use skein_protocol::ledger::fold::{ANSWERS_PER_SESSION, Fold, Folding, Proposal};
use skein_protocol::wire::{self, Kind};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::raft::{Batch, Types};
use super::{LedgerError, LedgerMetrics};
use crate::env::{Clock, Env};

/// Proposals that are under way at once; further callers wait. Bounds the memory of a flood, and stays far
/// below the answers that the fold remembers.
pub const MAX_IN_FLIGHT: usize = 1024;
/// After this many bytes of proposals a snapshot is due, however few entries they were in: bounds the log on the
/// disk and the time to replay it.
const SNAPSHOT_BYTES: usize = 64 << 20;
/// Proposals in one batch: a batch is one entry of the log, applied in one go.
const BATCH_PROPOSALS: usize = 512;
/// Bytes of proposals in one batch. One more proposal of the largest size still fits into a log entry.
const BATCH_BYTES: usize = Kind::LogEntry.max_bytes() / 2;
/// A batch is proposed again and again for this long before its callers are told that nobody knows.
const PROPOSE_DEADLINE: Duration = Duration::from_secs(30);
/// One try may take this long: a full election and a slow disk fit in.
const TRY_DEADLINE: Duration = Duration::from_secs(10);
/// Pause after a try that failed; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause between tries.
const LAST_PAUSE: Duration = Duration::from_secs(1);

const _: () = assert!(MAX_IN_FLIGHT * 4 <= ANSWERS_PER_SESSION);
const _: () = assert!(BATCH_BYTES + Kind::Proposal.max_bytes() < Kind::LogEntry.max_bytes());

/// Index and answer.
pub(crate) type Answered<F> = (u64, <F as Fold>::Answer);

struct Waiting<F: Fold> {
    proposal: Arc<Proposal<F::Entry>>,
    bytes: usize,
    since: Duration,
    answer: oneshot::Sender<Result<Answered<F>, LedgerError>>,
}

/// Accepts proposals of one session.
pub(crate) struct Proposer<F: Fold> {
    session: u64,
    clock: Arc<dyn Clock>,
    permits: Semaphore,
    numbering: Mutex<Numbering<F>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Numbering<F: Fold> {
    next: u64,
    /// Absent once the ledger is stopping.
    queue: Option<mpsc::UnboundedSender<Waiting<F>>>,
}

impl<F: Fold> Proposer<F> {
    /// Starts proposing for `session` on the current runtime.
    pub(crate) fn start(session: u64, env: &Env, raft: Raft<Types<F>>, metrics: Arc<LedgerMetrics>) -> Self {
        // Bounded by the permits.
        let (queue, queued) = mpsc::unbounded_channel();
        let task = Task { session, clock: env.clock.clone(), raft, metrics };
        Self {
            session,
            clock: env.clock.clone(),
            permits: Semaphore::new(MAX_IN_FLIGHT),
            numbering: Mutex::new(Numbering { next: 1, queue: Some(queue) }),
            task: Mutex::new(Some(tokio::spawn(task.run(queued)))),
        }
    }

    /// Proposes `entry`. Once this was polled, dropping it does not take the proposal back.
    pub(crate) async fn propose(&self, entry: F::Entry, actor: &str) -> Result<Answered<F>, LedgerError> {
        let since = self.clock.monotonic();
        let _permit = self.permits.acquire().await.map_err(|_| LedgerError::Stopping)?;
        let proposal = Proposal {
            session: self.session,
            sequence: 0,
            at_millis: self.clock.wall_millis(),
            actor: actor.to_owned(),
            entry,
        };
        // An entry that does not read back would stop every voter at every start. Not on our watch.
        let frame = wire::check_storable(Kind::Proposal, &proposal);
        let bytes = frame.map_err(|source| LedgerError::NotStorable { source })?.len();
        let answered = {
            let mut numbering = self.numbering.lock().unwrap_or_else(PoisonError::into_inner);
            let sequence = numbering.next;
            let queue = numbering.queue.as_ref().ok_or(LedgerError::Stopping)?;
            let proposal = Arc::new(Proposal { sequence, ..proposal });
            let (answer, answered) = oneshot::channel();
            let waiting = Waiting { proposal, bytes, since, answer };
            queue.send(waiting).map_err(|_| LedgerError::Stopping)?;
            numbering.next += 1;
            answered
        };
        match answered.await {
            Ok(result) => result,
            Err(_) => Err(LedgerError::Unknown { why: "the ledger went away".to_owned() }),
        }
    }

    /// Refuses further proposals and finishes those under way.
    pub(crate) async fn stop(&self) {
        self.permits.close();
        self.numbering.lock().unwrap_or_else(PoisonError::into_inner).queue = None;
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // A panic in the task was told to its callers already.
            let _ = task.await;
        }
    }
}

struct Task<F: Fold> {
    session: u64,
    clock: Arc<dyn Clock>,
    raft: Raft<Types<F>>,
    metrics: Arc<LedgerMetrics>,
}

impl<F: Fold> Task<F> {
    async fn run(self, mut queued: mpsc::UnboundedReceiver<Waiting<F>>) {
        let mut held = None;
        let mut bytes_since_snapshot = 0;
        loop {
            let first = match held.take() {
                Some(first) => first,
                None => match queued.recv().await {
                    Some(first) => first,
                    None => return,
                },
            };
            // Everybody who got the answers of the last batch can propose again before this one is closed.
            tokio::task::yield_now().await;
            let waiting = collect(first, &mut queued, &mut held);
            // Whatever is before the first of these was answered, or given up.
            let settled_below = waiting.first().map_or(0, |first| first.proposal.sequence);
            let proposals = waiting.iter().map(|waiting| waiting.proposal.clone()).collect();
            let batch = Arc::new(Batch { session: self.session, settled_below, proposals });
            let outcome = self.propose(&batch).await;
            bytes_since_snapshot += waiting.iter().map(|waiting| waiting.bytes).sum::<usize>();
            self.answer(waiting, outcome);
            // If openraft is gone, the next batch says so.
            if bytes_since_snapshot > SNAPSHOT_BYTES && self.raft.trigger().snapshot().await.is_ok() {
                bytes_since_snapshot = 0;
            }
        }
    }

    async fn propose(&self, batch: &Arc<Batch<F::Entry>>) -> Result<Vec<Folding<F::Answer>>, LedgerError> {
        self.metrics.batch();
        let give_up = Instant::now() + PROPOSE_DEADLINE;
        let mut pause = FIRST_PAUSE;
        loop {
            let why = match timeout(TRY_DEADLINE, self.raft.client_write(batch.clone())).await {
                Ok(Ok(response)) => return Ok(response.data),
                // openraft is gone; only opening the ledger anew helps, and then the log tells.
                Ok(Err(RaftError::Fatal(fatal))) => return Err(LedgerError::Unknown { why: fatal.to_string() }),
                Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                    "this node does not lead".to_owned()
                }
                Ok(Err(RaftError::APIError(error))) => error.to_string(),
                Err(_) => "no quorum in time".to_owned(),
            };
            if Instant::now() + pause >= give_up {
                return Err(LedgerError::Unknown { why });
            }
            tracing::warn!(%why, proposals = batch.proposals.len(), "batch is proposed again");
            self.metrics.retried();
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    fn answer(&self, waiting: Vec<Waiting<F>>, outcome: Result<Vec<Folding<F::Answer>>, LedgerError>) {
        let now = self.clock.monotonic();
        let answers: Vec<Result<Answered<F>, LedgerError>> = match outcome {
            Err(error) => waiting.iter().map(|_| Err(error.clone())).collect(),
            Ok(foldings) => foldings
                .into_iter()
                .zip(&waiting)
                .map(|(folding, waiting)| match folding {
                    Folding::Answered { index, answer, repeated } => {
                        self.metrics.answered(repeated, now.saturating_sub(waiting.since));
                        Ok((index, answer))
                    }
                    Folding::Forgotten => Err(LedgerError::Unknown { why: "its answer is forgotten".to_owned() }),
                })
                .collect(),
        };
        for (waiting, answer) in waiting.into_iter().zip(answers) {
            // Whoever proposed it may not wait any more.
            let _ = waiting.answer.send(answer);
        }
    }
}

/// Takes what is queued, up to the limits; `held` gets what did not fit.
fn collect<F: Fold>(
    first: Waiting<F>,
    queued: &mut mpsc::UnboundedReceiver<Waiting<F>>,
    held: &mut Option<Waiting<F>>,
) -> Vec<Waiting<F>> {
    let mut bytes = first.bytes;
    let mut batch = vec![first];
    while batch.len() < BATCH_PROPOSALS {
        match queued.try_recv() {
            Ok(next) if bytes + next.bytes <= BATCH_BYTES => {
                bytes += next.bytes;
                batch.push(next);
            }
            Ok(next) => {
                *held = Some(next);
                break;
            }
            Err(_) => break,
        }
    }
    batch
}
