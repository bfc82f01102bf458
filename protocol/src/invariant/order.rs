//! Order: policies wait for those that they name, and nobody waits for ever behind others.
//!
//! In: a [`Step`], whose last two fields the one who watches has counted.

use super::step::Step;
use super::{Verdict, ensure};
use crate::ledger::entry::Entry;
use crate::ledger::migration::Phase;

/// Hand-outs of which one goes to who waits longest.
const ONE_IN: u64 = 8;
/// Who has waited for less than this may be passed by, milliseconds: the specification's quarter of an hour, and what a hand-out
/// takes from its decision to its entry.
pub(super) const PATIENCE_MILLIS: u64 = 16 * 60 * 1000;

/// A migration's first batch is handed out only when all migrations of every policy that its own waits for are committed.
pub(super) fn dependencies_are_respected(step: &Step<'_>) -> Verdict {
    let begins = step.before.is_some_and(|before| before.phase == Phase::Ready) && step.after.phase == Phase::Execution;
    ensure(!begins || step.unmet.is_empty(), || format!("it began before {:?} were through", step.unmet))
}

/// Of two migrations of a node that could run, the more urgent one goes first.
pub(super) fn priority_is_respected(step: &Step<'_>) -> Verdict {
    let Entry::BatchStarted { .. } = step.entry else { return Ok(()) };
    // So many hand-outs may have been decided before the more urgent ones came, and one was the turn of who waits longest.
    let slots = step.fleet.get(&step.after.owner).map_or(0, |owner| u64::from(owner.slots));
    let bound = 2 * slots + 1;
    ensure(step.inverted <= bound, || {
        format!("{} hand-outs in a row went before more urgent ones; {bound} may", step.inverted)
    })
}

/// Of the hand-outs of a node, one in so many goes to who waits longest, whatever its priority.
pub(super) fn bypass_is_bounded(step: &Step<'_>) -> Verdict {
    let Entry::BatchStarted { .. } = step.entry else { return Ok(()) };
    // Twice, for hand-outs that were decided and not yet recorded; a node has as many under way as it has slots.
    let slots = step.fleet.get(&step.after.owner).map_or(0, |owner| u64::from(owner.slots));
    let bound = 2 * ONE_IN + slots;
    ensure(step.passed_by <= bound, || {
        format!("{} hand-outs in a row passed by who waits longest; {bound} may", step.passed_by)
    })
}
