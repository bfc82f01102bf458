//! The fleet: who belongs to it, join tokens, draining and removing nodes, the state's digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use skein_protocol::api::{
    DEFAULT_TOKEN_SECONDS, Digest, DrainRequest, FleetView, JoinToken, MAX_TOKEN_SECONDS, NodeDetail, NodeRow,
    RemoveQuery, RevokedToken, TokenRequest, TokenRow,
};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::members::JoinToken as LedgerToken;
use skein_protocol::ledger::{Phase, Standing};

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{Params, json, reason};
use super::rows::migration_row;
use super::sight::sees;
use super::{Api, fleet_source};

/// Migrations under work that a node's detail shows.
const SHOWN_RUNNING: usize = 100;

pub(super) async fn show(State(api): State<Arc<Api>>) -> Json<FleetView> {
    Json(fleet_source::view(&api.core))
}

pub(super) async fn node(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<NodeDetail>, ApiError> {
    let row = find(&api, &name)?;
    let node = row.node;
    let (phases, running) = api.core.ledger.read(|state| {
        let mut phases: BTreeMap<Phase, u32> = BTreeMap::new();
        let mut running = Vec::new();
        for migration in state.migrations().values() {
            if migration.owner != node || migration.phase.is_end() {
                continue;
            }
            *phases.entry(migration.phase).or_default() += 1;
            let under_way = matches!(migration.phase, Phase::Execution | Phase::Validation | Phase::Commit);
            if under_way && running.len() < SHOWN_RUNNING && sees(state, &caller.rights, migration) {
                running.push(migration_row(migration));
            }
        }
        (phases, running)
    });
    Ok(Json(NodeDetail { row, phases, running }))
}

pub(super) async fn drain(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<NodeRow>, ApiError> {
    let request: DrainRequest = json(body).await?;
    let (node, reason) = (find(&api, &name)?.node, reason(&request.reason)?);
    fleet_source::drain(&api.core, node, request.cancel, &reason, &caller.name).await?;
    Ok(Json(find(&api, &node.to_string())?))
}

pub(super) async fn remove(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Params(query): Params<RemoveQuery>,
) -> Result<Json<NodeRow>, ApiError> {
    let (node, reason) = (find(&api, &name)?.node, reason(&query.reason)?);
    fleet_source::remove(&api.core, node, &reason, &caller.name).await?;
    Ok(Json(find(&api, &node.to_string())?))
}

pub(super) async fn issue_token(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<JoinToken>, ApiError> {
    let request: TokenRequest = json(body).await?;
    let seconds = request.valid_seconds.unwrap_or(DEFAULT_TOKEN_SECONDS);
    if seconds == 0 || seconds > MAX_TOKEN_SECONDS {
        let why = format!("{seconds} seconds are not from 1 to {MAX_TOKEN_SECONDS}");
        return Err(ApiError::invalid("a join token", why, "ask for one when the node is about to start"));
    }
    let (token, expires_at) = fleet_source::issue_token(&api.core, seconds * 1000, &caller.name).await?;
    Ok(Json(JoinToken { token, expires_at }))
}

pub(super) async fn tokens(State(api): State<Arc<Api>>) -> Json<Vec<TokenRow>> {
    // The ledger keeps a bounded number of them: no pages are needed.
    Json(api.core.ledger.read(|state| {
        let row = |(token, known): (&Hash256, &LedgerToken)| TokenRow {
            token: *token,
            expires_at: known.expires_at,
            issued_by: known.issued_by.clone(),
            used_by: known.used_by,
            revoked: known.revoked,
        };
        state.join_tokens().iter().map(row).collect()
    }))
}

pub(super) async fn revoke_token(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(token): Path<String>,
) -> Result<Json<RevokedToken>, ApiError> {
    let token: Hash256 = token.parse().map_err(|_| {
        let next = "name it by the SHA-256 of its secret; `skein fleet revoke TOKEN` computes it";
        ApiError::invalid("the join token", "this is not the hash of one", next)
    })?;
    fleet_source::revoke_token(&api.core, token, &caller.name).await?;
    Ok(Json(RevokedToken { token }))
}

pub(super) async fn digest(State(api): State<Arc<Api>>) -> Result<Json<Digest>, ApiError> {
    let (index, digest) = fleet_source::digest(&api.core)?;
    Ok(Json(Digest { index, digest }))
}

/// The node that is called `name`: by its id, or by one of its addresses, if that is its alone.
fn find(api: &Api, name: &str) -> Result<NodeRow, ApiError> {
    let view = fleet_source::view(&api.core);
    let none = || ApiError::not_found(format!("node {name}"), "list the nodes: skein node list");
    if let Ok(id) = name.parse().map(NodeId) {
        return view.nodes.into_iter().find(|row| row.node == id).ok_or_else(none);
    }
    // A machine that came back as another node has the address of the one that was removed.
    let members = view.nodes.into_iter().filter(|row| row.standing != Standing::Removed);
    let mut named = members.filter(|row| row.address == name || row.api == name);
    let first = named.next().ok_or_else(none)?;
    match named.next() {
        None => Ok(first),
        Some(_) => {
            Err(ApiError::invalid(format!("node {name}"), "several nodes have this address", "name one by its id"))
        }
    }
}
