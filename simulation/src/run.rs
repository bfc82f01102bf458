//! One run: the fleet comes together, works while accidents happen, and must have done everything in the end.
//!
//! In: a seed. Out: [`Outcome`]. Holds: what must be true of every seed. Not here: what happens in it (`script`).

use std::collections::BTreeMap;
use std::time::Duration;

use skein_node::scripted::World;
use skein_protocol::ids::TableName;
use skein_protocol::ledger::{Migration, Phase, Standing, State};

use crate::client::{self, Submitting};
use crate::fleet::{Fleet, MACHINES, Setup};
use crate::machine::Machine;
use crate::script::{Accident, Crash, Cut, Script};
use crate::shim;
use crate::tape::Tape;

/// The fleet is complete, with all voters, within this time.
const FORMED_WITHIN: Duration = Duration::from_secs(60);
/// After the last accident is over, everything is done within this time.
const DONE_WITHIN: Duration = Duration::from_secs(60);
/// A crash that waits for a disk operation happens by then at the latest.
const LATEST_CRASH: Duration = Duration::from_secs(10);
/// A node that gave up is started again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// What costs time to look at is looked at this often.
const LOOK: u128 = 50;

/// What became of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The hash over everything that happened: equal for equal histories.
    pub hash: String,
    /// Virtual time that it took.
    pub took: Duration,
    /// Frames between the nodes.
    pub frames: u64,
    /// Entries of the ledger.
    pub entries: u64,
    /// Calls of the data plane.
    pub calls: u64,
    /// How often the situations came up that a run over many seeds must see.
    pub marks: BTreeMap<&'static str, u64>,
    /// What went wrong; empty if nothing did.
    pub failures: Vec<String>,
    /// Everything that happened, line by line.
    pub lines: Vec<String>,
}

/// What the machines of a run are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disks {
    /// What was synced is there after a crash.
    Honest,
    /// Syncs succeed and do nothing. No node is safe on these: a run over some seeds must fail, or it sees nothing.
    Lying,
}

/// Runs a seed. A process does this once.
#[must_use]
pub fn run(seed: u64, disks: Disks) -> Outcome {
    shim::inside(seed, move || {
        let (world, tape) = (World::new(seed), Tape::new());
        let mut course = Course::new(seed, &world, &tape);
        if disks == Disks::Lying {
            course.fleet.machines.iter().for_each(|machine| machine.host.storage.lie_about_syncs());
        }
        let mut failures: Vec<String> = course.run().err().into_iter().collect();
        failures.extend(world.violations());
        failures.extend(tape.contradictions());
        let calls = world.trace();
        for line in &calls {
            tape.note(MACHINES, line);
        }
        for machine in &course.fleet.machines {
            let storage = &machine.host.storage;
            tape.note(machine.number, &format!("{} disk operations, {}", storage.operations(), storage.trace()));
        }
        let (frames, entries) = tape.counts();
        Outcome {
            seed,
            hash: tape.hash().to_string(),
            took: course.fleet.now,
            frames,
            entries,
            calls: calls.len() as u64,
            marks: tape.marks(),
            failures,
            lines: tape.lines(),
        }
    })
}

/// A machine that is without power, or about to lose it.
struct Trouble {
    accident: Accident,
    /// When the disk was told to die.
    ordered: Option<Duration>,
    /// When the machine starts again.
    back_at: Option<Duration>,
    over: bool,
}

struct Course {
    fleet: Fleet,
    world: World,
    tape: Tape,
    tables: Vec<TableName>,
    submitting: Vec<Submitting>,
    troubles: Vec<Trouble>,
    /// Each with whether it is cut now.
    cuts: Vec<(Cut, bool)>,
    /// When a node that gave up is started again.
    again: BTreeMap<usize, Duration>,
}

impl Course {
    fn new(seed: u64, world: &World, tape: &Tape) -> Self {
        let script = Script::of(seed);
        let mut tables = Vec::new();
        let mut submitting = Vec::new();
        for submission in &script.submissions {
            for (number, files) in (0_u64..).zip(&submission.tables) {
                let table = TableName::new("db", format!("p{}_{number}", submission.policy));
                let first = submission.policy * 1_000_000 + number * 10_000;
                let file = |file: u64| (first + file * 100..first + file * 100 + 3).collect();
                world.add_table(&table, &(0..*files).map(file).collect::<Vec<Vec<u64>>>());
                tables.push(table);
            }
            let (document, key) = (policy(submission.policy), format!("key-{}", submission.policy));
            submitting.push(Submitting::new(document, key, submission.machine, submission.at));
        }
        script.faults.into_iter().for_each(|fault| world.fault(fault));
        let trouble = |accident| Trouble { accident, ordered: None, back_at: None, over: false };
        Self {
            fleet: Fleet::new(seed, Setup::default(), world, tape),
            world: world.clone(),
            tape: tape.clone(),
            tables,
            submitting,
            troubles: script.accidents.into_iter().map(trouble).collect(),
            cuts: script.cuts.into_iter().map(|cut| (cut, false)).collect(),
            again: BTreeMap::new(),
        }
    }

    fn run(&mut self) -> Result<(), String> {
        self.form()?;
        let begun = self.fleet.now;
        let mut calm_since = begun;
        loop {
            self.fleet.pass();
            let now = self.fleet.now - begun;
            for submitting in &mut self.submitting {
                submitting.step(&self.fleet.machines, now)?;
            }
            self.accidents(now);
            self.cut_links(now);
            self.revive();
            let quiet = self.is_quiet(now);
            if quiet && self.is_time_to_look() && self.is_done() {
                break;
            }
            // A submission that nobody acknowledges must not keep the run alive.
            if !self.accidents_are_over(now) {
                calm_since = self.fleet.now;
            }
            if self.fleet.now > calm_since + DONE_WITHIN {
                return Err(format!("not everything is done: {}", self.describe()));
            }
        }
        if self.submitting.iter().any(|submitting| submitting.attempts > 1) {
            self.tape.mark("submission repeated");
        }
        self.count_situations();
        self.judge()
    }

    fn is_time_to_look(&self) -> bool {
        self.fleet.now.as_millis().is_multiple_of(LOOK)
    }

    /// Lets time pass until `wanted`.
    fn until(&mut self, what: &str, limit: Duration, wanted: impl Fn(&Fleet) -> bool) -> Result<(), String> {
        let give_up = self.fleet.now + limit;
        while !wanted(&self.fleet) {
            self.fleet.pass();
            if let Some((number, why)) = gave_up(&self.fleet) {
                return Err(format!("never {what}: machine {number}: {why}"));
            }
            if self.fleet.now > give_up {
                return Err(format!("never {what}: {}", self.describe()));
            }
        }
        Ok(())
    }

    /// The first machine founds the fleet, the others join it.
    fn form(&mut self) -> Result<(), String> {
        self.fleet.start(0);
        self.until("a founder", FORMED_WITHIN, |fleet| active(fleet, 0) == 1)?;
        for number in 1..MACHINES {
            let body = r#"{"validSeconds":3600}"#.to_owned();
            let asked = client::call(&self.fleet.machines[0], "/v1/fleet/tokens", body, None);
            let asked = asked.ok_or("the founder is gone")?;
            let text = loop {
                self.fleet.pass();
                match client::take(&asked) {
                    Some(Ok(text)) => break text,
                    Some(Err((status, text))) => return Err(format!("no join token: {status} {text}")),
                    None => {}
                }
            };
            let answer: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let token = answer["token"].as_str().ok_or("an answer without a token")?.to_owned();
            self.fleet.machines[number].invitation = Some((self.fleet.machines[0].at, token));
            self.fleet.start(number);
        }
        let everywhere = |fleet: &Fleet| (0..MACHINES).all(|number| active(fleet, number) == MACHINES);
        self.until("a whole fleet", FORMED_WITHIN, everywhere)
    }

    /// Lets the accidents of the script happen.
    fn accidents(&mut self, now: Duration) {
        for trouble in &mut self.troubles {
            let number = trouble.accident.machine;
            let machine = &mut self.fleet.machines[number];
            if trouble.over || now < trouble.accident.at {
                continue;
            }
            if let Some(back_at) = trouble.back_at {
                if now >= back_at {
                    trouble.over = true;
                    self.fleet.start(number);
                }
                continue;
            }
            if !machine.is_up() {
                // Another accident, or its own failure, keeps it down: this one waits.
                continue;
            }
            let strikes = match (trouble.accident.crash, trouble.ordered) {
                (Crash::Now, _) => true,
                (Crash::AtOperation(k), None) => {
                    machine.host.storage.crash_at(k);
                    trouble.ordered = Some(now);
                    false
                }
                (Crash::AtOperation(_), Some(ordered)) => {
                    machine.host.storage.is_crashed() || now > ordered + LATEST_CRASH
                }
            };
            if strikes {
                if machine.host.storage.is_crashed() {
                    self.tape.mark("crash in a disk operation");
                }
                if machine.node().is_some_and(|node| node.leads()) {
                    self.tape.mark("crash of the leader");
                }
                machine.crash();
                trouble.back_at = Some(now + trouble.accident.dark);
            }
        }
    }

    /// Cuts and heals links as the script says.
    fn cut_links(&mut self, now: Duration) {
        let at = |number: usize| self.fleet.machines[number].at;
        let links = self.fleet.links();
        for (cut, is_cut) in &mut self.cuts {
            let (from, to) = (at(cut.from), at(cut.to));
            let wanted = (cut.at..cut.at + cut.lasts).contains(&now);
            match (wanted, *is_cut) {
                (true, false) if cut.both_ways => links.cut_both(from, to),
                (true, false) => links.cut(from, to),
                (false, true) => links.heal(from, to),
                _ => continue,
            }
            *is_cut = wanted;
            self.tape.note(cut.from, &format!("link to {to} {}", if wanted { "cut" } else { "healed" }));
            self.tape.mark("link cut");
        }
    }

    /// Whoever looks after the machines starts nodes again that gave up.
    fn revive(&mut self) {
        let Some((number, why)) = gave_up(&self.fleet) else { return };
        // A crash in a disk operation is not for this one to clean up.
        if self.fleet.machines[number].host.storage.is_crashed() {
            return;
        }
        let now = self.fleet.now;
        let at = *self.again.entry(number).or_insert_with(|| {
            self.tape.note(number, &format!("gave up: {why}"));
            now + AGAIN_AFTER
        });
        if now >= at {
            self.again.remove(&number);
            self.tape.mark("node gave up");
            self.fleet.machines[number].crash();
            self.fleet.start(number);
        }
    }

    fn accidents_are_over(&self, now: Duration) -> bool {
        self.troubles.iter().all(|trouble| trouble.over)
            && self.cuts.iter().all(|(cut, is_cut)| now >= cut.at + cut.lasts && !is_cut)
    }

    /// Whether no accident is left, and all is submitted.
    fn is_quiet(&self, now: Duration) -> bool {
        self.accidents_are_over(now) && self.submitting.iter().all(|one| one.acknowledged)
    }

    /// Whether everything is committed, and all machines know it.
    fn is_done(&self) -> bool {
        let wanted = self.tables.len();
        let index = |number: usize| {
            let node = self.fleet.machines[number].node()?;
            let done = node.read(|state| state.count(Phase::Committed) == wanted && state.migrations().len() == wanted);
            done.then(|| node.status().applied_index)
        };
        let first = index(0);
        first.is_some() && (1..MACHINES).all(|number| index(number) == first)
    }

    /// What must be true in the end.
    fn judge(&self) -> Result<(), String> {
        for table in &self.tables {
            let (visible, source) = (self.world.visible(table), self.world.source(table));
            if visible.as_ref() != Some(&source) {
                return Err(format!("{table} shows {visible:?}, its source has {source:?}"));
            }
        }
        let mut digests = Vec::new();
        for machine in &self.fleet.machines {
            let node = machine.node().ok_or("a machine without a node")?;
            digests.push(node.digest().map_err(|error| error.to_string())?);
        }
        self.tape.note(0, &format!("digests {digests:?}"));
        if digests.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(format!("the machines are of different minds: {digests:?}"));
        }
        Ok(())
    }

    /// Counts the situations that the entries and the migrations tell of.
    fn count_situations(&self) {
        for (start, mark) in [("SessionsExpired {", "session expired"), ("Transferred {", "work handed over")] {
            if self.tape.lines().iter().any(|line| line.contains(&format!(" node {start}"))) {
                self.tape.mark(mark);
            }
        }
        let Some(node) = self.fleet.machines[0].node() else { return };
        let told =
            |migration: &Migration| migration.history.iter().any(|item| item.what.starts_with("adopted by node"));
        if node.read(|state| state.migrations().values().any(told)) {
            self.tape.mark("migration adopted");
        }
        let lent: u64 =
            self.fleet.machines.iter().filter_map(Machine::node).map(|node| node.stats().batches_lent).sum();
        if lent > 0 {
            self.tape.mark("batch lent");
        }
    }

    fn describe(&self) -> String {
        let mut parts = Vec::new();
        for machine in &self.fleet.machines {
            let text = match machine.node() {
                None => format!("no node, {:?}", machine.gave_up()),
                Some(node) => node.read(|state| {
                    let phases: Vec<String> = open(state).collect();
                    format!("{} members active, left: {phases:?}", count_active(state))
                }),
            };
            parts.push(format!("machine {}: {text}", machine.number));
        }
        parts.push(format!("{} policies acknowledged", self.submitting.iter().filter(|one| one.acknowledged).count()));
        parts.join("\n  ")
    }
}

/// Migrations that are not committed, in a few words each.
fn open(state: &State) -> impl Iterator<Item = String> + '_ {
    let left = state.migrations().values().filter(|migration| migration.phase != Phase::Committed);
    left.map(|migration| {
        let problem = migration.problem.as_ref().map(|problem| problem.code.to_string());
        format!("{} {} of {} {problem:?}", migration.dataset, migration.phase, migration.owner)
    })
}

fn count_active(state: &State) -> usize {
    state.members().values().filter(|member| member.standing == Standing::Active).count()
}

/// Members with a session, as a machine's node knows.
fn active(fleet: &Fleet, number: usize) -> usize {
    fleet.machines[number].node().map_or(0, |node| node.read(count_active))
}

fn gave_up(fleet: &Fleet) -> Option<(usize, String)> {
    fleet.machines.iter().find_map(|machine| Some((machine.number, machine.gave_up()?)))
}

/// A policy over the tables that carry its number.
fn policy(number: u64) -> String {
    format!(
        "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: p{number}, owner: team }}\nspec:\n  \
         source: {{ connection: legacy, include: [\"db.p{number}_*\"] }}\n  target: {{ connection: lake }}\n  \
         approval: {{ required: false }}\n"
    )
}
