//! Policies: lint, apply, list, show.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use skein_protocol::api::{ApplyAnswer, LintAnswer, Page, PolicyDetail, PolicyFilter, PolicyRow};
use skein_protocol::defects::{self, Defect};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::PolicyName;
use skein_protocol::ledger::entry::RequestKey;
use skein_protocol::ledger::policies::PolicyRecord;
use skein_protocol::ledger::{Answer, Entry};
use skein_protocol::policy::{self, MAX_DOCUMENT_BYTES, Policy};
use skein_protocol::problem::{Code, Problem};

use super::Api;
use super::auth::Caller;
use super::error::ApiError;
use super::extract::{Params, idempotency_key, text};
use super::paging;
use super::rows::policy_row;
use super::selecting::{applied, targets};
use super::sight::sees_policy;
use crate::core::Core;

pub(super) async fn lint(body: Body) -> Result<Json<LintAnswer>, ApiError> {
    Ok(Json(match policy::parse(&text(body, MAX_DOCUMENT_BYTES).await?) {
        Ok(policy) => LintAnswer { policy: Some(policy.metadata.name), errors: Vec::new() },
        Err(errors) => LintAnswer { policy: None, errors },
    }))
}

/// A policy document out of a body.
pub(super) async fn document(body: Body) -> Result<(Policy, Hash256), ApiError> {
    let text = text(body, MAX_DOCUMENT_BYTES).await?;
    let policy = policy::parse(&text).map_err(ApiError::policy)?;
    Ok((policy, Hash256::of(text.as_bytes())))
}

pub(super) async fn apply(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ApplyAnswer>, ApiError> {
    let key = idempotency_key(&headers)?;
    let (policy, hash) = document(body).await?;
    let key = key.map(|key| RequestKey { key, document: hash });
    let core = &api.core;
    let name = policy.metadata.name.clone();
    may_apply(core, &caller, &policy)?;
    let policy = applied(core, &policy, targets(core, &policy).await?)?;
    let entry = Entry::PolicyApplied { policy, owner: core.node, key };
    if defects::is(Defect::AckBeforeLedger) {
        let later = api.clone();
        tokio::spawn(async move { later.core.ledger.propose(entry, &caller.name).await });
        let (generation, changed) = (Default::default(), true);
        return Ok(Json(ApplyAnswer { policy: name, generation, changed, created: 0, superseded: 0, kept: 0 }));
    }
    let (_, answer) = core.ledger.propose(entry, &caller.name).await?;
    let count = |ids: &[_]| u32::try_from(ids.len()).unwrap_or(u32::MAX);
    Ok(Json(match answer {
        Answer::PolicyApplied { generation, created, superseded, kept } => ApplyAnswer {
            policy: name,
            generation,
            changed: true,
            created: count(&created),
            superseded: count(&superseded),
            kept: count(&kept),
        },
        Answer::Refused(problem) => return Err(problem.into()),
        Answer::Applied | Answer::Unchanged | Answer::Partly(_) => {
            let generation = core.ledger.read(|state| state.policies().get(&name).map(|record| record.generation));
            let generation = generation.unwrap_or_default();
            ApplyAnswer { policy: name, generation, changed: false, created: 0, superseded: 0, kept: 0 }
        }
    }))
}

/// Whoever applies a policy acts for its team, and for the one that it belonged to before.
pub(super) fn may_apply(core: &Core, caller: &Caller, policy: &Policy) -> Result<(), Problem> {
    let name = &policy.metadata.name;
    let what = format!("policy {name}");
    caller.rights.check_team(&policy.metadata.owner, &what)?;
    let owner = core.ledger.read(|state| state.policies().get(name).map(|record| record.policy.owner.clone()));
    owner.map_or(Ok(()), |owner| caller.rights.check_team(&owner, &what))
}

/// Policies by name, page by page.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(filter): Params<PolicyFilter>,
) -> Result<Json<Page<PolicyRow>>, ApiError> {
    let limit = paging::limit(filter.limit)?;
    let labels = paging::labels(filter.label.as_deref())?;
    let text = paging::text(filter.text);
    let after = paging::place(filter.cursor.as_deref(), |place| Some(PolicyName(place.to_owned())))?;
    let wanted = |record: &&PolicyRecord| {
        let policy = &record.policy;
        let has = |part: &str, text: &String| part.to_lowercase().contains(text);
        sees_policy(&caller.rights, record)
            && labels.iter().all(|label| policy.labels.contains(label))
            && text.as_ref().is_none_or(|text| has(&policy.name.0, text) || has(&policy.owner, text))
    };
    Ok(Json(api.core.ledger.read(|state| {
        let mut page = Page { items: Vec::new(), total: 0, next: None };
        for record in state.policies().values().filter(wanted) {
            page.total += 1;
            if after.as_ref().is_some_and(|after| record.policy.name <= *after) {
                continue;
            }
            if page.items.len() < limit {
                page.items.push(policy_row(state, record));
            } else if page.next.is_none() {
                page.next = page.items.last().map(|last: &PolicyRow| paging::cursor(&last.name.0));
            }
        }
        page
    })))
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<PolicyDetail>, ApiError> {
    let name = PolicyName(name);
    let found = api.core.ledger.read(|state| {
        let seen = state.policies().get(&name).filter(|record| sees_policy(&caller.rights, record));
        seen.map(|record| (policy_row(state, record), record.policy.document.clone()))
    });
    let (row, document) = found.ok_or_else(|| ApiError::not_found(format!("policy {name}"), "list the policies"))?;
    let document = serde_json::from_str(&document).map_err(|error| {
        Problem::new(Code::Internal, format!("policy {name}"), error.to_string(), "report this defect")
    })?;
    Ok(Json(PolicyDetail { row, document }))
}
