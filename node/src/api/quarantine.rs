//! The quarantine: what failed for good, to be replayed or discarded, one by one or all that a filter selects.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use skein_protocol::access::Rights;
use skein_protocol::api::{
    ActionAnswer, EvidenceBlob, FailedBatch, Page, QuarantineFilter, QuarantineRequest, QuarantineRow, RefusedAction,
    SHOWN_BATCHES, SHOWN_HISTORY,
};
use skein_protocol::ids::MigrationId;
use skein_protocol::ledger::entry::Request;
use skein_protocol::ledger::{Entry, Migration, Phase};
use skein_protocol::problem::{Code, Problem};

use super::Api;
use super::actions::{MAX_ITEMS, answered};
use super::auth::Caller;
use super::error::ApiError;
use super::extract::{Params, json, reason};
use super::listing::Wanted;
use super::migrations::find_among;
use super::rows::{batches, migration_row};
use super::sight::sort_out;

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(filter): Params<QuarantineFilter>,
) -> Result<Json<Page<QuarantineRow>>, ApiError> {
    let wanted = Wanted::quarantined(filter, &caller.rights)?;
    Ok(Json(api.core.ledger.read(|state| wanted.page(state, row))))
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<QuarantineRow>, ApiError> {
    api.core.ledger.read(|state| {
        let id = find_among(state, &caller.rights, &name, state.in_phase(Phase::Quarantined))?;
        let found = state.migration(id).filter(|migration| migration.phase == Phase::Quarantined);
        let none = || ApiError::not_found(format!("{name} in quarantine"), "list them: skein quarantine list");
        found.map(|migration| Json(row(migration))).ok_or_else(none)
    })
}

pub(super) async fn replay(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<ActionAnswer>, ApiError> {
    act(&api, &caller, body, Request::Retry).await
}

pub(super) async fn discard(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<ActionAnswer>, ApiError> {
    act(&api, &caller, body, Request::Cancel).await
}

async fn act(api: &Api, caller: &Caller, body: Body, request: Request) -> Result<Json<ActionAnswer>, ApiError> {
    let asked: QuarantineRequest = json(body).await?;
    let reason = reason(&asked.reason)?;
    let (chosen, mut refused) = choose(api, &caller.rights, asked)?;
    let mut done = 0;
    for part in chosen.chunks(MAX_ITEMS) {
        let entry = Entry::Requested { migrations: part.to_vec(), request, reason: reason.clone() };
        let (_, answer) = api.core.ledger.propose(entry, &caller.name).await?;
        let answer = answered(answer, part.len(), part[0]);
        done += answer.done;
        refused.extend(answer.refused);
    }
    Ok(Json(ActionAnswer { done, refused }))
}

/// What is asked for, without what is not in quarantine: other phases allow some of it too, but nobody meant that.
fn choose(
    api: &Api,
    rights: &Rights,
    asked: QuarantineRequest,
) -> Result<(Vec<MigrationId>, Vec<RefusedAction>), ApiError> {
    match (asked.filter, asked.migrations) {
        (Some(filter), ids) if ids.is_empty() => {
            let wanted = Wanted::quarantined(filter, rights)?;
            Ok((api.core.ledger.read(|state| wanted.all(state)), Vec::new()))
        }
        (None, ids) if !ids.is_empty() && ids.len() <= MAX_ITEMS => Ok(api.core.ledger.read(|state| {
            sort_out(
                state,
                rights,
                ids,
                |id| *id,
                |_, migration| match migration.phase {
                    Phase::Quarantined => Ok(()),
                    _ => Err(elsewhere(migration)),
                },
            )
        })),
        (filter, ids) => {
            let why = match filter {
                Some(_) => "it has both ids and a filter".to_owned(),
                None => format!("it names {} migrations and has no filter", ids.len()),
            };
            let next = format!("name 1 to {MAX_ITEMS} migrations, or give a filter ({{}} for all)");
            Err(ApiError::invalid("the request", why, next))
        }
    }
}

fn elsewhere(migration: &Migration) -> Problem {
    let why = format!("it is not in quarantine but in phase {}", migration.phase);
    let next = "list what is in quarantine: skein quarantine list";
    Problem::new(Code::WrongPhase, format!("migration {}", migration.id), why, next).of(&migration.dataset)
}

/// A quarantined migration with everything about it.
fn row(migration: &Migration) -> QuarantineRow {
    let failed = batches(migration).filter(|(_, batch)| batch.failures > 0 || !batch.deaths.is_empty());
    let failed = failed.map(|(id, batch)| FailedBatch {
        id: id.to_string(),
        failures: batch.failures,
        deaths: batch.deaths.clone(),
        problem: batch.problem.as_deref().cloned(),
    });
    let blobs = [
        ("plan", migration.plan.as_ref().map(|plan| plan.hash)),
        ("refusal", migration.refusal),
        ("difference", migration.difference),
        ("evidence", migration.intent.as_ref().map(|intent| intent.evidence)),
    ];
    let evidence =
        blobs.into_iter().filter_map(|(what, hash)| Some(EvidenceBlob { what: what.to_owned(), hash: hash? }));
    let skipped = migration.history.len().saturating_sub(SHOWN_HISTORY);
    let unknown = || {
        let why = "the ledger has no problem of it";
        Problem::new(Code::Internal, format!("migration {}", migration.id), why, "look at its history")
    };
    QuarantineRow {
        row: migration_row(migration),
        problem: migration.problem.as_deref().cloned().unwrap_or_else(unknown),
        epoch: migration.epoch,
        attempts: migration.attempts,
        work_failures: migration.work.failures,
        batches: failed.take(SHOWN_BATCHES).collect(),
        evidence: evidence.collect(),
        since: migration.changed_at,
        history: migration.history[skipped..].to_vec(),
    }
}
