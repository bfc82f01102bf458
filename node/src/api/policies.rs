//! Policies: lint, apply, list, show.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use skein_protocol::api::{ApplyAnswer, LintAnswer, PolicyDetail, PolicyRow};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::PolicyName;
use skein_protocol::ledger::{Answer, Entry};
use skein_protocol::policy::{self, MAX_DOCUMENT_BYTES, Policy};
use skein_protocol::problem::{Code, Problem};

use super::Api;
use super::auth::Caller;
use super::error::ApiError;
use super::extract::{idempotency_key, text};
use super::rows::policy_row;
use super::selecting::{applied, targets};

/// Answers that are kept for repeated requests: those of the last hours of a busy team.
const KEPT_ANSWERS: usize = 1000;

/// Answers by idempotency key, the oldest first. They do not outlive the node; then a repeated document still changes
/// nothing, and is answered as unchanged.
#[derive(Debug, Default)]
pub(super) struct Applied(VecDeque<(String, Hash256, ApplyAnswer)>);

impl Applied {
    fn find(&self, key: &str, document: Hash256) -> Result<Option<ApplyAnswer>, ApiError> {
        match self.0.iter().find(|(known, ..)| known == key) {
            None => Ok(None),
            Some((_, first, answer)) if *first == document => Ok(Some(answer.clone())),
            Some(_) => {
                let why = "it was used for another document";
                Err(Problem::new(Code::RequestInvalid, "Idempotency-Key", why, "send a new key").into())
            }
        }
    }

    fn keep(&mut self, key: String, document: Hash256, answer: ApplyAnswer) {
        if self.0.len() >= KEPT_ANSWERS {
            self.0.pop_front();
        }
        self.0.push_back((key, document, answer));
    }
}

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
    let mut kept = api.applied.lock().await;
    if let Some(key) = &key
        && let Some(answer) = kept.find(key, hash)?
    {
        return Ok(Json(answer));
    }
    let core = &api.core;
    let name = policy.metadata.name.clone();
    let policy = applied(core, &policy, targets(core, &policy).await?)?;
    let entry = Entry::PolicyApplied { policy, owner: core.node };
    let (_, answer) = core.ledger.propose(entry, &caller.0).await?;
    let count = |ids: &[_]| u32::try_from(ids.len()).unwrap_or(u32::MAX);
    let answer = match answer {
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
    };
    if let Some(key) = key {
        kept.keep(key, hash, answer.clone());
    }
    Ok(Json(answer))
}

pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<Vec<PolicyRow>> {
    Json(api.core.ledger.read(|state| state.policies().values().map(|record| policy_row(state, record)).collect()))
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
) -> Result<Json<PolicyDetail>, ApiError> {
    let name = PolicyName(name);
    let found = api.core.ledger.read(|state| {
        state.policies().get(&name).map(|record| (policy_row(state, record), record.policy.document.clone()))
    });
    let (row, document) = found.ok_or_else(|| ApiError::not_found(format!("policy {name}"), "list the policies"))?;
    let document = serde_json::from_str(&document).map_err(|error| {
        Problem::new(Code::Internal, format!("policy {name}"), error.to_string(), "report this defect")
    })?;
    Ok(Json(PolicyDetail { row, document }))
}
