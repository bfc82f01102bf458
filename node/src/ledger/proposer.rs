//! The proposer: gathers proposals into batches and sees each batch through to its answers.
//!
//! In: entries from many callers. Out: for each its index and answer, or an error that says whether it may
//! have happened. A batch goes to the leader, be it this node or another, and is answered when this node has applied it
//! too: whoever proposes sees what it proposed. One batch is under way at a time; what arrives meanwhile is the next batch. A batch whose
//! outcome is unknown is proposed again with the same session and sequences: the fold gives the first answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::{BasicNode, Raft, RaftMetrics};
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::fold::{ANSWERS_PER_SESSION, Fold, Folding, Proposal};
use skein_protocol::wire::{self, Kind};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::funnel::{Funnel, GROUP_BYTES, Missed};
use super::gather::{Most, Weighed, gather};
use super::raft::{Batch, Types, View};
use super::{LedgerError, LedgerMetrics, Peers};
use crate::env::{Clock, Env};

/// Proposals that are under way at once; further callers wait. Bounds the memory of a flood, and stays far
/// below the answers that the fold remembers.
pub const MAX_IN_FLIGHT: usize = 1024;
/// Proposals in one batch: a batch is one entry of the log, applied in one go.
const BATCH_PROPOSALS: usize = 512;
/// Bytes of proposals in one batch. One more proposal of the largest size still fits into a log entry.
const BATCH_BYTES: usize = Kind::LogEntry.max_bytes() / 4;
/// A batch is proposed again and again for this long before its callers are told that nobody knows.
const PROPOSE_DEADLINE: Duration = Duration::from_secs(30);
/// One try may take this long: a full election and a slow disk fit in.
const TRY_DEADLINE: Duration = Duration::from_secs(10);
/// Pause after a try that failed; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause between tries.
const LAST_PAUSE: Duration = Duration::from_secs(1);

const _: () = assert!(MAX_IN_FLIGHT * 4 <= ANSWERS_PER_SESSION);
const _: () = assert!(GROUP_BYTES + BATCH_BYTES + Kind::Proposal.max_bytes() < Kind::LogEntry.max_bytes());

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
    pub(crate) fn start(session: u64, env: &Env, way: Way<F>, metrics: Arc<LedgerMetrics>) -> Self {
        // Bounded by the permits.
        let (queue, queued) = mpsc::unbounded_channel();
        let task = Task { session, clock: env.clock.clone(), way, metrics };
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

/// How a batch gets into the log.
pub(crate) struct Way<F: Fold> {
    pub(crate) node: u64,
    pub(crate) raft: Raft<Types<F>>,
    pub(crate) funnel: Arc<Funnel<F>>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) view: Arc<View<F>>,
}

struct Task<F: Fold> {
    session: u64,
    clock: Arc<dyn Clock>,
    way: Way<F>,
    metrics: Arc<LedgerMetrics>,
}

/// What became of one try.
enum Try<A> {
    Done(Vec<Folding<A>>),
    Again(String),
    Over(LedgerError),
}

impl<F: Fold> Task<F> {
    async fn run(self, mut queued: mpsc::UnboundedReceiver<Waiting<F>>) {
        let mut held = None;
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
            let most = Most { items: BATCH_PROPOSALS, bytes: BATCH_BYTES };
            let (waiting, bytes) = gather(first, &mut queued, &mut held, most);
            // Whatever is before the first of these was answered, or given up.
            let settled_below = waiting.first().map_or(0, |first| first.proposal.sequence);
            let proposals = waiting.iter().map(|waiting| waiting.proposal.clone()).collect();
            let batch = Arc::new(Batch { session: self.session, settled_below, proposals });
            let outcome = self.propose(&batch, bytes).await;
            self.answer(waiting, outcome);
        }
    }

    async fn propose(
        &self,
        batch: &Arc<Batch<F::Entry>>,
        bytes: usize,
    ) -> Result<Vec<Folding<F::Answer>>, LedgerError> {
        self.metrics.batch();
        let give_up = Instant::now() + PROPOSE_DEADLINE;
        let mut pause = FIRST_PAUSE;
        loop {
            let why = match self.way.take(batch, bytes).await {
                Try::Done(foldings) => return self.way.follow(foldings, give_up).await,
                Try::Over(error) => return Err(error),
                Try::Again(why) => why,
            };
            if Instant::now() + pause >= give_up {
                return Err(LedgerError::Unknown { why });
            }
            tracing::debug!(%why, proposals = batch.proposals.len(), "batch is proposed again");
            self.metrics.retried();
            rest(self.way.raft.metrics(), pause).await;
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

impl<F: Fold> Way<F> {
    /// Takes a batch to the leader, once.
    async fn take(&self, batch: &Arc<Batch<F::Entry>>, bytes: usize) -> Try<F::Answer> {
        let leader = self.raft.metrics().borrow().current_leader;
        match leader {
            None => Try::Again("the ledger has no leader".to_owned()),
            Some(leader) if leader == self.node => match self.funnel.offer(batch.clone(), bytes).await {
                Ok(foldings) => Try::Done(foldings),
                Err(Missed::NotLeader) => Try::Again("this node does not lead".to_owned()),
                Err(Missed::Unknown(why)) => Try::Again(why),
                Err(Missed::Fatal(why)) => Try::Over(LedgerError::Unknown { why }),
            },
            Some(leader) => {
                let answer = self.peers.call(NodeId(leader), Kind::Propose, batch.as_ref(), TRY_DEADLINE).await;
                match answer {
                    Ok(foldings) => Try::Done(foldings),
                    Err(error) => Try::Again(error.to_string()),
                }
            }
        }
    }

    /// Waits until this node has applied what was answered.
    async fn follow(
        &self,
        foldings: Vec<Folding<F::Answer>>,
        give_up: Instant,
    ) -> Result<Vec<Folding<F::Answer>>, LedgerError> {
        let index = |folding: &Folding<F::Answer>| match folding {
            Folding::Answered { index, .. } => *index,
            Folding::Forgotten => 0,
        };
        let last = foldings.iter().map(index).max().unwrap_or_default();
        let mut applied = self.view.index();
        match timeout_at(give_up, applied.wait_for(|index| *index >= last)).await {
            Ok(Ok(_)) => Ok(foldings),
            Ok(Err(_)) => Err(LedgerError::Stopping),
            Err(_) => {
                Err(LedgerError::Unknown { why: format!("it has index {last}, and this node does not get there") })
            }
        }
    }
}

/// Rests, or less when there is another leader.
async fn rest(mut metrics: watch::Receiver<RaftMetrics<u64, BasicNode>>, pause: Duration) {
    let before = metrics.borrow_and_update().current_leader;
    let changed = metrics.wait_for(|now| now.current_leader.is_some() && now.current_leader != before);
    // Without openraft nothing changes any more, and the wait ends at once: that is no reason to hurry.
    if let Ok(false) = timeout(pause, async { changed.await.is_ok() }).await {
        sleep(pause).await;
    }
}

impl<F: Fold> Weighed for Waiting<F> {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn following(leader: u64) -> RaftMetrics<u64, BasicNode> {
        RaftMetrics { current_leader: Some(leader), ..RaftMetrics::new_initial(1) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_proposer_whose_ledger_has_failed_rests_before_it_proposes_again() {
        let (openraft, metrics) = watch::channel(following(2));
        drop(openraft);
        let begun = Instant::now();
        rest(metrics, LAST_PAUSE).await;
        assert_eq!(begun.elapsed(), LAST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_proposer_rests_until_there_is_another_leader_and_no_longer_than_its_pause() {
        let (openraft, metrics) = watch::channel(following(2));
        let begun = Instant::now();
        rest(metrics.clone(), LAST_PAUSE).await;
        assert_eq!(begun.elapsed(), LAST_PAUSE, "nothing happens");
        let resting = tokio::spawn(rest(metrics, LAST_PAUSE));
        tokio::task::yield_now().await;
        openraft.send_replace(following(3));
        resting.await.unwrap();
        assert_eq!(begun.elapsed(), LAST_PAUSE, "the other leader was there at once");
    }
}
