//! From the ledger's records to the API's types.

use std::collections::BTreeMap;

use skein_protocol::api::{BatchRow, MigrationDetail, MigrationRow, PolicyRow};
use skein_protocol::ids::{BatchId, BatchNo, StageNo};
use skein_protocol::ledger::migration::BatchState;
use skein_protocol::ledger::policies::PolicyRecord;
use skein_protocol::ledger::{Migration, Phase, State};

/// Most batches in one migration's detail.
const MAX_BATCHES: usize = 1000;

pub(crate) fn migration_row(migration: &Migration) -> MigrationRow {
    let ((batches_done, batches), totals) = (migration.batch_counts(), migration.totals());
    let plan = migration.plan.as_ref();
    MigrationRow {
        id: migration.id,
        dataset: migration.dataset.clone(),
        target: migration.target.clone(),
        policy: migration.policy.clone(),
        generation: migration.generation,
        owner: migration.owner,
        run: migration.run,
        phase: migration.phase,
        from: migration.from,
        problem: migration.problem.as_ref().map(|problem| problem.code),
        strategy: plan.map(|plan| plan.strategy.clone()),
        plan: plan.map(|plan| plan.hash),
        batches_done,
        batches,
        rows_planned: plan.and_then(|plan| plan.rows),
        rows_in: totals.rows_in,
        rows_out: totals.rows_out,
        bytes: plan.map_or(0, |plan| plan.bytes),
        changed_at: migration.changed_at,
    }
}

pub(crate) fn migration_detail(migration: &Migration) -> MigrationDetail {
    let visible = migration.phase == Phase::Committed;
    let published = migration.intent.as_ref().filter(|_| visible);
    MigrationDetail {
        row: migration_row(migration),
        owner: migration.owner,
        epoch: migration.epoch,
        problem: migration.problem.as_deref().cloned(),
        approved: migration.approved.as_deref().cloned(),
        batches: batch_rows(migration),
        metadata_location: published.map(|intent| intent.table.metadata_location.clone()),
        history: migration.history.clone(),
    }
}

fn batch_rows(migration: &Migration) -> Vec<BatchRow> {
    batches(migration).take(MAX_BATCHES).map(|(id, batch)| batch_row(id, batch)).collect()
}

/// All batches with their names, stage by stage.
pub(super) fn batches(migration: &Migration) -> impl Iterator<Item = (BatchId, &BatchState)> {
    let stages = (0_u32..).map(StageNo).zip(&migration.stages);
    stages.flat_map(|(stage, batches)| {
        let numbered = (0_u32..).map(move |number| BatchId { stage, batch: BatchNo(number) });
        numbered.zip(batches)
    })
}

fn batch_row(id: BatchId, batch: &BatchState) -> BatchRow {
    let (evidence, totals) = batch.done.map_or((None, None), |(blob, totals)| (Some(blob), Some(totals)));
    let totals = totals.unwrap_or_default();
    let state = match (evidence.is_some(), batch.running.is_some()) {
        (true, _) => "done",
        (false, true) => "running",
        (false, false) => "waiting",
    };
    BatchRow {
        id: id.to_string(),
        state: state.to_owned(),
        node: batch.runner,
        failures: batch.failures,
        problem: batch.problem.as_deref().cloned(),
        rows_in: totals.rows_in,
        rows_removed: totals.rows_removed,
        rows_out: totals.rows_out,
        bytes_out: totals.bytes_out,
        evidence,
    }
}

pub(crate) fn policy_row(state: &State, record: &PolicyRecord) -> PolicyRow {
    let mut phases: BTreeMap<Phase, u32> = BTreeMap::new();
    for migration in record.migrations.iter().filter_map(|id| state.migration(*id)) {
        if !state.is_superseded(migration) {
            *phases.entry(migration.phase).or_default() += 1;
        }
    }
    let policy = &record.policy;
    PolicyRow {
        name: policy.name.clone(),
        generation: record.generation,
        owner: policy.owner.clone(),
        labels: policy.labels.iter().cloned().collect(),
        priority: policy.priority,
        applied_by: record.applied_by.clone(),
        applied_at: record.applied_at,
        phases,
    }
}
