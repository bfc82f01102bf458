//! A client that submits policies through the API of the machines, and tries the next one when one does not answer.
//!
//! In: a policy, the machines. Out: whether it was acknowledged. Holds: one call under way for each policy, repeated
//! with the same idempotency key until there is an answer. Not here: what the nodes do with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::machine::Machine;

/// A node that has not answered by then is asked no longer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(300);
/// No answer of the API is longer.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// What became of a call.
type Answer = Arc<Mutex<Option<Result<String, (u16, String)>>>>;

/// Makes a call on a machine's node; the answer comes later, or never if the machine crashes.
pub(crate) fn call(machine: &Machine, path: &str, body: String, key: Option<&str>) -> Option<Answer> {
    let (router, token) = (machine.node()?.router(), machine.token()?);
    let mut request = Request::post(path).header("authorization", format!("Bearer {token}"));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = request.body(Body::from(body)).expect("the parts of the request are constants");
    let answer = Answer::default();
    let told = answer.clone();
    machine.spawn(async move {
        let ask = async {
            let Ok(response) = router.oneshot(request).await;
            let status = response.status();
            let bytes = to_bytes(response.into_body(), MAX_ANSWER_BYTES).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if status.is_success() { Ok(text) } else { Err((status.as_u16(), text)) }
        };
        let result = timeout(DEADLINE, ask).await.unwrap_or_else(|_| Err((504, "no answer".to_owned())));
        *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    });
    Some(answer)
}

/// Takes the answer of a call, if it is there.
pub(crate) fn take(answer: &Answer) -> Option<Result<String, (u16, String)>> {
    answer.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// One policy on its way to an acknowledgement.
pub(crate) struct Submitting {
    document: String,
    key: String,
    /// The machine that is asked now or next.
    machine: usize,
    not_before: Duration,
    under_way: Option<(Answer, Duration)>,
    pub(crate) acknowledged: bool,
    pub(crate) attempts: u64,
}

impl Submitting {
    /// From `at` on, first to `machine`.
    pub(crate) fn new(document: String, key: String, machine: usize, at: Duration) -> Self {
        Self { document, key, machine, not_before: at, under_way: None, acknowledged: false, attempts: 0 }
    }

    /// Goes on. A refusal that no repetition can change is an error.
    pub(crate) fn step(&mut self, machines: &[Machine], now: Duration) -> Result<(), String> {
        if self.acknowledged || now < self.not_before {
            return Ok(());
        }
        match &self.under_way {
            None => {
                self.attempts += 1;
                match call(&machines[self.machine], "/v1/policies", self.document.clone(), Some(&self.key)) {
                    Some(answer) => self.under_way = Some((answer, now)),
                    None => self.next(machines, now),
                }
            }
            Some((answer, since)) => match take(answer) {
                Some(Ok(_)) => self.acknowledged = true,
                Some(Err((status, _))) if status >= 500 || status == 429 => self.next(machines, now),
                Some(Err((status, text))) => return Err(format!("policy {}: {status} {text}", self.key)),
                // Its machine has crashed.
                None if now > *since + 2 * DEADLINE || !machines[self.machine].is_up() => self.next(machines, now),
                None => {}
            },
        }
        Ok(())
    }

    fn next(&mut self, machines: &[Machine], now: Duration) {
        self.under_way = None;
        self.machine = (self.machine + 1) % machines.len();
        self.not_before = now + PAUSE;
    }
}
