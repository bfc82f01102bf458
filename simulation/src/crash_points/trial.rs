//! One trial: a migration, one crash, one fault; starts of the node until the scenario is over.
//!
//! In: scenario, fault, point. Out: whether it went well, and whether the point was reached. Holds: nothing. Not here:
//! which trials there are (`mod`).

use std::time::Duration;

use skein_node::env::memory::MemoryHost;
use skein_node::scripted::{Call, Effect, Fault, Recipe, World};
use skein_protocol::data_plane::Failure;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::TableName;
use skein_protocol::problem::{Code, Problem};
use tokio::runtime::{Builder, RngSeed, Runtime};

use super::scenario::Scenario;
use super::site::{Client, Ended, hold, live};
use super::trip::{Point, Trip};
use crate::shim;

/// One crash takes one more start. More than a few mean that the node does not come up.
const MOST_STARTS: u64 = 4;
/// A machine is without power for this long.
const DARK_MILLIS: u64 = 1_000;
/// A late change comes so much later.
const LATE: Duration = Duration::from_secs(20);
/// A slow catalog takes so much longer.
const SLOW: Duration = Duration::from_secs(5);

/// What the catalog does wrong, once for each kind of call that it can be done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CatalogFault {
    /// Nothing.
    None,
    /// It says 409 though nobody else was there.
    Conflict,
    /// It says 5xx, and has done nothing.
    Unavailable,
    /// It did what was asked, and does not answer.
    AnswerLost,
    /// It did nothing, and does not answer.
    RequestLost,
    /// It does what was asked later, and does not answer.
    Late,
    /// It takes long.
    Slow,
}

impl CatalogFault {
    pub(super) const ALL: [Self; 7] =
        [Self::None, Self::Conflict, Self::Unavailable, Self::AnswerLost, Self::RequestLost, Self::Late, Self::Slow];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Conflict => "conflict",
            Self::Unavailable => "5xx",
            Self::AnswerLost => "answer-lost",
            Self::RequestLost => "request-lost",
            Self::Late => "late",
            Self::Slow => "slow",
        }
    }

    /// Lets the catalog do it; `late`: how much later what is late comes.
    pub(super) fn strike(self, world: &World, late: Duration) {
        let problem =
            || Problem::new(Code::CatalogUnavailable, "a call of the catalog", "the trial says so", "try again");
        let (unknown, changes) = (|| Failure::unknown(problem()), [Call::Register, Call::Replace]);
        let all = [Call::Register, Call::Replace, Call::Load];
        let (effect, calls): (Effect, &[Call]) = match self {
            Self::None => return,
            Self::Conflict => (Effect::Conflict, &changes),
            Self::Unavailable => (Effect::Fail(Failure::transient(problem())), &all),
            Self::AnswerLost => (Effect::FailAfter(unknown()), &changes),
            Self::RequestLost => (Effect::Fail(unknown()), &changes),
            Self::Late => (Effect::LateBy(unknown(), late), &changes),
            Self::Slow => (Effect::Slow(SLOW), &all),
        };
        for call in calls {
            world.fault(Fault { name: self.name(), ..Fault::once(*call, effect.clone()) });
        }
    }
}

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trial {
    pub(super) scenario: Scenario,
    pub(super) fault: CatalogFault,
    /// Where the power goes; nowhere, if that is not said.
    pub(super) point: Option<Point>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Whether the machine lost its power.
    pub(super) crashed: bool,
    /// Disk operations since the wire was armed; without a crash, those of the whole part.
    pub(super) operations: u64,
    /// The data plane's calls since then.
    pub(super) calls: Vec<Call>,
    /// What went wrong.
    pub(super) failures: Vec<String>,
    /// Every call of the data plane, for people.
    pub(super) trace: Vec<String>,
}

/// What the policy of a trial asks for.
pub(super) fn recipe() -> Recipe {
    Recipe { drop_duplicates: true, add: vec![("note".to_owned(), None)], ..Recipe::default() }
}

/// The policy of a trial.
pub(super) fn policy(recipe: &Recipe) -> String {
    format!(
        "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: p, owner: team }}\nspec:\n  source: {{ connection: \
         legacy, include: [\"db.*\"] }}\n  target: {{ connection: lake }}\n  approval: {{ required: false }}\n{}",
        recipe.spec()
    )
}

fn runtime(seed: u64) -> Runtime {
    let seed = RngSeed::from_bytes(&seed.to_le_bytes());
    let built = Builder::new_current_thread().enable_time().start_paused(true).rng_seed(seed).build();
    built.expect("a runtime without threads and without I/O cannot fail to start")
}

/// Different for different trials.
pub(super) fn seed_of(trial: &str) -> u64 {
    let hash = Hash256::of(trial.as_bytes());
    let (first, _) = hash.0.split_first_chunk::<8>().expect("a hash has 32 bytes");
    u64::from_le_bytes(*first)
}

impl Trial {
    /// Tries it.
    pub(super) fn run(&self) -> Outcome {
        let seed = seed_of(&self.to_string());
        let (host, world, table) = (MemoryHost::new(seed), World::new(seed), TableName::new("db", "t"));
        world.add_partitioned(&table, &[vec![1, 2, 2, 5, 7], vec![10, 11, 11]], 2);
        world.rows_per_file(2);
        let recipe = recipe();
        world.expect(&table, &table, recipe.clone());
        let trip = Trip::new(self.point, &host.storage, self.scenario.armed_by());
        let (mut failures, mut crashed) = (Vec::new(), false);
        let ended = self.lives(seed, (&host, &world, &trip), &mut crashed);
        // What hung about all the time happens now: it must not make anything visible.
        world.deliver();
        match ended {
            Err(error) => failures.push(format!("{error:#}")),
            Ok((phase, acknowledged)) => {
                let must = world.transformed(&table, &recipe).expect("the table was added");
                let seen = world.read(&table);
                failures.extend(self.scenario.judge(phase, acknowledged, seen.as_ref(), &must).err());
            }
        }
        failures.extend(world.violations());
        let (operations, calls) = trip.counted();
        Outcome { crashed, operations, calls, failures, trace: world.trace() }
    }

    fn lives(
        &self,
        seed: u64,
        (host, world, trip): (&MemoryHost, &World, &Trip),
        crashed: &mut bool,
    ) -> anyhow::Result<(skein_protocol::ledger::Phase, bool)> {
        let (policy, storm) = (policy(&recipe()), |world: &World| self.fault.strike(world, LATE));
        let mut client = Client {
            scenario: self.scenario,
            policy: &policy,
            world,
            trip,
            storm: &storm,
            stormy: false,
            hold: hold(self.scenario, world),
            acknowledged: false,
        };
        let mut wall = shim::dawn_millis();
        for start in 0..MOST_STARTS {
            let runtime = runtime(seed.wrapping_add(start));
            world.go_on();
            let (ended, until) = runtime.block_on(live(host, wall, &mut client))?;
            wall = until + DARK_MILLIS;
            // First the disk is gone, then the tasks: nothing tidies up.
            host.storage.crash();
            drop(runtime);
            host.storage.restart();
            match ended {
                Ended::Done(phase) => return Ok((phase, client.acknowledged)),
                Ended::Crashed => *crashed = true,
            }
            if client.hold.take().is_some() {
                // Whoever waited there is gone, and nobody else shall.
                world.heal();
            }
        }
        Err(anyhow::anyhow!("it did not come up again"))
    }
}

impl std::fmt::Display for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let point = match self.point {
            None => "nowhere".to_owned(),
            Some(Point::Disk(k)) => format!("disk:{k}"),
            Some(Point::Before(n)) => format!("before:{n}"),
            Some(Point::After(n)) => format!("after:{n}"),
        };
        write!(f, "{}/{}/{point}", self.scenario.name(), self.fault.name())
    }
}

impl std::str::FromStr for Trial {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || anyhow::anyhow!("{text:?} is no trial: publish/late/disk:7, rollback/none/before:0, …");
        let mut parts = text.split('/');
        let (Some(scenario), Some(fault), Some(point), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(unknown());
        };
        let scenario = Scenario::ALL.into_iter().find(|one| one.name() == scenario).ok_or_else(unknown)?;
        let fault = CatalogFault::ALL.into_iter().find(|one| one.name() == fault).ok_or_else(unknown)?;
        let point = match point.split_once(':') {
            None if point == "nowhere" => None,
            Some(("disk", k)) => Some(Point::Disk(k.parse()?)),
            Some(("before", n)) => Some(Point::Before(n.parse()?)),
            Some(("after", n)) => Some(Point::After(n.parse()?)),
            _ => return Err(unknown()),
        };
        Ok(Self { scenario, fault, point })
    }
}
