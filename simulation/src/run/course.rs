//! The course of a seed: the fleet comes together, works while things go wrong, is healed, and must end everything.
//!
//! In: a plan. Out: whether everything ended in time. Holds: the loop over quanta of time. Not here: doing a fault (`inflict`),
//! asking for something (`people`), what must be true of it all (`judge`).

use std::collections::BTreeMap;
use std::time::Duration;

use skein_node::scripted::World;
use skein_protocol::api::MAX_PAGE;
use skein_protocol::ledger::{Standing, State};

use super::arrivals::Arrivals;
use super::inflict::Inflicting;
use super::outside::Outside;
use super::people::People;
use crate::client::{self, Call, Said};
use crate::fleet::{Fleet, Setup};
use crate::plan::Plan;
use crate::tape::Tape;

/// The fleet is complete, but for those who come late, within this time.
const FORMED_WITHIN: Duration = Duration::from_secs(60);
/// After the faults are over, everything has ended within this time: the longest pause between two attempts is twenty
/// seconds here, the caretaker gives each migration a few tries, and pauses are told in wall clock time: where the owner of a
/// migration changes, they are longer by as much as two clocks differ, which is up to eight minutes.
const DONE_WITHIN: Duration = Duration::from_secs(900);
/// All machines have the last entry within this time.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);
/// A node that gave up is started again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// What a refusal says of a token that will never be of use; after any other failure the same token is tried again.
const UNUSABLE: [&str; 4] = ["was used by", "was revoked", "has expired", "is not known"];
/// What costs time to look at is looked at this often, in milliseconds.
const LOOK: u128 = 50;

/// A seed under way.
pub(super) struct Course {
    pub(super) fleet: Fleet,
    pub(super) world: World,
    pub(super) tape: Tape,
    pub(super) plan: Plan,
    pub(super) people: People,
    pub(super) outside: Outside,
    pub(super) inflicting: Inflicting,
    arrivals: Arrivals,
    /// When a node that gave up is started again.
    again: BTreeMap<usize, Duration>,
    /// The moment at which the first node worked: times of the plan count from here.
    begun: Duration,
}

impl Course {
    pub(super) fn new(seed: u64, plan: Plan, world: &World, tape: &Tape) -> Self {
        for policy in &plan.policies {
            for table in &policy.tables {
                match table.partitions {
                    Some(partitions) => world.add_partitioned(&table.name, &table.files, partitions),
                    None => world.add_table(&table.name, &table.files),
                }
                world.expect(&table.target, &table.name, policy.recipe.clone());
                if let Some((poison, times)) = table.poison {
                    world.poison(&table.name, poison, times);
                }
            }
        }
        world.take_up_to(plan.longest_call);
        if let Some(rows) = plan.rows_per_file {
            world.rows_per_file(rows);
        }
        let setup = Setup { machines: plan.machines, fabric: plan.fabric, voters: plan.voters };
        let mut fleet = Fleet::new(seed, setup, world, tape);
        for machine in &mut fleet.machines {
            machine.config.ledger.snapshot_every = plan.snapshot_every;
            machine.config.ledger.kept_after_snapshot = plan.snapshot_every / 3;
        }
        let coming = (1..plan.machines).map(|machine| (machine, plan.arrivals[machine]));
        Self {
            fleet,
            world: world.clone(),
            tape: tape.clone(),
            people: People::new(&plan, tape),
            outside: Outside::new(&plan),
            inflicting: Inflicting::new(&plan, tape),
            arrivals: Arrivals::new(coming),
            again: BTreeMap::new(),
            begun: Duration::ZERO,
            plan,
        }
    }

    /// Time since the first node worked.
    pub(super) fn now(&self) -> Duration {
        self.fleet.now - self.begun
    }

    /// Both stages.
    pub(super) fn run(&mut self) -> Result<(), String> {
        self.form()?;
        self.begun = self.fleet.now;
        self.outside.begin(&self.world);
        while self.now() < self.plan.ends() || !self.inflicting.is_over() {
            self.tick()?;
            let now = self.now();
            self.inflicting.step(&mut self.fleet, &self.world, &self.arrivals, self.begun, now);
        }
        self.heal();
        let healed = self.now();
        loop {
            self.tick()?;
            let now = self.now();
            self.people.take_care(&self.fleet, now, &mut self.outside);
            if self.is_time_to_look() && self.people.are_done() && self.is_done() {
                let page = self.list()?;
                self.settle()?;
                return self.outside.ended(now, &[page]);
            }
            if now > healed + DONE_WITHIN {
                return Err(format!("liveness: not everything has ended: {}", self.describe()));
            }
        }
    }

    /// One quantum of time, and everybody who acts at its end.
    fn tick(&mut self) -> Result<(), String> {
        self.fleet.pass();
        let now = self.now();
        self.arrivals.step(&mut self.fleet, now, &self.tape);
        for machine in self.world.take_kills() {
            self.inflicting.kill(&mut self.fleet, machine, now);
        }
        self.inflicting.restart(&mut self.fleet, now);
        self.revive();
        self.people.step(&self.fleet, now, &mut self.outside)?;
        self.outside.look(&self.world, now);
        self.tape.catch_up(|machine| {
            let node = self.fleet.machines[machine].node()?;
            Some(node.read_at(|index, state| (index, state.clone())))
        });
        Ok(())
    }

    /// The first machine founds the fleet; those who come at once join it.
    fn form(&mut self) -> Result<(), String> {
        self.fleet.start(0);
        let prompt: Vec<usize> =
            (0..self.plan.machines).filter(|machine| self.plan.arrivals[*machine].is_zero()).collect();
        loop {
            self.fleet.pass();
            let now = self.fleet.now;
            if prompt.iter().all(|machine| active(&self.fleet, *machine) == prompt.len()) {
                return Ok(());
            }
            if self.fleet.machines[0].node().is_some() {
                self.arrivals.step(&mut self.fleet, Duration::ZERO, &self.tape);
            }
            if let Some((machine, why)) = gave_up(&self.fleet) {
                return Err(format!("liveness: the fleet never formed: machine {machine}: {why}"));
            }
            if now > FORMED_WITHIN {
                return Err(format!("liveness: the fleet never formed: {}", self.describe()));
            }
        }
    }

    /// From now on nothing goes wrong.
    fn heal(&mut self) {
        self.tape.note(0, "healed");
        self.world.heal();
        let now = self.now();
        self.inflicting.heal(&mut self.fleet, &self.world, now);
    }

    /// Waits until all machines have applied the same: what comes after the end is little, but not nothing.
    fn settle(&mut self) -> Result<(), String> {
        let give_up = self.fleet.now + SETTLED_WITHIN;
        while !self.is_done() {
            self.fleet.pass();
            if self.fleet.now > give_up {
                return Err(format!("liveness: the machines do not come together: {}", self.describe()));
            }
        }
        Ok(())
    }

    /// All migrations as the API lists them.
    fn list(&mut self) -> Result<String, String> {
        let path = format!("/v1/migrations?current=true&limit={MAX_PAGE}");
        let asked = client::call(&self.fleet.machines[0], Call::get(path)).ok_or("a machine without a node")?;
        loop {
            self.fleet.pass();
            match asked.take() {
                Some(Said::Done(page)) => return Ok(page),
                Some(said) => return Err(format!("liveness: no list of migrations in the end: {said:?}")),
                None => {}
            }
        }
    }

    fn is_time_to_look(&self) -> bool {
        self.fleet.now.as_millis().is_multiple_of(LOOK)
    }

    /// Whoever looks after the machines starts nodes again that gave up.
    fn revive(&mut self) {
        let now = self.now();
        let Some((number, why)) = gave_up(&self.fleet) else { return };
        // A crash in a disk operation is not for this one to clean up.
        if self.fleet.machines[number].host.storage.is_crashed() {
            return;
        }
        let tape = &self.tape;
        let at = *self.again.entry(number).or_insert_with(|| {
            tracing::warn!(machine = number, %why, "gave up");
            tape.note(number, &format!("gave up: {why}"));
            now + AGAIN_AFTER
        });
        if now < at {
            return;
        }
        self.again.remove(&number);
        self.tape.mark("node gave up");
        self.fleet.machines[number].crash();
        if why.contains("does not enter the fleet") && UNUSABLE.iter().any(|said| why.contains(said)) {
            self.arrivals.asks_again(number, now);
        } else {
            self.fleet.start(number);
        }
    }

    /// Whether all migrations are at an end, and all machines know it.
    fn is_done(&self) -> bool {
        let mut indexes = Vec::new();
        for machine in &self.fleet.machines {
            let Some(node) = machine.node() else { return false };
            if !node.read(|state| state.migrations().values().all(|one| one.phase.is_end())) {
                return false;
            }
            indexes.push(node.status().applied_index);
        }
        let all_here = self.plan.machines;
        indexes.windows(2).all(|pair| pair[0] == pair[1])
            && (0..all_here).all(|machine| self.arrivals.has_come(machine) && active(&self.fleet, machine) == all_here)
    }

    /// Migrations of all generations.
    pub(super) fn migrations(&self) -> usize {
        let counts = self.fleet.machines.iter().filter_map(|machine| machine.node());
        counts.map(|node| node.read(|state| state.migrations().len())).max().unwrap_or_default()
    }

    fn describe(&self) -> String {
        let mut parts = Vec::new();
        for machine in &self.fleet.machines {
            let text = match machine.node() {
                None => format!("no node, {:?}", machine.gave_up()),
                Some(node) => node.read(|state| {
                    let open: Vec<String> = open(state).collect();
                    let sessions = count_active(state);
                    format!("{} active, {} open: {}", sessions, open.len(), open.join("; "))
                }),
            };
            parts.push(format!("machine {}: {text}", machine.number));
        }
        parts.join(" | ")
    }
}

/// The migrations that are not at an end, each in a few words.
fn open(state: &State) -> impl Iterator<Item = String> + '_ {
    let open = state.migrations().values().filter(|migration| !migration.phase.is_end());
    open.map(|migration| {
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
