//! A replica that only looks: it folds entries for itself and watches them.
//!
//! In: applied entries as any node told them, in any number of copies. Out: violations; what became of an entry. Holds: a state
//! that was made of nothing but the entries, to compare the others' with. Not here: proposals that were repeated (nodes do not
//! tell of them).

use super::Violation;
use super::list::REPLICAS_AGREE;
use super::watch::Watch;
use crate::ledger::entry::{Answer, Entry};
use crate::ledger::fold::{Fold, Proposal};
use crate::ledger::state::State;

/// Entries between two looks at everything.
const WHOLE_EVERY: u64 = 256;

/// A state of its own, and the watch over it.
#[derive(Debug, Clone, Default)]
pub struct Follower {
    state: State,
    watch: Watch,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fed {
    /// It was the next one; this is wrong about it.
    Checked(Vec<Violation>),
    /// It was told before.
    Known,
    /// Something between is missing: give it a state of some node.
    Gap,
}

impl Follower {
    /// Takes an entry as a node applied it.
    pub fn feed(&mut self, index: u64, proposal: &Proposal<Entry>, answer: &Answer) -> Fed {
        if index <= self.index() {
            return Fed::Known;
        }
        if index > self.index() + 1 {
            return Fed::Gap;
        }
        let own = self.state.apply(index, proposal);
        let mut violations = self.watch.feed(index, proposal, &own, &self.state);
        if own != *answer {
            let why = format!("a node answered {answer:?}, and the entries make it {own:?}");
            violations.push(Violation { invariant: REPLICAS_AGREE, index: Some(index), migration: None, why });
        }
        if index.is_multiple_of(WHOLE_EVERY) {
            violations.extend(self.whole());
        }
        Fed::Checked(violations)
    }

    /// Goes on with the state of a node, for entries that nobody told.
    pub fn jump(&mut self, index: u64, state: State) -> Vec<Violation> {
        let violations = self.watch.rebase(index, &state);
        self.state = state;
        violations
    }

    /// Looks at everything.
    #[must_use]
    pub fn whole(&self) -> Vec<Violation> {
        self.watch.whole(&self.state)
    }

    /// The index of the last entry.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.watch.index()
    }

    /// The state that the entries make.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }
}
