//! A fleet in a model: the real ledger, the real decisions, and batches that take their time.
//!
//! Entries are facts at once and other work than batches takes no time, so what is seen here is what the decisions are worth. An idle
//! node asks for work every so often. Batches take up to a fifth more or less than was estimated.

use std::collections::BTreeMap;

use super::expiry::{self, MassDeath, SessionView};
use super::load::{PeerLoad, load};
use super::stealing::{choose_victim, consent, lend, wants};
use crate::chance::mix;
use crate::data_plane::StagedTable;
use crate::hash::Hash256;
use crate::ids::{Attempt, BatchId, MigrationId, NodeId, SessionNo, TableUuid};
use crate::ledger::entry::{Answer, BatchTotals, Entry, Fence, PlanSummary, TransferReason};
use crate::ledger::fold::{Fold, Proposal};
use crate::ledger::migration::Phase;
use crate::ledger::scenario::{NODE, Scenario, opened_by};
use crate::machine::Step;
use crate::schedule::{Dispatch, Limits, Running, decide};

/// How often a node without work asks for some.
const ASK_MILLIS: u64 = 200;
const SESSION_MILLIS: u64 = 5_000;

#[derive(Default)]
struct Node {
    running: Running,
    died_at: Option<u64>,
    asking: bool,
}

enum Event {
    Ended { runner: NodeId, fence: Fence, batch: BatchId, attempt: Attempt, millis: u64 },
    Ask(NodeId),
    Die(NodeId),
    Look,
}

#[derive(Default)]
struct Model {
    scenario: Scenario,
    now: u64,
    nodes: BTreeMap<NodeId, Node>,
    events: BTreeMap<(u64, u64), Event>,
    number: u64,
    /// Batches and seconds of each migration.
    sizes: BTreeMap<MigrationId, (u32, u64)>,
    commits: BTreeMap<MigrationId, u32>,
    batches_done: BTreeMap<(MigrationId, BatchId), u32>,
    done_millis: u64,
    lost_millis: u64,
    longest_millis: u64,
    steals: u64,
    loans: u64,
    mass: MassDeath,
    expired: usize,
}

impl Model {
    /// `size` nodes of one slot; what is submitted before the last of them has joined goes to the first.
    fn join(&mut self, size: u64) {
        for number in self.nodes.len() as u64..size {
            let node = NodeId(NODE.0 + number);
            if number > 0 {
                let token = Hash256::of(&number.to_le_bytes());
                self.scenario.fact(Entry::JoinTokenIssued { token, expires_at: u64::MAX });
                self.scenario.fact(Entry::MemberAdmitted { node, token, address: String::new() });
            }
            self.scenario.fact(opened_by(node, 1, 1));
            self.nodes.insert(node, Node::default());
        }
    }

    fn submit(&mut self, sizes: &[(u32, u64)]) {
        let names: Vec<String> = (0..sizes.len()).map(|number| format!("t{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let ids = self.scenario.policy("p", &names, |_| ());
        self.sizes.extend(ids.into_iter().zip(sizes.iter().copied()));
    }

    fn apply(&mut self, entry: Entry) -> Answer {
        self.scenario.entries += 1;
        let (sequence, at_millis) = (self.scenario.entries, self.now);
        let proposal = Proposal { session: 1, sequence, at_millis, actor: "model".to_owned(), entry };
        self.scenario.state.apply(sequence, &proposal)
    }

    fn at(&mut self, millis: u64, event: Event) {
        self.number += 1;
        self.events.insert((millis, self.number), event);
    }

    /// Runs until everything is committed.
    fn run(&mut self) {
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        self.at(SESSION_MILLIS / 4, Event::Look);
        nodes.iter().for_each(|node| self.wake(*node));
        while self.commits.len() < self.sizes.len() {
            let Some(((time, _), event)) = self.events.pop_first() else { panic!("nothing happens any more") };
            self.now = time;
            match event {
                Event::Ended { runner, fence, batch, attempt, millis } => {
                    self.ended(runner, fence, batch, attempt, millis);
                }
                Event::Ask(node) => self.ask(node),
                Event::Die(node) => {
                    let known = self.nodes.get_mut(&node).unwrap();
                    (known.died_at, known.running) = (Some(time), Running::default());
                }
                Event::Look => self.look(),
            }
        }
    }

    fn load(&self, node: NodeId) -> PeerLoad {
        load(&self.scenario.state, node, 1, &self.nodes[&node].running, false)
    }

    /// Does all that can be done at once, then asks for more.
    fn wake(&mut self, node: NodeId) {
        if self.nodes[&node].died_at.is_some() {
            return;
        }
        let limits = Limits { node, slots: 1, ..Limits::default() };
        loop {
            let decision = decide(&self.scenario.state, &self.nodes[&node].running, &limits, self.now, |_| true);
            self.nodes.get_mut(&node).unwrap().running.turns = decision.turns;
            if decision.dispatches.is_empty() {
                break;
            }
            for dispatch in decision.dispatches {
                self.begin(node, dispatch);
            }
        }
        if wants(&self.load(node)) && !self.nodes[&node].asking {
            self.nodes.get_mut(&node).unwrap().asking = true;
            self.at(self.now + ASK_MILLIS, Event::Ask(node));
        }
    }

    fn begin(&mut self, node: NodeId, dispatch: Dispatch) {
        let fence = |id: MigrationId| self.scenario.migration(id).fence();
        let entry = match dispatch {
            Dispatch::StartPreparations(ids) => Entry::PreparationStarted(ids.into_iter().map(fence).collect()),
            Dispatch::Batch(id, batch) => {
                self.nodes.get_mut(&node).unwrap().running.batches.push((id, batch));
                return self.start(node, id, batch);
            }
            Dispatch::Work(id, Step::Prepare) => {
                let (batches, seconds) = self.sizes[&id];
                let plan = PlanSummary {
                    hash: Hash256::of(id.to_string().as_bytes()),
                    strategy: "copy".to_owned(),
                    batches: vec![batches],
                    rows: Some(10),
                    bytes: 100,
                    seconds,
                    files: 1,
                    notes: 0,
                };
                Entry::Planned { fence: fence(id), plan }
            }
            Dispatch::Work(id, Step::Validate) => self.intent(id),
            Dispatch::Work(id, Step::Publish) => {
                *self.commits.entry(id).or_default() += 1;
                let intent = self.scenario.migration(id).intent.as_ref().unwrap();
                Entry::Committed { fence: fence(id), metadata_location: intent.table.metadata_location.clone() }
            }
            Dispatch::Work(id, Step::Collect) => Entry::Collected { fence: fence(id), files: 0, bytes: 0 },
            Dispatch::Work(_, step) => panic!("{step:?}"),
        };
        let answer = self.apply(entry);
        assert_eq!(answer, Answer::Applied);
    }

    fn intent(&self, id: MigrationId) -> Entry {
        let migration = self.scenario.migration(id);
        let plan = migration.plan.as_ref().unwrap().hash;
        let table = StagedTable {
            metadata_location: format!("/lake/{id}/{}", migration.epoch),
            metadata_hash: Hash256::default(),
            uuid: TableUuid::derive(id, migration.run, &plan),
            files: 1,
            rows: 10,
            bytes: 100,
        };
        Entry::PublishIntent { fence: migration.fence(), plan, table, evidence: Hash256::default() }
    }

    fn start(&mut self, runner: NodeId, id: MigrationId, batch: BatchId) {
        let migration = self.scenario.migration(id);
        let (fence, attempt) = (migration.fence(), migration.next_attempt);
        assert_eq!(self.apply(Entry::BatchStarted { fence, batch, attempt, runner }), Answer::Applied);
        let (batches, seconds) = self.sizes[&id];
        let noise = 800 + mix(id.0.as_u64_pair().0 ^ u64::from(batch.batch.0)) % 401;
        let millis = seconds * noise / u64::from(batches);
        self.at(self.now + millis, Event::Ended { runner, fence, batch, attempt, millis });
    }

    fn ended(&mut self, runner: NodeId, fence: Fence, batch: BatchId, attempt: Attempt, millis: u64) {
        if self.nodes[&runner].died_at.is_some() {
            self.lost_millis += millis;
            return;
        }
        let totals = BatchTotals::default();
        let answer = self.apply(Entry::BatchDone { fence, batch, attempt, result: Hash256::default(), totals });
        if answer == Answer::Applied {
            self.done_millis += millis;
            self.longest_millis = self.longest_millis.max(millis);
            *self.batches_done.entry((fence.migration, batch)).or_default() += 1;
        } else {
            self.lost_millis += millis;
        }
        let one = (fence.migration, batch);
        for node in self.nodes.values_mut() {
            node.running.lent.retain(|lent| *lent != one);
        }
        let running = &mut self.nodes.get_mut(&runner).unwrap().running;
        running.batches.retain(|own| *own != one);
        running.borrowed.retain(|borrowed| *borrowed != one);
        let owner = self.scenario.migration(fence.migration).owner;
        self.wake(owner);
        self.wake(runner);
    }

    fn ask(&mut self, thief: NodeId) {
        self.nodes.get_mut(&thief).unwrap().asking = false;
        let me = self.load(thief);
        if self.nodes[&thief].died_at.is_some() || !wants(&me) {
            return;
        }
        let living = self.nodes.iter().filter(|(_, node)| node.died_at.is_none());
        let peers: Vec<PeerLoad> = living.map(|(node, _)| self.load(*node)).collect();
        let random = mix(self.number ^ (self.now << 20));
        if let Some(victim) = choose_victim(&peers, thief, random) {
            let load = self.load(victim);
            let state = &self.scenario.state;
            let given = consent(state, &load, &self.nodes[&victim].running, &me);
            if given.is_empty() {
                for (id, batch) in lend(state, &load, &self.nodes[&victim].running, me.free, self.now) {
                    self.loans += 1;
                    self.nodes.get_mut(&victim).unwrap().running.lent.push((id, batch));
                    self.nodes.get_mut(&thief).unwrap().running.borrowed.push((id, batch));
                    self.start(thief, id, batch);
                }
            } else {
                self.steals += given.len() as u64;
                let items = given.iter().map(|id| self.scenario.fence(*id)).collect();
                let entry = Entry::Transferred { items, to: thief, reason: TransferReason::Steal };
                assert_eq!(self.apply(entry), Answer::Applied);
            }
        }
        self.wake(thief);
    }

    fn look(&mut self) {
        self.at(self.now + SESSION_MILLIS / 4, Event::Look);
        let state = &self.scenario.state;
        let view = |node: NodeId| {
            let silent_millis = self.nodes[&node].died_at.map_or(0, |died_at| self.now - died_at);
            SessionView { node, silent_millis, draining: false }
        };
        let fleet: Vec<SessionView> = state.active().map(|member| view(member.node)).collect();
        let verdict = expiry::decide(&fleet, SESSION_MILLIS, &mut self.mass, self.now);
        if verdict.expire.is_empty() {
            return;
        }
        self.expired += verdict.expire.len();
        let sessions = verdict.expire.iter().map(|node| (*node, SessionNo(1))).collect();
        assert_eq!(self.apply(Entry::SessionsExpired { sessions, mass: verdict.mass }), Answer::Applied);
        let state = &self.scenario.state;
        let runs = |(id, batch): &(MigrationId, BatchId)| {
            state
                .migration(*id)
                .and_then(|migration| migration.batch(*batch))
                .is_some_and(|batch| batch.running.is_some())
        };
        self.nodes.values_mut().for_each(|node| node.running.lent.retain(runs));
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        nodes.iter().for_each(|node| self.wake(*node));
    }

    /// Every migration is committed, once; every batch is done, once.
    fn check(&self) {
        assert!(self.commits.values().all(|count| *count == 1));
        assert_eq!(self.scenario.state.count(Phase::Committed), self.sizes.len());
        let batches: u32 = self.sizes.values().map(|(batches, _)| batches).sum();
        assert_eq!(self.batches_done.len(), batches as usize);
        assert!(self.batches_done.values().all(|count| *count == 1));
    }

    /// How much longer it took than it could have at best, in thousandths of that.
    fn over_the_best(&self, slots: u64) -> u64 {
        let best = (self.done_millis / slots).max(self.longest_millis);
        self.now * 1000 / best
    }
}

/// The first has 30 % of all seconds; the others are as Zipf has them. Batches of 30 seconds at most.
fn skewed(count: u64, seconds: u64) -> Vec<(u32, u64)> {
    let harmonic: f64 = (1..count).map(|rank| 1.0 / rank as f64).sum();
    let zipf = (1..count).map(|rank| (seconds as f64 * 0.7 / harmonic / rank as f64).ceil() as u64);
    let all = std::iter::once(seconds * 3 / 10).chain(zipf);
    all.map(|seconds| (u32::try_from(seconds.div_ceil(30)).unwrap(), seconds)).collect()
}

#[test]
fn skewed_work_that_is_submitted_to_one_of_five_nodes_takes_hardly_longer_than_it_must() {
    for (count, seconds) in [(40, 6_000), (300, 10_000), (1_000, 20_000)] {
        let mut model = Model::default();
        model.join(1);
        model.submit(&skewed(count, seconds));
        model.join(5);
        model.run();
        model.check();
        let over = model.over_the_best(5);
        let (steals, loans) = (model.steals, model.loans);
        println!("{count} migrations: {over} of 1000, {steals} stolen, {loans} batches lent");
        assert!(over <= 1_050, "{over} of 1000");
        assert!(steals > 0 && loans > 0);
    }
}

#[test]
fn one_large_dataset_uses_the_whole_fleet() {
    let mut model = Model::default();
    model.join(1);
    model.submit(&[(400, 8_000)]);
    model.join(10);
    model.run();
    model.check();
    assert!(model.over_the_best(10) <= 1_050, "{} of 1000", model.over_the_best(10));
}

#[test]
fn fifty_nodes_do_fifteen_hundred_migrations_once_while_some_of_them_die() {
    let mut model = Model::default();
    model.join(50);
    model.submit(&skewed(1_500, 30_000));
    let owners: std::collections::BTreeSet<NodeId> =
        model.scenario.state.migrations().values().map(|migration| migration.owner).collect();
    assert_eq!(owners.len(), 50, "they are placed over all nodes");
    // One, three at once, twenty at once: the last are a mass death.
    let mut died = 0;
    for (millis, nodes) in [(20_000, 10..11), (90_000, 20..23), (200_000, 30..50)] {
        for number in nodes {
            died += 1;
            model.at(millis + number, Event::Die(NodeId(NODE.0 + number)));
        }
    }
    model.run();
    model.check();
    assert_eq!((model.expired, died), (24, 24));
    let work = model.done_millis + model.lost_millis;
    println!("{} ms for {work} ms of work, {} ms of it lost", model.now, model.lost_millis);
    // As if 26 nodes had done it all from the start.
    assert!(model.now < work / 26);
}

#[test]
fn the_same_model_gives_the_same_history() {
    let history = || {
        let mut model = Model::default();
        model.join(7);
        model.submit(&skewed(60, 3_000));
        model.at(30_000, Event::Die(NodeId(NODE.0 + 3)));
        model.run();
        (model.now, model.scenario.entries, model.steals, model.loans)
    };
    assert_eq!(history(), history());
}
