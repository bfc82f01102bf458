//! Which entry the outcome of an effect becomes.

use super::source;
use crate::data_plane::{BatchResult, Class, Failure, StagedTable};
use crate::defects::{self, Defect};
use crate::evidence::{TableEvidence, judge};
use crate::hash::Hash256;
use crate::ids::{Attempt, BatchId};
use crate::inspection::SourceFile;
use crate::ledger::entry::{BatchTotals, Entry, Fence, PlanSummary, Work};
use crate::plan::{Plan, Planned, StrategyKind};
use crate::problem::{Code, Problem};

/// Longest wait between two attempts, milliseconds.
pub const MAX_BACKOFF_MILLIS: u64 = 5 * 60 * 1000;
/// The first wait's upper bound, milliseconds; it doubles with each failure.
pub const FIRST_BACKOFF_MILLIS: u64 = 2000;
/// Bytes of source that one slot moves in a second; for estimates alone.
const ESTIMATED_BYTES_PER_SECOND: u64 = 40 << 20;

/// Full jitter: a uniformly random wait below `min(5 min, 2 s * 2^failures)`.
/// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#[must_use]
pub fn backoff_millis(failures: u32, random: u64) -> u64 {
    let bound = FIRST_BACKOFF_MILLIS.saturating_mul(1_u64.checked_shl(failures).unwrap_or(u64::MAX));
    random % bound.clamp(1, MAX_BACKOFF_MILLIS)
}

/// The ledger's part of a plan.
#[must_use]
pub fn summary(plan: &Plan, hash: Hash256) -> PlanSummary {
    let bytes = plan.source_bytes();
    let number = |n: usize| u32::try_from(n).expect("plans count in 32 bits");
    PlanSummary {
        hash,
        strategy: match plan.strategy.kind {
            StrategyKind::Copy => "copy".to_owned(),
            StrategyKind::Transform => "transform".to_owned(),
        },
        batches: plan.stages.iter().map(|stage| number(stage.batches.len())).collect(),
        rows: plan.source_rows(),
        bytes,
        seconds: estimated_seconds(plan),
        files: plan.source.files.len() as u64,
        notes: number(plan.notes.len()),
    }
}

/// Seconds of one slot that a plan takes, roughly: every stage reads what it reads once.
#[must_use]
pub fn estimated_seconds(plan: &Plan) -> u64 {
    let read: u64 = plan.stages.iter().flat_map(|stage| &stage.batches).map(|batch| batch.bytes).sum();
    1 + read / ESTIMATED_BYTES_PER_SECOND
}

/// The entry for a finished preparation. The blob of the plan or refusal, named by `document`, is durable already.
#[must_use]
pub fn prepared(fence: Fence, planned: &Planned, document: Hash256) -> Entry {
    match planned {
        Planned::Ready(plan) => Entry::Planned { fence, plan: summary(plan, document) },
        Planned::Refused(refusal) => {
            let problem = refusal.problems.first().cloned().unwrap_or_else(|| {
                Problem::new(Code::Internal, "planning", "it was refused without a problem", "report this defect")
            });
            Entry::Refused { fence, refusal: document, problem }
        }
    }
}

/// The entry for a batch that came to its end. The blob of the result, named by `document`, is durable already.
#[must_use]
pub fn batch_ended(
    fence: Fence,
    (batch, attempt): (BatchId, Attempt),
    plan: &Plan,
    result: &BatchResult,
    document: Hash256,
) -> Entry {
    if let Some(difference) = judge::batch(plan, batch, &result.evidence) {
        let problem = judge::problem(&difference, plan);
        return Entry::Differs { fence, batch: Some((batch, attempt)), problem, evidence: Some(document) };
    }
    Entry::BatchDone { fence, batch, attempt, result: document, totals: totals(result) }
}

/// The totals that the ledger keeps of a batch.
#[must_use]
pub fn totals(result: &BatchResult) -> BatchTotals {
    let evidence = &result.evidence;
    BatchTotals {
        rows_in: evidence.source.rows,
        rows_removed: evidence.removed.iter().map(|removed| removed.rows.rows).sum(),
        rows_out: result.files.iter().map(|file| file.rows).sum(),
        bytes_out: result.files.iter().map(|file| file.bytes).sum(),
        files: u32::try_from(result.files.len()).unwrap_or(u32::MAX),
    }
}

/// The entry for a batch that failed.
#[must_use]
pub fn batch_failed(
    fence: Fence,
    (batch, attempt): (BatchId, Attempt),
    failure: &Failure,
    failures: u32,
    now: u64,
    random: u64,
) -> Entry {
    Entry::BatchFailed {
        fence,
        batch,
        attempt,
        problem: failure.problem.clone(),
        class: failure.class,
        retry_at: now + backoff_millis(failures, random),
    }
}

/// The entry for a hand-out whose work went away with the task that did it.
#[must_use]
pub fn interrupted(fence: Fence, batch: (BatchId, Attempt), failures: u32, now: u64, random: u64) -> Entry {
    let problem = Problem::new(
        Code::Interrupted,
        format!("batch {}", batch.0),
        "the part of the node that ran it ended before the batch did",
        "nothing: it is tried again; look at the node's log if it goes on",
    );
    batch_failed(fence, batch, &Failure::unknown(problem), failures, now, random)
}

/// The entry for a staged table whose evidence is not good; `None` when it is. The blob of the evidence, named by
/// `document`, is durable already.
#[must_use]
pub fn table_differs(
    fence: Fence,
    plan: &Plan,
    table: &StagedTable,
    evidence: &TableEvidence,
    document: Hash256,
) -> Option<Entry> {
    let differs = |problem| Entry::Differs { fence, batch: None, problem, evidence: Some(document) };
    if evidence.metadata_hash != table.metadata_hash {
        let problem = Problem::new(
            Code::StagedFileChanged,
            format!("metadata file {}", table.metadata_location),
            format!("it was written with hash {}, and reads with {}", table.metadata_hash, evidence.metadata_hash),
            "find out who writes to the target's folder; then resume: another table is staged",
        );
        return Some(differs(problem.of(&plan.source.dataset)));
    }
    if defects::is(Defect::FinalCheckSkipped) {
        return None;
    }
    judge::whole(plan, evidence).map(|difference| differs(judge::problem(&difference, plan)))
}

/// The entry for a staged table whose evidence is good, once the source was listed again: it is going to be published,
/// unless the source is not what was planned any more.
#[must_use]
pub fn validated(
    fence: Fence,
    (plan, hash): (&Plan, Hash256),
    table: StagedTable,
    evidence: Hash256,
    listed: &[SourceFile],
) -> Entry {
    match source::changes(plan, listed).filter(|_| !defects::is(Defect::SourceNotListedAgain)) {
        Some(problem) => Entry::Differs { fence, batch: None, problem, evidence: Some(evidence) },
        None => Entry::PublishIntent { fence, plan: hash, table, evidence },
    }
}

/// The entry for other work that failed. A source that is not what was planned pauses the migration, whether that is seen by
/// its files or told by who knows of the table.
#[must_use]
pub fn work_failed(fence: Fence, work: Work, failure: &Failure, failures: u32, now: u64, random: u64) -> Entry {
    if work == Work::Validate && failure.code() == Code::SourceChanged {
        return Entry::Differs { fence, batch: None, problem: failure.problem.clone(), evidence: None };
    }
    Entry::WorkFailed {
        fence,
        work,
        problem: failure.problem.clone(),
        // What may have happened is looked at again, however often; it never ends a run.
        class: failure.class,
        retry_at: now + if failure.class == Class::Permanent { 0 } else { backoff_millis(failures, random) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, Generation, MigrationId, PolicyName, Run};

    #[test]
    fn the_wait_grows_with_the_failures_and_stays_bounded() {
        assert!(backoff_millis(0, u64::MAX) < 2000);
        assert_eq!(backoff_millis(0, 1999), 1999);
        assert!((0..200).all(|failures| backoff_millis(failures, u64::MAX - 7) < MAX_BACKOFF_MILLIS));
    }

    #[test]
    fn a_table_that_is_not_what_was_planned_pauses_its_migration_at_validation_alone() {
        let migration = MigrationId::derive(&PolicyName::from("p"), Generation(1), &"m.t".parse().unwrap());
        let fence = Fence { migration, run: Run(1), epoch: Epoch(1) };
        let failed = |work, code| {
            let failure = Failure::permanent(Problem::new(code, "it", "is", "so"));
            matches!(work_failed(fence, work, &failure, 0, 0, 0), Entry::Differs { batch: None, .. })
        };
        assert!(failed(Work::Validate, Code::SourceChanged));
        assert!(!failed(Work::Validate, Code::Io));
        assert!(!failed(Work::Prepare, Code::SourceChanged));
    }
}
