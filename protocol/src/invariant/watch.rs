//! The one who watches: fed with every applied entry, it says what is not as it should be.
//!
//! In: entries with their answers, in order, and the state right after each. Out: [`Violation`]s. Holds: each migration as the
//! last entry left it, what earlier requests were answered, who waits. An entry costs what it touched; [`Watch::whole`] costs
//! everything. Not here: the sentences themselves; folding (`follower`).

use std::collections::{BTreeMap, VecDeque};

use super::list::{APPLIED_ONCE, KEYS_HONOURED, steps, wholes};
use super::requests::{Applied, Keyed, keys_are_honoured};
use super::step::{Fleet, Step, is_about_nodes, named};
use super::view::{Glimpse, Seen};
use super::waiting::Waiting;
use super::whole::Whole;
use super::{Verdict, Violation, ensure};
use crate::hash::Hash256;
use crate::ids::{Generation, MigrationId, PolicyName};
use crate::ledger::entry::{Answer, Entry};
use crate::ledger::fold::Proposal;
use crate::ledger::migration::Migration;
use crate::ledger::state::State;

/// Answers to requests with a key that are remembered: as many as the ledger does.
const ANSWERS_KEPT: usize = 1000;
/// Sessions of proposers whose numbers are remembered.
const SESSIONS_KEPT: usize = 4096;

/// Checks entries as they are applied.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    index: u64,
    known: BTreeMap<MigrationId, Glimpse>,
    fleet: Fleet,
    generations: BTreeMap<PolicyName, Generation>,
    answers: BTreeMap<String, (Hash256, Answer)>,
    /// Keys, the oldest first.
    keys: VecDeque<String>,
    proposals: BTreeMap<u64, Applied>,
    waiting: Waiting,
}

impl Watch {
    /// Begins with a state; what was before it is not known.
    #[must_use]
    pub fn from_state(index: u64, state: &State) -> Self {
        let mut watch = Self::default();
        watch.take(index, state);
        watch
    }

    /// The index of the last entry.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Looks at an entry that was applied; `state` is as it was right after that.
    pub fn feed(&mut self, index: u64, proposal: &Proposal<Entry>, answer: &Answer, state: &State) -> Vec<Violation> {
        let mut found = Found { index, violations: Vec::new() };
        found.note(APPLIED_ONCE, None, self.in_order(index, proposal));
        self.index = index;
        let about_nodes = is_about_nodes(&proposal.entry);
        let fleet_before = about_nodes.then(|| std::mem::replace(&mut self.fleet, fleet_of(state)));
        if let Entry::SessionOpened { node, .. } = &proposal.entry {
            self.waiting.starts_anew(*node);
        }
        let touched = self.touched(&proposal.entry, answer, state);
        self.keyed(proposal, answer, &mut found);
        for id in touched {
            match state.migration(id) {
                Some(migration) => {
                    self.step(index, proposal, answer, (state, fleet_before.as_ref()), migration, &mut found)
                }
                None if self.known.contains_key(&id) => {
                    found.note("submits-survive", Some(id), Err("it is gone".to_owned()));
                }
                None => {}
            }
        }
        if let Entry::PolicyApplied { policy, .. } = &proposal.entry
            && let Some(record) = state.policies().get(&policy.name)
        {
            self.generations.insert(policy.name.clone(), record.generation);
            self.waiting.recount(index, state, &policy.name);
        }
        found.violations
    }

    fn in_order(&mut self, index: u64, proposal: &Proposal<Entry>) -> Verdict {
        ensure(index == self.index + 1, || format!("entry {index} was applied after entry {}", self.index))?;
        if self.proposals.len() >= SESSIONS_KEPT && !self.proposals.contains_key(&proposal.session) {
            self.proposals.pop_first();
        }
        self.proposals.entry(proposal.session).or_default().once(proposal.session, proposal.sequence)
    }

    /// The migrations that an entry may have changed.
    fn touched(&self, entry: &Entry, answer: &Answer, state: &State) -> Vec<MigrationId> {
        if is_about_nodes(entry) {
            let changed = |id: &MigrationId, migration: &Migration| match self.known.get(id) {
                None => true,
                Some(known) => {
                    (known.owner, known.epoch, known.phase) != (migration.owner, migration.epoch, migration.phase)
                        || known.runs()
                }
            };
            let owned = |migration: &Migration| match entry {
                Entry::SessionOpened { node, .. } => migration.owner == *node,
                _ => false,
            };
            let all = state.migrations().iter();
            return all.filter(|(id, one)| owned(one) || changed(id, one)).map(|(id, _)| *id).collect();
        }
        let mut ids = match (entry, answer) {
            (Entry::PolicyApplied { .. }, Answer::PolicyApplied { created, superseded, kept, .. }) => {
                [created.as_slice(), superseded, kept].concat()
            }
            (entry, _) => named(entry),
        };
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn keyed(&mut self, proposal: &Proposal<Entry>, answer: &Answer, found: &mut Found) {
        let Entry::PolicyApplied { key: Some(key), .. } = &proposal.entry else { return };
        let created = match answer {
            Answer::PolicyApplied { created, .. } => created.as_slice(),
            _ => &[],
        };
        let changed = created.iter().any(|id| !self.known.contains_key(id));
        let earlier = self.answers.get(&key.key);
        let keyed = Keyed { key: &key.key, document: key.document, earlier, answer, changed };
        found.note(KEYS_HONOURED, None, keys_are_honoured(&keyed));
        if matches!(answer, Answer::Refused(_)) || earlier.is_some() {
            return;
        }
        self.answers.insert(key.key.clone(), (key.document, answer.clone()));
        self.keys.push_back(key.key.clone());
        if self.keys.len() > ANSWERS_KEPT
            && let Some(oldest) = self.keys.pop_front()
        {
            self.answers.remove(&oldest);
        }
    }

    fn step(
        &mut self,
        index: u64,
        proposal: &Proposal<Entry>,
        answer: &Answer,
        (state, fleet_before): (&State, Option<&Fleet>),
        migration: &Migration,
        found: &mut Found,
    ) {
        let (id, after) = (migration.id, Glimpse::of(migration));
        let before = self.known.get(&id);
        let lines = migration.history.iter().rev().take_while(|line| line.index == index).count();
        let (mut unmet, mut passed_by, mut inverted) = (Vec::new(), 0, 0);
        if let (Entry::BatchStarted { .. }, Some(before)) = (&proposal.entry, before)
            && before != &after
        {
            unmet = self.waiting.unmet(state, id, before);
            passed_by = self.waiting.passed_by(state, &proposal.entry, before, proposal.at_millis);
            let slots = self.fleet.get(&before.owner).map_or(0, |owner| owner.slots);
            inverted = self.waiting.inverted(state, &proposal.entry, (before, slots), proposal.at_millis);
        }
        let step = Step {
            index,
            at_millis: proposal.at_millis,
            actor: &proposal.actor,
            entry: &proposal.entry,
            answer,
            id,
            before,
            after: &after,
            told: &migration.history[migration.history.len() - lines..],
            fleet_before: fleet_before.unwrap_or(&self.fleet),
            fleet: &self.fleet,
            unmet: &unmet,
            passed_by,
            inverted,
        };
        for (name, check) in steps() {
            found.note(name, Some(id), check(&step));
        }
        self.waiting.moved((index, state), id, before, &after);
        self.known.insert(id, after);
    }

    /// Looks at everything.
    #[must_use]
    pub fn whole(&self, state: &State) -> Vec<Violation> {
        let mut found = Found { index: self.index, violations: Vec::new() };
        let whole = Whole { state, known: &self.known, generations: &self.generations };
        for (name, check) in wholes() {
            found.note(name, None, check(&whole));
        }
        found.violations
    }

    /// Goes on with a state that came without its entries, as from a snapshot. What only grows has not shrunk meanwhile.
    pub fn rebase(&mut self, index: u64, state: &State) -> Vec<Violation> {
        let mut found = Found { index, violations: Vec::new() };
        found.note(
            APPLIED_ONCE,
            None,
            ensure(index >= self.index, || format!("after entry {} came a state of entry {index}", self.index)),
        );
        let whole = Whole { state, known: &self.known, generations: &self.generations };
        found.note("submits-survive", None, super::whole::submits_survive(&whole));
        for (id, known) in &self.known {
            let Some(migration) = state.migration(*id) else { continue };
            let grows = (migration.run, migration.epoch) >= (known.run, known.epoch) && migration.epoch >= known.epoch;
            found.note(
                "epochs-grow",
                Some(*id),
                ensure(grows, || {
                    let (run, epoch) = (known.run, known.epoch);
                    format!(
                        "it was at run {run}, epoch {epoch}, and is at run {}, epoch {}",
                        migration.run, migration.epoch
                    )
                }),
            );
        }
        self.take(index, state);
        found.violations
    }

    fn take(&mut self, index: u64, state: &State) {
        self.index = index;
        self.known = state.migrations().iter().map(|(id, migration)| (*id, Glimpse::of(migration))).collect();
        self.fleet = fleet_of(state);
        self.waiting = Waiting::default();
        for (name, record) in state.policies() {
            self.generations.insert(name.clone(), record.generation);
            self.waiting.recount(index, state, name);
        }
    }
}

fn fleet_of(state: &State) -> Fleet {
    state.members().iter().map(|(node, member)| (*node, Seen::of(member))).collect()
}

/// What was found at an entry.
struct Found {
    index: u64,
    violations: Vec<Violation>,
}

impl Found {
    fn note(&mut self, invariant: &'static str, migration: Option<MigrationId>, verdict: Verdict) {
        if let Err(why) = verdict {
            self.violations.push(Violation { invariant, index: Some(self.index), migration, why });
        }
    }
}
