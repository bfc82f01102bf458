//! Failures, deaths and the quarantine: what is counted, and when it is enough.
//!
//! In: a [`Step`]. Holds: the specification's numbers, written down a second time.

use std::collections::BTreeSet;

use super::step::Step;
use super::transitions::short;
use super::view::{BatchGlimpse, Glimpse};
use super::{Verdict, ensure};
use crate::data_plane::Class;
use crate::ids::NodeId;
use crate::ledger::entry::{Entry, Request};
use crate::ledger::members::Standing;
use crate::ledger::migration::Phase;
use crate::problem::Code;

/// Different nodes that end while they run a batch, before it is poison.
const POISON_NODES: usize = 3;
/// Ends of the same node, one after the other, that count as much.
const POISON_DEATHS: usize = 10;

/// Every recorded failure counts once, and nothing that is not one does.
pub(super) fn failures_count(step: &Step<'_>) -> Verdict {
    let after = step.after;
    let Some(before) = step.before.filter(|before| before.run == after.run) else { return Ok(()) };
    let failed = match step.entry {
        Entry::BatchFailed { batch, .. } if step.is_fact() => Some(*batch),
        _ => None,
    };
    let failed = failed.map(|id| (id.stage.0 as usize, id.batch.0 as usize));
    for (stage, (ones, others)) in after.stages.iter().zip(&before.stages).enumerate() {
        for (number, (one, other)) in ones.iter().zip(others).enumerate() {
            let more = u32::from(failed == Some((stage, number)));
            ensure(one.failures == other.failures + more, || {
                let (from, to) = (other.failures, one.failures);
                format!("the failures of batch {stage}.{number} went from {from} to {to} by {}", short(step.entry))
            })?;
        }
    }
    if before.phase == after.phase || matches!(after.phase, Phase::Paused | Phase::Quarantined) {
        let more = u32::from(step.is_fact() && matches!(step.entry, Entry::WorkFailed { .. }));
        return ensure(after.work_failures == before.work_failures + more, || {
            let (from, to) = (before.work_failures, after.work_failures);
            format!("the failures of {} went from {from} to {to} by {}", before.phase, short(step.entry))
        });
    }
    let begins = matches!(after.phase, Phase::Preparation | Phase::Validation | Phase::Commit | Phase::RollingBack);
    ensure(!begins || after.work_failures == 0, || {
        format!("{} began with {} failures", after.phase, after.work_failures)
    })
}

/// A node's end counts against the batches that it ran: not when it said goodbye, was drained, or many ended together; and a
/// finished batch clears the migration.
pub(super) fn deaths_count(step: &Step<'_>) -> Verdict {
    let after = step.after;
    let Some(before) = step.before.filter(|before| before.run == after.run) else { return Ok(()) };
    let finished = step.is_fact() && matches!(step.entry, Entry::BatchDone { .. });
    for (one, other) in after.batches().zip(before.batches()) {
        let mut wanted = other.deaths.clone();
        if finished {
            wanted.clear();
        } else if let Some(runner) = other.runner.filter(|runner| is_to_blame(step, *runner)) {
            wanted.push(runner);
        }
        ensure(one.deaths == wanted, || {
            format!("a batch's deaths are {:?} after {}, and should be {wanted:?}", one.deaths, short(step.entry))
        })?;
    }
    Ok(())
}

/// Whether what `runner` ran is suspected of having ended it.
fn is_to_blame(step: &Step<'_>, runner: NodeId) -> bool {
    let was = |node: &NodeId| step.fleet_before.get(node).filter(|node| node.is_active());
    let ended = |node: &NodeId| step.fleet.get(node).is_some_and(|now| now.standing == Standing::Expired);
    match step.entry {
        // It started again without a goodbye.
        Entry::SessionOpened { node, session, .. } if *node == runner => {
            step.fleet_before.get(node).is_none_or(|before| before.session < *session && !before.draining)
        }
        Entry::SessionsExpired { sessions, mass: false } => {
            let over: Vec<NodeId> =
                sessions.iter().map(|(node, _)| *node).filter(|node| was(node).is_some() && ended(node)).collect();
            over.contains(&runner) && over.iter().all(|node| was(node).is_some_and(|node| !node.draining))
        }
        // A node whose ledger was lost comes back under another name, and nobody is blamed for that.
        Entry::MemberRemoved { node, .. } => *node == runner && was(node).is_some_and(|node| !node.draining),
        _ => false,
    }
}

/// A migration comes into quarantine exactly when attempts are used up, a failure is permanent, a batch is poison, the dataset
/// is refused, or its target belongs to another.
pub(super) fn quarantine_exactly_when(step: &Step<'_>) -> Verdict {
    let after = step.after;
    let is_new =
        after.phase == Phase::Quarantined && step.before.is_none_or(|before| before.phase != Phase::Quarantined);
    let deserved = deserves(step);
    match (is_new, deserved) {
        (true, None) => Err(format!("{} quarantined it without a reason that counts", short(step.entry))),
        (false, Some(why)) => Err(format!("{} left it in {} although {why}", short(step.entry), after.phase)),
        _ => ensure(after.phase != Phase::Quarantined || after.problem.is_some(), || {
            "it is quarantined and nothing says why".to_owned()
        }),
    }
}

/// Why this step must lead into quarantine.
fn deserves(step: &Step<'_>) -> Option<String> {
    let after = step.after;
    let Some(before) = step.before else {
        return (after.problem == Some(Code::TargetCollision)).then(|| "its target belongs to another".to_owned());
    };
    if step.is_fact() {
        match step.entry {
            Entry::Refused { .. } => return Some("the dataset is refused".to_owned()),
            Entry::BatchFailed { problem, class, batch, .. } if problem.code != Code::SourceChanged => {
                let failures = before.batch(*batch).map_or(0, |batch| batch.failures) + 1;
                return enough(*class, failures, before.attempts);
            }
            // With an open intent the table may become visible at any time: such a run waits.
            Entry::WorkFailed { class, .. } if before.intent.is_none() => {
                return enough(*class, before.work_failures + 1, before.attempts);
            }
            _ => {}
        }
    }
    let runs = matches!(before.phase, Phase::Ready | Phase::Execution);
    let poison = runs && deaths_grew(before, after) && after.batches().any(is_poison);
    poison.then(|| "a batch is poison".to_owned())
}

fn enough(class: Class, failures: u32, attempts: u32) -> Option<String> {
    match class {
        Class::Permanent => Some("the failure is permanent".to_owned()),
        Class::Transient => (failures >= attempts).then(|| format!("it was failure {failures} of {attempts}")),
    }
}

fn deaths_grew(before: &Glimpse, after: &Glimpse) -> bool {
    after.batches().zip(before.batches()).any(|(one, other)| one.deaths.len() > other.deaths.len())
}

fn is_poison(batch: &BatchGlimpse) -> bool {
    let nodes: BTreeSet<NodeId> = batch.deaths.iter().copied().collect();
    nodes.len() >= POISON_NODES || batch.deaths.len() >= POISON_DEATHS
}

/// A migration that stands still says why, and goes nowhere by itself.
pub(super) fn stops_are_explained(step: &Step<'_>) -> Verdict {
    let (after, entered) = (step.after, step.before.is_none_or(|before| before.phase != step.after.phase));
    if !entered || !matches!(after.phase, Phase::Paused | Phase::Quarantined) {
        return Ok(());
    }
    let from = step.before.map_or(Some(Phase::Queued), |before| Some(before.phase));
    ensure(after.from == from, || format!("it stopped in {from:?}, and says {:?}", after.from))?;
    ensure(after.problem.is_some(), || format!("it is {} and nothing says why", after.phase))?;
    ensure(!after.runs(), || format!("it is {} and batches of it are handed out", after.phase))?;
    let asked = matches!(step.entry, Entry::Requested { request: Request::Pause, .. });
    ensure(asked == (after.problem == Some(Code::ByRequest)), || {
        format!("{} stopped it, and its problem is {:?}", short(step.entry), after.problem)
    })
}
