//! Rows: none is lost between what was planned, read, removed, written and published.
//!
//! In: a [`Step`]. Holds: the equations over the totals that the ledger keeps. Not here: sums of rows' hashes (`evidence`).

use super::step::Step;
use super::{Verdict, ensure};
use crate::ledger::entry::Entry;
use crate::ledger::migration::Phase;

/// Rows read are rows written and rows removed, batch by batch; together they are what the footers said, and what is published.
pub(super) fn rows_are_conserved(step: &Step<'_>) -> Verdict {
    let after = step.after;
    let Some(last) = after.stages.last() else { return Ok(()) };
    let done = || last.iter().filter_map(|batch| batch.done).map(|(_, totals)| totals);
    if let Entry::BatchDone { batch, totals, .. } = step.entry
        && step.is_fact()
        && batch.stage.0 as usize + 1 == after.stages.len()
    {
        ensure(totals.rows_in == totals.rows_removed + totals.rows_out, || {
            let (read, removed, out) = (totals.rows_in, totals.rows_removed, totals.rows_out);
            format!("batch {batch} read {read} rows, removed {removed} and wrote {out}")
        })?;
    }
    let entered = step.before.is_none_or(|before| before.phase != after.phase);
    if entered && after.phase == Phase::Validation && step.is_fact() && matches!(step.entry, Entry::BatchDone { .. }) {
        let read: u64 = done().map(|totals| totals.rows_in).sum();
        let planned = after.plan.and_then(|(_, rows)| rows);
        ensure(planned.is_none_or(|planned| planned == read), || {
            format!("the footers say {planned:?} rows, and {read} were read")
        })?;
    }
    if entered
        && after.phase == Phase::Commit
        && let Some(intent) = &after.intent
        && matches!(step.entry, Entry::PublishIntent { .. })
    {
        let rows: u64 = done().map(|totals| totals.rows_out).sum();
        let files: u64 = done().map(|totals| u64::from(totals.files)).sum();
        ensure((intent.rows, intent.files) == (rows, files), || {
            let (intended, written) = (intent.rows, intent.files);
            format!("{rows} rows in {files} files are done, and {intended} in {written} are published")
        })?;
    }
    Ok(())
}
