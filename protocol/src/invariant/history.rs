//! The history: every change has a line with its time, its actor and its reason.
//!
//! In: a [`Step`]. Holds: which changes are told elsewhere (batches have their own table, a preparation is told by its outcome).

use super::step::Step;
use super::transitions::short;
use super::{Verdict, ensure};
use crate::ledger::entry::Entry;
use crate::ledger::migration::Phase;

/// Lines that are kept of one migration; the oldest make room.
pub(super) const LINES_KEPT: usize = 500;

/// Every change of phase, run, approval or owner writes a line, and every line says who, when and what.
pub(super) fn changes_are_told(step: &Step<'_>) -> Verdict {
    let after = step.after;
    for line in step.told {
        ensure(line.actor == step.actor && line.at_millis == step.at_millis, || {
            format!("{} by {} is told as by {}", short(step.entry), step.actor, line.actor)
        })?;
        ensure(!line.what.trim().is_empty(), || format!("{} is told without a word", short(step.entry)))?;
    }
    if let Some(last) = step.told.last() {
        ensure((last.run, last.phase) == (after.run, after.phase), || {
            format!("the history ends with {} of run {}, and it is in {}", last.phase, last.run, after.phase)
        })?;
    }
    let lines = step.before.map_or(0, |before| before.history) + step.told.len();
    ensure(after.history == lines.min(LINES_KEPT), || {
        format!("its history has {} lines after {}, and should have {lines}", after.history, short(step.entry))
    })?;
    ensure(!is_news(step) || !step.told.is_empty(), || format!("{} is told nowhere", short(step.entry)))?;
    let reason = match step.entry {
        Entry::Requested { reason, .. } | Entry::Rejected { reason, .. } if step.is_fact() => reason.as_str(),
        _ => "",
    };
    ensure(step.told.last().is_none_or(|line| line.what.contains(reason)), || {
        format!("the reason {reason:?} of {} is not told", short(step.entry))
    })
}

fn is_news(step: &Step<'_>) -> bool {
    let after = step.after;
    let Some(before) = step.before else { return true };
    // Its outcome is told, and says what was prepared.
    let begins = (before.phase, after.phase) == (Phase::Queued, Phase::Preparation);
    // Who looks after what has ended is of no interest to anybody.
    let moved = before.owner != after.owner && after.phase.is_active();
    before.phase != after.phase && !begins || before.run != after.run || before.approved != after.approved || moved
}
