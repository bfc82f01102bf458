//! The node at a glance: status, health, metrics, documents about the API itself, blobs.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;
use skein_protocol::access::Rights;
use skein_protocol::api::Status;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::PolicyName;
use skein_protocol::ledger::{Migration, Phase, State as LedgerState};
use skein_protocol::policy;
use skein_protocol::problem::{Code, Problem};

use super::Api;
use super::auth::Caller;
use super::error::ApiError;
use super::extract::Params;
use super::fleet_source;
use super::openapi;
use super::sight::{sees, sees_policy};
use crate::core::Core;
use crate::metrics::prometheus::{self, Scrape};

/// What a status is about.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusQuery {
    /// A policy; by default all.
    #[serde(default)]
    policy: Option<PolicyName>,
}

pub(super) async fn status(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<StatusQuery>,
) -> Result<Json<Status>, ApiError> {
    if let Some(name) = &query.policy
        && !api
            .core
            .ledger
            .read(|state| state.policies().get(name).is_some_and(|record| sees_policy(&caller.rights, record)))
    {
        return Err(ApiError::not_found(format!("policy {name}"), "list the policies"));
    }
    Ok(Json(status_of(&api.core, query.policy.as_ref(), &caller.rights)))
}

/// The node at a glance; of one policy's migrations, or of all that `rights` let one see.
pub(crate) fn status_of(core: &Core, policy: Option<&PolicyName>, rights: &Rights) -> Status {
    let up = core.env.clock.monotonic().saturating_sub(core.started);
    let mut status = Status {
        node: core.node,
        version: core.config.version.clone(),
        up_millis: u64::try_from(up.as_millis()).unwrap_or(u64::MAX),
        slots: u32::try_from(core.config.slots).unwrap_or(u32::MAX),
        slots_busy: u32::try_from(core.metrics.stats().slots_busy).unwrap_or(u32::MAX),
        ..Status::default()
    };
    core.ledger.read_at(|index, state| {
        status.applied_index = index;
        let policies = state.policies().values().filter(|record| sees_policy(rights, record)).count();
        status.policies = u32::try_from(policies).unwrap_or(u32::MAX);
        match policy {
            None => {
                let seen = state.migrations().values().filter(|one| sees(state, rights, one));
                seen.for_each(|one| add(&mut status, state, one));
            }
            Some(name) => {
                let ids = state.policies().get(name).into_iter().flat_map(|record| &record.migrations);
                ids.filter_map(|id| state.migration(*id)).for_each(|one| add(&mut status, state, one));
            }
        }
    });
    status
}

fn add(status: &mut Status, state: &LedgerState, migration: &Migration) {
    if state.is_superseded(migration) {
        return;
    }
    *status.phases.entry(migration.phase).or_default() += 1;
    let ((done, batches), totals) = (migration.batch_counts(), migration.totals());
    status.batches_done += u64::from(done);
    status.batches += u64::from(batches);
    if let Some(plan) = &migration.plan {
        status.rows_planned += plan.rows.unwrap_or_default();
        status.bytes_planned += plan.bytes;
    }
    status.rows_in += totals.rows_in;
    status.rows_removed += totals.rows_removed;
    status.rows_out += totals.rows_out;
    status.bytes_out += totals.bytes_out;
}

/// The process lives.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// The node can record facts and act.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Result<&'static str, ApiError> {
    let stopped = api.core.ledger.stopped().now_or_never();
    let why = match stopped {
        Some(error) => error.to_string(),
        None if !fleet_source::has_quorum(&api.core) => {
            "it knows of no leader that a majority of the voters follows".to_owned()
        }
        None if !api.core.may_act() => "it has no session yet, or lost it".to_owned(),
        None => return Ok("ready\n"),
    };
    Err(Problem::new(Code::LedgerUnavailable, "the node", why, "look at the node's log").into())
}

pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Response {
    let core = &api.core;
    let load = *core.fleet.load.borrow();
    let mut scrape = Scrape {
        node: core.metrics.stats(),
        ledger: core.ledger.metrics().stats(),
        slots: core.config.slots as u64,
        leads: core.ledger.is_leader(),
        backlog_seconds: load.backlog_seconds,
        open_seconds: load.open_seconds,
        voters: core.ledger.raft_view().voters.len() as u64,
        quorum: fleet_source::has_quorum(core),
        age_millis: fleet_source::age_millis(core),
        invariants_broken: core.broken.count(),
        ..Scrape::default()
    };
    core.ledger.read_at(|index, state| {
        scrape.applied_index = index;
        scrape.policies = state.policies().len() as u64;
        scrape.nodes_active = state.active().count() as u64;
        scrape.phases = Phase::ALL.into_iter().map(|phase| (phase, state.count(phase) as u64)).collect();
    });
    ([(header::CONTENT_TYPE, prometheus::MEDIA_TYPE)], prometheus::render(&scrape)).into_response()
}

pub(super) async fn document(State(api): State<Arc<Api>>) -> Response {
    let document = api.document.get_or_init(|| openapi::document().to_string());
    ([(header::CONTENT_TYPE, "application/json")], document.clone()).into_response()
}

pub(super) async fn policy_schema() -> Json<serde_json::Value> {
    Json(policy::json_schema())
}

pub(super) async fn blob(State(api): State<Arc<Api>>, Path(hash): Path<String>) -> Result<Response, ApiError> {
    let hash: Hash256 = hash
        .parse()
        .map_err(|error| ApiError::invalid("the blob", format!("{error}"), "take it from a detail or report"))?;
    let bytes = api.core.ledger.blobs().get(hash).await?;
    let bytes =
        bytes.ok_or_else(|| ApiError::not_found(format!("blob {hash}"), "take its hash from a detail or report"))?;
    // A blob is what its name says, for ever.
    let headers =
        [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "private, immutable, max-age=31536000")];
    Ok((headers, bytes).into_response())
}
