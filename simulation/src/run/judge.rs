//! What must be true of a seed in the end, and what came up in it.
//!
//! In: the course, when it is over. Out: failures, counts, marks. Holds: which checks there are. Not here: the invariants
//! (`skein_protocol::invariant`), the auditor's rules.

use std::collections::BTreeMap;

use skein_protocol::invariant::{end, world};
use skein_protocol::ledger::{Migration, Phase};

use super::course::Course;
use super::inflict::is_strange;
use super::survey;
use crate::machine::Machine;
use crate::marks::of_history;

impl Course {
    /// Everything that went wrong, worst first.
    pub(super) fn judge(&mut self) -> Vec<String> {
        self.world.deliver();
        let now = self.now();
        self.outside.look(&self.world, now);
        let mut failures: Vec<String> =
            self.world.violations().into_iter().map(|violation| format!("world: {violation}")).collect();
        failures.extend(self.tape.contradictions());
        failures.extend(self.tape.violations());
        failures.extend(self.outside.finish(now).into_iter().map(|complaint| format!("auditor: {complaint}")));
        failures.extend(self.minds());
        failures.extend(self.targets());
        failures.extend(self.ends());
        failures
    }

    /// What must be true when nothing happens any more.
    fn ends(&self) -> Vec<String> {
        let node = self.fleet.machines.iter().find_map(Machine::node);
        let Some(node) = node.filter(|_| self.outside.is_quiet()) else { return Vec::new() };
        node.read(|state| {
            let found = [
                ("everything-ends", end::everything_ended(state)),
                ("drained-owns-nothing", end::drained_own_nothing(state)),
            ];
            let found = found.into_iter().filter_map(|(name, verdict)| Some(format!("{name}: {}", verdict.err()?)));
            let world = world::check(&survey::view(&self.world, &self.plan, state));
            found.chain(world.into_iter().map(|violation| violation.to_string())).collect()
        })
    }

    /// All machines must have the same state at the same index.
    fn minds(&self) -> Vec<String> {
        let mut digests = Vec::new();
        for node in self.fleet.machines.iter().filter_map(Machine::node) {
            match node.digest() {
                Ok(digest) => digests.push(digest),
                Err(error) => return vec![format!("replicas-agree: machine without a digest: {error}")],
            }
        }
        self.tape.note(0, &format!("digests {digests:?}"));
        end::replicas_agree(&digests).err().into_iter().map(|why| format!("replicas-agree: {why}")).collect()
    }

    /// Readers see the tables of those migrations that are committed, and no others.
    fn targets(&self) -> Vec<String> {
        let Some(node) = self.fleet.machines.iter().find_map(Machine::node) else { return Vec::new() };
        let mut failures = Vec::new();
        for table in self.plan.tables() {
            let committed = |one: &&Migration| one.target == table.target && one.phase == Phase::Committed;
            let at_rest = |one: &Migration| one.target != table.target || one.phase.is_end();
            let (committed, at_rest) = node.read(|state| {
                let all = || state.migrations().values();
                (all().filter(committed).count(), all().all(at_rest))
            });
            if self.world.points_at(&table.target).is_some_and(|location| is_strange(&location)) {
                continue;
            }
            let visible = self.world.read(&table.target).is_some_and(|seen| !seen.tombstone);
            if at_rest && visible != (committed == 1) {
                failures
                    .push(format!("visible-is-committed: {}: {committed} committed, visible: {visible}", table.target));
            }
        }
        failures
    }

    /// How often each kind of fault took effect.
    pub(super) fn inflicted(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        let people = self.people.counts.iter().map(|(wish, times)| (format!("operator: {wish}"), *times));
        let here = self.inflicting.counts().iter().map(|(kind, times)| ((*kind).to_owned(), *times));
        let world = self.world.inflicted().into_iter().map(|(kind, times)| (kind.to_owned(), times));
        let fleet = self.fleet.inflicted().into_iter().map(|(kind, times)| (kind.to_owned(), times));
        for (kind, times) in people.chain(here).chain(world).chain(fleet) {
            *all.entry(kind).or_default() += times;
        }
        all
    }

    /// The situations that came up.
    pub(super) fn marks(&self) -> BTreeMap<String, u64> {
        let mut marks: BTreeMap<String, u64> =
            self.tape.marks().into_iter().map(|(mark, times)| (mark.to_owned(), times)).collect();
        for (mark, times) in self.world.marks() {
            *marks.entry(mark.to_owned()).or_default() += times;
        }
        if let Some(node) = self.fleet.machines.iter().find_map(Machine::node) {
            let of_all = node.read(|state| state.migrations().values().map(of_history).collect::<Vec<_>>());
            for mark in of_all.into_iter().flatten() {
                *marks.entry(mark.to_owned()).or_default() += 1;
            }
        }
        let mut stats: BTreeMap<&str, u64> = BTreeMap::new();
        for node in self.fleet.machines.iter().filter_map(Machine::node) {
            let counted = node.stats();
            *stats.entry("batch lent").or_default() += counted.batches_lent;
            *stats.entry("batch tried again").or_default() += counted.batch_retries;
            *stats.entry("work given up").or_default() += counted.aborted;
        }
        for (mark, times) in stats.into_iter().filter(|(_, times)| *times > 0) {
            *marks.entry(mark.to_owned()).or_default() += times;
        }
        marks
    }
}
