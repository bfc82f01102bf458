//! What happens round every handler: authorization, a deadline, counting, problem documents for the router's own refusals.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use skein_protocol::problem::{Code, Problem};
use tokio::time::timeout;

use super::Api;
use super::error::{ApiError, explain};

/// A handler answers within this time, or the caller is told that it did not. Selecting datasets may list a large
/// warehouse.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(120);

/// Lets a call with a known token pass, and notes whose it is.
pub(super) async fn authorize(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    match api.tokens.caller(request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
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
