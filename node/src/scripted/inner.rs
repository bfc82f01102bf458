//! The parts of a scripted world together, behind one lock, and what touches several of them.
//!
//! In: calls of data planes. Out: answers. Holds: [`Inner`]. Not here: the handle that others have (`world`), when calls
//! happen (`plane`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use skein_protocol::ids::{ConnectionName, TableName};
use tokio::time::Instant;

use super::fault::Call;
use super::faults::{Faults, Strike};
use super::outside::Author;
use super::publication::{By, Record};
use super::source::Sources;
use super::store::{Object, Store};

/// Calls take up to so long, in tokio's time, unless it is said otherwise: enough to change places with one another.
const LONGEST_CALL_MICROS: u64 = 20_000;

/// A target's name in its catalog.
pub(super) type Name = (ConnectionName, TableName);

/// A change of the catalog that somebody asks for.
#[derive(Debug, Clone)]
pub(super) struct NameChange {
    pub(super) name: Name,
    /// What may stand there: nothing, this, or both.
    pub(super) expected: Option<String>,
    /// Whether the name may be free.
    pub(super) free: bool,
    pub(super) location: Option<String>,
    pub(super) machine: Option<usize>,
}

/// A call at which somebody waits for a machine, and the calls before it.
#[derive(Debug, Default)]
pub(super) struct Ambush {
    /// Calls count from the first of this kind on; from now on, if there is none.
    pub(super) from: Option<Call>,
    /// At which call, and whether after it did everything.
    pub(super) at: Option<(usize, bool)>,
    pub(super) calls: Vec<(Call, Option<usize>)>,
}

/// A change of the catalog that is still under way.
#[derive(Debug)]
struct Late {
    change: NameChange,
    /// When it happens; when somebody says so, if there is no time.
    due: Option<Duration>,
    name: &'static str,
}

/// All parts of a world.
#[derive(Debug)]
pub(super) struct Inner {
    random: ChaCha8Rng,
    /// No call takes longer, while nothing makes it slow.
    pub(super) longest_call_micros: u64,
    /// The world's time at `anchor`, which is when it was looked at first: a world may be made outside of the runtime whose
    /// time it follows.
    base: Duration,
    anchor: Option<Instant>,
    latest: Duration,
    pub(super) sources: Sources,
    pub(super) store: Store,
    pub(super) catalog: BTreeMap<Name, String>,
    pub(super) faults: Faults,
    pub(super) record: Record,
    late: Vec<Late>,
    kills: Vec<usize>,
    pub(super) ambush: Option<Ambush>,
    calls: BTreeMap<Call, u64>,
    trace: Vec<String>,
    /// Rows of a staged file, at most.
    pub(super) rows_per_file: usize,
}

impl Inner {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed ^ 0x77_6f72_6c64),
            longest_call_micros: LONGEST_CALL_MICROS,
            base: Duration::ZERO,
            anchor: None,
            latest: Duration::ZERO,
            sources: Sources::new(),
            store: Store::default(),
            catalog: BTreeMap::new(),
            faults: Faults::new(seed),
            record: Record::default(),
            late: Vec::new(),
            kills: Vec::new(),
            ambush: None,
            calls: BTreeMap::new(),
            trace: Vec::new(),
            rows_per_file: usize::MAX,
        }
    }

    /// The world's time.
    pub(super) fn now(&mut self) -> Duration {
        let now = self.base + self.anchor.get_or_insert_with(Instant::now).elapsed();
        self.latest = self.latest.max(now);
        now
    }

    /// Time goes on from where it was, by the clock of the runtime that looks at it next.
    pub(super) fn go_on(&mut self) {
        self.base = self.latest;
        self.anchor = None;
    }

    /// How long the next call takes.
    pub(super) fn duration(&mut self) -> Duration {
        Duration::from_micros(self.random.next_u64() % self.longest_call_micros)
    }

    /// Counts a call; what goes wrong with it.
    pub(super) fn enter(&mut self, call: Call, table: Option<&TableName>) -> Option<Strike> {
        *self.calls.entry(call).or_default() += 1;
        let now = self.now();
        self.settle(now);
        self.faults.strike(call, table, now)
    }

    /// Counts a call for the ambush, if one is laid; whether the machine is to be stopped before it, and after it.
    pub(super) fn ambushed(&mut self, call: Call, machine: Option<usize>) -> (bool, bool) {
        let Some(ambush) = &mut self.ambush else { return (false, false) };
        if ambush.from.is_some_and(|from| from != call) && ambush.calls.is_empty() {
            return (false, false);
        }
        let here = ambush.calls.len();
        ambush.calls.push((call, machine));
        (ambush.at == Some((here, false)), ambush.at == Some((here, true)))
    }

    pub(super) fn note(&mut self, machine: Option<usize>, line: &str) {
        let at = self.now().as_micros();
        let machine = machine.map(|machine| format!(" m{machine}")).unwrap_or_default();
        self.trace.push(format!("{at}{machine} {line}"));
    }

    pub(super) fn calls(&self, call: Call) -> u64 {
        self.calls.get(&call).copied().unwrap_or_default()
    }

    pub(super) fn trace(&self) -> &[String] {
        &self.trace
    }

    /// A machine must crash.
    pub(super) fn kill(&mut self, machine: usize) {
        self.kills.push(machine);
    }

    pub(super) fn take_kills(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.kills)
    }

    pub(super) fn by(&mut self, machine: Option<usize>) -> By {
        By { at: self.now(), machine }
    }

    /// Creates an object.
    pub(super) fn create(&mut self, machine: Option<usize>, location: &str, object: Object, author: Author) {
        let by = self.by(machine);
        let new = self.store.create(location, object);
        self.record.created(by, location, author, new);
    }

    /// Deletes an object.
    pub(super) fn delete(&mut self, machine: Option<usize>, location: &str, author: Author) {
        let by = self.by(machine);
        let reachable = self.catalog.values().any(|name| self.leads_to(name, location));
        self.store.remove(location);
        self.record.deleted(by, location, author, reachable);
    }

    fn leads_to(&self, metadata: &str, location: &str) -> bool {
        let listed = || {
            self.store.metadata(metadata).is_some_and(|table| table.files.iter().any(|one| one.location == location))
        };
        metadata == location || listed()
    }

    /// Every object that a reader of the name may read.
    pub(super) fn reachable(&self, name: &Name) -> BTreeSet<String> {
        let Some(location) = self.catalog.get(name) else { return BTreeSet::new() };
        let files = self.store.metadata(location).into_iter().flat_map(|table| &table.files);
        files.map(|file| file.location.clone()).chain([location.clone()]).collect()
    }

    /// Changes what a name points at, if it points at what is expected; whether it did.
    pub(super) fn change_name(&mut self, change: &NameChange) -> bool {
        let NameChange { name, expected, free, location, machine } = change;
        let from = self.catalog.get(name).cloned();
        let fits = match &from {
            None => *free,
            Some(_) => from == *expected,
        };
        if !fits {
            return false;
        }
        match location {
            Some(location) => self.catalog.insert(name.clone(), location.clone()),
            None => self.catalog.remove(name),
        };
        let by = self.by(*machine);
        self.record.named(by, &name.1, (from.as_ref(), location.as_ref()), (&self.store, &self.sources));
        true
    }

    /// Lets a change happen later: at a time, or when it is delivered.
    pub(super) fn later(&mut self, change: NameChange, after: Option<Duration>, name: &'static str) {
        let due = after.map(|after| self.now() + after);
        self.late.push(Late { change, due, name });
    }

    /// Lets late changes happen whose time has come.
    pub(super) fn settle(&mut self, now: Duration) {
        self.deliver(|due| due.is_some_and(|due| due <= now));
    }

    /// Lets the late changes happen that are meant, in the order of their times; how many did change something.
    pub(super) fn deliver(&mut self, meant: impl Fn(Option<Duration>) -> bool) -> usize {
        if !self.late.iter().any(|late| meant(late.due)) {
            return 0;
        }
        let (mut due, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.late).into_iter().partition(|late| meant(late.due));
        self.late = rest;
        due.sort_by_key(|late| late.due);
        let mut done = 0;
        for Late { change, due: _, name } in due {
            self.faults.count(name);
            let changed = self.change_name(&change);
            done += usize::from(changed);
            let (target, what) = (&change.name.1, if changed { "applied" } else { "refused" });
            self.record.mark(if changed { "late change of a name applied" } else { "late change of a name refused" });
            let line = format!("late change of {target} to {:?}: {what}", change.location);
            self.note(change.machine, &line);
        }
        done
    }
}
