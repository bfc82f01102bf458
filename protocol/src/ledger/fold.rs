//! The fold: how a log of proposals becomes a state, and how a repeated proposal gets its first answer.
//!
//! In: proposals in the order of the log. Out: the state, and one answer a proposal.
//! Holds: [`Fold`] (what a state has to offer), [`Proposal`], and [`Folded`], which wraps a state with its
//! position and with the answers given. Not here: any particular state, the log, its storage.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::defects::{self, Defect};

/// Answers that are remembered for one session. A session has at most a quarter of this many proposals in
/// flight, and answers below its oldest open proposal are dropped, so the limit is never met in practice.
pub const ANSWERS_PER_SESSION: usize = 4096;
/// Sessions that are remembered. A session is one start of one node, and a proposal is repeated for half a
/// minute at most: more starts than this within that time do not happen.
pub const SESSIONS_KEPT: usize = 4096;

/// Something that a node wants to be a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal<E> {
    /// One start of one node; never used again.
    pub session: u64,
    /// Position within the session; a proposal that is repeated keeps it.
    pub sequence: u64,
    /// Wall clock of the proposer, milliseconds since 1970: the only time that a state may use.
    pub at_millis: u64,
    /// Who asked for it: a token's name, or a part of a node.
    pub actor: String,
    /// What.
    pub entry: E,
}

/// A state that proposals fold into. `apply` is a pure function: the same log gives the same state,
/// byte for byte, on every node and at every start.
pub trait Fold: Default + Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// What is proposed.
    type Entry: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static;
    /// What the proposer gets to know; refusals are answers too.
    type Answer: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static;

    /// Folds one proposal in. `index` counts applied proposals without a gap, from 1.
    fn apply(&mut self, index: u64, proposal: &Proposal<Self::Entry>) -> Self::Answer;
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Folding<A> {
    /// It was applied, now or when it came for the first time.
    Answered {
        /// Its index.
        index: u64,
        /// Its (first) answer.
        answer: A,
        /// Whether it had been applied before.
        repeated: bool,
    },
    /// Its session has said that it waits for nothing that old; it was not applied (again).
    Forgotten,
}

/// A state, the index of the last proposal in it, and the answers that may be asked for again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Folded<F: Fold> {
    index: u64,
    state: F,
    sessions: BTreeMap<u64, Session<F::Answer>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session<A> {
    /// Sequences below this are settled: nobody waits for their answers.
    settled_below: u64,
    /// Index of the last proposal that was applied for it.
    last_index: u64,
    /// Sequence to index and answer.
    answers: BTreeMap<u64, (u64, A)>,
}

impl<A> Default for Session<A> {
    fn default() -> Self {
        Self { settled_below: 0, last_index: 0, answers: BTreeMap::new() }
    }
}

impl<F: Fold> Default for Folded<F> {
    fn default() -> Self {
        Self { index: 0, state: F::default(), sessions: BTreeMap::new() }
    }
}

impl<F: Fold> Folded<F> {
    /// The index of the last applied proposal; 0 before the first.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &F {
        &self.state
    }

    /// Folds one proposal in, or returns the first answer if it was folded in before.
    pub fn apply(&mut self, proposal: &Proposal<F::Entry>) -> Folding<F::Answer> {
        let index = self.index + 1;
        let session = self.sessions.entry(proposal.session).or_default();
        if proposal.sequence < session.settled_below {
            return Folding::Forgotten;
        }
        let first = session.answers.get(&proposal.sequence).filter(|_| !defects::is(Defect::ProposalAppliedTwice));
        if let Some((index, answer)) = first {
            return Folding::Answered { index: *index, answer: answer.clone(), repeated: true };
        }
        let answer = self.state.apply(index, proposal);
        self.index = index;
        session.last_index = index;
        session.answers.insert(proposal.sequence, (index, answer.clone()));
        if session.answers.len() > ANSWERS_PER_SESSION
            && let Some((oldest, _)) = session.answers.pop_first()
        {
            session.settled_below = oldest + 1;
        }
        self.forget_old_sessions();
        Folding::Answered { index, answer, repeated: false }
    }

    /// Notes that a session waits for no answer below `sequence`.
    pub fn settle(&mut self, session: u64, sequence: u64) {
        if let Some(session) = self.sessions.get_mut(&session)
            && session.settled_below < sequence
        {
            session.settled_below = sequence;
            session.answers = session.answers.split_off(&sequence);
        }
    }

    fn forget_old_sessions(&mut self) {
        while self.sessions.len() > SESSIONS_KEPT {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.last_index).map(|(id, _)| *id);
            let Some(oldest) = oldest else { return };
            self.sessions.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{self, Kind};

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    struct Sum(u64);

    impl Fold for Sum {
        type Entry = u64;
        type Answer = u64;

        fn apply(&mut self, _index: u64, proposal: &Proposal<u64>) -> u64 {
            self.0 += proposal.entry;
            self.0
        }
    }

    fn proposal(session: u64, sequence: u64, entry: u64) -> Proposal<u64> {
        Proposal { session, sequence, at_millis: 1_000, actor: "test".to_owned(), entry }
    }

    fn answered(index: u64, answer: u64, repeated: bool) -> Folding<u64> {
        Folding::Answered { index, answer, repeated }
    }

    #[test]
    fn a_repeated_proposal_gets_its_first_answer_and_changes_nothing() {
        let mut folded = Folded::<Sum>::default();
        assert_eq!(folded.apply(&proposal(1, 1, 5)), answered(1, 5, false));
        assert_eq!(folded.apply(&proposal(1, 2, 2)), answered(2, 7, false));
        assert_eq!(folded.apply(&proposal(1, 1, 5)), answered(1, 5, true));
        assert_eq!(folded.apply(&proposal(2, 1, 1)), answered(3, 8, false));
        assert_eq!((folded.index(), folded.state()), (3, &Sum(8)));
    }

    #[test]
    fn proposals_of_a_session_may_come_in_any_order() {
        let mut folded = Folded::<Sum>::default();
        assert_eq!(folded.apply(&proposal(1, 9, 1)), answered(1, 1, false));
        assert_eq!(folded.apply(&proposal(1, 4, 1)), answered(2, 2, false));
        assert_eq!(folded.apply(&proposal(1, 9, 1)), answered(1, 1, true));
    }

    #[test]
    fn a_settled_proposal_is_never_applied_again() {
        let mut folded = Folded::<Sum>::default();
        folded.apply(&proposal(1, 1, 5));
        folded.apply(&proposal(1, 2, 5));
        folded.settle(1, 2);
        assert_eq!(folded.apply(&proposal(1, 1, 5)), Folding::Forgotten);
        assert_eq!(folded.apply(&proposal(1, 2, 5)), answered(2, 10, true));
        folded.settle(1, 1);
        assert_eq!(folded.apply(&proposal(1, 1, 5)), Folding::Forgotten, "settling never goes back");
        assert_eq!(folded.state(), &Sum(10));
    }

    #[test]
    fn remembered_answers_and_sessions_are_bounded() {
        let mut folded = Folded::<Sum>::default();
        let many = ANSWERS_PER_SESSION as u64 + 10;
        for sequence in 0..many {
            folded.apply(&proposal(0, sequence, 1));
        }
        assert_eq!(folded.sessions[&0].answers.len(), ANSWERS_PER_SESSION);
        assert_eq!(folded.apply(&proposal(0, 9, 1)), Folding::Forgotten);
        assert_eq!(folded.apply(&proposal(0, 10, 1)), answered(11, 11, true));
        for session in 1..=SESSIONS_KEPT as u64 {
            folded.apply(&proposal(session, 1, 1));
        }
        assert_eq!(folded.sessions.len(), SESSIONS_KEPT);
        assert!(!folded.sessions.contains_key(&0), "the session that was quiet for longest goes first");
    }

    #[test]
    fn a_fold_survives_its_frame() {
        let mut folded = Folded::<Sum>::default();
        folded.apply(&proposal(7, 1, 5));
        let frame = wire::check_storable(Kind::Snapshot, &folded).unwrap();
        assert_eq!(frame, [2, 8, 0, 1, 5, 1, 7, 0, 1, 1, 1, 1, 5]);
        let mut back: Folded<Sum> = wire::decode(Kind::Snapshot, &frame).unwrap();
        assert_eq!(back.apply(&proposal(7, 1, 5)), answered(1, 5, true));
    }

    #[test]
    fn the_bytes_of_a_proposal_never_change() {
        let frame = wire::encode(Kind::Proposal, &proposal(3, 300, 7)).unwrap();
        assert_eq!(frame, [&[2, 7, 0, 3, 251, 44, 1, 251, 232, 3, 4][..], b"test", &[7]].concat());
    }
}
