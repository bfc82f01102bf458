//! Owners, epochs, attempts: who may speak for a migration, and that whoever is over cannot.
//!
//! In: a [`Step`].

use super::step::{Step, is_about_nodes};
use super::transitions::short;
use super::{Verdict, ensure};
use crate::ids::{Attempt, Epoch, Run};
use crate::ledger::entry::{Answer, Entry, Request};
use crate::ledger::migration::Phase;

/// Epochs and runs only grow; a new owner, or a new session of the old one, has a higher epoch, and what the old epoch had
/// handed out is over.
pub(super) fn epochs_grow(step: &Step<'_>) -> Verdict {
    let after = step.after;
    let Some(before) = step.before else {
        return ensure((after.epoch, after.run) == (Epoch(1), Run(1)), || {
            format!("it began with run {}, epoch {}", after.run, after.epoch)
        });
    };
    ensure(after.epoch >= before.epoch, || format!("its epoch fell from {} to {}", before.epoch, after.epoch))?;
    let retried = step.is_fact() && matches!(step.entry, Entry::Requested { request: Request::Retry, .. });
    let runs = after.run == before.run || retried && after.run == before.run.next();
    ensure(runs || step.is_named_twice(), || format!("its run went from {} to {}", before.run, after.run))?;
    let changed = after.owner != before.owner;
    ensure(!changed || after.epoch > before.epoch, || {
        format!("it went from node {} to node {} in epoch {}", before.owner, after.owner, after.epoch)
    })?;
    if let (Entry::SessionOpened { node, .. }, Answer::Applied) = (step.entry, step.answer) {
        ensure(*node != before.owner || after.epoch > before.epoch, || {
            format!("node {node} has a new session, and the old one's epoch {} holds on", before.epoch)
        })?;
    }
    if after.epoch == before.epoch {
        return Ok(());
    }
    ensure(is_about_nodes(step.entry) || matches!(step.entry, Entry::Transferred { .. }), || {
        format!("{} raised its epoch", short(step.entry))
    })?;
    ensure(!after.runs(), || format!("a hand-out of epoch {} is open in epoch {}", before.epoch, after.epoch))
}

/// An entry that speaks for a run or an epoch that is over changes nothing and is refused; so is the outcome of a hand-out that
/// is not the open one.
pub(super) fn stale_is_refused(step: &Step<'_>) -> Verdict {
    let (Some(before), Some(fence)) = (step.before, step.fence()) else { return Ok(()) };
    if step.is_named_twice() {
        return Ok(());
    }
    if (fence.run, fence.epoch) != (before.run, before.epoch) {
        return ensure(!step.is_fact() && step.after == before, || {
            format!(
                "{} of run {}, epoch {} was taken at run {}, epoch {}",
                short(step.entry),
                fence.run,
                fence.epoch,
                before.run,
                before.epoch
            )
        });
    }
    let hand_out = match step.entry {
        Entry::BatchDone { batch, attempt, .. }
        | Entry::BatchFailed { batch, attempt, .. }
        | Entry::BatchReturned { batch, attempt, .. }
        | Entry::Differs { batch: Some((batch, attempt)), .. } => Some((batch, attempt)),
        _ => None,
    };
    let Some((batch, attempt)) = hand_out.filter(|_| step.is_fact()) else { return Ok(()) };
    let open = before.batch(*batch).and_then(|batch| batch.running);
    ensure(open == Some(*attempt), || {
        format!("{} of attempt {attempt} of batch {batch} was taken, and {open:?} was open", short(step.entry))
    })
}

/// Every hand-out, of a batch or of other work, has a number that no other hand-out of the run had.
pub(super) fn attempts_are_fresh(step: &Step<'_>) -> Verdict {
    let after = step.after;
    let Some(before) = step.before.filter(|before| before.run == after.run) else {
        return ensure(after.next_attempt == Attempt(1), || {
            format!("a run began with attempt {} as the next", after.next_attempt)
        });
    };
    ensure(after.next_attempt >= before.next_attempt, || {
        format!("the next attempt went back from {} to {}", before.next_attempt, after.next_attempt)
    })?;
    let fresh = |attempt: Attempt| (before.next_attempt..after.next_attempt).contains(&attempt);
    for (one, other) in after.batches().zip(before.batches()) {
        if let Some(attempt) = one.running.filter(|attempt| other.running != Some(*attempt)) {
            ensure(fresh(attempt), || format!("attempt {attempt} was handed out again"))?;
        }
    }
    let works = matches!(after.phase, Phase::Preparation | Phase::Validation | Phase::Commit | Phase::RollingBack);
    let again =
        works && step.is_fact() && (before.phase != after.phase || matches!(step.entry, Entry::WorkFailed { .. }));
    ensure(!again || fresh(after.work_attempt), || {
        format!("{} begins with attempt {}, which is not new", after.phase, after.work_attempt)
    })
}

/// Work goes to nodes with a session, and to a draining one only where no other is left.
pub(super) fn owners_take_work(step: &Step<'_>) -> Verdict {
    let after = step.after;
    if step.before.is_some_and(|before| before.owner == after.owner) {
        return Ok(());
    }
    let owner = step.fleet.get(&after.owner);
    let lives = owner.is_some_and(super::view::Seen::is_active);
    let takes = lives && owner.is_some_and(|owner| !owner.draining);
    ensure(takes || !step.has_takers(), || {
        format!("it was given to node {}, which {}", after.owner, if lives { "is drained" } else { "has no session" })
    })?;
    // A new migration may wait where it was asked for until somebody has a session.
    ensure(lives || step.before.is_none(), || format!("it was given to node {}, which has no session", after.owner))
}
