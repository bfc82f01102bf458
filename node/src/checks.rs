//! The invariants in a running node: checked as entries are applied.
//!
//! In: the ledger, as a witness. Out: errors in the log, a count, the migrations for which nothing more is begun. Holds: what is
//! done about a broken invariant. Not here: the sentences (`skein_protocol::invariant`).
//!
//! A broken invariant holds up the migration that it is about, and nothing else: every replica applies the same entries and finds
//! the same, and a fleet that stopped as one would help nobody.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skein_protocol::ids::MigrationId;
use skein_protocol::invariant::{Violation, Watch};
use skein_protocol::ledger::fold::Proposal;
use skein_protocol::ledger::{Answer, Entry, State};
use skein_protocol::problem::Code;

use crate::ledger::Witness;

/// Entries between two looks at the whole state: such a look costs as much as a snapshot, and comes as often.
const WHOLE_EVERY: u64 = 4096;
/// Broken invariants that are kept in full; the log has all.
const KEPT: usize = 100;

/// Which invariants a node checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checks {
    /// None.
    Off,
    /// Those over each entry and what it touched.
    #[default]
    Entries,
    /// Those over the whole state too, every so often.
    Full,
}

impl Checks {
    /// The checks that the configuration names so.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "off" => Some(Self::Off),
            "entries" => Some(Self::Entries),
            "full" => Some(Self::Full),
            _ => None,
        }
    }

    /// Who checks, if anybody does.
    pub(crate) fn witness(self, broken: &Arc<Broken>) -> Option<Box<dyn Witness<State>>> {
        let whole = match self {
            Self::Off => return None,
            Self::Entries => false,
            Self::Full => true,
        };
        Some(Box::new(Checker { watch: Watch::default(), whole, broken: broken.clone() }))
    }
}

/// What was found broken.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    count: AtomicU64,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    kept: Vec<Violation>,
    held: BTreeSet<MigrationId>,
}

impl Broken {
    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether nothing more is to be begun for a migration.
    pub(crate) fn holds_up(&self, migration: MigrationId) -> bool {
        self.count() > 0 && self.lock().held.contains(&migration)
    }

    /// The first of them.
    pub(crate) fn kept(&self) -> Vec<Violation> {
        self.lock().kept.clone()
    }

    fn note(&self, violation: Violation) {
        tracing::error!(
            code = %Code::InvariantBroken,
            invariant = violation.invariant,
            index = violation.index,
            migration = violation.migration.map(tracing::field::display),
            why = %violation.why,
            "an invariant does not hold"
        );
        let mut found = self.lock();
        found.held.extend(violation.migration);
        if found.kept.len() < KEPT {
            found.kept.push(violation);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches the entries of one node.
struct Checker {
    watch: Watch,
    whole: bool,
    broken: Arc<Broken>,
}

impl Witness<State> for Checker {
    fn applied(&mut self, index: u64, proposal: &Proposal<Entry>, answer: &Answer, state: &State) {
        let mut violations = self.watch.feed(index, proposal, answer, state);
        if self.whole && index.is_multiple_of(WHOLE_EVERY) {
            violations.extend(self.watch.whole(state));
        }
        violations.into_iter().for_each(|violation| self.broken.note(violation));
    }

    fn replaced(&mut self, index: u64, state: &State) {
        self.watch.rebase(index, state).into_iter().for_each(|violation| self.broken.note(violation));
        if self.whole {
            self.watch.whole(state).into_iter().for_each(|violation| self.broken.note(violation));
        }
    }
}

#[cfg(test)]
mod tests {
    use skein_protocol::ids::{Generation, NodeId, PolicyName, SessionNo};
    use skein_protocol::ledger::Seat;
    use skein_protocol::ledger::fold::Fold;

    use super::*;

    fn opened(node: u64, session: u64) -> Proposal<Entry> {
        let seat = Seat { slots: 1, ..Seat::default() };
        let entry = Entry::SessionOpened { node: NodeId(node), session: SessionNo(session), seat };
        Proposal { session: 1, sequence: session, at_millis: 1, actor: "test".to_owned(), entry }
    }

    #[test]
    fn nobody_looks_unless_configured() {
        assert!(Checks::Off.witness(&Arc::default()).is_none());
        assert_eq!(Checks::named("full"), Some(Checks::Full));
        assert_eq!(Checks::named("often"), None);
    }

    #[test]
    fn a_broken_invariant_is_kept_and_counted_and_a_sound_log_breaks_none() {
        let (broken, mut state) = (Arc::new(Broken::default()), State::default());
        let mut witness = Checks::Full.witness(&broken).unwrap();
        let proposal = opened(1, 1);
        let answer = state.apply(1, &proposal);
        witness.applied(1, &proposal, &answer, &state);
        assert_eq!(broken.count(), 0);
        witness.applied(1, &proposal, &answer, &state);
        assert_eq!((broken.count(), broken.kept()[0].invariant), (1, "applied-once"));
        witness.replaced(0, &state);
        assert_eq!(broken.count(), 2, "a state that goes back");
    }

    #[test]
    fn the_migration_that_it_is_about_is_held_up_and_no_other() {
        let broken = Broken::default();
        let id = |generation| {
            skein_protocol::ids::MigrationId::derive(
                &PolicyName::from("p"),
                Generation(generation),
                &"d.t".parse().unwrap(),
            )
        };
        let violation = |migration: Option<_>| Violation {
            invariant: "epochs-grow",
            index: Some(7),
            migration,
            why: "it fell".to_owned(),
        };
        broken.note(violation(None));
        assert!(!broken.holds_up(id(1)));
        broken.note(violation(Some(id(1))));
        assert!(broken.holds_up(id(1)) && !broken.holds_up(id(2)));
        (0..200).for_each(|_| broken.note(violation(None)));
        assert_eq!((broken.count(), broken.kept().len()), (202, KEPT));
    }
}
