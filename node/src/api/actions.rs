//! What people ask of migrations: actions, and decisions about plans.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use skein_protocol::api::{Action, ActionAnswer, ActionRequest, DecisionRequest, RefusedAction};
use skein_protocol::ids::MigrationId;
use skein_protocol::ledger::entry::Request;
use skein_protocol::ledger::policies::PolicyRecord;
use skein_protocol::ledger::{Answer, Entry, Migration};
use skein_protocol::problem::{Code, Problem};

use super::Api;
use super::auth::Caller;
use super::error::ApiError;
use super::extract::{json, reason};
use super::sight::sort_out;

/// Most migrations in one action or decision: all are looked at in one step of the ledger.
pub const MAX_ITEMS: usize = 10_000;

pub(super) async fn act(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<ActionAnswer>, ApiError> {
    act_on(&api, &caller, json(body).await?).await.map(Json)
}

/// Does what is asked with migrations that the caller sees.
pub(super) async fn act_on(api: &Api, caller: &Caller, request: ActionRequest) -> Result<ActionAnswer, ApiError> {
    let asked = within(request.migrations)?;
    let rights = &caller.rights;
    let (migrations, refused) = api.core.ledger.read(|state| sort_out(state, rights, asked, |id| *id, |_, _| Ok(())));
    let (first, count) = (migrations.first().copied(), migrations.len());
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
    carry_out(api, caller, (entry, first, count), refused).await
}

pub(super) async fn decide(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<ActionAnswer>, ApiError> {
    decide_on(&api, &caller, json(body).await?).await.map(Json)
}

/// Approves or rejects plans that the caller may decide about.
pub(super) async fn decide_on(api: &Api, caller: &Caller, request: DecisionRequest) -> Result<ActionAnswer, ApiError> {
    let items: Vec<_> = within(request.items)?.into_iter().map(|item| (item.migration, item.plan)).collect();
    let (rights, what) = (&caller.rights, if request.approve { "approval of a plan" } else { "rejection of a plan" });
    let may = |record: &PolicyRecord, migration: &Migration| {
        let unreadable = |error: serde_json::Error| {
            let what = format!("the document of policy {}", migration.policy);
            Problem::new(Code::Internal, what, error.to_string(), "report this defect")
        };
        let by = record.approval().map_err(unreadable)?.by;
        rights.check_decision(&record.policy.owner, by, what).map_err(|problem| problem.of(&migration.dataset))
    };
    let (items, refused) = api.core.ledger.read(|state| sort_out(state, rights, items, |item| item.0, may));
    let (first, count) = (items.first().map(|item| item.0), items.len());
    let reason = reason(&request.reason)?;
    let entry = if request.approve { Entry::Approved(items) } else { Entry::Rejected { items, reason } };
    carry_out(api, caller, (entry, first, count), refused).await
}

/// Records what is allowed, and tells of what was refused here or by the ledger. `entry` names `count` migrations.
async fn carry_out(
    api: &Api,
    caller: &Caller,
    (entry, first, count): (Entry, Option<MigrationId>, usize),
    mut refused: Vec<RefusedAction>,
) -> Result<ActionAnswer, ApiError> {
    let Some(first) = first else { return Ok(ActionAnswer { done: 0, refused }) };
    let (_, answer) = api.core.ledger.propose(entry, &caller.name).await?;
    let answer = answered(answer, count, first);
    refused.extend(answer.refused);
    Ok(ActionAnswer { done: answer.done, refused })
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
