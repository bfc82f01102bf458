//! The owner's entries up to validation: plans, batches, failures, differences.

use super::{Stamp, close_batches, enter, pause, quarantine, wrong_phase};
use crate::data_plane::Class;
use crate::defects::{self, Defect};
use crate::hash::Hash256;
use crate::ids::{Attempt, BatchId, NodeId};
use crate::ledger::entry::{Answer, BatchTotals, Fence, PlanSummary, Work};
use crate::ledger::migration::{BatchState, Migration, Phase};
use crate::ledger::state::State;
use crate::problem::{Code, Problem};

type Applied = Result<Answer, Problem>;

pub(super) fn preparation_started(state: &mut State, stamp: Stamp<'_>, fences: &[Fence]) -> Answer {
    let mut refused = Vec::new();
    for fence in fences {
        match state.fenced(*fence) {
            Ok(migration) if migration.phase == Phase::Queued => {
                state.change(fence.migration, stamp, |migration| {
                    enter(migration, Phase::Preparation);
                    None
                });
            }
            Ok(migration) => refused.push((fence.migration, wrong_phase(migration, "preparation"))),
            Err(problem) => refused.push((fence.migration, problem)),
        }
    }
    if refused.is_empty() { Answer::Applied } else { Answer::Partly(refused) }
}

pub(super) fn planned(state: &mut State, stamp: Stamp<'_>, fence: Fence, plan: &PlanSummary) -> Applied {
    let migration = state.fenced(fence)?;
    if migration.phase != Phase::Preparation {
        return Err(wrong_phase(migration, "plan"));
    }
    state.change(fence.migration, stamp, |migration| {
        migration.stages = plan.batches.iter().map(|count| vec![BatchState::default(); *count as usize]).collect();
        let approves = |hash: Hash256| hash == plan.hash || defects::is(Defect::ApprovalCarriesOver);
        let approved = migration.approved.as_ref().is_some_and(|approved| approves(approved.0));
        let short = plan.hash.short();
        migration.plan = Some(Box::new(plan.clone()));
        if migration.approval_required && !approved && !defects::is(Defect::ApprovalForgotten) {
            migration.phase = Phase::Approval;
            Some(format!("plan {short} waits for approval"))
        } else {
            begin(migration);
            Some(match (migration.approval_required, approved) {
                (true, _) => format!("plan {short} is the one that was approved before"),
                (false, _) => format!("plan {short} needs no approval"),
            })
        }
    });
    Ok(Answer::Applied)
}

/// An approved plan: to the batches, or, when it has none, straight to validation.
pub(super) fn begin(migration: &mut Migration) {
    if migration.open_stage().is_some() {
        migration.phase = Phase::Ready;
    } else {
        enter(migration, Phase::Validation);
    }
}

pub(super) fn refused(
    state: &mut State,
    stamp: Stamp<'_>,
    fence: Fence,
    refusal: Hash256,
    problem: &Problem,
) -> Applied {
    let migration = state.fenced(fence)?;
    if migration.phase != Phase::Preparation {
        return Err(wrong_phase(migration, "refusal"));
    }
    state.change(fence.migration, stamp, |migration| {
        migration.refusal = Some(refusal);
        quarantine(migration, problem.clone());
        Some(format!("refused: {}", problem.code))
    });
    Ok(Answer::Applied)
}

pub(super) fn batch_started(
    state: &mut State,
    stamp: Stamp<'_>,
    fence: Fence,
    (id, attempt): (BatchId, Attempt),
    runner: NodeId,
) -> Applied {
    let migration = state.fenced(fence)?;
    if !matches!(migration.phase, Phase::Ready | Phase::Execution) {
        return Err(wrong_phase(migration, "batch start"));
    }
    let batch = migration.batch(id).ok_or_else(|| no_batch(migration, id))?;
    let open = migration.open_stage() == Some(id.stage.0 as usize);
    if attempt != migration.next_attempt || batch.running.is_some() || batch.done.is_some() || !open {
        return Err(stale_attempt(migration, id, attempt));
    }
    state.change(fence.migration, stamp, |migration| {
        if !defects::is(Defect::AttemptNumberReused) {
            migration.next_attempt = migration.next_attempt.next();
        }
        let first = migration.phase == Phase::Ready;
        migration.phase = Phase::Execution;
        let batch = batch_mut(migration, id);
        batch.running = Some(attempt);
        batch.runner = Some(runner);
        first.then(|| "execution began".to_owned())
    });
    Ok(Answer::Applied)
}

pub(super) fn batch_returned(
    state: &mut State,
    stamp: Stamp<'_>,
    fence: Fence,
    id: BatchId,
    attempt: Attempt,
) -> Applied {
    let migration = state.fenced(fence)?;
    if migration.batch(id).and_then(|batch| batch.running) != Some(attempt) {
        return Err(stale_attempt(migration, id, attempt));
    }
    state.change(fence.migration, stamp, |migration| {
        batch_mut(migration, id).close();
        // It may have begun to write all the same.
        migration.uncollected = true;
        None
    });
    Ok(Answer::Applied)
}

pub(super) fn batch_done(
    state: &mut State,
    stamp: Stamp<'_>,
    fence: Fence,
    id: BatchId,
    attempt: Attempt,
    done: (Hash256, BatchTotals),
) -> Applied {
    let migration = state.fenced(fence)?;
    if migration.phase != Phase::Execution {
        return Err(wrong_phase(migration, "batch end"));
    }
    let of_another = migration.batch(id).is_some() && defects::is(Defect::StaleBatchEnd);
    if migration.batch(id).and_then(|batch| batch.running) != Some(attempt) && !of_another {
        return Err(stale_attempt(migration, id, attempt));
    }
    state.change(fence.migration, stamp, |migration| {
        for batch in migration.stages.iter_mut().flatten() {
            batch.deaths.clear();
        }
        let batch = batch_mut(migration, id);
        let runner = batch.runner;
        batch.close();
        (batch.done, batch.runner) = (Some(done), runner);
        batch.problem = None;
        if migration.open_stage().is_some() {
            return None;
        }
        migration.executed_at = stamp.at_millis;
        enter(migration, Phase::Validation);
        Some(format!("all {} batches are done", migration.batch_counts().1))
    });
    Ok(Answer::Applied)
}

pub(super) fn batch_failed(
    state: &mut State,
    stamp: Stamp<'_>,
    fence: Fence,
    (id, attempt): (BatchId, Attempt),
    problem: &Problem,
    class: Class,
    retry_at: u64,
) -> Applied {
    let migration = state.fenced(fence)?;
    if migration.batch(id).and_then(|batch| batch.running) != Some(attempt) {
        return Err(stale_attempt(migration, id, attempt));
    }
    state.change(fence.migration, stamp, |migration| {
        migration.uncollected = true;
        let attempts = match migration.attempts {
            _ if defects::is(Defect::QuarantineTooEarly) => 1,
            attempts => attempts + u32::from(defects::is(Defect::OneAttemptMore)),
        };
        let batch = batch_mut(migration, id);
        batch.close();
        batch.failures += u32::from(!defects::is(Defect::RetryWithoutCounting));
        batch.not_before = retry_at;
        batch.problem = Some(Box::new(problem.clone()));
        let failures = batch.failures;
        if problem.code == Code::SourceChanged {
            pause(migration, problem.clone());
            return Some(format!("paused: {}", problem.code));
        }
        Some(match class {
            Class::Permanent => {
                quarantine(migration, problem.clone());
                format!("quarantined: batch {id} failed for good: {}", problem.code)
            }
            Class::Transient if failures >= attempts => {
                quarantine(migration, exhausted(problem, &format!("batch {id}"), failures));
                format!("quarantined: batch {id} failed {failures} times, last with {}", problem.code)
            }
            Class::Transient => {
                format!("batch {id} failed with {} ({failures} of {attempts}); it will be tried again", problem.code)
            }
        })
    });
    Ok(Answer::Applied)
}

pub(super) fn work_failed(
    state: &mut State,
    stamp: Stamp<'_>,
    fence: Fence,
    work: Work,
    problem: &Problem,
    class: Class,
    retry_at: u64,
) -> Applied {
    let migration = state.fenced(fence)?;
    if migration.current_work() != Some(work) {
        return Err(wrong_phase(migration, "failure"));
    }
    state.change(fence.migration, stamp, |migration| {
        migration.uncollected = true;
        migration.work.failures += 1;
        migration.work.not_before = retry_at;
        migration.work.attempt = migration.next_attempt;
        migration.next_attempt = migration.next_attempt.next();
        let (failures, attempts) = (migration.work.failures, migration.attempts);
        if class == Class::Transient && failures < attempts {
            return Some(format!(
                "{} failed with {} ({failures} of {attempts}); it will be tried again",
                migration.phase, problem.code
            ));
        }
        let phase = migration.phase;
        let problem = match class {
            Class::Permanent => problem.clone(),
            Class::Transient => exhausted(problem, phase.as_str(), failures),
        };
        // With an open intent the table may become visible at any time: a run like that can wait, but not end.
        if migration.intent.is_some() && !defects::is(Defect::UnknownAsFailure) {
            pause(migration, problem);
            Some(format!("paused: {phase} failed"))
        } else {
            quarantine(migration, problem);
            Some(format!("quarantined: {phase} failed"))
        }
    });
    Ok(Answer::Applied)
}

pub(super) fn differs(
    state: &mut State,
    stamp: Stamp<'_>,
    fence: Fence,
    batch: Option<(BatchId, Attempt)>,
    problem: &Problem,
    evidence: Option<Hash256>,
) -> Applied {
    let migration = state.fenced(fence)?;
    match batch {
        Some((id, attempt)) if migration.batch(id).and_then(|b| b.running) != Some(attempt) => {
            return Err(stale_attempt(migration, id, attempt));
        }
        None if !matches!(migration.phase, Phase::Validation | Phase::Commit) => {
            return Err(wrong_phase(migration, "difference"));
        }
        _ => {}
    }
    state.change(fence.migration, stamp, |migration| {
        migration.difference = evidence;
        migration.uncollected = true;
        if let Some((id, _)) = batch {
            batch_mut(migration, id).problem = Some(Box::new(problem.clone()));
        }
        close_batches(migration);
        pause(migration, problem.clone());
        Some(format!("paused: {}: {}", problem.code, problem.why))
    });
    Ok(Answer::Applied)
}

fn exhausted(last: &Problem, what: &str, failures: u32) -> Problem {
    Problem::new(
        Code::AttemptsExhausted,
        what,
        format!("it failed {failures} times, the last time with {}: {}", last.code, last.why),
        format!("{}; then retry the migration", last.next),
    )
}

fn batch_mut(migration: &mut Migration, id: BatchId) -> &mut BatchState {
    &mut migration.stages[id.stage.0 as usize][id.batch.0 as usize]
}

fn no_batch(migration: &Migration, id: BatchId) -> Problem {
    Problem::new(Code::Stale, format!("batch {id}"), "the present plan has no such batch", "nothing")
        .of(&migration.dataset)
}

fn stale_attempt(migration: &Migration, id: BatchId, attempt: Attempt) -> Problem {
    Problem::new(
        Code::Stale,
        format!("attempt {attempt} of batch {id}"),
        "this attempt is not the open one",
        "nothing: the present owner goes on",
    )
    .of(&migration.dataset)
}
