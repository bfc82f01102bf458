//! What happens round every handler: authorization, how current an answer is, a deadline, counting, problem documents for
//! the router's own refusals.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use skein_protocol::access::Permission;
use skein_protocol::api::{AGE_HEADER, APPLIED_INDEX_HEADER, CURRENT_PARAMETER};
use skein_protocol::hash::Hash256;
use skein_protocol::ledger::Entry;
use skein_protocol::problem::{Code, Problem};
use tokio::time::timeout;

use super::Api;
use super::auth::NODE_TOKEN_NAME;
use super::error::{ApiError, explain};
use super::fleet_source;

/// A handler answers within this time, or the caller is told that it did not. Selecting datasets may list a large
/// warehouse.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(120);

/// What stands before a route.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) api: Arc<Api>,
    /// What a caller needs.
    pub(super) permission: Permission,
    /// What the route is for.
    pub(super) what: &'static str,
}

/// Lets a call pass whose token is known and allows it, and notes whose it is.
pub(super) async fn authorize(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let api = &guard.api;
    let now = api.core.env.clock.wall_millis();
    let caller = api.core.ledger.read(|state| api.tokens.caller(request.headers(), state, now));
    let allowed = caller.and_then(|caller| {
        caller.rights.check(guard.permission, guard.what)?;
        Ok(caller)
    });
    match allowed {
        Ok(caller) => {
            if let Some(token) = caller.token.filter(|token| api.uses.is_news(*token, &api.core, now)) {
                record_use(api.clone(), token);
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// Records that a token was used. Nobody waits for it: a use that is not recorded now is recorded with a later one.
fn record_use(api: Arc<Api>, token: Hash256) {
    tokio::spawn(async move {
        let entry = Entry::AccessTokensUsed(vec![token]);
        if let Err(problem) = fleet_source::record(&api.core, entry, NODE_TOKEN_NAME).await {
            tracing::debug!(%problem, "the use of a token was not recorded");
            api.uses.forget(token);
        }
    });
}

/// Says of every answer to a GET how current it is, and makes sure that it is where that is asked for
/// (`?current=true`): the state that is read has at least the index that is said.
pub(super) async fn date(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    match take_current(request.uri()) {
        Ok((uri, current)) => {
            *request.uri_mut() = uri;
            if current && let Err(problem) = fleet_source::read_current(&api.core).await {
                return ApiError::from(problem).into_response();
            }
        }
        Err(error) => return error.into_response(),
    }
    let (index, age) = (api.core.ledger.read_at(|index, _| index), fleet_source::age_millis(&api.core));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(APPLIED_INDEX_HEADER, HeaderValue::from(index));
    headers.insert(AGE_HEADER, HeaderValue::from(age));
    response
}

/// The address without the parameter that asks for a current answer, and whether it does. Handlers know nothing of it.
fn take_current(uri: &Uri) -> Result<(Uri, bool), ApiError> {
    let Some(query) = uri.query() else { return Ok((uri.clone(), false)) };
    let (mut kept, mut current) = (Vec::new(), false);
    for part in query.split('&') {
        match part.split_once('=').unwrap_or((part, "true")) {
            (CURRENT_PARAMETER, "true") => current = true,
            (CURRENT_PARAMETER, "false") => current = false,
            (CURRENT_PARAMETER, other) => {
                let why = format!("{other:?} is neither true nor false");
                return Err(ApiError::invalid("the parameter current", why, "write current=true"));
            }
            _ => kept.push(part),
        }
    }
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    let uri = format!("{}{query}", uri.path()).parse();
    let uri = uri.map_err(|_| ApiError::invalid("the query", "it is no query", "see /v1/openapi.json"))?;
    Ok((uri, current))
}

/// Bounds and counts a call.
pub(super) async fn handle(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let since = api.core.env.clock.monotonic();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = match timeout(HANDLER_TIMEOUT, next.run(request)).await {
        Ok(response) => explain(response),
        Err(_) => {
            let why = format!("it was not answered within {} s", HANDLER_TIMEOUT.as_secs());
            let next = "look at the state: it may have been done; then ask again";
            ApiError::from(Problem::new(Code::LedgerUnavailable, format!("{method} {path}"), why, next)).into_response()
        }
    };
    let (status, took) = (response.status(), api.core.env.clock.monotonic().saturating_sub(since));
    api.core.metrics.request_took(took);
    api.core.metrics.count(|stats| {
        stats.requests_good += u64::from(status.is_success());
        stats.requests_refused += u64::from(status.is_client_error());
        stats.requests_failed += u64::from(status.is_server_error());
    });
    tracing::debug!(%method, %path, status = status.as_u16(), micros = took.as_micros(), "call");
    response
}
