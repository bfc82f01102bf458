//! Doing what the plan says, undoing it when its time is over, and healing everything.
//!
//! In: the plan's faults, the time. Out: what machines, links and the world suffer. Holds: which faults are there now, and
//! which machines are without power until when. Not here: which faults there are (`plan::swarm`).

use std::collections::BTreeMap;
use std::time::Duration;

use skein_node::config::Config;
use skein_node::env::memory::Weather as LinkWeather;
use skein_node::scripted::{Change, Storm, World};

use skein_protocol::hash::Hash256;
use skein_protocol::ids::{Generation, MigrationId, PolicyName, Run, TableName, TableUuid};

use super::arrivals::Arrivals;
use crate::fleet::Fleet;
use crate::machine::Machine;
use crate::plan::{Crash, Fault, LinkFault, Plan, Planned, PolicyPlan, SourceChange};
use crate::tape::Tape;

/// A crash that waits for a disk operation happens by then at the latest.
const LATEST_CRASH: Duration = Duration::from_secs(3);
/// A node that a poisonous batch took down is started again after this.
const KILLED_FOR: Duration = Duration::from_millis(700);
/// Delayed frames arrive within this time.
const LONGEST_DELAY: Duration = Duration::from_secs(3);
/// Voters that did not change for this long are known to all.
const SETTLED: Duration = Duration::from_millis(1_500);
/// A ledger is ruined by then, or not at all.
const LATEST_RUIN: Duration = Duration::from_secs(6);
/// A quorum of so many is left when one of them has lost its ledger.
const VOTERS_FOR_A_LOSS: usize = 3;
/// What the program before this one says of itself.
const VERSION_BEFORE: &str = "0.0.9";

/// The faults of a seed.
pub(super) struct Inflicting {
    tape: Tape,
    policies: Vec<PolicyPlan>,
    /// Those that have not begun, the last first.
    coming: Vec<Planned>,
    present: Vec<Planned>,
    /// Machines that shall die in a disk operation: the latest moment, and for how long.
    ordered: BTreeMap<usize, (Duration, Duration)>,
    /// Machines that do not run: when they are started again.
    dark: BTreeMap<usize, Duration>,
    /// Sources that come back.
    vanished: Vec<(Duration, usize, usize)>,
    /// Since when the fleet bears the loss of a ledger.
    bears_since: Option<Duration>,
    counts: BTreeMap<&'static str, u64>,
}

impl Inflicting {
    pub(super) fn new(plan: &Plan, tape: &Tape) -> Self {
        let mut coming = plan.faults.clone();
        coming.reverse();
        Self {
            tape: tape.clone(),
            policies: plan.policies.clone(),
            coming,
            present: Vec::new(),
            ordered: BTreeMap::new(),
            dark: BTreeMap::new(),
            vanished: Vec::new(),
            bears_since: None,
            counts: BTreeMap::new(),
        }
    }

    /// Whether all faults have begun and are over.
    pub(super) fn is_over(&self) -> bool {
        self.coming.is_empty() && self.present.is_empty() && self.ordered.is_empty()
    }

    /// What was inflicted here.
    pub(super) fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// Goes on to `now`; both times of the plan, which began `begun` after the world.
    pub(super) fn step(
        &mut self,
        fleet: &mut Fleet,
        world: &World,
        arrivals: &Arrivals,
        begun: Duration,
        now: Duration,
    ) {
        let (over, present) = std::mem::take(&mut self.present).into_iter().partition(|one| now >= one.at + one.lasts);
        self.present = present;
        let over: Vec<Planned> = over;
        for planned in over {
            self.end(&planned, fleet);
        }
        let mut postponed = Vec::new();
        while let Some(planned) = self.coming.pop_if(|planned| planned.at <= now) {
            let unready = planned.fault.machines().iter().any(|machine| !arrivals.has_come(*machine));
            if unready {
                continue;
            }
            // A fleet whose quorum has lost what it acknowledged is lost, and nothing can be demanded of it.
            if matches!(planned.fault, Fault::RuinedDisk { .. }) && !self.bears_a_loss(fleet, now) {
                if now < planned.at + LATEST_RUIN {
                    postponed.push(planned);
                }
                continue;
            }
            self.tape.note(0, &format!("fault {planned}"));
            self.begin(&planned, fleet, world, begun, now);
            self.present.push(planned);
        }
        self.coming.extend(postponed);
        self.strike_ordered(fleet, now);
        self.bring_back(world, now);
    }

    fn begin(&mut self, planned: &Planned, fleet: &mut Fleet, world: &World, begun: Duration, now: Duration) {
        match &planned.fault {
            Fault::Crash { machine, crash: Crash::Now } => self.crash(fleet, *machine, now + planned.lasts),
            Fault::Crash { machine, crash: Crash::AtOperation(k) } => {
                if fleet.machines[*machine].is_up() {
                    fleet.machines[*machine].host.storage.crash_at(*k);
                    self.ordered.insert(*machine, (now + LATEST_CRASH, planned.lasts));
                }
            }
            Fault::Kill { machine } => {
                if fleet.machines[*machine].is_up() {
                    self.mark_leader(fleet, *machine);
                    fleet.machines[*machine].kill();
                    self.dark.insert(*machine, now + planned.lasts);
                }
            }
            Fault::MassDeath { machines } => {
                *self.counts.entry("mass death").or_default() += 1;
                for machine in machines {
                    self.crash(fleet, *machine, now + planned.lasts);
                }
            }
            Fault::Pause { machine } => {
                if fleet.machines[*machine].is_up() {
                    fleet.pause(*machine, planned.lasts);
                }
            }
            Fault::RuinedDisk { machine } => {
                *self.counts.entry("ledger overwritten").or_default() += 1;
                self.crash(fleet, *machine, now + planned.lasts);
                fleet.machines[*machine].ruin_ledger();
            }
            Fault::SyncError { machine, k } => fleet.machines[*machine].host.storage.fail_sync_at(*k),
            Fault::WriteError { machine, k } => fleet.machines[*machine].host.storage.fail_write_at(*k),
            Fault::ClockStep { machine, millis } => fleet.machines[*machine].clock.step(*millis),
            Fault::FullDisk { machine, room } => fleet.machines[*machine].host.storage.set_room(Some(*room)),
            Fault::SlowDisk { machine, millis } => {
                fleet.machines[*machine].host.storage.set_sync_takes(Duration::from_millis(*millis));
            }
            Fault::ClockDrift { machine, ppm } => fleet.machines[*machine].clock.set_drift(*ppm),
            Fault::OtherVersion { machine } => {
                fleet.machines[*machine].config.version = VERSION_BEFORE.to_owned();
                if fleet.machines[*machine].is_up() {
                    fleet.machines[*machine].kill();
                    self.dark.insert(*machine, now + KILLED_FOR);
                }
            }
            Fault::Weather { weather, per_mille } => world.storm(Storm {
                weather: *weather,
                per_mille: *per_mille,
                from: begun + planned.at,
                until: begun + planned.at + planned.lasts,
                table: None,
            }),
            Fault::Stranger { policy, table } => {
                let target = &self.policies[*policy].tables[*table].target;
                *self.counts.entry("name taken by a stranger").or_default() += 1;
                world.point(target, stranger_uuid(planned.number), &stranger_location(planned.number));
            }
            Fault::Source { policy, table, change } => {
                self.change_source(world, (*policy, *table), *change, planned, now)
            }
            Fault::Links { .. }
            | Fault::CutOneWay { .. }
            | Fault::CutBothWays { .. }
            | Fault::Isolation { .. }
            | Fault::FalseDeath { .. } => {
                self.tape.mark("link disturbed");
                links(&planned.fault, fleet, true);
            }
        }
    }

    fn end(&mut self, planned: &Planned, fleet: &mut Fleet) {
        match &planned.fault {
            Fault::FullDisk { machine, .. } => fleet.machines[*machine].host.storage.set_room(None),
            Fault::SlowDisk { machine, .. } => fleet.machines[*machine].host.storage.set_sync_takes(Duration::ZERO),
            Fault::ClockDrift { machine, .. } => fleet.machines[*machine].clock.set_drift(0),
            Fault::OtherVersion { machine } => {
                fleet.machines[*machine].config.version = Config::for_tests().version;
            }
            Fault::Links { .. }
            | Fault::CutOneWay { .. }
            | Fault::CutBothWays { .. }
            | Fault::Isolation { .. }
            | Fault::FalseDeath { .. } => links(&planned.fault, fleet, false),
            // The rest ends by itself, or with the restart of a machine.
            _ => {}
        }
    }

    /// Whether three nodes vote, all machines run, and that for long enough to have settled: a change of voters that only the
    /// lost node knew whole can be ended by nobody.
    fn bears_a_loss(&mut self, fleet: &Fleet, now: Duration) -> bool {
        let voters = |machine: &Machine| machine.node().map_or(0, |node| node.voters().len());
        if !fleet.machines.iter().all(|machine| voters(machine) >= VOTERS_FOR_A_LOSS) {
            self.bears_since = None;
            return false;
        }
        now - *self.bears_since.get_or_insert(now) >= SETTLED
    }

    fn mark_leader(&self, fleet: &Fleet, machine: usize) {
        if fleet.machines[machine].node().is_some_and(|node| node.leads()) {
            self.tape.mark("death of the leader");
        }
    }

    /// A machine loses its power until `until`.
    fn crash(&mut self, fleet: &mut Fleet, machine: usize, until: Duration) {
        if fleet.machines[machine].is_up() {
            self.mark_leader(fleet, machine);
            fleet.machines[machine].crash();
        }
        let back = self.dark.entry(machine).or_insert(until);
        *back = (*back).max(until);
    }

    /// A batch took the node of a machine down.
    pub(super) fn kill(&mut self, fleet: &mut Fleet, machine: usize, now: Duration) {
        if fleet.machines[machine].is_up() {
            fleet.machines[machine].kill();
            self.dark.insert(machine, now + KILLED_FOR);
        }
    }

    /// Machines that were told to die in a disk operation have done so, or do now.
    fn strike_ordered(&mut self, fleet: &mut Fleet, now: Duration) {
        let due = |machine: &usize, latest: Duration| {
            fleet.machines[*machine].host.storage.is_crashed() || now >= latest || !fleet.machines[*machine].is_up()
        };
        let due: Vec<usize> =
            self.ordered.iter().filter(|(machine, (latest, _))| due(machine, *latest)).map(|(m, _)| *m).collect();
        for machine in due {
            let Some((_, lasts)) = self.ordered.remove(&machine) else { continue };
            self.crash(fleet, machine, now + lasts);
        }
    }

    /// Starts machines again whose time has come.
    pub(super) fn restart(&mut self, fleet: &mut Fleet, now: Duration) {
        let due: Vec<usize> =
            self.dark.iter().filter(|(_, until)| now >= **until).map(|(machine, _)| *machine).collect();
        for machine in due {
            self.dark.remove(&machine);
            if !fleet.machines[machine].is_up() {
                fleet.start(machine);
            }
        }
    }

    fn change_source(
        &mut self,
        world: &World,
        (policy, table): (usize, usize),
        change: SourceChange,
        planned: &Planned,
        now: Duration,
    ) {
        let name = &self.policies[policy].tables[table].name;
        let change = match change {
            SourceChange::Append => {
                Change::Append(vec![self.policies[policy].number * 1_000_000 + 900_000 + u64::from(planned.number)])
            }
            SourceChange::Replace => Change::Replace,
            SourceChange::ReplaceQuietly => Change::ReplaceQuietly,
            SourceChange::RemoveFile => Change::RemoveFile,
            SourceChange::Vanish => Change::Vanish,
            SourceChange::VanishAndComeBack => {
                self.vanished.push((now + planned.lasts, policy, table));
                Change::Vanish
            }
        };
        world.change(name, &change);
    }

    fn bring_back(&mut self, world: &World, now: Duration) {
        let (due, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.vanished).into_iter().partition(|one| now >= one.0);
        self.vanished = left;
        for (_, policy, table) in due {
            world.change(&self.policies[policy].tables[table].name, &Change::ComeBack);
        }
    }

    /// Nothing goes wrong any more; who is without power gets it back.
    pub(super) fn heal(&mut self, fleet: &mut Fleet, world: &World, now: Duration) {
        for planned in std::mem::take(&mut self.present) {
            self.end(&planned, fleet);
        }
        self.bring_back(world, Duration::MAX);
        fleet.heal();
        for until in self.dark.values_mut() {
            *until = now;
        }
    }
}

/// Where the table of a stranger lies that a fault with this number creates.
/// Whether a metadata file is a stranger's.
pub(super) fn is_strange(location: &str) -> bool {
    location.starts_with("/elsewhere/")
}

fn stranger_location(number: u32) -> String {
    format!("/elsewhere/{number}/metadata.json")
}

fn stranger_uuid(number: u32) -> TableUuid {
    let policy = PolicyName(format!("stranger-{number}"));
    let theirs = MigrationId::derive(&policy, Generation(1), &TableName::new("elsewhere", "table"));
    TableUuid::derive(theirs, Run(1), &Hash256::of(&number.to_le_bytes()))
}

/// Lets links misbehave, or no longer.
fn links(fault: &Fault, fleet: &Fleet, begins: bool) {
    let links = fleet.links();
    match fault {
        Fault::Links { what, per_mille, machine } => {
            let weather = if begins { weather(*what, *per_mille) } else { LinkWeather::FAIR };
            match machine {
                None => links.set_weather(weather),
                Some(machine) => {
                    for other in (0..fleet.machines.len()).filter(|other| other != machine) {
                        let (one, other) = (fleet.at(*machine), fleet.at(other));
                        links.set_weather_between(one, other, begins.then_some(weather));
                        links.set_weather_between(other, one, begins.then_some(weather));
                    }
                }
            }
        }
        Fault::CutOneWay { from, to } if begins => links.cut(fleet.at(*from), fleet.at(*to)),
        Fault::CutBothWays { one, other } if begins => links.cut_both(fleet.at(*one), fleet.at(*other)),
        Fault::CutOneWay { from: one, to: other } | Fault::CutBothWays { one, other } => {
            links.heal(fleet.at(*one), fleet.at(*other));
        }
        Fault::Isolation { machine } => {
            for other in (0..fleet.machines.len()).filter(|other| other != machine) {
                let (one, other) = (fleet.at(*machine), fleet.at(other));
                if begins { links.cut_both(one, other) } else { links.heal(one, other) }
            }
        }
        Fault::FalseDeath { machine, deaf } => {
            let at = fleet.at(*machine);
            match (begins, deaf) {
                (true, false) => links.mute(at),
                (true, true) => links.deafen(at),
                (false, _) => links.unsilence(at),
            }
        }
        _ => {}
    }
}

fn weather(what: LinkFault, per_mille: u32) -> LinkWeather {
    let fair = LinkWeather::FAIR;
    match what {
        LinkFault::Loss => LinkWeather { lost: per_mille, ..fair },
        LinkFault::Duplication => LinkWeather { doubled: per_mille, ..fair },
        LinkFault::Reordering => LinkWeather { held_back: per_mille, ..fair },
        LinkFault::Delay => LinkWeather { delayed: per_mille, longest_delay: LONGEST_DELAY, ..fair },
        LinkFault::AnswersLost => LinkWeather { answers_lost: per_mille, ..fair },
        LinkFault::Foreign => LinkWeather { foreign: per_mille, ..fair },
    }
}
