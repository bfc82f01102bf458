//! Somebody who looks at every applied proposal, with the state as it is right after it.
//!
//! In: applied proposals. Out: nothing: a witness tells others. Holds: the moment, which no subscription has: between two
//! proposals, while nothing else changes the state. Not here: what is looked for (`checks`).

use skein_protocol::ledger::fold::{Fold, Proposal};

/// Looks at every applied proposal. What it does is done before the next one is applied: it must be quick.
pub trait Witness<F: Fold>: Send + Sync {
    /// A proposal was applied; `state` has it, and nothing later.
    fn applied(&mut self, index: u64, proposal: &Proposal<F::Entry>, answer: &F::Answer, state: &F);

    /// The state came as a whole: from a snapshot, of this node or of another.
    fn replaced(&mut self, index: u64, state: &F);
}
