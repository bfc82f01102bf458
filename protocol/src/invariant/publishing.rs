//! From an approval to a visible target, and back: what may be published, once, and what takes it away again.
//!
//! In: a [`Step`].

use super::step::Step;
use super::transitions::short;
use super::{Verdict, ensure};
use crate::ids::TableUuid;
use crate::ledger::entry::{Entry, Request};
use crate::ledger::migration::{Phase, WithdrawReason};

/// A tombstone goes when its time is over; clocks of different nodes differ by less than this, milliseconds.
const CLOCKS_DIFFER_MILLIS: u64 = 300_000;

/// Nothing moves without an approval of exactly the present plan, by somebody who gave it.
pub(super) fn approval_is_bound(step: &Step<'_>) -> Verdict {
    let after = step.after;
    let given = match step.entry {
        Entry::Approved(items) if step.is_fact() => {
            items.iter().rev().find(|(id, _)| *id == step.id).map(|(_, hash)| (*hash, step.actor.to_owned()))
        }
        _ => None,
    };
    let held = step.before.and_then(|before| before.approved.clone());
    let is_new = after.approved != held;
    ensure(!is_new || step.is_named_twice() || after.approved == given, || {
        format!("{} made the approval {:?}", short(step.entry), after.approved)
    })?;
    let moves = matches!(after.phase, Phase::Ready | Phase::Execution | Phase::Validation | Phase::Commit);
    let plan = after.plan.map(|(hash, _)| hash);
    ensure(!moves || plan.is_some(), || format!("it is in {} without a plan", after.phase))?;
    let approved = after.approved.as_ref().map(|(hash, _)| *hash);
    ensure(!moves || !after.approval_required || approved == plan, || {
        format!("it is in {} with plan {plan:?}, and approved is {approved:?}", after.phase)
    })
}

/// A run has at most one intent, which says all that is ever registered for it, under names that no other run has.
pub(super) fn one_intent(step: &Step<'_>) -> Verdict {
    let after = step.after;
    let same_run = step.before.filter(|before| before.run == after.run);
    let held = same_run.and_then(|before| before.intent.as_ref());
    let intended = step.is_fact() && matches!(step.entry, Entry::PublishIntent { .. });
    let Some(intent) = &after.intent else {
        return ensure(held.is_none(), || format!("{} took its intent away", short(step.entry)));
    };
    match held {
        Some(held) => ensure(held == intent, || format!("{} changed its intent", short(step.entry)))?,
        None => ensure(intended, || format!("{} made an intent", short(step.entry)))?,
    }
    let plan = after.plan.map(|(hash, _)| hash);
    ensure(intent.run == after.run && Some(intent.plan) == plan, || {
        format!(
            "its intent is of run {}, plan {}, and it is at run {}, plan {plan:?}",
            intent.run, intent.plan, after.run
        )
    })?;
    let uuid = TableUuid::derive(step.id, intent.run, &intent.plan);
    ensure(intent.uuid == uuid, || format!("its table has uuid {}, and should have {uuid}", intent.uuid))
}

/// A target becomes visible only after all its batches are done and validated, as exactly what was validated, once in a run.
pub(super) fn validated_before_published(step: &Step<'_>) -> Verdict {
    let after = step.after;
    let past = matches!(after.phase, Phase::Validation | Phase::Commit | Phase::Committed);
    ensure(!past || after.is_executed(), || format!("it is in {} and not all its batches are done", after.phase))?;
    ensure(
        !matches!(after.phase, Phase::Commit | Phase::Committed | Phase::RollingBack) || after.intent.is_some(),
        || format!("it is in {} without an intent", after.phase),
    )?;
    if step.is_fact()
        && let Entry::Committed { metadata_location, .. } = step.entry
    {
        let intended = after.intent.as_ref().map(|intent| &intent.location);
        ensure(intended == Some(metadata_location), || {
            format!("{metadata_location} was published, and {intended:?} was intended")
        })?;
        let first = step.before.is_some_and(|before| before.phase == Phase::Commit && before.committed_at.is_none());
        ensure(first, || "it was published twice in one run".to_owned())?;
    }
    let shows = after.committed_at.is_some();
    ensure(!shows || matches!(after.phase, Phase::Committed | Phase::RollingBack | Phase::Paused), || {
        format!("it is in {} and is said to be visible", after.phase)
    })?;
    ensure(after.phase != Phase::Committed || shows, || "it is committed, and nothing says since when".to_owned())
}

/// One result is taken for each batch, once, and stays; a batch that is done is not handed out again.
pub(super) fn batches_count_once(step: &Step<'_>) -> Verdict {
    let after = step.after;
    let Some(before) = step.before.filter(|before| before.run == after.run && !before.stages.is_empty()) else {
        return ensure(after.batches().all(|batch| batch.done.is_none()), || {
            format!("{} brought batches that were done before they were handed out", short(step.entry))
        });
    };
    ensure(shape(after) == shape(before), || format!("{} changed the number of its batches", short(step.entry)))?;
    let finished = match step.entry {
        Entry::BatchDone { batch, result, totals, .. } if step.is_fact() => {
            Some(((batch.stage.0 as usize, batch.batch.0 as usize), (*result, *totals)))
        }
        _ => None,
    };
    for (stage, (ones, others)) in after.stages.iter().zip(&before.stages).enumerate() {
        for (number, (one, other)) in ones.iter().zip(others).enumerate() {
            let taken = finished.filter(|(place, _)| *place == (stage, number)).map(|(_, result)| result);
            ensure(one.done == other.done.or(taken), || {
                format!("{} changed the result of batch {stage}.{number}", short(step.entry))
            })?;
            ensure(one.done.is_none() || one.running.is_none(), || {
                format!("batch {stage}.{number} is done and handed out")
            })?;
            let earlier_open = after.stages.iter().take(stage).flatten().any(|batch| batch.done.is_none());
            ensure(one.running.is_none() || !earlier_open, || {
                format!("batch {stage}.{number} runs before the stages before it are done")
            })?;
        }
    }
    Ok(())
}

fn shape(glimpse: &super::Glimpse) -> Vec<usize> {
    glimpse.stages.iter().map(Vec::len).collect()
}

/// What was intended is taken back by a tombstone that stays until its time is over; nothing else ends such a run unpublished.
pub(super) fn withdrawals_keep_the_name(step: &Step<'_>) -> Verdict {
    let after = step.after;
    let Some(before) = step.before else { return Ok(()) };
    let ended = before.phase != after.phase && matches!(after.phase, Phase::RolledBack | Phase::Cancelled);
    if ended && before.intent.is_some() {
        let said = step.is_fact() && matches!(step.entry, Entry::Withdrawn { .. });
        ensure(said, || format!("{} ended a run whose table may still become visible", short(step.entry)))?;
        let wanted = match before.withdrawing {
            Some(WithdrawReason::Cancel) => Phase::Cancelled,
            _ => Phase::RolledBack,
        };
        ensure(after.phase == wanted, || format!("it ended as {}, and {wanted} was asked for", after.phase))?;
    }
    if step.is_fact()
        && let Entry::Withdrawn { tombstone, until, .. } = step.entry
    {
        let stands = after.tombstone.as_ref().filter(|tombstone| tombstone.1);
        ensure(stands.is_some() == (*tombstone && before.tombstone.is_some()), || {
            format!("the tombstone was said to stand: {tombstone}; it is {:?}", after.tombstone)
        })?;
        ensure(stands.is_none_or(|stands| stands.2 == *until), || "the tombstone's time is another".to_owned())?;
        ensure(after.committed_at.is_none(), || "it is withdrawn and said to be visible".to_owned())?;
    }
    let Some(standing) = before.tombstone.as_ref().filter(|tombstone| tombstone.1) else { return Ok(()) };
    if after.tombstone.as_ref().is_some_and(|now| now.1) {
        return Ok(());
    }
    match step.entry {
        Entry::TombstoneReleased { .. } => ensure(step.at_millis + CLOCKS_DIFFER_MILLIS >= standing.2, || {
            format!("its tombstone was to stand until {}, and went at {}", standing.2, step.at_millis)
        }),
        // Another table took the name from it in one step, or another withdrawal stages its own.
        Entry::Committed { .. } | Entry::TombstoneStaged { .. } | Entry::Requested { .. } => Ok(()),
        entry => Err(format!("{} took a standing tombstone away", short(entry))),
    }
}

/// A rollback takes back what is published and nothing else, and asking twice is asking once.
pub(super) fn rollback_is_idempotent(step: &Step<'_>) -> Verdict {
    let Entry::Requested { request: Request::Rollback, .. } = step.entry else { return Ok(()) };
    let Some(before) = step.before else { return Ok(()) };
    if step.is_named_twice() {
        return Ok(());
    }
    if before.phase == Phase::Committed {
        return ensure(step.is_fact() && step.after.withdrawing == Some(WithdrawReason::Rollback), || {
            "a published target was not rolled back".to_owned()
        });
    }
    ensure(!step.is_fact() && before == step.after, || format!("a rollback was taken in {}", before.phase))
}
