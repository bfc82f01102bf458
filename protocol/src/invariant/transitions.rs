//! Phases: which follow which, by which entry, and that an end is an end.
//!
//! In: a [`Step`]. Holds: the table of the specification, written down a second time. Not here: `apply`'s own conditions.

use super::step::{Step, is_about_nodes};
use super::{Verdict, ensure};
use crate::ledger::entry::{Entry, Request};
use crate::ledger::migration::Phase;
use crate::problem::Code;

/// A migration changes its phase only along the edges that the entry allows.
pub(super) fn legal_transitions(step: &Step<'_>) -> Verdict {
    let after = step.after.phase;
    let Some(before) = step.before else {
        let made = matches!(step.entry, Entry::PolicyApplied { .. });
        return ensure(made && matches!(after, Phase::Queued | Phase::Quarantined), || {
            format!("it came into being in phase {after} by {}", short(step.entry))
        });
    };
    if !step.is_fact() && (before == step.after || !step.is_named_twice()) {
        return ensure(before == step.after, || {
            format!("{} was refused and changed it all the same", short(step.entry))
        });
    }
    ensure(before.phase == after && may_stay(step.entry, after) || may_pass(step, before.phase, after), || {
        format!("{} led from {} to {after}", short(step.entry), before.phase)
    })
}

/// Whether an accepted entry may leave a migration in the phase that it is in.
fn may_stay(entry: &Entry, phase: Phase) -> bool {
    use Phase as P;
    match entry {
        Entry::BatchStarted { .. }
        | Entry::BatchDone { .. }
        | Entry::BatchFailed { .. }
        | Entry::BatchReturned { .. } => phase == P::Execution,
        Entry::WorkFailed { .. } => matches!(phase, P::Preparation | P::Validation | P::Commit | P::RollingBack),
        Entry::TombstoneStaged { .. } => phase == P::RollingBack,
        // The policy wants more people to approve.
        Entry::Approved(_) => phase == P::Approval,
        // What is left after an end; a request may have come in between.
        Entry::Collected { .. } | Entry::TombstoneReleased { .. } => true,
        entry => is_about_nodes(entry) || matches!(entry, Entry::Transferred { .. } | Entry::PolicyApplied { .. }),
    }
}

/// The edges, each with the entries that lead along it.
fn may_pass(step: &Step<'_>, from: Phase, to: Phase) -> bool {
    use Phase as P;
    match step.entry {
        Entry::PreparationStarted(_) => (from, to) == (P::Queued, P::Preparation),
        Entry::Planned { .. } => from == P::Preparation && matches!(to, P::Approval | P::Ready | P::Validation),
        Entry::Refused { .. } => (from, to) == (P::Preparation, P::Quarantined),
        Entry::Approved(_) => from == P::Approval && matches!(to, P::Ready | P::Validation),
        Entry::Rejected { .. } => (from, to) == (P::Approval, P::Cancelled),
        Entry::BatchStarted { .. } => (from, to) == (P::Ready, P::Execution),
        Entry::BatchDone { .. } => (from, to) == (P::Execution, P::Validation),
        Entry::BatchFailed { .. } => from == P::Execution && matches!(to, P::Paused | P::Quarantined),
        Entry::WorkFailed { .. } => {
            let works = matches!(from, P::Preparation | P::Validation | P::Commit | P::RollingBack);
            works && matches!(to, P::Paused | P::Quarantined)
        }
        Entry::Differs { .. } => matches!(from, P::Execution | P::Validation | P::Commit) && to == P::Paused,
        Entry::PublishIntent { .. } => (from, to) == (P::Validation, P::Commit),
        Entry::Committed { .. } => (from, to) == (P::Commit, P::Committed),
        Entry::Requested { request, .. } => may_be_asked(step, *request, from, to),
        Entry::Withdrawn { .. } => from == P::RollingBack && matches!(to, P::RolledBack | P::Cancelled),
        Entry::WithdrawRefused { .. } => (from, to) == (P::RollingBack, P::Committed),
        // A newer generation takes the place of what has published nothing and is not about to.
        Entry::PolicyApplied { .. } => {
            let unpublished = step.before.is_some_and(|before| before.intent.is_none());
            unpublished && !matches!(from, P::Committed | P::RolledBack | P::Cancelled) && to == P::Cancelled
        }
        // Poison.
        entry => is_about_nodes(entry) && matches!(from, P::Ready | P::Execution) && to == P::Quarantined,
    }
}

fn may_be_asked(step: &Step<'_>, request: Request, from: Phase, to: Phase) -> bool {
    use Phase as P;
    let Some(before) = step.before else { return false };
    match request {
        Request::Pause => {
            let at_work =
                matches!(from, P::Queued | P::Preparation | P::Ready | P::Execution | P::Validation | P::Commit);
            (at_work || from == P::Approval) && to == P::Paused && step.after.from == Some(from)
        }
        Request::Resume => {
            let back = if before.from == Some(P::Preparation) { Some(P::Queued) } else { before.from };
            let doubted = before.intent.is_some() && before.problem == Some(Code::Difference);
            from == P::Paused && Some(to) == back && !doubted
        }
        Request::Cancel => {
            let ended = matches!(from, P::Committed | P::RolledBack | P::Cancelled | P::RollingBack);
            let way = if before.intent.is_some() { P::RollingBack } else { P::Cancelled };
            !ended && to == way
        }
        Request::Retry => {
            let stopped = matches!(from, P::Quarantined | P::Paused | P::Cancelled | P::RolledBack);
            let open_intent = from == P::Paused && before.intent.is_some();
            stopped && !open_intent && to == P::Queued && step.after.run == before.run.next()
        }
        Request::Rollback => (from, to) == (P::Committed, P::RollingBack),
    }
}

/// Within its run an end absorbs: only a request, or a newer generation, moves a migration on, and what the run did stays.
pub(super) fn ends_absorb(step: &Step<'_>) -> Verdict {
    let Some(before) = step.before.filter(|before| before.phase.is_end()) else { return Ok(()) };
    let after = step.after;
    if after.run != before.run {
        return ensure(matches!(step.entry, Entry::Requested { request: Request::Retry, .. }), || {
            format!("{} opened another run", short(step.entry))
        });
    }
    let asked = match step.entry {
        Entry::Requested { request: Request::Rollback, .. } => before.phase == Phase::Committed,
        Entry::Requested { request: Request::Cancel, .. } | Entry::PolicyApplied { .. } => {
            before.phase == Phase::Quarantined
        }
        _ => false,
    };
    ensure(asked || after.phase == before.phase, || format!("{} moved it out of {}", short(step.entry), before.phase))?;
    ensure(after.intent == before.intent && after.plan == before.plan, || {
        format!("{} changed the plan or the intent of a run that had ended", short(step.entry))
    })?;
    let done = |glimpse: &super::Glimpse| glimpse.batches().map(|batch| batch.done).collect::<Vec<_>>();
    ensure(done(before) == done(after), || format!("{} changed batches of a run that had ended", short(step.entry)))
}

/// The kind of an entry, for messages.
pub(super) fn short(entry: &Entry) -> String {
    let text = format!("{entry:?}");
    match entry {
        Entry::Requested { request, .. } => format!("Requested {request:?}"),
        _ => text.split([' ', '(']).next().unwrap_or_default().to_owned(),
    }
}
