//! A migration's report: folded from the ledger's record and the blobs that it names.
//!
//! In: a migration. Out: [`Report`]. Not here: its sentences (`skein_protocol::report`).

use futures::stream::{self, StreamExt, TryStreamExt};
use skein_protocol::api::Report;
use skein_protocol::data_plane::BatchResult;
use skein_protocol::evidence::{BatchEvidence, Difference, TableEvidence, judge};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{BatchId, BatchNo, StageNo};
use skein_protocol::ledger::{BatchState, Migration, Phase};
use skein_protocol::plan::Plan;
use skein_protocol::report;

use crate::api::{iceberg, migration_detail};
use crate::core::{Core, DocumentError};

/// Most batches whose evidence a report shows one by one; the table's evidence adds up all of them.
const MAX_BATCHES: usize = 1000;
/// Blobs that are read at once.
const READS_AT_ONCE: usize = 16;

/// The report of a migration as it is now.
pub(crate) async fn report(core: &Core, migration: &Migration) -> Result<Report, DocumentError> {
    let plan = match &migration.plan {
        Some(plan) => Some(core.document::<Plan>("the plan", plan.hash).await?),
        None => None,
    };
    let differing = match migration.difference {
        Some(blob) => Some(differing(core, migration, plan.as_ref(), blob).await?),
        None => None,
    };
    let (mut table, difference) = match differing {
        Some((table, difference)) => (table, difference),
        None => (None, None),
    };
    if let Some(intent) = &migration.intent {
        table = Some(core.document("the table's evidence", intent.evidence).await?);
    }
    let outsider = plan.as_ref().zip(table.as_ref()).and_then(|(plan, table)| report::outsider(plan, table));
    Ok(Report {
        migration: migration_detail(migration),
        strategy: plan.as_ref().map_or_else(String::new, strategy),
        notes: plan.as_ref().map(|plan| plan.notes.clone()).unwrap_or_default(),
        verdict: report::verdict(migration, table.as_ref()),
        batches: batches(core, migration).await?,
        difference,
        outsider,
        readers: readers(core, migration),
        undo: report::undo(migration, plan.as_ref()),
        table,
    })
}

fn strategy(plan: &Plan) -> String {
    format!("{}: {}", plan.strategy.kind.as_str(), plan.strategy.reason)
}

fn readers(core: &Core, migration: &Migration) -> Vec<skein_protocol::api::ReaderHint> {
    let visible = migration.phase == Phase::Committed;
    let Some(intent) = migration.intent.as_ref().filter(|_| visible) else { return Vec::new() };
    match iceberg(&core.config, &migration.target_connection) {
        Some(connection) => report::readers(connection, &migration.target, &intent.table.metadata_location),
        None => report::unknown_target(&migration.target_connection),
    }
}

/// The evidence of the batches that are done, stage by stage.
async fn batches(core: &Core, migration: &Migration) -> Result<Vec<(String, BatchEvidence)>, DocumentError> {
    let done = all_batches(migration).into_iter().filter_map(|(id, state)| state.done.map(|(blob, _)| (id, blob)));
    let done: Vec<(BatchId, Hash256)> = done.take(MAX_BATCHES).collect();
    let reads = done.into_iter().map(|(id, blob)| async move {
        let result: BatchResult = core.document("a batch's result", blob).await?;
        Ok((id.to_string(), result.evidence))
    });
    stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
}

fn all_batches(migration: &Migration) -> Vec<(BatchId, &BatchState)> {
    let mut all = Vec::new();
    for (stage, states) in (0_u32..).map(StageNo).zip(&migration.stages) {
        all.extend((0_u32..).map(BatchNo).zip(states).map(|(batch, state)| (BatchId { stage, batch }, state)));
    }
    all
}

/// The batch whose difference made the migration pause, if it was a batch's.
fn stopped_batch(migration: &Migration) -> Option<BatchId> {
    let code = migration.problem.as_ref()?.code;
    let stopped =
        |state: &BatchState| state.done.is_none() && state.problem.as_ref().is_some_and(|one| one.code == code);
    all_batches(migration).into_iter().find(|(_, state)| stopped(state)).map(|(id, _)| id)
}

/// What made the migration pause: the blob is a batch's result, or the table's evidence.
async fn differing(
    core: &Core,
    migration: &Migration,
    plan: Option<&Plan>,
    blob: Hash256,
) -> Result<(Option<TableEvidence>, Option<Difference>), DocumentError> {
    if let Some(id) = stopped_batch(migration)
        && let Ok(result) = core.document::<BatchResult>("a batch's result", blob).await
    {
        return Ok((None, plan.and_then(|plan| judge::batch(plan, id, &result.evidence))));
    }
    let evidence: TableEvidence = core.document("the table's evidence", blob).await?;
    let difference = plan.and_then(|plan| judge::whole(plan, &evidence));
    Ok((Some(evidence), difference))
}
