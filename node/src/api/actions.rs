//! What people ask of migrations: actions, and decisions about plans.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use skein_protocol::api::{Action, ActionAnswer, ActionRequest, DecisionRequest, RefusedAction};
use skein_protocol::ids::MigrationId;
use skein_protocol::ledger::entry::Request;
use skein_protocol::ledger::{Answer, Entry};

use super::Api;
use super::auth::Caller;
use super::error::ApiError;
use super::extract::{json, reason};

/// Most migrations in one action or decision: all are looked at in one step of the ledger.
pub const MAX_ITEMS: usize = 10_000;

pub(super) async fn act(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<ActionAnswer>, ApiError> {
    let request: ActionRequest = json(body).await?;
    let migrations = within(request.migrations)?;
    let (first, asked) = (migrations[0], migrations.len());
    let entry = Entry::Requested {
        migrations,
        request: match request.action {
            Action::Pause => Request::Pause,
            Action::Resume => Request::Resume,
            Action::Cancel => Request::Cancel,
            Action::Retry => Request::Retry,
            Action::Rollback => Request::Rollback,
        },
        reason: reason(&request.reason)?,
    };
    let (_, answer) = api.core.ledger.propose(entry, &caller.0).await?;
    Ok(Json(answered(answer, asked, first)))
}

pub(super) async fn decide(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<ActionAnswer>, ApiError> {
    let request: DecisionRequest = json(body).await?;
    let items: Vec<_> = within(request.items)?.into_iter().map(|item| (item.migration, item.plan)).collect();
    let (first, asked) = (items[0].0, items.len());
    let reason = reason(&request.reason)?;
    let entry = if request.approve { Entry::Approved(items) } else { Entry::Rejected { items, reason } };
    let (_, answer) = api.core.ledger.propose(entry, &caller.0).await?;
    Ok(Json(answered(answer, asked, first)))
}

fn within<T>(items: Vec<T>) -> Result<Vec<T>, ApiError> {
    if items.is_empty() || items.len() > MAX_ITEMS {
        let why = format!("it names {} migrations", items.len());
        return Err(ApiError::invalid("the request", why, format!("name 1 to {MAX_ITEMS}")));
    }
    Ok(items)
}

pub(super) fn answered(answer: Answer, asked: usize, first: MigrationId) -> ActionAnswer {
    let refused: Vec<RefusedAction> = match answer {
        Answer::Partly(refused) => {
            refused.into_iter().map(|(migration, problem)| RefusedAction { migration, problem }).collect()
        }
        // The ledger refuses a whole entry only when it names one migration.
        Answer::Refused(problem) => vec![RefusedAction { migration: first, problem }],
        Answer::Applied | Answer::Unchanged | Answer::PolicyApplied { .. } => Vec::new(),
    };
    let done = u32::try_from(asked.saturating_sub(refused.len())).unwrap_or(u32::MAX);
    ActionAnswer { done, refused }
}
