//! Calls to the collector.
//!
//! In: bodies. Out: answers. Holds: since when the collector is away. A collector that is away is said so now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::Agent;
use ureq::http::Uri;

/// One try of a call takes no longer; two fit into what a call has.
const TRY_DEADLINE: Duration = Duration::from_secs(4);
/// A collector's answer is some bytes; what is longer is no collector's.
const ANSWER_BYTES: u64 = 64 * 1024;
/// The log says no more often that the collector is away.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// A collector.
#[derive(Debug)]
pub(super) struct Collector {
    agent: Agent,
    /// Host and port: the log's name for it. What else is in the address may be secret.
    name: String,
    standing: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    away: bool,
    said: Option<Instant>,
}

impl Collector {
    pub(super) fn new(url: &Uri) -> Self {
        let config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(TRY_DEADLINE))
            .user_agent(concat!("skein/", env!("CARGO_PKG_VERSION")))
            .build();
        let name = url.authority().map(ToString::to_string).unwrap_or_default();
        Self { agent: config.into(), name, standing: Mutex::default() }
    }

    fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.agent.run(Request::from_parts(parts, body.as_ref()))?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(ANSWER_BYTES).read_to_vec()?;
        Ok(Response::from_parts(parts, Bytes::from(body)))
    }

    fn note(&self, trouble: Option<String>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(error) => {
                standing.away = true;
                if standing.said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
                    standing.said = Some(Instant::now());
                    tracing::warn!(collector = %self.name, %error, "the collector takes no traces; some will be missing");
                }
            }
            None if standing.away => {
                *standing = Standing::default();
                tracing::info!(collector = %self.name, "the collector takes traces again");
            }
            None => {}
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    // It blocks: it is called in a thread that does nothing else.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.post(request);
        self.note(match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status())),
            Err(error) => Some(error.to_string()),
        });
        answer
    }
}
