//! The dispatcher: decides what the node begins now, whenever something may have become possible.
//!
//! In: wakes (entries were applied, work ended, a time came). Out: jobs to the supervisor, and the one entry that starts
//! many preparations at once. Holds: what runs. Not here: the decision (`skein_protocol::schedule`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use skein_protocol::defects::{self, Defect};
use skein_protocol::fleet::{self, load::PeerLoad};
use skein_protocol::ids::MigrationId;
use skein_protocol::ledger::entry::Fence;
use skein_protocol::ledger::{Entry, State};
use skein_protocol::schedule::{self, Decision, Dispatch, Limits, Running};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::caution::Caution;
use super::door::Gift;
use super::job::Job;
use super::supervisor::SupervisorMessage;
use super::task::Task;
use crate::core::Core;

/// Longest sleep until a time comes: wall clocks jump.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// Decides what begins.
pub(super) struct Dispatcher;

#[derive(Debug)]
pub(super) enum DispatcherMessage {
    /// Something may have become possible.
    Wake,
    /// A piece of work ended.
    Ended(MigrationId, Job),
    /// A node asks for work.
    Steal(PeerLoad, oneshot::Sender<Gift>),
    /// Begin nothing for this migration.
    Hold(MigrationId),
    /// Begin again.
    Release(MigrationId),
}

/// What a new dispatcher has to know.
pub(super) struct Handover {
    pub(super) core: Arc<Core>,
    pub(super) supervisor: ActorRef<SupervisorMessage>,
    pub(super) awake: Arc<AtomicBool>,
    pub(super) running: Running,
    pub(super) held: BTreeSet<MigrationId>,
}

pub(super) struct DispatcherState {
    core: Arc<Core>,
    supervisor: ActorRef<SupervisorMessage>,
    awake: Arc<AtomicBool>,
    running: Running,
    held: BTreeSet<MigrationId>,
    caution: Caution,
    nap: Option<Task>,
}

impl Actor for Dispatcher {
    type Msg = DispatcherMessage;
    type State = DispatcherState;
    type Arguments = Handover;

    async fn pre_start(
        &self,
        _: ActorRef<Self::Msg>,
        handover: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let Handover { core, supervisor, awake, running, held } = handover;
        Ok(DispatcherState { core, supervisor, awake, running, held, caution: Caution::default(), nap: None })
    }

    async fn post_start(&self, myself: ActorRef<Self::Msg>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        state.decide(&myself).await
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            DispatcherMessage::Wake => {}
            DispatcherMessage::Ended(id, job) => {
                job.leave(id, &mut state.running);
                if let Job::Batch(batch) = job {
                    let now = state.core.now();
                    state.core.ledger.read(|ledger| state.caution.ended(ledger, id, batch, now));
                }
            }
            DispatcherMessage::Steal(thief, gift) => return state.give(&thief, gift),
            DispatcherMessage::Hold(id) => {
                state.held.insert(id);
                return Ok(());
            }
            DispatcherMessage::Release(id) => {
                state.held.remove(&id);
            }
        }
        state.decide(&myself).await
    }
}

impl DispatcherState {
    async fn decide(&mut self, myself: &ActorRef<DispatcherMessage>) -> Result<(), ActorProcessingErr> {
        // Before the look: what is applied from here on wakes again.
        self.awake.store(false, Ordering::Release);
        let now = self.core.now();
        let draining = self.core.fleet.is_draining(&self.core);
        let mut limits = self.limits();
        let more_at = self.caution.limit(&mut limits, now);
        limits.draining = draining;
        let mut decision = if self.core.may_act() {
            self.core.ledger.read(|state| {
                let ours = |migration: &skein_protocol::ledger::Migration| {
                    migration.owner == self.core.node
                        && !self.held.contains(&migration.id)
                        && !self.core.broken.holds_up(migration.id)
                };
                schedule::decide(state, &self.running, &limits, now, ours)
            })
        } else {
            Decision::default()
        };
        decision.wake_at = [decision.wake_at, more_at].into_iter().flatten().min();
        self.running.turns = decision.turns;
        self.nap = decision.wake_at.filter(|_| !defects::is(Defect::LostWake)).map(|time| {
            let myself = myself.clone();
            let nap = Duration::from_millis(time.saturating_sub(now)).clamp(Duration::from_millis(1), LONGEST_NAP);
            Task::start(async move {
                sleep(nap).await;
                // A dispatcher that is gone needs no wake.
                let _ = myself.cast(DispatcherMessage::Wake);
            })
        });
        for dispatch in decision.dispatches {
            self.begin(dispatch).await?;
        }
        let (busy, preparations) =
            (self.running.batches.len() + self.running.finishing.len(), self.running.preparing.len());
        self.core.metrics.count(|stats| {
            stats.slots_busy = busy as u64;
            stats.preparations = preparations as u64;
            stats.connections_resting = self.caution.resting() as u64;
        });
        self.tell_load(draining);
        Ok(())
    }

    fn limits(&self) -> Limits {
        let guests = usize::try_from(self.core.fleet.guests.taken()).unwrap_or(usize::MAX);
        Limits {
            node: self.core.node,
            slots: self.core.config.slots.saturating_sub(guests),
            connections: self.core.config.connection_limits.clone(),
            ..Limits::default()
        }
    }

    /// What this node has and has room for.
    fn load(&self, draining: bool) -> PeerLoad {
        let slots = u32::try_from(self.core.config.slots).unwrap_or(u32::MAX);
        let load = |state: &State| fleet::load::load(state, self.core.node, slots, &self.running, draining);
        let load = self.core.ledger.read(load);
        PeerLoad { free: load.free.saturating_sub(self.core.fleet.guests.taken()), ..load }
    }

    fn tell_load(&self, draining: bool) {
        let load = self.load(draining);
        self.core.fleet.load.send_if_modified(|told| {
            let changed = *told != load;
            *told = load;
            changed
        });
    }

    /// Gives work to a node that asks: whole migrations, or else batches of those that run here.
    fn give(&mut self, thief: &PeerLoad, gift: oneshot::Sender<Gift>) -> Result<(), ActorProcessingErr> {
        let now = self.core.now();
        let me = self.load(self.core.fleet.is_draining(&self.core));
        let (whole, lent) = self.core.ledger.read(|state| {
            let whole = fleet::stealing::consent(state, &me, &self.running, thief);
            if defects::is(Defect::StealWithoutEntry) && !whole.is_empty() {
                self.held.extend(whole);
                return (Vec::new(), Vec::new());
            }
            let fences: Vec<Fence> =
                whole.iter().filter_map(|id| state.migration(*id)).map(|migration| migration.fence()).collect();
            let lent = match fences.is_empty() {
                true => fleet::stealing::lend(state, &me, &self.running, thief.free, now),
                false => Vec::new(),
            };
            (fences, lent)
        });
        for (id, batch) in &lent {
            Job::Batch(*batch).enter(*id, Some(thief.node), &mut self.running);
            self.supervisor.cast(SupervisorMessage::HandTo(*id, *batch, thief.node))?;
        }
        // A thief that has gone asks again.
        let _ = gift.send(Gift { whole, lent: u32::try_from(lent.len()).unwrap_or(u32::MAX) });
        Ok(())
    }

    async fn begin(&mut self, dispatch: Dispatch) -> Result<(), ActorProcessingErr> {
        let (id, job) = match dispatch {
            Dispatch::StartPreparations(ids) => {
                let fences = self.core.ledger.read(|state| {
                    ids.iter().filter_map(|id| state.migration(*id)).map(|migration| migration.fence()).collect()
                });
                self.core.record(Entry::PreparationStarted(fences)).await?;
                return Ok(());
            }
            Dispatch::Work(id, step) => {
                let Some(job) = Job::of(&step) else { return Ok(()) };
                (id, job)
            }
            Dispatch::Batch(id, batch) => {
                let now = self.core.now();
                self.core.ledger.read(|state| self.caution.began(state, id, batch, now));
                (id, Job::Batch(batch))
            }
        };
        job.enter(id, None, &mut self.running);
        self.supervisor.cast(SupervisorMessage::Hand(id, job))?;
        Ok(())
    }
}
