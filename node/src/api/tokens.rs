//! Access tokens: make, list, take back; who the caller is.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use skein_protocol::access::{MAX_TEAMS, Rights};
use skein_protocol::api::{
    AccessTokenRequest, AccessTokenRow, AccessTokenState, IssuedAccessToken, MAX_ACCESS_TOKEN_SECONDS, RevokeQuery,
    WhoAmI,
};
use skein_protocol::hash::Hash256;
use skein_protocol::ledger::Entry;
use skein_protocol::ledger::access::AccessToken;
use skein_protocol::policy;

use super::auth::{self, Caller, NODE_TOKEN_NAME};
use super::error::ApiError;
use super::extract::{Params, json, reason};
use super::{Api, fleet_source};

/// Longest name of a token.
const MAX_NAME_CHARS: usize = 64;
/// What every token begins with, so that tools which look for leaked secrets know it.
const PREFIX: &str = "skein_";

pub(super) async fn who_am_i(Extension(caller): Extension<Caller>) -> Json<WhoAmI> {
    let Caller { name, rights, expires_at, token: _ } = caller;
    Json(WhoAmI { name, roles: rights.roles, teams: rights.teams, expires_at })
}

pub(super) async fn issue(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<IssuedAccessToken>, ApiError> {
    let request: AccessTokenRequest = json(body).await?;
    let (core, name) = (&api.core, request.name.clone());
    let rights = checked(&request)?;
    if name == NODE_TOKEN_NAME || core.config.tokens.iter().any(|token| token.name == name) {
        let why = "a token of the nodes' configuration has this name";
        return Err(ApiError::invalid(format!("the token {name}"), why, "choose another name"));
    }
    let now = core.env.clock.wall_millis();
    let expires_at = request.valid_seconds.map(|seconds| now + seconds * 1000);
    let text = format!("{PREFIX}{}", auth::random(&core.env));
    let token = Hash256::of(text.as_bytes());
    let entry = Entry::AccessTokenIssued { token, name: name.clone(), rights: rights.clone(), expires_at };
    fleet_source::record(core, entry, &caller.name).await?;
    let Rights { roles, teams } = rights;
    Ok(Json(IssuedAccessToken { token: text, sha256: token, name, roles, teams, expires_at }))
}

/// The rights that are asked for, if everything is as it should be.
fn checked(request: &AccessTokenRequest) -> Result<Rights, ApiError> {
    let wrong = |why: String, next: &str| Err(ApiError::invalid(format!("the token {:?}", request.name), why, next));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if request.name.is_empty() || request.name.len() > MAX_NAME_CHARS || !request.name.chars().all(plain) {
        let why = format!("a name has 1 to {MAX_NAME_CHARS} letters, digits and -_.@");
        return wrong(why, "name the person or program that it is for");
    }
    if request.roles.is_empty() {
        return wrong("it has no role".to_owned(), "name viewer, operator, approver or admin");
    }
    if request.valid_seconds.is_some_and(|seconds| seconds == 0 || seconds > MAX_ACCESS_TOKEN_SECONDS) {
        let why = format!("it can be valid for 1 to {MAX_ACCESS_TOKEN_SECONDS} seconds, or for ever");
        return wrong(why, "give a shorter time");
    }
    let teams = match &request.teams {
        None => None,
        Some(teams) if teams.is_empty() || teams.len() > MAX_TEAMS => {
            let why = format!("it names {} teams", teams.len());
            return wrong(why, "name 1 to 100 teams, or none at all for a token that holds for all");
        }
        Some(teams) => Some(teams.clone()),
    };
    for team in teams.iter().flatten() {
        if let Err(why) = policy::check_owner(team) {
            return wrong(why, "teams are what policies name as metadata.owner");
        }
    }
    Ok(Rights { roles: request.roles.clone(), teams })
}

pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<Vec<AccessTokenRow>> {
    let now = api.core.env.clock.wall_millis();
    let configured = api.core.config.tokens.iter().map(|token| AccessTokenRow {
        sha256: token.sha256,
        name: token.name.clone(),
        roles: token.rights.roles.clone(),
        teams: token.rights.teams.clone(),
        state: AccessTokenState::Configured,
        issued_by: None,
        issued_at: None,
        expires_at: None,
        last_used: None,
        revoked_by: None,
        reason: None,
    });
    let mut rows: Vec<AccessTokenRow> = configured.collect();
    // The ledger keeps a bounded number of them: no pages are needed.
    api.core
        .ledger
        .read(|state| rows.extend(state.access().tokens().iter().map(|(hash, token)| row(hash, token, now))));
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    Json(rows)
}

fn row(hash: &Hash256, token: &AccessToken, now: u64) -> AccessTokenRow {
    let state = match (&token.revoked, token.holds(now)) {
        (Some(_), _) => AccessTokenState::Revoked,
        (None, true) => AccessTokenState::Valid,
        (None, false) => AccessTokenState::Expired,
    };
    AccessTokenRow {
        sha256: *hash,
        name: token.name.clone(),
        roles: token.rights.roles.clone(),
        teams: token.rights.teams.clone(),
        state,
        issued_by: Some(token.issued_by.clone()),
        issued_at: Some(token.issued_at),
        expires_at: token.expires_at,
        last_used: token.last_used,
        revoked_by: token.revoked.as_ref().map(|revoked| revoked.by.clone()),
        reason: token.revoked.as_ref().map(|revoked| revoked.reason.clone()),
    }
}

pub(super) async fn revoke(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(named): Path<String>,
    Params(query): Params<RevokeQuery>,
) -> Result<Json<AccessTokenRow>, ApiError> {
    let reason = reason(&query.reason)?;
    let none = || {
        let next = "list them: skein token list; tokens of the configuration are taken out of it";
        ApiError::not_found(format!("token {named}"), next)
    };
    let find = |state: &skein_protocol::ledger::State| {
        let tokens = state.access().tokens();
        let by_hash = named.parse::<Hash256>().ok().filter(|hash| tokens.contains_key(hash));
        by_hash.or_else(|| tokens.iter().find(|(_, token)| token.name == named).map(|(hash, _)| *hash))
    };
    let token = api.core.ledger.read(find).ok_or_else(none)?;
    fleet_source::record(&api.core, Entry::AccessTokenRevoked { token, reason }, &caller.name).await?;
    let now = api.core.env.clock.wall_millis();
    let found = api.core.ledger.read(|state| state.access().tokens().get(&token).map(|known| row(&token, known, now)));
    found.map(Json).ok_or_else(none)
}
