//! Migrations: list, show, plan, script, report.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use skein_protocol::access::Rights;
use skein_protocol::api::{Filter, MigrationDetail, MigrationRow, Page, PlannedDataset, Report};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{MigrationId, TableName};
use skein_protocol::ledger::{Migration, State as LedgerState};
use skein_protocol::plan::{Plan, Planned, Refusal};

use super::Api;
use super::auth::Caller;
use super::error::ApiError;
use super::extract::Params;
use super::listing::Wanted;
use super::plans::shown;
use super::rows::{migration_detail, migration_row};
use super::sight::sees;
use crate::report::report;

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(filter): Params<Filter>,
) -> Result<Json<Page<MigrationRow>>, ApiError> {
    let wanted = Wanted::new(filter, &caller.rights)?;
    Ok(Json(api.core.ledger.read(|state| wanted.page(state, migration_row))))
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<MigrationDetail>, ApiError> {
    api.core.ledger.read(|state| {
        let id = find(state, &caller.rights, &name)?;
        state.migration(id).map(|migration| Json(migration_detail(migration))).ok_or_else(|| none(&name))
    })
}

pub(super) async fn plan(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<PlannedDataset>, ApiError> {
    let (plan, refusal) = documents(&api, &caller.rights, &name)?;
    let planned = match (plan, refusal) {
        (Some(hash), _) => Planned::Ready(Box::new(api.core.document::<Plan>("the plan", hash).await?)),
        (None, Some(hash)) => Planned::Refused(api.core.document::<Refusal>("the refusal", hash).await?),
        (None, None) => return Err(unplanned(&name)),
    };
    Ok(Json(shown(planned)))
}

pub(super) async fn script(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let (plan, _) = documents(&api, &caller.rights, &name)?;
    let plan: Plan = api.core.document("the plan", plan.ok_or_else(|| unplanned(&name))?).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], plan.script).into_response())
}

pub(super) async fn show_report(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Report>, ApiError> {
    let found =
        api.core.ledger.read(|state| find(state, &caller.rights, &name).map(|id| state.migration(id).cloned()))?;
    let migration = found.ok_or_else(|| none(&name))?;
    Ok(Json(report(&api.core, &migration).await?))
}

/// The blobs of a migration's plan and refusal.
pub(super) fn documents(
    api: &Api,
    rights: &Rights,
    name: &str,
) -> Result<(Option<Hash256>, Option<Hash256>), ApiError> {
    api.core.ledger.read(|state| {
        let id = find(state, rights, name)?;
        let migration = state.migration(id).ok_or_else(|| none(name))?;
        Ok((migration.plan.as_ref().map(|plan| plan.hash), migration.refusal))
    })
}

/// The migration that is called `name`: by its id, or by its dataset or target, if that is one alone.
pub(super) fn find(state: &LedgerState, rights: &Rights, name: &str) -> Result<MigrationId, ApiError> {
    find_among(state, rights, name, state.migrations().values().filter(|migration| !state.is_superseded(migration)))
}

/// The same, among some migrations; an id names any.
pub(super) fn find_among<'a>(
    state: &LedgerState,
    rights: &Rights,
    name: &str,
    among: impl Iterator<Item = &'a Migration>,
) -> Result<MigrationId, ApiError> {
    if let Ok(id) = name.parse::<MigrationId>() {
        let found = state.migration(id).filter(|migration| sees(state, rights, migration));
        return found.map(|migration| migration.id).ok_or_else(|| none(name));
    }
    let Ok(table) = name.parse::<TableName>() else {
        let why = "it is neither an id nor database.table";
        return Err(ApiError::invalid(format!("migration {name}"), why, "list the migrations"));
    };
    let mut named = among
        .filter(|migration| migration.dataset == table || migration.target == table)
        .filter(|migration| sees(state, rights, migration));
    let first = named.next().ok_or_else(|| none(name))?;
    let others: Vec<String> = named.map(|other| other.id.to_string()).collect();
    if others.is_empty() {
        return Ok(first.id);
    }
    let why = format!("several migrations are about it: {}, {}", first.id, others.join(", "));
    Err(ApiError::invalid(format!("migration {name}"), why, "name one by its id"))
}

pub(super) fn none(name: &str) -> ApiError {
    ApiError::not_found(format!("migration {name}"), "list the migrations")
}

pub(super) fn unplanned(name: &str) -> ApiError {
    ApiError::not_found(format!("the plan of migration {name}"), "wait until it is planned")
}
