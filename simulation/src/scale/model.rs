//! The model of a fleet: real decisions and real facts, modelled time.
//!
//! In: a setting. Out: what happened, as numbers. Holds: one ledger's state, every node's view of itself, what will happen. The
//! scheduler, stealing, sessions, the migration's machine, the planner, the judgement and the fold are the nodes' own code; gossip,
//! the log's pace and the durations of work are modelled. One thread, no clock, no randomness but the seed's.
//! Not here: what becomes of a piece of work (`work`), stealing (`stealing`), deaths (`membership`).

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use anyhow::{Result, bail};
use skein_protocol::fleet::expiry::MassDeath;
use skein_protocol::fleet::load::PeerLoad;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{MigrationId, NodeId, SessionNo};
use skein_protocol::invariant::{Violation, Watch};
use skein_protocol::ledger::fold::{Fold, Proposal};
use skein_protocol::ledger::{Answer, Entry, Phase, Seat, State};
use skein_protocol::plan::Plan;

use super::agenda::Agenda;
use super::log::Log;
use super::membership::Killing;
use super::node::Node;
use super::outcome::{Measured, Outcome};
use super::process;
use super::setting::Setting;
use super::warehouse::Warehouse;
use super::work::{Piece, Start};

/// The wall clock of all nodes at the beginning, milliseconds since 1970.
const WALL_START_MILLIS: u64 = 1_800_000_000_000;
/// A person looks at what waits for an approval this often.
const APPROVAL_MICROS: u64 = 5_000_000;
/// Nodes that may find something to do look after this time, all at once.
const SPREAD_MICROS: u64 = 5_000;
/// A fleet that takes so many times the bound has stopped working.
const MOST_TIMES_THE_BOUND: u64 = 20;
/// How often the numbers of the picture are taken.
const SAMPLE_MICROS: u64 = 1_000_000;
/// Samples between two looks at the process's memory.
const SAMPLES_PER_LOOK: u64 = 32;
/// The ledger's invariants are checked after every entry in fleets of up to so many nodes: what they remember of a million
/// migrations is no part of the model.
const WATCHED_NODES: u32 = 100;
/// Entries between two checks of everything.
const ENTRIES_PER_WHOLE: u64 = 2_000;

/// What will happen.
pub(super) enum Event {
    /// What was proposed is a fact now.
    Applied(Box<Sent>),
    /// A piece of work is at its end.
    Over(Box<Piece>),
    /// A node looks what it can begin.
    Wake(usize),
    /// So do all.
    WakeAll,
    /// A node without work asks for some.
    Ask(usize),
    /// The question is there.
    Asked { thief: usize, victim: usize, load: PeerLoad },
    /// So is the answer.
    Answered { thief: usize, given: usize, lent: u32, slots: u32 },
    /// Batches that were promised should have come by now.
    Unreserve { node: usize, slots: u32 },
    /// What nodes say of themselves is known to the others.
    Gossip,
    /// The leader looks who is silent.
    Look,
    /// A person approves.
    Approve,
    /// A node is killed.
    Die(usize),
}

/// An entry on its way, and who waits for it.
pub(super) struct Sent {
    pub(super) entry: Entry,
    pub(super) then: Then,
}

/// What follows when an entry was applied.
pub(super) enum Then {
    /// Everybody may have something to do.
    All,
    /// A dispatcher goes on.
    Recorded(usize),
    /// A batch begins.
    Started(Start),
    /// A piece of work is recorded.
    Closed(Box<Piece>),
    /// A batch came back untouched.
    Returned(Start),
    /// Work changed hands.
    Given { victim: usize, thief: usize, count: usize, slots: u32 },
    /// Sessions are over.
    Expired(Vec<NodeId>),
}

/// A migration whose batches run.
pub(super) struct Executing {
    pub(super) plan: Rc<Plan>,
    pub(super) longest_batch_millis: u64,
    /// Hand-outs that wait for the one that is being recorded: each has the next number.
    pub(super) starts: VecDeque<Start>,
    pub(super) recording: bool,
}

pub(super) struct Model<'a> {
    pub(super) setting: &'a Setting,
    pub(super) warehouse: Warehouse,
    pub(super) state: State,
    pub(super) log: Log,
    pub(super) agenda: Agenda<Event>,
    /// Microseconds since the beginning.
    pub(super) now: u64,
    pub(super) nodes: Vec<Node>,
    /// Who has something to spare, as gossip has it.
    pub(super) gossip: Vec<PeerLoad>,
    pub(super) mass: MassDeath,
    pub(super) killings: Vec<Killing>,
    /// Nobody leads before this time.
    pub(super) leads_from: u64,
    /// Sessions that the leader is ending.
    pub(super) expelled: Vec<NodeId>,
    pub(super) executing: BTreeMap<MigrationId, Executing>,
    /// What stands under the targets' names, shortened; 0 where nothing does.
    pub(super) catalog: Vec<u64>,
    pub(super) measured: Measured,
    watch: Option<Watch>,
    entries: u64,
    waking_all: bool,
    next_sample: u64,
}

impl<'a> Model<'a> {
    pub(super) fn new(setting: &'a Setting) -> Result<Self> {
        if setting.nodes == 0 || setting.slots == 0 || setting.policies == 0 || setting.datasets == 0 {
            bail!("a fleet has nodes, slots, policies and datasets");
        }
        let nodes: Vec<Node> = (0..setting.nodes as usize).map(Node::new).collect();
        Ok(Self {
            warehouse: Warehouse::new(setting)?,
            state: State::default(),
            log: Log::default(),
            agenda: Agenda::new(),
            now: 0,
            gossip: Vec::new(),
            mass: MassDeath::default(),
            killings: Vec::new(),
            leads_from: 0,
            expelled: Vec::new(),
            executing: BTreeMap::new(),
            catalog: vec![0; setting.datasets as usize],
            measured: Measured::new(),
            watch: (setting.nodes <= WATCHED_NODES).then(Watch::default),
            entries: 0,
            waking_all: false,
            next_sample: 0,
            setting,
            nodes,
        })
    }

    /// Runs until every migration is at an end.
    pub(super) fn run(mut self) -> Result<Outcome> {
        self.found();
        let expected = self.warehouse.expected_micros();
        self.plan_killings(expected);
        self.measured.rss_before = process::resident_bytes();
        for number in 0..self.setting.policies {
            let policy = self.warehouse.applied(number)?;
            self.send(Entry::PolicyApplied { policy, owner: self.nodes[0].id, key: None }, Then::All);
        }
        self.agenda.at(0, Event::Gossip);
        self.agenda.at(0, Event::Look);
        if self.setting.approval {
            self.agenda.at(APPROVAL_MICROS, Event::Approve);
        }
        let deadline = expected * MOST_TIMES_THE_BOUND + 3_600_000_000;
        while !self.is_through() {
            let Some((at, event)) = self.agenda.next() else { break };
            self.sample(at);
            self.now = at;
            if at > deadline {
                break;
            }
            self.happens(event);
        }
        Ok(self.reckon())
    }

    /// The fleet has formed before it gets anything to do.
    fn found(&mut self) {
        for index in 0..self.nodes.len() {
            let node = self.nodes[index].id;
            if index > 0 {
                let token = Hash256::of(&node.0.to_le_bytes());
                self.fact(Entry::JoinTokenIssued { token, expires_at: u64::MAX });
                self.fact(Entry::MemberAdmitted { node, token, address: String::new() });
            }
            let seat = Seat { slots: self.setting.slots, ..Seat::default() };
            self.fact(Entry::SessionOpened { node, session: SessionNo(1), seat });
        }
    }

    fn fact(&mut self, entry: Entry) {
        if let Answer::Refused(problem) = self.apply(entry) {
            self.measured.fail(format!("the fleet does not form: {problem}"));
        }
    }

    fn apply(&mut self, entry: Entry) -> Answer {
        self.entries += 1;
        let index = self.entries;
        let at_millis = self.wall_millis();
        let proposal = Proposal { session: 1, sequence: index, at_millis, actor: "skein".to_owned(), entry };
        let answer = self.state.apply(index, &proposal);
        if let Some(watch) = &mut self.watch {
            let mut violations = watch.feed(index, &proposal, &answer, &self.state);
            if index.is_multiple_of(ENTRIES_PER_WHOLE) {
                violations.extend(watch.whole(&self.state));
            }
            self.broken(&violations);
        }
        match &answer {
            Answer::Refused(_) => self.measured.refused += 1,
            Answer::Partly(refused) => self.measured.refused += refused.len() as u64,
            _ => {}
        }
        answer
    }

    /// Invariants that do not hold.
    fn broken(&mut self, violations: &[Violation]) {
        violations.iter().for_each(|violation| self.measured.fail(violation.to_string()));
    }

    /// Looks at everything once more.
    pub(super) fn check_invariants(&mut self) {
        let violations = self.watch.as_ref().map_or(Vec::new(), |watch| watch.whole(&self.state));
        self.broken(&violations);
    }

    fn is_through(&self) -> bool {
        self.measured.ended >= u64::from(self.setting.datasets)
    }

    /// What the nodes' wall clocks say.
    pub(super) fn wall_millis(&self) -> u64 {
        WALL_START_MILLIS + self.now / 1000
    }

    /// Proposes an entry.
    pub(super) fn send(&mut self, entry: Entry, then: Then) {
        let items = match &entry {
            Entry::PreparationStarted(items) | Entry::Transferred { items, .. } => items.len(),
            Entry::Approved(items) => items.len(),
            Entry::PolicyApplied { policy, .. } => policy.datasets.len(),
            _ => 1,
        };
        let at = self.log.applied_at(self.now, items);
        self.agenda.at(at, Event::Applied(Box::new(Sent { entry, then })));
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Applied(sent) => self.applied(*sent),
            Event::Over(piece) => self.over(*piece),
            Event::Wake(node) => self.wake(node),
            Event::WakeAll => {
                self.waking_all = false;
                (0..self.nodes.len()).for_each(|node| self.wake_if_free(node));
            }
            Event::Ask(thief) => self.ask(thief),
            Event::Asked { thief, victim, load } => self.asked(thief, victim, &load),
            Event::Answered { thief, given, lent, slots } => self.answered(thief, given, lent, slots),
            Event::Unreserve { node, slots } => {
                self.nodes[node].reserved = self.nodes[node].reserved.saturating_sub(slots);
                self.wake(node);
            }
            Event::Gossip => self.talk(),
            Event::Look => self.look(),
            Event::Approve => self.approve(),
            Event::Die(node) => self.die(node),
        }
    }

    fn applied(&mut self, sent: Sent) {
        let hurt = match &sent.then {
            Then::Expired(dead) => self.touched_by(dead),
            _ => Vec::new(),
        };
        let answer = self.apply(sent.entry);
        match sent.then {
            Then::All => self.wake_all(),
            Then::Recorded(node) => {
                self.nodes[node].recording = false;
                self.wake(node);
            }
            Then::Started(start) => self.started(start, &answer),
            Then::Closed(piece) => self.closed(&piece, &answer),
            Then::Returned(start) => self.not_begun(&start),
            Then::Given { victim, thief, count, slots } => self.given(victim, thief, count, slots, &answer),
            Then::Expired(dead) => self.expired(&dead, &hurt),
        }
    }

    /// All nodes with a free slot look what they can begin, soon.
    pub(super) fn wake_all(&mut self) {
        if !self.waking_all {
            self.waking_all = true;
            self.agenda.at(self.now + SPREAD_MICROS, Event::WakeAll);
        }
    }

    fn wake_if_free(&mut self, node: usize) {
        let known = &self.nodes[node];
        // The others look again when one of their slots is free.
        if known.running.busy() < self.setting.slots as usize || known.running.preparing.is_empty() {
            self.wake(node);
        }
    }

    fn approve(&mut self) {
        let waiting = self.state.in_phase(Phase::Approval);
        let items: Vec<(MigrationId, Hash256)> =
            waiting.filter_map(|migration| Some((migration.id, migration.plan.as_ref()?.hash))).collect();
        if !items.is_empty() {
            self.send(Entry::Approved(items), Then::All);
        }
        self.agenda.at(self.now + APPROVAL_MICROS, Event::Approve);
    }

    /// Takes the numbers of the picture for all moments before `at`.
    fn sample(&mut self, at: u64) {
        while self.next_sample <= at {
            let dead = self.nodes.iter().filter(|node| !node.lives()).count() as u64 * u64::from(self.setting.slots);
            self.measured.sample(dead);
            let looks = self.next_sample / SAMPLE_MICROS;
            if looks.is_multiple_of(SAMPLES_PER_LOOK) {
                self.measured.rss_peak = self.measured.rss_peak.max(process::resident_bytes());
                self.measured.model_peak = self.measured.model_peak.max(self.own_bytes());
            }
            if self.measured.rss_queued == 0 && self.state.policies().len() == self.setting.policies as usize {
                self.measured.rss_queued = process::resident_bytes();
            }
            self.next_sample += SAMPLE_MICROS;
        }
    }

    /// Bytes of what the model keeps beside the ledger's state: counted, by capacity.
    fn own_bytes(&self) -> u64 {
        let plans: usize = self.executing.values().map(|one| plan_bytes(&one.plan) + size_of::<Executing>()).sum();
        let nodes: usize = self.nodes.iter().map(|node| size_of::<Node>() + running_bytes(&node.running)).sum();
        let gossip = self.gossip.capacity() * size_of::<PeerLoad>();
        let catalog = self.catalog.capacity() * size_of::<u64>();
        (self.agenda.bytes() + plans + nodes + gossip + catalog) as u64
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries
    }
}

/// Bytes of a plan: its files and batches are most of it.
fn plan_bytes(plan: &Plan) -> usize {
    let batches: usize = plan.stages.iter().map(|stage| stage.batches.len()).sum();
    let inputs: usize = plan.stages.iter().flat_map(|stage| &stage.batches).map(|batch| batch.inputs.len()).sum();
    size_of::<Plan>()
        + plan.script.len()
        + plan.source.files.len() * (size_of::<skein_protocol::inspection::SourceFile>() + 96)
        + batches * size_of::<skein_protocol::plan::Batch>()
        + inputs * size_of::<skein_protocol::plan::BatchInput>()
}

fn running_bytes(running: &skein_protocol::schedule::Running) -> usize {
    let pairs = running.batches.capacity() + running.lent.capacity() + running.borrowed.capacity();
    let ids = running.preparing.capacity() + running.finishing.capacity();
    pairs * size_of::<(MigrationId, skein_protocol::ids::BatchId)>() + ids * size_of::<MigrationId>()
}
