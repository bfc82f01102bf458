//! Planning without recording: what applying a policy would do, dataset by dataset, as lines of JSON.
//!
//! Datasets are inspected several at once and told in their order. Nothing is inspected ahead of a caller who does not
//! read; a caller who leaves ends it. Neither ledger nor target is written to.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt};
use skein_protocol::api::{PlanLine, PlanTotals, PlannedDataset};
use skein_protocol::data_plane::{Failure, InspectRequest};
use skein_protocol::hash::{Hash256, canonical_json};
use skein_protocol::ids::{Generation, MigrationId, TableName};
use skein_protocol::ledger::State as LedgerState;
use skein_protocol::machine::outcome::estimated_seconds;
use skein_protocol::plan::{Planned, Refusal};
use skein_protocol::planner;
use skein_protocol::policy::Policy;

use super::Api;
use super::auth::Caller;
use super::error::ApiError;
use super::policies::{document, may_apply};
use super::selecting::{applied, targets};
use crate::core::Core;

/// Inspections at once for each slot: they mostly wait for the disk.
const INSPECTIONS_PER_SLOT: usize = 2;
/// The media type of lines of JSON.
pub(super) const MEDIA_TYPE: &str = "application/x-ndjson";

pub(super) async fn plan(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Response, ApiError> {
    let (policy, _) = document(body).await?;
    let core = api.core.clone();
    may_apply(&core, &caller, &policy)?;
    let datasets = targets(&core, &policy).await?;
    let applied = applied(&core, &policy, datasets)?;
    let look = |state: &LedgerState| {
        let generation = state.generation_of(&applied.name, applied.hash, &applied.datasets);
        (generation, state.settled(&applied.name))
    };
    let (generation, settled) = core.ledger.read(look);
    let lines = lines(core, Arc::new(policy), generation, applied.datasets, &settled);
    let body = lines.map(|line| {
        let mut json =
            serde_json::to_vec(&line).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}").into_bytes());
        json.push(b'\n');
        Ok::<_, Infallible>(Bytes::from(json))
    });
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], Body::from_stream(body)).into_response())
}

fn lines(
    core: Arc<Core>,
    policy: Arc<Policy>,
    generation: Generation,
    datasets: Vec<(TableName, TableName)>,
    settled: &BTreeSet<TableName>,
) -> impl Stream<Item = PlanLine> + Send + use<> {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let all = datasets.len();
    let open: Vec<(TableName, TableName)> = datasets.into_iter().filter(|(one, _)| !settled.contains(one)).collect();
    let settled = count(all - open.len());
    let at_once = (core.config.slots * INSPECTIONS_PER_SLOT).max(1);
    let planned = stream::iter(open)
        .map(move |(dataset, target)| plan_one(core.clone(), policy.clone(), generation, dataset, target))
        .buffered(at_once);
    // The totals grow with what went by; the last line tells them.
    let totals = Arc::new(std::sync::Mutex::new(PlanTotals { settled, ..PlanTotals::default() }));
    let growing = totals.clone();
    let planned = planned.inspect(move |planned| {
        add(&mut growing.lock().unwrap_or_else(std::sync::PoisonError::into_inner), planned);
    });
    let end =
        stream::once(async move { PlanLine::End(*totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner)) });
    let first = PlanLine::Selected { datasets: count(all), settled };
    stream::once(async { first }).chain(planned.map(|planned| PlanLine::Dataset(Box::new(planned)))).chain(end)
}

fn add(totals: &mut PlanTotals, planned: &PlannedDataset) {
    totals.seconds += planned.estimated_seconds;
    match &planned.planned {
        Planned::Ready(plan) => {
            totals.ready += 1;
            totals.rows += plan.source_rows().unwrap_or_default();
            totals.bytes += plan.source_bytes();
        }
        Planned::Refused(_) => totals.refused += 1,
    }
}

async fn plan_one(
    core: Arc<Core>,
    policy: Arc<Policy>,
    generation: Generation,
    dataset: TableName,
    target: TableName,
) -> PlannedDataset {
    let refused = |failure: Failure| {
        let problems = vec![failure.problem.of(&dataset)];
        let refusal = Refusal { dataset: dataset.clone(), target: Some(target.clone()), problems, notes: Vec::new() };
        PlannedDataset { planned: Planned::Refused(refusal), hash: None, estimated_seconds: 0 }
    };
    let request = InspectRequest {
        connection: policy.spec.source.connection.clone(),
        dataset: dataset.clone(),
        target_connection: policy.spec.target.connection.clone(),
        target: target.clone(),
    };
    let inspection = match core.act(|plane| plane.inspect(request)).await {
        Ok(inspection) => inspection,
        Err(failure) => return refused(failure),
    };
    let id = MigrationId::derive(&policy.metadata.name, generation, &dataset);
    let name = target.clone();
    let work = move || shown(planner::plan(&policy, id, generation, &name, &inspection));
    match core.compute(work).await {
        Ok(planned) => planned,
        Err(error) => {
            let problem = ApiError::from(error).into_problem();
            refused(Failure::permanent(problem))
        }
    }
}

/// A plan with its hash and estimate.
pub(super) fn shown(planned: Planned) -> PlannedDataset {
    let (hash, estimated_seconds) = match &planned {
        Planned::Ready(plan) => {
            let json = canonical_json(plan).expect("a plan has text keys only, so it always has a JSON form");
            (Some(Hash256::of(json.as_bytes())), estimated_seconds(plan))
        }
        Planned::Refused(_) => (None, 0),
    };
    PlannedDataset { planned, hash, estimated_seconds }
}
