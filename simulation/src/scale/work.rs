//! Work on migrations: what a node begins, how it ends, and which entry says so.
//!
//! As a node does it: decide, record, act, record. Entries are made by the migration's machine out of what the warehouse gives.

use std::collections::VecDeque;
use std::rc::Rc;

use skein_protocol::data_plane::LoadedTable;
use skein_protocol::evidence::judge;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{Attempt, BatchId, BatchNo, MigrationId, StageNo};
use skein_protocol::ledger::entry::Fence;
use skein_protocol::ledger::{Answer, Entry, Migration, Phase};
use skein_protocol::machine::publishing::{PublishVerdict, publish_verdict};
use skein_protocol::machine::{Stake, Step, outcome};
use skein_protocol::plan::{Plan, Planned};
use skein_protocol::schedule::{Dispatch, Limits, decide};

use super::model::{Event, Executing, Model, Then};
use super::node::id_of;
use super::random::mixed;
use super::warehouse::{self, Warehouse};

/// A piece of work of one migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    Prepare,
    Validate,
    Publish,
    Collect,
    Batch(BatchId, Attempt),
}

impl Job {
    fn takes_a_slot(self) -> bool {
        self != Self::Prepare
    }
}

/// A batch that is being handed out.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) owner: usize,
    pub(super) runner: usize,
    pub(super) id: MigrationId,
    pub(super) batch: BatchId,
    attempt: Attempt,
    fence: Option<Fence>,
}

/// A piece of work under way.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) owner: usize,
    pub(super) runner: usize,
    pub(super) id: MigrationId,
    pub(super) job: Job,
    fence: Fence,
    stake: Stake,
    /// When it began and how long it takes, microseconds.
    began: u64,
    micros: u64,
}

impl Model<'_> {
    /// A node does what can be done at once, then asks for more.
    pub(super) fn wake(&mut self, index: usize) {
        let node = &self.nodes[index];
        if !node.lives() || node.recording {
            return;
        }
        let slots = self.setting.slots.saturating_sub(node.reserved) as usize;
        let limits = Limits { node: node.id, slots, ..Limits::default() };
        let decision = decide(&self.state, &node.running, &limits, self.wall_millis(), |_| true);
        let now = self.now;
        let millis = self.wall_millis();
        let node = &mut self.nodes[index];
        node.running.turns = decision.turns;
        if let Some(at) = decision.wake_at {
            let at = now + at.saturating_sub(millis).max(1) * 1000;
            if node.wakes_at <= now || at < node.wakes_at {
                node.wakes_at = at;
                self.agenda.at(at, Event::Wake(index));
            }
        }
        for dispatch in decision.dispatches {
            self.begin(index, dispatch);
        }
        self.want(index);
    }

    fn begin(&mut self, index: usize, dispatch: Dispatch) {
        match dispatch {
            Dispatch::StartPreparations(ids) => {
                let fences = ids.iter().filter_map(|id| self.state.migration(*id)).map(Migration::fence).collect();
                self.nodes[index].recording = true;
                self.send(Entry::PreparationStarted(fences), Then::Recorded(index));
            }
            Dispatch::Batch(id, batch) => self.hand_out(index, index, id, batch),
            Dispatch::Work(id, step) => {
                let job = match &step {
                    Step::Prepare => Job::Prepare,
                    Step::Validate => Job::Validate,
                    Step::Publish => Job::Publish,
                    Step::Collect => Job::Collect,
                    other => return self.measured.fail(format!("a step that nothing here asks for: {other:?}")),
                };
                let Some(migration) = self.state.migration(id) else { return };
                let Some(stake) = Stake::work(migration, &step) else { return };
                let (fence, dataset) = (migration.fence(), Warehouse::number(&migration.dataset));
                let millis = match job {
                    Job::Prepare => self.warehouse.inspection_millis(dataset),
                    Job::Validate => warehouse::validation_millis(&self.plan_of(id)),
                    Job::Publish => warehouse::publication_millis(),
                    Job::Collect | Job::Batch(..) => warehouse::collection_millis(),
                };
                self.nodes[index].enter(id, job, false);
                self.act(Piece {
                    owner: index,
                    runner: index,
                    id,
                    job,
                    fence,
                    stake,
                    began: self.now,
                    micros: millis * 1000,
                });
            }
        }
    }

    /// Something happens now, and is over when its time has passed.
    fn act(&mut self, piece: Piece) {
        if piece.job.takes_a_slot() {
            self.nodes[piece.runner].working += 1;
            self.measured.working += 1;
        }
        self.agenda.at(self.now + piece.micros, Event::Over(Box::new(piece)));
    }

    fn stops(&mut self, runner: usize) {
        self.nodes[runner].working -= 1;
        self.measured.working -= 1;
    }

    fn executing(&mut self, id: MigrationId) -> &mut Executing {
        let (warehouse, state) = (&self.warehouse, &self.state);
        self.executing.entry(id).or_insert_with(|| {
            let planned = state.migration(id).map(|migration| warehouse.plan(migration));
            let Some(Planned::Ready(plan)) = planned else {
                unreachable!("it has batches, so it was planned, and it is planned again the same: {planned:?}")
            };
            Executing { plan: Rc::from(plan), longest_batch_millis: 0, starts: VecDeque::new(), recording: false }
        })
    }

    fn plan_of(&mut self, id: MigrationId) -> Rc<Plan> {
        self.executing(id).plan.clone()
    }

    /// The owner hands out a batch, to itself or to another node: recorded first, one at a time for each migration.
    pub(super) fn hand_out(&mut self, owner: usize, runner: usize, id: MigrationId, batch: BatchId) {
        let start = Start { owner, runner, id, batch, attempt: Attempt(0), fence: None };
        self.nodes[owner].enter(id, Job::Batch(batch, start.attempt), owner != runner);
        let executing = self.executing(id);
        if executing.recording {
            executing.starts.push_back(start);
        } else {
            self.record_start(start);
        }
    }

    fn record_start(&mut self, mut start: Start) {
        let Some(migration) = self.state.migration(start.id) else { return };
        let (fence, attempt) = (migration.fence(), migration.next_attempt);
        (start.fence, start.attempt) = (Some(fence), attempt);
        self.executing(start.id).recording = true;
        let entry = Entry::BatchStarted { fence, batch: start.batch, attempt, runner: id_of(start.runner) };
        self.send(entry, Then::Started(start));
    }

    pub(super) fn started(&mut self, start: Start, answer: &Answer) {
        let (nodes, state) = (&self.nodes, &self.state);
        let mut next = None;
        let mut moot = Vec::new();
        if let Some(executing) = self.executing.get_mut(&start.id) {
            executing.recording = false;
            while let Some(one) = executing.starts.pop_front() {
                let owner = state.migration(start.id).map(|migration| migration.owner);
                if nodes[one.owner].lives() && owner == Some(nodes[one.owner].id) {
                    next = Some(one);
                    break;
                }
                moot.push(one);
            }
        }
        moot.iter().for_each(|one| self.not_begun(one));
        if *answer == Answer::Applied {
            self.set_out(start)
        } else {
            self.not_begun(&start)
        }
        if let Some(next) = next {
            self.record_start(next);
        }
    }

    /// The start of a batch is recorded: it runs, if there is somebody to run it.
    fn set_out(&mut self, start: Start) {
        let Start { owner, runner, id, batch, attempt, fence } = start;
        let lent = owner != runner;
        let Some((fence, migration)) = fence.zip(self.state.migration(id)) else { return };
        let stake = Stake::batch(migration, batch, attempt);
        if !self.nodes[owner].lives() {
            // Whoever adopts the migration hands it out again.
            return;
        }
        if lent {
            let slots = self.setting.slots as usize;
            let guest = &mut self.nodes[runner];
            if !guest.lives() || guest.running.busy() >= slots {
                return self.send(Entry::BatchReturned { fence, batch, attempt }, Then::Returned(start));
            }
            guest.reserved = guest.reserved.saturating_sub(1);
            guest.running.borrowed.push((id, batch));
        }
        let plan = self.plan_of(id);
        let millis = self.warehouse.batch_millis(&plan, batch);
        let executing = self.executing(id);
        executing.longest_batch_millis = executing.longest_batch_millis.max(millis);
        let job = Job::Batch(batch, attempt);
        self.act(Piece { owner, runner, id, job, fence, stake, began: self.now, micros: millis * 1000 });
    }

    /// A batch does not run after all.
    pub(super) fn not_begun(&mut self, start: &Start) {
        if self.nodes[start.owner].lives() {
            self.nodes[start.owner].leave(start.id, Job::Batch(start.batch, start.attempt));
            self.wake(start.owner);
        }
    }

    /// A piece of work came to its end where it ran.
    pub(super) fn over(&mut self, piece: Piece) {
        let Piece { owner, runner, id, .. } = piece;
        if let Some(died_at) = self.nodes[runner].died_at {
            if piece.job == Job::Publish && died_at >= piece.began + piece.micros / 2 {
                // The catalog had the request already.
                self.register(id);
            }
            return self.lost(&piece, died_at.saturating_sub(piece.began));
        }
        let lent = owner != runner;
        if let (true, Job::Batch(batch, _)) = (lent, piece.job) {
            if !self.nodes[runner].see_off(id, batch) {
                return self.lost(&piece, piece.micros);
            }
            self.stops(runner);
        } else if piece.job.takes_a_slot() {
            self.stops(runner);
        }
        let wanted = self.state.migration(id).is_some_and(|migration| piece.stake.holds(migration));
        if !wanted || !self.nodes[owner].lives() {
            self.lost(&piece, piece.micros);
            self.nodes[owner].leave(id, piece.job);
            self.wake(owner);
        } else if let Some(entry) = self.entry_of(&piece) {
            self.send(entry, Then::Closed(Box::new(piece)));
        }
        if lent {
            self.wake(runner);
        }
    }

    fn lost(&mut self, piece: &Piece, micros: u64) {
        if piece.job.takes_a_slot() {
            self.measured.lost_micros += micros;
        }
        if let Job::Batch(..) = piece.job {
            self.measured.batches_lost += 1;
        }
    }

    /// The entry that says how a piece of work ended.
    fn entry_of(&mut self, piece: &Piece) -> Option<Entry> {
        let Piece { id, fence, .. } = *piece;
        let document = Warehouse::plan_hash(id);
        Some(match piece.job {
            Job::Prepare => {
                let planned = self.warehouse.plan(self.state.migration(id)?);
                outcome::prepared(fence, &planned, document)
            }
            Job::Batch(batch, attempt) => {
                let plan = self.plan_of(id);
                let result = self.warehouse.result(&plan, batch);
                outcome::batch_ended(fence, (batch, attempt), &plan, &result, document)
            }
            Job::Validate => {
                let plan = self.plan_of(id);
                self.validated(self.state.migration(id)?, &plan, document)
            }
            Job::Publish => self.published(id, fence)?,
            Job::Collect => Entry::Collected { fence, files: 0, bytes: 0 },
        })
    }

    /// What the last stage's batches found, added up and judged.
    fn validated(&self, migration: &Migration, plan: &Plan, document: Hash256) -> Entry {
        let fence = migration.fence();
        let last = plan.stages.len().saturating_sub(1);
        let count = plan.stages.get(last).map_or(0, |stage| stage.batches.len());
        let id = |batch: usize| BatchId {
            stage: StageNo(u32::try_from(last).unwrap_or(u32::MAX)),
            batch: BatchNo(u32::try_from(batch).unwrap_or(u32::MAX)),
        };
        let evidences: Vec<_> = (0..count).map(|batch| self.warehouse.evidence(plan, id(batch))).collect();
        let table = self.warehouse.staged(migration, &evidences);
        let evidence = judge::table(&table.metadata_location, &evidences, Warehouse::reading(&table));
        outcome::table_differs(fence, plan, &table, &evidence, document).unwrap_or_else(|| {
            let hash = Warehouse::plan_hash(migration.id);
            outcome::validated(fence, (plan, hash), table, document, &plan.source.files)
        })
    }

    /// The intended table goes under its name, create-if-absent. What stands there afterwards, shortened.
    fn register(&mut self, id: MigrationId) -> Option<u64> {
        let migration = self.state.migration(id)?;
        let location = migration.intent.as_ref()?.table.metadata_location.as_str();
        let words: Vec<u64> = location.bytes().map(u64::from).collect();
        let place = self.catalog.get_mut(Warehouse::number(&migration.dataset) as usize)?;
        if *place == 0 {
            *place = mixed(&words) | 1;
            self.measured.registered += 1;
        }
        Some(*place).filter(|standing| *standing == mixed(&words) | 1)
    }

    fn published(&mut self, id: MigrationId, fence: Fence) -> Option<Entry> {
        let ours = self.register(id).is_some();
        let migration = self.state.migration(id)?;
        let table = &migration.intent.as_ref()?.table;
        let metadata_location = if ours { table.metadata_location.clone() } else { "another".to_owned() };
        let found = LoadedTable { uuid: table.uuid, metadata_location, tombstone: false };
        match publish_verdict(table, migration.tombstone.as_deref(), &migration.target, Some(&found)) {
            PublishVerdict::Committed => {
                Some(Entry::Committed { fence, metadata_location: table.metadata_location.clone() })
            }
            PublishVerdict::Taken(problem) => Some(Entry::Differs { fence, batch: None, problem, evidence: None }),
            PublishVerdict::Register { .. } => None,
        }
    }

    /// The end of a piece of work is recorded, or was refused.
    pub(super) fn closed(&mut self, piece: &Piece, answer: &Answer) {
        if *answer == Answer::Applied {
            self.reckon_piece(piece);
        } else {
            self.lost(piece, piece.micros);
        }
        if self.nodes[piece.owner].lives() {
            self.nodes[piece.owner].leave(piece.id, piece.job);
            self.wake(piece.owner);
        }
    }

    fn reckon_piece(&mut self, piece: &Piece) {
        if piece.job.takes_a_slot() {
            self.measured.useful_micros += piece.micros;
        }
        let Some(migration) = self.state.migration(piece.id) else { return };
        let (phase, dataset) = (migration.phase, Warehouse::number(&migration.dataset));
        match piece.job {
            Job::Batch(..) => self.measured.batches += 1,
            Job::Publish if phase == Phase::Committed => {
                self.measured.committed += 1;
                self.measured.committed_at = self.now;
                let chain = self.executing.remove(&piece.id).map_or(0, |one| {
                    one.longest_batch_millis + warehouse::validation_millis(&one.plan) + warehouse::publication_millis()
                });
                let chain = chain + self.warehouse.inspection_millis(dataset);
                self.measured.longest_chain_micros = self.measured.longest_chain_micros.max(chain * 1000);
            }
            _ => {}
        }
        let stopped = matches!(phase, Phase::Paused | Phase::Quarantined | Phase::Cancelled);
        self.measured.ended += u64::from(stopped || piece.job == Job::Publish && phase == Phase::Committed);
    }
}
