//! What handlers take out of a request, with bounds on length and time, and errors that are problem documents.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::ApiError;

/// A request's body must have come within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest JSON request: ten thousand migrations, named by id and plan, are 1.2 MB.
const MAX_JSON_BYTES: usize = 4 << 20;
/// Longest reason that a person may give.
pub(super) const MAX_REASON_CHARS: usize = 1000;
/// Longest idempotency key.
const MAX_KEY_CHARS: usize = 200;

/// The query of a request's address.
pub(super) struct Params<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => {
                Err(ApiError::invalid("the query", error.body_text(), "see /v1/openapi.json for its parameters"))
            }
        }
    }
}

/// A body as text.
pub(super) async fn text(body: Body, most: usize) -> Result<String, ApiError> {
    let bytes = bytes(body, most).await?;
    String::from_utf8(bytes).map_err(|_| ApiError::invalid("the body", "it is not UTF-8", "send text in UTF-8"))
}

/// A body as a JSON document.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    let bytes = bytes(body, MAX_JSON_BYTES).await?;
    let wrong = |error: serde_json::Error| {
        ApiError::invalid("the body", error.to_string(), "see /v1/openapi.json for its form")
    };
    serde_json::from_slice(&bytes).map_err(wrong)
}

async fn bytes(body: Body, most: usize) -> Result<Vec<u8>, ApiError> {
    match timeout(BODY_TIMEOUT, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) if error.to_string().contains("limit") => {
            let error = ApiError::invalid("the body", format!("it is longer than {most} bytes"), "send less at once");
            Err(error.with_status(StatusCode::PAYLOAD_TOO_LARGE))
        }
        Ok(Err(error)) => Err(ApiError::invalid("the body", error.to_string(), "send it again")),
        Err(_) => {
            let why = format!("it did not come within {} s", BODY_TIMEOUT.as_secs());
            Err(ApiError::invalid("the body", why, "send it again").with_status(StatusCode::REQUEST_TIMEOUT))
        }
    }
}

/// The key under which a repeated request gets its first answer.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    match key.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= MAX_KEY_CHARS => Ok(Some(key.to_owned())),
        _ => {
            let why = format!("it has 1 to {MAX_KEY_CHARS} printable characters");
            Err(ApiError::invalid("Idempotency-Key", why, "send a UUID"))
        }
    }
}

/// A reason in a person's words.
pub(super) fn reason(text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    if text.chars().count() > MAX_REASON_CHARS {
        let why = format!("it has more than {MAX_REASON_CHARS} characters");
        return Err(ApiError::invalid("the reason", why, "say it shorter"));
    }
    Ok(text.to_owned())
}
