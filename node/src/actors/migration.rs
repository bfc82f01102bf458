//! The actor of one migration: a thin shell that records, lets a task act, and hears how it ended.
//!
//! In: jobs. Out: entries, ends of jobs. Holds: the tasks of its jobs and the documents that they share; nothing that the
//! ledger does not know, so that it can die at any time. Not here: what comes next (`skein_protocol::machine`).

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use skein_protocol::defects::{self, Defect};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{Attempt, BatchId, MigrationId, NodeId, Run, StageNo};
use skein_protocol::ledger::Entry;
use skein_protocol::machine::{Stake, outcome};
use skein_protocol::problem::{Code, Problem};

use super::brief::{Brief, PlanCell, PriorCell};
use super::job::{End, Job, JobError};
use super::supervisor::SupervisorMessage;
use super::task::Task;
use super::work::Worker;
use crate::core::{Core, Recorded, panic_text};

/// One migration's actor.
pub(super) struct MigrationActor;

#[derive(Debug)]
pub(super) enum MigrationMessage {
    /// Begin this.
    Hand(Job),
    /// Let another node run this batch.
    HandTo(BatchId, NodeId),
    /// A task ended: the job, its number, how.
    Over(Job, u64, Result<End, JobError>),
    /// The record changed: look which jobs are still wanted.
    Look,
}

pub(super) struct MigrationState {
    core: Arc<Core>,
    supervisor: ActorRef<SupervisorMessage>,
    id: MigrationId,
    plan: Option<(Hash256, PlanCell)>,
    prior: Option<((Run, StageNo), PriorCell)>,
    jobs: BTreeMap<Job, Open>,
    /// Number of the last task: tells a late end from that of the present task.
    tasks: u64,
}

/// A job under way.
struct Open {
    number: u64,
    stake: Stake,
    /// Set when the task records its outcome: from then on it is left to end by itself.
    closing: Arc<AtomicBool>,
    _task: Task,
}

impl Actor for MigrationActor {
    type Msg = MigrationMessage;
    type State = MigrationState;
    type Arguments = (Arc<Core>, ActorRef<SupervisorMessage>, MigrationId);

    async fn pre_start(
        &self,
        _: ActorRef<Self::Msg>,
        (core, supervisor, id): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(MigrationState { core, supervisor, id, plan: None, prior: None, jobs: BTreeMap::new(), tasks: 0 })
    }

    async fn post_start(&self, _: ActorRef<Self::Msg>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        state.close_orphans().await
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            MigrationMessage::Hand(job) => state.begin(&myself, job, None).await,
            MigrationMessage::HandTo(batch, runner) => state.begin(&myself, Job::Batch(batch), Some(runner)).await,
            MigrationMessage::Over(job, number, outcome) => state.over(job, number, outcome),
            MigrationMessage::Look => {
                state.abort_unwanted()?;
                state.close_orphans().await
            }
        }
    }
}

impl MigrationState {
    async fn begin(
        &mut self,
        myself: &ActorRef<MigrationMessage>,
        job: Job,
        runner: Option<NodeId>,
    ) -> Result<(), ActorProcessingErr> {
        let now = self.core.now();
        let brief = |state: &skein_protocol::ledger::State| {
            state.migration(self.id).and_then(|migration| Brief::of(state, migration, job, now))
        };
        let Some(brief) = self.core.ledger.read(brief) else { return self.not_begun(job, End::Done).await };
        let (stake, attempt) = match job {
            Job::Batch(batch) => {
                let attempt = brief.next_attempt;
                let entry = Entry::BatchStarted {
                    fence: brief.fence,
                    batch,
                    attempt,
                    runner: runner.unwrap_or(self.core.node),
                };
                let lends = runner.is_some() && defects::is(Defect::LendWithoutEntry);
                if defects::is(Defect::EffectBeforeRecord) {
                    let core = self.core.clone();
                    tokio::spawn(async move { core.record(entry).await });
                } else if !lends && let Recorded::Moot = self.core.record(entry).await? {
                    return self.not_begun(job, moot(job)).await;
                }
                self.core.metrics.count(|stats| {
                    stats.batches_started += 1;
                    stats.batches_lent += u64::from(runner.is_some());
                    stats.batch_retries += u64::from(brief.failures > 0);
                });
                let stake = |migration: &skein_protocol::ledger::Migration| Stake::batch(migration, batch, attempt);
                let stake = self.core.ledger.read(|state| state.migration(self.id).map(stake));
                (stake, attempt)
            }
            _ => {
                self.core.metrics.count(|stats| stats.work_started += 1);
                (brief.stake, brief.work_attempt)
            }
        };
        let Some(stake) = stake else { return self.end(job, End::Done) };
        let worker = self.worker(brief, attempt, job, runner);
        let lends = runner.is_some() && defects::is(Defect::LendWithoutEntry);
        worker.closing.store(lends, Ordering::Release);
        self.tasks += 1;
        let (number, myself, closing) = (self.tasks, myself.clone(), worker.closing.clone());
        let task = Task::start(async move {
            let outcome = AssertUnwindSafe(worker.run(job)).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|panic| {
                Err(JobError::Panicked { what: "a task of the migration", why: panic_text(panic.as_ref()) })
            });
            // An actor that is gone has no use for it.
            let _ = myself.cast(MigrationMessage::Over(job, number, outcome));
        });
        self.jobs.insert(job, Open { number, stake, closing, _task: task });
        // What was applied while the start was being recorded may have made it pointless already.
        if defects::is(Defect::EffectBeforeRecord) { Ok(()) } else { self.abort_unwanted() }
    }

    fn worker(&mut self, brief: Brief, attempt: Attempt, job: Job, runner: Option<NodeId>) -> Worker {
        let plan = match (&self.plan, brief.plan) {
            (Some((hash, cell)), Some(present)) if *hash == present => cell.clone(),
            (_, present) => {
                let cell = PlanCell::default();
                self.plan = present.map(|hash| (hash, cell.clone()));
                cell
            }
        };
        let prior = match job {
            Job::Batch(BatchId { stage, .. }) => {
                let key = (brief.fence.run, stage);
                match &self.prior {
                    Some((known, cell)) if *known == key => cell.clone(),
                    _ => self.prior.insert((key, PriorCell::default())).1.clone(),
                }
            }
            _ => PriorCell::default(),
        };
        Worker { core: self.core.clone(), brief, attempt, runner, plan, prior, closing: Arc::default() }
    }

    fn over(&mut self, job: Job, number: u64, outcome: Result<End, JobError>) -> Result<(), ActorProcessingErr> {
        let Some(open) = self.jobs.get(&job).filter(|open| open.number == number) else { return Ok(()) };
        let stake = open.stake;
        self.jobs.remove(&job);
        match outcome? {
            // Refused although nothing changed: again at once would be refused again.
            End::Moot if self.is_wanted(stake) => self.end(job, moot(job)),
            end => self.end(job, end),
        }
    }

    fn is_wanted(&self, stake: Stake) -> bool {
        self.core.ledger.read(|state| state.migration(self.id).is_some_and(|migration| stake.holds(migration)))
    }

    /// A batch that cannot begin may be open already, from a hand-out that was recorded after its actor's death: an actor
    /// that was built before that was applied has not closed it, and it was taken for this job.
    async fn not_begun(&mut self, job: Job, end: End) -> Result<(), ActorProcessingErr> {
        self.close_orphans().await?;
        self.end(job, end)
    }

    fn end(&self, job: Job, end: End) -> Result<(), ActorProcessingErr> {
        Ok(self.supervisor.cast(SupervisorMessage::Ended(self.id, job, end))?)
    }

    /// Ends the tasks whose outcome nobody wants any more.
    fn abort_unwanted(&mut self) -> Result<(), ActorProcessingErr> {
        let unwanted: Vec<Job> = self.core.ledger.read(|state| {
            let Some(migration) = state.migration(self.id) else { return Vec::new() };
            let unwanted = |open: &Open| !open.closing.load(Ordering::Acquire) && !open.stake.holds(migration);
            self.jobs.iter().filter(|(_, open)| unwanted(open)).map(|(job, _)| *job).collect()
        });
        for job in unwanted {
            self.jobs.remove(&job);
            self.core.metrics.count(|stats| stats.aborted += 1);
            if !defects::is(Defect::LeakedSlot) {
                self.end(job, End::Done)?;
            }
        }
        Ok(())
    }

    /// Closes hand-outs that the ledger has as running and that no task here works on.
    async fn close_orphans(&mut self) -> Result<(), ActorProcessingErr> {
        let orphans = self.core.ledger.read(|state| {
            let Some(migration) = state.migration(self.id).filter(|migration| migration.owner == self.core.node) else {
                return Vec::new();
            };
            let all = migration.running_batches().into_iter();
            let orphans = all.filter(|(batch, ..)| !self.jobs.contains_key(&Job::Batch(*batch)));
            orphans.map(|orphan| (migration.fence(), orphan)).collect()
        });
        let orphans = if defects::is(Defect::OrphansLeftOpen) { Vec::new() } else { orphans };
        for (fence, (batch, attempt, failures)) in orphans {
            let (now, random) = (self.core.now(), self.core.random());
            let entry = outcome::interrupted(fence, (batch, attempt), failures, now, random);
            // If it is moot, its end was recorded meanwhile.
            self.core.record(entry).await?;
        }
        Ok(())
    }
}

/// The end of a job whose entry was refused although its migration is where it was.
fn moot(job: Job) -> End {
    let why = "the ledger refused its entry, and the migration is where it was";
    End::Later(Problem::new(Code::Stale, format!("{job:?}"), why, "nothing: it is tried again"))
}
