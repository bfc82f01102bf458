//! Calls of the nodes' API, below HTTP.
//!
//! In: a call, a machine. Out: its answer, some time later, or never when the machine loses its power meanwhile. Not here:
//! who asks for what (`run::people`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use tokio::time::timeout;
use tower::ServiceExt;

use crate::machine::Machine;

/// A node that has not answered by then is asked no longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);
/// No answer of the API is longer.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) key: Option<String>,
}

impl Call {
    /// Reads something.
    pub(crate) fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: String::new(), key: None }
    }

    /// Asks for something.
    pub(crate) fn post(path: impl Into<String>, body: String) -> Self {
        Self { method: Method::POST, path: path.into(), body, key: None }
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// It was done; the body.
    Done(String),
    /// It was refused for good; status and body.
    Refused(u16, String),
    /// It may have been done, or not.
    Unknown(u16),
}

/// A call under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Underway(Arc<Mutex<Option<Said>>>);

impl Underway {
    /// Takes the answer, if it is there.
    pub(crate) fn take(&self) -> Option<Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Makes a call on a machine's node; nothing if none runs there.
pub(crate) fn call(machine: &Machine, call: Call) -> Option<Underway> {
    let (router, token) = (machine.node()?.router(), machine.token()?);
    let request = Request::builder().method(call.method).uri(call.path);
    let mut request = request.header("authorization", format!("Bearer {token}"));
    if let Some(key) = call.key {
        request = request.header("idempotency-key", key);
    }
    let request = request.body(Body::from(call.body)).expect("the parts of the request are constants");
    let underway = Underway::default();
    let told = underway.clone();
    machine.spawn(async move {
        let ask = async {
            let Ok(response) = router.oneshot(request).await;
            let status = response.status().as_u16();
            let bytes = to_bytes(response.into_body(), MAX_ANSWER_BYTES).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            match status {
                200..300 => Said::Done(text),
                429 | 500.. => Said::Unknown(status),
                _ => Said::Refused(status, text),
            }
        };
        let said = timeout(DEADLINE, ask).await.unwrap_or(Said::Unknown(0));
        *told.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    });
    Some(underway)
}
