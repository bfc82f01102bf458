//! One call of a machine's API whose answer comes later, or never.
//!
//! In: a machine, a request. Out: status and text. Holds: [`Asking`]. Not here: whom to ask next.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt;

use crate::machine::Machine;

/// No answer of the API is longer.
const MOST_ANSWER_BYTES: usize = 1 << 20;

/// A call under way.
pub(super) struct Asking(Arc<Mutex<Option<(u16, String)>>>);

impl Asking {
    /// Asks a machine's node, if one runs there.
    pub(super) fn post(machine: &Machine, path: &str, body: String) -> Option<Self> {
        let (router, token) = (machine.node()?.router(), machine.token()?);
        let request = Request::post(path).header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::from(body)).expect("the parts of the request are constants");
        let answer = Arc::new(Mutex::new(None));
        let told = answer.clone();
        machine.spawn(async move {
            let Ok(response) = router.oneshot(request).await;
            let status = response.status().as_u16();
            let bytes = to_bytes(response.into_body(), MOST_ANSWER_BYTES).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some((status, text));
        });
        Some(Self(answer))
    }

    /// Takes the answer, if it is there.
    pub(super) fn take(&self) -> Option<(u16, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
