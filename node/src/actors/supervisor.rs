//! The supervisor: keeps the dispatcher alive, and an actor for each migration that is worked on.
//!
//! In: jobs from the dispatcher, ends of jobs, deaths of actors. Out: jobs to the migrations' actors, what ended to the
//! dispatcher. Holds: which jobs run where, so that whoever dies is built again without losing count; the pauses after
//! failures that no entry records. An actor is stopped when its migration comes to rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use skein_protocol::fleet::load::PeerLoad;
use skein_protocol::ids::{BatchId, MigrationId, NodeId};
use skein_protocol::ledger::{Migration, Phase};
use skein_protocol::machine::{self, Step, outcome};
use skein_protocol::schedule::Running;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::dispatcher::{Dispatcher, DispatcherMessage, Handover};
use super::door::Gift;
use super::job::{End, Job};
use super::listener::listen;
use super::migration::{MigrationActor, MigrationMessage};
use super::task::Task;
use crate::core::Core;
use crate::fleet::SessionState;

/// Keeps the others alive.
pub(super) struct Supervisor;

#[derive(Debug)]
pub(super) enum SupervisorMessage {
    /// Entries were applied: the dispatcher looks.
    Wake,
    /// The dispatcher begins a job.
    Hand(MigrationId, Job),
    /// A job ended.
    Ended(MigrationId, Job, End),
    /// Entries were applied that may make jobs of these pointless.
    Changed(Vec<MigrationId>),
    /// Nobody knows what was applied.
    AllChanged,
    /// A hand-out was recorded.
    Started(MigrationId, BatchId),
    /// The pause after a failure is over.
    Released(MigrationId),
    /// The pause after the dispatcher's death is over.
    RestartDispatcher,
    /// A batch is handed to another node.
    HandTo(MigrationId, BatchId, NodeId),
    /// A node asks for work.
    Steal(PeerLoad, oneshot::Sender<Gift>),
    /// Whether this node may act has changed.
    Session(SessionState),
    /// Begin nothing more; answer when nothing runs.
    Drain(oneshot::Sender<()>),
}

struct Child {
    actor: ActorRef<MigrationMessage>,
    /// Each with the other node that does it, if one does.
    jobs: BTreeMap<Job, Option<NodeId>>,
}

pub(super) struct SupervisorState {
    core: Arc<Core>,
    awake: Arc<AtomicBool>,
    _listener: Task,
    _session: Task,
    dispatcher: Option<ActorRef<DispatcherMessage>>,
    /// Deaths of the dispatcher in a row, and the pause after the last.
    dispatcher_deaths: u32,
    dispatcher_pause: Option<Task>,
    children: BTreeMap<MigrationId, Child>,
    /// Failures in a row that no entry records.
    setbacks: BTreeMap<MigrationId, u32>,
    /// Pauses after them.
    held: BTreeMap<MigrationId, Task>,
    /// Nothing more is begun.
    draining: bool,
    idle: Option<oneshot::Sender<()>>,
}

impl Actor for Supervisor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = Arc<Core>;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, core: Arc<Core>) -> Result<Self::State, ActorProcessingErr> {
        let awake = Arc::new(AtomicBool::new(false));
        // It subscribes before the first look at the state, so that nothing is missed in between.
        let listener = Task::start(listen(core.ledger.subscribe(), myself.clone(), awake.clone()));
        let session = Task::start(follow_session(core.fleet.session.watch(), myself));
        Ok(SupervisorState {
            core,
            awake,
            _listener: listener,
            _session: session,
            dispatcher: None,
            dispatcher_deaths: 0,
            dispatcher_pause: None,
            children: BTreeMap::new(),
            setbacks: BTreeMap::new(),
            held: BTreeMap::new(),
            draining: false,
            idle: None,
        })
    }

    async fn post_start(&self, myself: ActorRef<Self::Msg>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        state.start_dispatcher(&myself).await
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Wake => state.tell(DispatcherMessage::Wake),
            SupervisorMessage::Hand(id, job) => state.hand(&myself, id, job).await?,
            SupervisorMessage::Ended(id, job, end) => state.ended(&myself, id, job, end),
            SupervisorMessage::Changed(ids) => ids.into_iter().for_each(|id| state.look(id)),
            SupervisorMessage::AllChanged => state.look_all(),
            SupervisorMessage::Started(id, batch) => state.check_started(&myself, id, batch).await?,
            SupervisorMessage::Released(id) => state.released(&myself, id).await?,
            SupervisorMessage::RestartDispatcher => state.start_dispatcher(&myself).await?,
            SupervisorMessage::HandTo(id, batch, runner) => state.lend(&myself, id, batch, runner).await?,
            SupervisorMessage::Steal(thief, gift) => state.tell(DispatcherMessage::Steal(thief, gift)),
            SupervisorMessage::Session(session) => state.session(&myself, session).await?,
            SupervisorMessage::Drain(idle) => {
                if let Some(dispatcher) = state.dispatcher.take() {
                    dispatcher.stop(None);
                }
                state.draining = true;
                state.idle = Some(idle);
                state.tell_if_idle();
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (who, why) = match event {
            SupervisionEvent::ActorFailed(who, error) => (who, error.to_string()),
            SupervisionEvent::ActorTerminated(who, _, reason) => {
                (who, reason.unwrap_or_else(|| "it stopped".to_owned()))
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => return Ok(()),
        };
        let who = who.get_id();
        if state.dispatcher.as_ref().is_some_and(|dispatcher| dispatcher.get_id() == who) {
            state.dispatcher_died(&myself, &why);
        } else if let Some(id) = state.children.iter().find(|(_, child)| child.actor.get_id() == who).map(|(id, _)| *id)
        {
            state.child_died(&myself, id, &why);
        }
        // Others were stopped by us.
        Ok(())
    }
}

impl SupervisorState {
    fn tell(&self, message: DispatcherMessage) {
        // A dispatcher that just died is built anew from what is in here.
        if let Some(dispatcher) = &self.dispatcher {
            let _ = dispatcher.cast(message);
        }
    }

    async fn start_dispatcher(&mut self, myself: &ActorRef<SupervisorMessage>) -> Result<(), ActorProcessingErr> {
        if self.draining {
            return Ok(());
        }
        let mut running = Running::default();
        for (id, child) in &self.children {
            for (job, runner) in &child.jobs {
                job.enter(*id, *runner, &mut running);
            }
        }
        let handover = Handover {
            core: self.core.clone(),
            supervisor: myself.clone(),
            awake: self.awake.clone(),
            running,
            held: self.held.keys().copied().collect(),
        };
        let (dispatcher, _) = Dispatcher::spawn_linked(None, Dispatcher, handover, myself.get_cell()).await?;
        self.dispatcher = Some(dispatcher);
        Ok(())
    }

    fn dispatcher_died(&mut self, myself: &ActorRef<SupervisorMessage>, why: &str) {
        self.core.metrics.count(|stats| stats.dispatcher_restarts += 1);
        let pause = self.pause(self.dispatcher_deaths);
        tracing::error!(%why, pause_millis = pause.as_millis(), "the dispatcher died");
        self.dispatcher = None;
        self.dispatcher_deaths += 1;
        self.dispatcher_pause = Some(later(myself, pause, SupervisorMessage::RestartDispatcher));
    }

    async fn hand(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        id: MigrationId,
        job: Job,
    ) -> Result<(), ActorProcessingErr> {
        // The dispatcher works: its next death is the first again.
        self.dispatcher_deaths = 0;
        if self.draining || self.held.contains_key(&id) {
            self.tell(DispatcherMessage::Ended(id, job));
            return Ok(());
        }
        let child = self.child(myself, id).await?;
        child.jobs.insert(job, None);
        // If it died a moment ago, its death is told next, and takes the job back.
        let _ = child.actor.cast(MigrationMessage::Hand(job));
        Ok(())
    }

    /// Hands a batch to another node.
    async fn lend(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        id: MigrationId,
        batch: BatchId,
        runner: NodeId,
    ) -> Result<(), ActorProcessingErr> {
        let job = Job::Batch(batch);
        if self.draining || self.held.contains_key(&id) {
            self.tell(DispatcherMessage::Ended(id, job));
            return Ok(());
        }
        let child = self.child(myself, id).await?;
        child.jobs.insert(job, Some(runner));
        // As above.
        let _ = child.actor.cast(MigrationMessage::HandTo(batch, runner));
        Ok(())
    }

    /// Without a session everything under way is given up: others may take over any time.
    async fn session(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        session: SessionState,
    ) -> Result<(), ActorProcessingErr> {
        if session == SessionState::Acting {
            self.close_given_up(myself).await?;
            self.tell(DispatcherMessage::Wake);
            return Ok(());
        }
        for (id, child) in std::mem::take(&mut self.children) {
            if !child.jobs.is_empty() {
                tracing::warn!(migration = %id, jobs = child.jobs.len(), "given up: the node has no session");
            }
            child.actor.kill();
            for job in child.jobs.into_keys() {
                self.core.metrics.count(|stats| stats.aborted += 1);
                self.tell(DispatcherMessage::Ended(id, job));
            }
        }
        self.tell_if_idle();
        Ok(())
    }

    /// Closes what was given up if nobody took over: the session goes on, and the ledger has these batches as running.
    async fn close_given_up(&mut self, myself: &ActorRef<SupervisorMessage>) -> Result<(), ActorProcessingErr> {
        let open: Vec<MigrationId> = self.core.ledger.read(|state| {
            let ours = state.migrations().values().filter(|one| one.owner == self.core.node && one.running() > 0);
            ours.map(|migration| migration.id).collect()
        });
        for id in open {
            let child = self.child(myself, id).await?;
            // One that is there already may know better: it closes only what no task of it works on.
            let _ = child.actor.cast(MigrationMessage::Look);
        }
        Ok(())
    }

    /// The actor of a migration, built if there is none.
    async fn child(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        id: MigrationId,
    ) -> Result<&mut Child, ActorProcessingErr> {
        if !self.children.contains_key(&id) {
            let arguments = (self.core.clone(), myself.clone(), id);
            let (actor, _) = MigrationActor::spawn_linked(None, MigrationActor, arguments, myself.get_cell()).await?;
            self.children.insert(id, Child { actor, jobs: BTreeMap::new() });
        }
        Ok(self.children.get_mut(&id).expect("it was inserted if it was not there"))
    }

    fn ended(&mut self, myself: &ActorRef<SupervisorMessage>, id: MigrationId, job: Job, end: End) {
        if let Some(child) = self.children.get_mut(&id) {
            child.jobs.remove(&job);
        }
        match end {
            End::Done | End::Moot => {
                self.setbacks.remove(&id);
            }
            End::Later(problem) => {
                tracing::warn!(migration = %id, code = %problem.code, why = %problem.why, "tried again later");
                self.hold(myself, id);
            }
        }
        self.tell(DispatcherMessage::Ended(id, job));
        self.stop_if_at_rest(id);
        self.tell_if_idle();
    }

    fn child_died(&mut self, myself: &ActorRef<SupervisorMessage>, id: MigrationId, why: &str) {
        self.core.metrics.count(|stats| stats.migration_restarts += 1);
        tracing::error!(migration = %id, %why, "the migration's actor died");
        self.hold(myself, id);
        for job in self.children.remove(&id).map(|child| child.jobs).unwrap_or_default().into_keys() {
            self.tell(DispatcherMessage::Ended(id, job));
        }
        self.tell_if_idle();
    }

    /// Lets a migration rest after a failure that no entry records.
    fn hold(&mut self, myself: &ActorRef<SupervisorMessage>, id: MigrationId) {
        let setbacks = self.setbacks.entry(id).or_default();
        let before = *setbacks;
        *setbacks += 1;
        let pause = self.pause(before);
        self.held.insert(id, later(myself, pause, SupervisorMessage::Released(id)));
        self.tell(DispatcherMessage::Hold(id));
    }

    fn pause(&self, failures: u32) -> Duration {
        Duration::from_millis(outcome::backoff_millis(failures, self.core.random()))
    }

    async fn released(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        id: MigrationId,
    ) -> Result<(), ActorProcessingErr> {
        self.held.remove(&id);
        // A hand-out that its actor left open holds up its batch: an actor closes it.
        let open = self.core.ledger.read(|state| state.migration(id).is_some_and(|migration| migration.running() > 0));
        if open {
            let child = self.child(myself, id).await?;
            // One that was there before may have been built before the hand-out was applied.
            let _ = child.actor.cast(MigrationMessage::Look);
        }
        self.tell(DispatcherMessage::Release(id));
        Ok(())
    }

    fn look(&mut self, id: MigrationId) {
        if let Some(child) = self.children.get(&id) {
            let _ = child.actor.cast(MigrationMessage::Look);
            self.stop_if_at_rest(id);
        }
    }

    fn look_all(&mut self) {
        let ids: Vec<MigrationId> = self.children.keys().copied().collect();
        ids.into_iter().for_each(|id| self.look(id));
    }

    /// A hand-out that nobody here works on (its actor died while it was being recorded) is closed by an actor.
    async fn check_started(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        id: MigrationId,
        batch: BatchId,
    ) -> Result<(), ActorProcessingErr> {
        let ours = self.core.ledger.read(|state| state.migration(id).is_some_and(|one| one.owner == self.core.node));
        if !ours {
            return Ok(());
        }
        let known = self.children.get(&id).is_some_and(|child| child.jobs.contains_key(&Job::Batch(batch)));
        if !known && !self.held.contains_key(&id) {
            let child = self.child(myself, id).await?;
            let _ = child.actor.cast(MigrationMessage::Look);
        }
        Ok(())
    }

    fn stop_if_at_rest(&mut self, id: MigrationId) {
        let Some(child) = self.children.get(&id) else { return };
        let now = self.core.now();
        let stays = || self.core.ledger.read(|state| state.migration(id).is_some_and(|one| has_next(one, now)));
        if child.jobs.is_empty() && !stays() {
            child.actor.stop(None);
            self.children.remove(&id);
        }
    }

    fn tell_if_idle(&mut self) {
        if self.children.values().all(|child| child.jobs.is_empty())
            && let Some(idle) = self.idle.take()
        {
            // Whoever waited may have given up.
            let _ = idle.send(());
        }
    }
}

/// Whether the next job is about to come, and wants the plan that the actor holds.
fn has_next(migration: &Migration, now: u64) -> bool {
    matches!(migration.phase, Phase::Execution | Phase::Validation | Phase::Commit)
        && !matches!(machine::next(migration, now), Step::Wait | Step::WaitUntil(_))
}

/// Tells the supervisor whether the node may act, whenever that changes.
async fn follow_session(mut session: watch::Receiver<SessionState>, supervisor: ActorRef<SupervisorMessage>) {
    while session.changed().await.is_ok() {
        let state = *session.borrow_and_update();
        if supervisor.cast(SupervisorMessage::Session(state)).is_err() {
            return;
        }
    }
}

/// Sends a message to the supervisor after a pause.
fn later(supervisor: &ActorRef<SupervisorMessage>, pause: Duration, message: SupervisorMessage) -> Task {
    let supervisor = supervisor.clone();
    Task::start(async move {
        sleep(pause).await;
        // A supervisor that is gone needs it no more.
        let _ = supervisor.cast(message);
    })
}
