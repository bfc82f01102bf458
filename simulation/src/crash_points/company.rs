//! One trial with three machines: the owner is struck in the middle of a call, and others go on with what it began.
//!
//! In: scenario, fault, point, blow. Out: whether it went well. Holds: nothing. A machine that stood still goes on with its
//! call long after others have taken its place: what it does then must do no harm. Not here: which trials there are
//! (`company_every`), one machine alone (`trial`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use skein_node::scripted::{Call, Hold, World};
use skein_protocol::ids::TableName;
use skein_protocol::ledger::{Phase, Standing};

use super::asking::Asking;
use super::scenario::{Next, Scenario};
use super::site::hold;
use super::trial::{CatalogFault, policy, recipe, seed_of};
use crate::fleet::{Fleet, Setup};
use crate::machine::Machine;
use crate::net::FabricKind;
use crate::tape::Tape;

/// A machine stands still, or is without power, for longer than a session and what follows its end.
const AWAY: Duration = Duration::from_secs(8);
/// What the catalog does late comes so much later.
const LATE: Duration = Duration::from_secs(3);
/// Longer than a request can be under way: than a machine stands still, and a catalog is late.
const TOMBSTONE: Duration = Duration::from_secs(20);
/// Everything is over by then.
const LONG: Duration = Duration::from_secs(120);
/// The fleet is complete by then.
const FORMED_WITHIN: Duration = Duration::from_secs(60);
/// By then all machines vote: a fleet with one voter stands still together with it.
const SETTLED_AFTER: Duration = Duration::from_secs(8);
/// The smallest fleet that survives a death.
const SETUP: Setup = Setup { machines: 3, voters: 3, fabric: FabricKind::Messages };
/// The client looks this often.
const LOOK_MILLIS: u128 = 20;

/// What happens to the machine whose call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Blow {
    /// It stands still for longer than a session.
    Pause,
    /// It loses its power.
    Crash,
}

impl Blow {
    pub(super) const ALL: [Self; 2] = [Self::Pause, Self::Crash];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Crash => "crash",
        }
    }
}

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CompanyTrial {
    pub(super) scenario: Scenario,
    pub(super) fault: CatalogFault,
    /// At which call, and whether after it did everything.
    pub(super) at: Option<(usize, bool)>,
    pub(super) blow: Blow,
}

/// What came of it.
pub(super) struct CompanyOutcome {
    /// The data plane's calls since the part began, each with its machine.
    pub(super) calls: Vec<(Call, Option<usize>)>,
    /// How often a machine was struck.
    pub(super) struck: u64,
    pub(super) failures: Vec<String>,
    pub(super) trace: Vec<String>,
}

impl CompanyTrial {
    /// Tries it. A process does this once.
    pub(super) fn run(&self) -> CompanyOutcome {
        // The same for all points of a part: so each finds the history up to it that the part has without a blow.
        let seed = seed_of(&format!("fleet/{}/{}", self.scenario.name(), self.fault.name()));
        let (world, tape, table) = (World::new(seed), Tape::new(), TableName::new("db", "t"));
        world.add_partitioned(&table, &[vec![1, 2, 2, 5, 7], vec![10, 11, 11]], 2);
        world.rows_per_file(2);
        world.expect(&table, &table, recipe());
        let mut course = Course::new(*self, seed, &world, &tape);
        let mut failures = Vec::new();
        let ended = course.run();
        // What hung about all the time happens now: it must not make anything visible.
        world.deliver();
        match ended {
            Err(error) => failures.push(format!("{error:#}")),
            Ok(phase) => {
                let must = world.transformed(&table, &recipe()).expect("the table was added");
                let seen = world.read(&table);
                failures.extend(self.scenario.judge(phase, course.acknowledged, seen.as_ref(), &must).err());
            }
        }
        failures.extend(world.violations());
        failures.extend(tape.contradictions());
        CompanyOutcome { calls: world.ambushed_calls(), struck: course.struck, failures, trace: world.trace() }
    }
}

struct Course<'a> {
    trial: CompanyTrial,
    fleet: Fleet,
    world: &'a World,
    hold: Option<Hold>,
    /// The catalog goes wrong from here on.
    stormy: bool,
    asking: Option<(Asking, Duration, bool)>,
    acknowledged: bool,
    /// When machines start again.
    back: BTreeMap<usize, Duration>,
    /// Until when machines stand still.
    still: BTreeMap<usize, Duration>,
    struck: u64,
}

impl<'a> Course<'a> {
    fn new(trial: CompanyTrial, seed: u64, world: &'a World, tape: &Tape) -> Self {
        let mut fleet = Fleet::new(seed, SETUP, world, tape);
        for machine in &mut fleet.machines {
            machine.config.tombstone_millis = u64::try_from(TOMBSTONE.as_millis()).expect("a third of a minute");
        }
        let hold = hold(trial.scenario, world);
        let (back, still) = (BTreeMap::new(), BTreeMap::new());
        Self { trial, fleet, world, hold, stormy: false, asking: None, acknowledged: false, back, still, struck: 0 }
    }

    fn run(&mut self) -> anyhow::Result<Phase> {
        self.form()?;
        let armed_by = self.trial.scenario.armed_by();
        if armed_by.is_some() {
            self.world.ambush(armed_by, self.trial.at);
        }
        let until = self.fleet.now + LONG;
        while self.fleet.now < until {
            self.pass()?;
            self.world.settle();
            self.hear()?;
            if self.asking.is_none()
                && self.fleet.now.as_millis().is_multiple_of(LOOK_MILLIS)
                && let Some(phase) = self.step()?
            {
                return Ok(phase);
            }
        }
        Err(anyhow!("it is not over: {:?}", self.world.trace().last()))
    }

    /// Lets a quantum pass, strikes whoever fell into the ambush, and starts whoever was away for long enough.
    fn pass(&mut self) -> anyhow::Result<()> {
        self.fleet.pass();
        for number in self.world.take_kills() {
            self.struck += 1;
            match self.trial.blow {
                Blow::Pause => {
                    self.fleet.pause(number, AWAY);
                    self.still.insert(number, self.fleet.now + AWAY);
                }
                Blow::Crash => {
                    self.fleet.machines[number].crash();
                    self.back.insert(number, self.fleet.now + AWAY);
                }
            }
        }
        let now = self.fleet.now;
        self.still.retain(|_, until| *until >= now);
        let due: Vec<usize> = self.back.iter().filter(|(_, at)| **at <= now).map(|(number, _)| *number).collect();
        for number in due {
            self.back.remove(&number);
            self.fleet.start(number);
        }
        let gave_up = self.fleet.machines.iter().find_map(|machine| Some((machine.number, machine.gave_up()?)));
        gave_up.map_or(Ok(()), |(number, why)| Err(anyhow!("machine {number} gave up: {why}")))
    }

    /// Looks at what the most advanced node knows, and goes on; the phase, if this is the end.
    fn step(&mut self) -> anyhow::Result<Option<Phase>> {
        if !self.stormy && !self.world.ambushed_calls().is_empty() {
            self.turn();
        }
        let nodes = self.awake().filter_map(|one| one.node());
        let Some(node) = nodes.max_by_key(|node| node.status().applied_index).cloned() else { return Ok(None) };
        let (next, phase, id) = node.read(|state| {
            let migration = state.migrations().values().next();
            let rests = Phase::ALL.into_iter().all(|phase| state.due(phase).next().is_none());
            (self.trial.scenario.next(migration, rests), migration.map(|one| one.phase), migration.map(|one| one.id))
        });
        match (next, id) {
            (Next::Submit, _) => self.ask("/v1/policies", policy(&recipe()), false),
            (Next::Act { action, arms }, Some(id)) => {
                if self.hold.is_some() && self.world.calls(Call::Register) == 0 {
                    return Ok(None);
                }
                if arms && !self.stormy {
                    self.world.heal();
                    self.world.ambush(None, self.trial.at);
                    self.turn();
                }
                let body = json!({ "action": action, "migrations": [id], "reason": "a trial" });
                self.ask("/v1/actions", body.to_string(), arms);
            }
            (Next::End, _) if self.is_everybody_there() => return Ok(phase),
            _ => {}
        }
        Ok(None)
    }

    fn turn(&mut self) {
        self.stormy = true;
        self.trial.fault.strike(self.world, LATE);
    }

    fn awake(&self) -> impl Iterator<Item = &Machine> {
        self.fleet.machines.iter().filter(|machine| !self.still.contains_key(&machine.number))
    }

    fn is_everybody_there(&self) -> bool {
        self.back.is_empty() && self.still.is_empty() && self.fleet.machines.iter().all(Machine::is_up)
    }

    /// Asks the first machine that can answer.
    fn ask(&mut self, path: &str, body: String, arms: bool) {
        let asked = self.awake().find_map(|machine| Asking::post(machine, path, body.clone()));
        self.asking = asked.map(|asking| (asking, self.fleet.now, arms));
    }

    /// Takes the answer, if it is there, or gives the call up.
    fn hear(&mut self) -> anyhow::Result<()> {
        let Some((asking, since, arms)) = &self.asking else { return Ok(()) };
        let answer = asking.take();
        if answer.is_none() && self.fleet.now < *since + AWAY {
            return Ok(());
        }
        if let Some((status, text)) = answer {
            if (400..500).contains(&status) && status != 429 {
                return Err(anyhow!("refused: {status} {text}"));
            }
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            self.acknowledged |= *arms && status == 200 && answer["done"] == json!(1);
        }
        let acted = *arms;
        self.asking = None;
        if acted && let Some(hold) = self.hold.take() {
            hold.release();
        }
        Ok(())
    }

    /// The first machine founds the fleet, the others join it.
    fn form(&mut self) -> anyhow::Result<()> {
        self.fleet.start(0);
        self.wait_for(1)?;
        for number in 1..self.fleet.machines.len() {
            let body = r#"{"validSeconds":3600}"#.to_owned();
            let asking =
                Asking::post(&self.fleet.machines[0], "/v1/fleet/tokens", body).context("the founder is gone")?;
            let text = loop {
                self.pass()?;
                match asking.take() {
                    Some((200, text)) => break text,
                    Some((status, text)) => return Err(anyhow!("no join token: {status} {text}")),
                    None => {}
                }
            };
            let answer: Value = serde_json::from_str(&text)?;
            let token = answer["token"].as_str().context("an answer without a token")?.to_owned();
            self.fleet.machines[number].invitation = Some((self.fleet.at(0), token));
            self.fleet.start(number);
        }
        self.wait_for(self.fleet.machines.len())?;
        let until = self.fleet.now + SETTLED_AFTER;
        while self.fleet.now < until {
            self.pass()?;
        }
        Ok(())
    }

    /// Waits until so many machines know each other, with a session each.
    fn wait_for(&mut self, wanted: usize) -> anyhow::Result<()> {
        let until = self.fleet.now + FORMED_WITHIN;
        while self.fleet.now < until {
            self.pass()?;
            let knows = |number: usize| {
                self.fleet.machines[number].node().is_some_and(|node| {
                    node.read(|state| {
                        let active = state.members().values().filter(|member| member.standing == Standing::Active);
                        active.count() == wanted
                    })
                })
            };
            if (0..wanted).all(knows) {
                return Ok(());
            }
        }
        Err(anyhow!("the fleet was never complete"))
    }
}

impl fmt::Display for CompanyTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = match self.at {
            None => "nowhere".to_owned(),
            Some((n, false)) => format!("before:{n}"),
            Some((n, true)) => format!("after:{n}"),
        };
        write!(f, "fleet/{}/{}/{at}/{}", self.scenario.name(), self.fault.name(), self.blow.name())
    }
}

impl FromStr for CompanyTrial {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || anyhow!("{text:?} is no trial: fleet/publish/late/before:3/pause, …");
        let parts: Vec<&str> = text.split('/').collect();
        let ["fleet", scenario, fault, at, blow] = parts[..] else { return Err(unknown()) };
        let at = match at.split_once(':') {
            None if at == "nowhere" => None,
            Some(("before", n)) => Some((n.parse()?, false)),
            Some(("after", n)) => Some((n.parse()?, true)),
            _ => return Err(unknown()),
        };
        Ok(Self {
            scenario: Scenario::ALL.into_iter().find(|one| one.name() == scenario).ok_or_else(unknown)?,
            fault: CatalogFault::ALL.into_iter().find(|one| one.name() == fault).ok_or_else(unknown)?,
            at,
            blow: Blow::ALL.into_iter().find(|one| one.name() == blow).ok_or_else(unknown)?,
        })
    }
}
