//! The HTTP client: one request, one answer; problem documents become errors.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skein_protocol::api::{ProblemDocument, RefusedAction};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

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

/// Speaks to one node.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: Agent,
    server: String,
    token: Option<String>,
}

impl Client {
    /// A client for the node that the arguments name.
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
        Ok(Self { agent: config.into(), server: connection.server.trim_end_matches('/').to_owned(), token })
    }

    /// The node's address.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// True when the node says that it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.agent.get(format!("{}/readyz", self.server)).call(), Ok(answer) if answer.status().is_success())
    }

    /// Gets a document.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T> {
        let text = self.get_text(path, query)?;
        serde_json::from_str(&text).with_context(|| format!("the answer of {path} is not understood"))
    }

    /// Gets a text.
    pub(crate) fn get_text(&self, path: &str, query: &[(&str, String)]) -> Result<String> {
        let mut request = self.agent.get(format!("{}{path}", self.server));
        for (key, value) in query {
            request = request.query(key, value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = request.call().map_err(|error| self.unreachable(&error))?;
        text(self.accept(answer)?)
    }

    /// Posts a document and gets one.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(body)?;
        let answer = self.send(path, "application/json", &body, None)?;
        let text = text(answer)?;
        serde_json::from_str(&text).with_context(|| format!("the answer of {path} is not understood"))
    }

    /// Posts a policy document and gets an answer.
    pub(crate) fn post_policy<T: DeserializeOwned>(&self, path: &str, document: &str, key: Option<&str>) -> Result<T> {
        let answer = self.send(path, "application/yaml", document.as_bytes(), key)?;
        let text = text(answer)?;
        serde_json::from_str(&text).with_context(|| format!("the answer of {path} is not understood"))
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
        let mut request = self.agent.post(format!("{}{path}", self.server)).header("content-type", kind);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send(body).map_err(|error| self.unreachable(&error))?;
        self.accept(answer)
    }

    fn accept(&self, answer: Response<Body>) -> Result<Response<Body>> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = text(answer)?;
        match serde_json::from_str::<ProblemDocument>(&body) {
            Ok(problem) => Err(Refused(problem).into()),
            Err(_) if status == StatusCode::NOT_FOUND => bail!("{} does not have this part of the API", self.server),
            Err(_) => bail!("{} answered {status}: {}", self.server, body.chars().take(300).collect::<String>()),
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> anyhow::Error {
        anyhow::anyhow!(
            "no node answers at {}: {error}\nnext: start one (skein-node --config FILE), or name another with --server or SKEIN_SERVER",
            self.server
        )
    }
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
