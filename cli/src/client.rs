//! The HTTP client: one request, one answer; problem documents become errors.

#[cfg(test)]
mod tests;

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skein_protocol::api::{AGE_HEADER, ProblemDocument, RefusedAction};
use skein_protocol::problem::Code;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, RequestBuilder};

use crate::args::Connection;

/// A node that does not answer within this time is taken for unreachable. Plans stream and have no limit as a whole.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read: lists are paged, plans of tables with a hundred thousand files have some tens of megabytes.
const MAX_ANSWER_BYTES: u64 = 256 << 20;

/// A problem that the node reported.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) ProblemDocument);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ProblemDocument { title, code, detail, next, dataset, errors, .. } = &self.0;
        let dataset = dataset.as_ref().map(|dataset| format!(" ({dataset})")).unwrap_or_default();
        write!(f, "{title}{dataset}: {detail} [{code}]")?;
        for error in errors {
            write!(f, "\n  {error}")?;
        }
        if !next.is_empty() {
            write!(f, "\nnext: {next}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// The same for one of many migrations.
pub(crate) fn refusal_line(refused: &RefusedAction) -> String {
    let problem = &refused.problem;
    let name = problem.dataset.clone().unwrap_or_else(|| refused.migration.to_string());
    format!("{name}: {}: {} [{}]; {}", problem.what, problem.why, problem.code, problem.next)
}

/// Speaks to the nodes that the arguments name: to one of them, until it cannot be reached.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: Agent,
    servers: Arc<[String]>,
    /// Which of them is asked.
    present: Arc<AtomicUsize>,
    token: Option<String>,
}

/// A document and how current it is.
#[derive(Debug, Clone)]
pub(crate) struct Dated<T> {
    /// The document.
    pub(crate) document: T,
    /// Milliseconds since the answering node last knew that it was up to date, if it says so.
    pub(crate) age_millis: Option<u64>,
}

impl Client {
    /// A client for the nodes that the arguments name.
    pub(crate) fn new(connection: &Connection) -> Result<Self> {
        let token = match (&connection.token, &connection.token_file) {
            (Some(token), _) => Some(token.trim().to_owned()),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("the token file {} cannot be read", file.display()))?;
                Some(text.trim().to_owned())
            }
            (None, None) => None,
        };
        let config = Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .http_status_as_error(false)
            .user_agent(concat!("skein/", env!("CARGO_PKG_VERSION")))
            .build();
        let servers: Vec<String> = connection.server.iter().map(|server| address(server)).collect();
        if servers.iter().all(String::is_empty) {
            bail!("no node is named\nnext: name one with --server or SKEIN_SERVER, for example http://127.0.0.1:7400");
        }
        let servers = servers.into_iter().filter(|server| !server.is_empty()).collect();
        Ok(Self { agent: config.into(), servers, present: Arc::default(), token })
    }

    /// The address of the node that is asked.
    pub(crate) fn server(&self) -> &str {
        &self.servers[self.present.load(Ordering::Relaxed) % self.servers.len()]
    }

    /// True when the node says that it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.says_yes("/readyz")
    }

    /// True when there is a node, ready or not.
    pub(crate) fn is_alive(&self) -> bool {
        self.says_yes("/healthz")
    }

    fn says_yes(&self, path: &str) -> bool {
        let answer = self.agent.get(format!("{}{path}", self.server())).call();
        matches!(answer, Ok(answer) if answer.status().is_success())
    }

    /// Gets a document.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T> {
        Ok(self.get_dated(path, query)?.document)
    }

    /// Gets a document together with its age.
    pub(crate) fn get_dated<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<Dated<T>> {
        let answer = self.fetch(path, query)?;
        let age = answer.headers().get(AGE_HEADER).and_then(|age| age.to_str().ok()?.parse().ok());
        Ok(Dated { document: understood(path, answer)?, age_millis: age })
    }

    /// Gets a text.
    pub(crate) fn get_text(&self, path: &str, query: &[(&str, String)]) -> Result<String> {
        text(self.fetch(path, query)?)
    }

    fn fetch(&self, path: &str, query: &[(&str, String)]) -> Result<Response<Body>> {
        // Asking twice changes nothing, whatever became of the first time.
        self.with_another(true, |server| {
            let mut request = self.agent.get(format!("{server}{path}"));
            for (key, value) in query {
                request = request.query(key, value);
            }
            self.authorized(request).call()
        })
    }

    /// Posts a document and gets one.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(body)?;
        understood(path, self.send(path, "application/json", &body, None)?)
    }

    /// Deletes something and gets a document.
    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T> {
        let answer = self.with_another(false, |server| {
            let mut request = self.agent.delete(format!("{server}{path}"));
            for (key, value) in query {
                request = request.query(key, value);
            }
            self.authorized(request).call()
        })?;
        understood(path, answer)
    }

    /// Posts a policy document and gets an answer. With a key the request may be sent again without being done twice.
    pub(crate) fn post_policy<T: DeserializeOwned>(&self, path: &str, document: &str, key: Option<&str>) -> Result<T> {
        understood(path, self.send(path, "application/yaml", document.as_bytes(), key)?)
    }

    /// Posts a policy document and gets lines of JSON, one after the other as they come.
    pub(crate) fn stream_policy<T: DeserializeOwned>(
        &self,
        path: &str,
        document: &str,
        mut each: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        let answer = self.send(path, "application/yaml", document.as_bytes(), None)?;
        for line in BufReader::new(answer.into_body().into_reader()).lines() {
            let line = line.context("the node's answer broke off")?;
            if line.trim().is_empty() {
                continue;
            }
            each(serde_json::from_str(&line).context("a line of the node's answer is not understood")?)?;
        }
        Ok(())
    }

    fn send(&self, path: &str, kind: &str, body: &[u8], key: Option<&str>) -> Result<Response<Body>> {
        self.with_another(key.is_some(), |server| {
            let mut request = self.agent.post(format!("{server}{path}")).header("content-type", kind);
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            self.authorized(request).send(body)
        })
    }

    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// Calls the present node; when it cannot be reached or does nothing any more, the others in turn. A call that may be
    /// repeated goes on to the next node whatever became of it; another one only where it was surely not carried out.
    fn with_another(
        &self,
        repeatable: bool,
        call: impl Fn(&str) -> Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>> {
        let mut left = self.servers.len();
        loop {
            left -= 1;
            let answer = call(self.server());
            let again = match &answer {
                Ok(answer) => answer.status() == StatusCode::SERVICE_UNAVAILABLE,
                Err(error) => repeatable || surely_not_sent(error),
            };
            let outcome = match answer {
                Ok(answer) => self.accept(answer),
                Err(error) => Err(self.unreachable(&error)),
            };
            let again = again && outcome.as_ref().is_err_and(|error| repeatable || !is_doubtful(error));
            if left == 0 || !again {
                return outcome;
            }
            self.present.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn accept(&self, answer: Response<Body>) -> Result<Response<Body>> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = text(answer)?;
        match serde_json::from_str::<ProblemDocument>(&body) {
            Ok(problem) => Err(Refused(problem).into()),
            Err(_) if status == StatusCode::NOT_FOUND => bail!("{} does not have this part of the API", self.server()),
            Err(_) => bail!("{} answered {status}: {}", self.server(), body.chars().take(300).collect::<String>()),
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> anyhow::Error {
        let tried = self.servers.join(", ");
        anyhow::anyhow!(
            "no node answers at {tried}: {error}\nnext: start one (skein-node --config FILE), or name others with --server or SKEIN_SERVER"
        )
    }
}

/// An address as people write it: without a scheme it is plain HTTP, as a node speaks it.
fn address(text: &str) -> String {
    let text = text.trim().trim_end_matches('/');
    if text.is_empty() || text.contains("://") { text.to_owned() } else { format!("http://{text}") }
}

/// Whether a call has surely not reached the node.
fn surely_not_sent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => true,
        ureq::Error::Timeout(timeout) => matches!(timeout, ureq::Timeout::Connect | ureq::Timeout::Resolve),
        ureq::Error::Io(io) => io.kind() == std::io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

/// Whether what was asked for may have been done although the answer is an error: of those that ask for another try, a
/// node that is stopping alone says that it did nothing.
fn is_doubtful(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.0.code != Code::ShuttingDown)
}

fn understood<T: DeserializeOwned>(path: &str, answer: Response<Body>) -> Result<T> {
    serde_json::from_str(&text(answer)?).with_context(|| format!("the answer of {path} is not understood"))
}

fn text(answer: Response<Body>) -> Result<String> {
    let mut text = String::new();
    answer
        .into_body()
        .into_reader()
        .take(MAX_ANSWER_BYTES)
        .read_to_string(&mut text)
        .context("the answer broke off")?;
    Ok(text)
}
