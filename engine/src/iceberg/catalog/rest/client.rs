//! Requests to a REST catalog, and what its answers and silences mean.
//!
//! In: paths and bodies. Out: [`Answer`], failures that say whether the thing may have happened. Holds: the connection
//! pool, the token, the prefix that the catalog gave out. Not here: what is asked.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use skein_protocol::connection::RestCatalog as Config;
use skein_protocol::data_plane::Failure;
use skein_protocol::problem::{Code, Problem};
use skein_protocol::secret::Secret;

use crate::io_runtime::IoRuntime;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a whole request may take: far below the life of a tombstone, which outlives every request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of an answer: a table's metadata with its schema and references. Metadata of old tables grows large, but
/// those that Skein looks at are its own or merely in its way.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;
/// A token is renewed when this share of its life is left (a fifth).
const RENEW_SHARE: u32 = 5;
/// The life of a token whose giver does not tell: RFC 6749 leaves it to documentation, an hour is usual.
const DEFAULT_TOKEN_SECONDS: u64 = 3_600;
/// Characters of an answer that are shown.
const SHOWN_CHARACTERS: usize = 300;

/// A table's metadata without the snapshots that no branch has.
const REFERENCES: [(&str, &str); 1] = [("snapshots", "refs")];
/// The wish for credentials.
const DELEGATION: [(&str, &str); 1] = [("X-Iceberg-Access-Delegation", "vended-credentials")];

/// What a request does if it is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing that matters, or what may be done twice.
    Repeatable,
    /// Something that must not be taken for undone when no answer comes.
    Changes,
}

/// An answer that means something.
#[derive(Debug)]
pub(super) enum Answer {
    /// It was done.
    Ok(Vec<u8>),
    /// Namespace or table do not exist.
    NotFound(String),
    /// It exists already.
    Conflict,
}

/// A client for one catalog.
#[derive(Debug)]
pub(super) struct Client {
    config: Config,
    runtime: Arc<IoRuntime>,
    http: OnceLock<reqwest::Client>,
    /// The root of all paths, `…/v1/<prefix>`.
    root: OnceLock<Url>,
    token: Mutex<Option<Token>>,
}

#[derive(Debug)]
struct Token {
    text: Secret,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct CatalogConfig {
    #[serde(default)]
    defaults: std::collections::HashMap<String, String>,
    #[serde(default)]
    overrides: std::collections::HashMap<String, String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorModel,
}

#[derive(Deserialize)]
struct ErrorModel {
    #[serde(default)]
    message: String,
    #[serde(default, rename = "type")]
    kind: String,
}

impl Client {
    pub(super) fn new(config: Config, runtime: Arc<IoRuntime>) -> Self {
        Self { config, runtime, http: OnceLock::new(), root: OnceLock::new(), token: Mutex::default() }
    }

    #[cfg(test)]
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn get(&self, path: &[&str]) -> Result<Answer, Failure> {
        self.call(Method::GET, path, &REFERENCES, None, Effect::Repeatable, &[])
    }

    /// Like [`Client::get`] of a table, with the wish for credentials of its folder.
    pub(super) fn get_delegated(&self, path: &[&str]) -> Result<Answer, Failure> {
        self.call(Method::GET, path, &REFERENCES, None, Effect::Repeatable, &DELEGATION)
    }

    /// Stages the creation of a table, with the wish for credentials of its folder. Nothing is created by that.
    pub(super) fn post_delegated(&self, path: &[&str], body: &Value) -> Result<Answer, Failure> {
        self.call(Method::POST, path, &[], Some(body), Effect::Repeatable, &DELEGATION)
    }

    /// A page of a list: the first, or the one that `token` stands for.
    pub(super) fn list(&self, path: &[&str], token: Option<&str>) -> Result<Answer, Failure> {
        let query: Vec<(&str, &str)> = token.map(|token| ("pageToken", token)).into_iter().collect();
        self.call(Method::GET, path, &query, None, Effect::Repeatable, &[])
    }

    pub(super) fn post(&self, path: &[&str], body: &Value, effect: Effect) -> Result<Answer, Failure> {
        self.call(Method::POST, path, &[], Some(body), effect, &[])
    }

    pub(super) fn delete(&self, path: &[&str]) -> Result<Answer, Failure> {
        self.call(Method::DELETE, path, &[("purgeRequested", "false")], None, Effect::Changes, &[])
    }

    /// The body of an answer.
    pub(super) fn parsed<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(body).map_err(|error| self.refused(&format!("its answer cannot be read: {error}")))
    }

    /// The failure of a request that the catalog refuses for good.
    pub(super) fn refused(&self, why: &str) -> Failure {
        let next = "Check the connection's uri, warehouse and credential, and what the catalog allows them";
        Failure::permanent(self.problem(why, next))
    }

    /// The failure of a request that another try may mend.
    pub(super) fn passing(&self, why: &str) -> Failure {
        Failure::transient(self.unavailable(why))
    }

    fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
        effect: Effect,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Failure> {
        let mut url = self.root()?;
        url.path_segments_mut().map_err(|()| self.refused("its uri has no path"))?.pop_if_empty().extend(path);
        let mut renewed = false;
        loop {
            let mut request = self.http()?.request(method.clone(), url.clone()).query(query);
            if let Some(token) = self.token()? {
                request = request.bearer_auth(token.expose());
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (status, body) = self.send(request, effect)?;
            // The token may have been withdrawn before its time: once, a new one is asked for.
            if status == StatusCode::UNAUTHORIZED && self.config.credential.is_some() && !renewed {
                renewed = true;
                *self.held_token() = None;
                continue;
            }
            return self.meaning(status, body, effect);
        }
    }

    fn meaning(&self, status: StatusCode, body: Vec<u8>, effect: Effect) -> Result<Answer, Failure> {
        let said = || match serde_json::from_slice::<ErrorAnswer>(&body) {
            Ok(answer) => format!("{status}: {} {}", answer.error.kind, answer.error.message),
            Err(_) => {
                let text: String = String::from_utf8_lossy(&body).chars().take(SHOWN_CHARACTERS).collect();
                format!("{status}: {text}")
            }
        };
        match status {
            status if status.is_success() => Ok(Answer::Ok(body)),
            StatusCode::NOT_FOUND => Ok(Answer::NotFound(said())),
            StatusCode::CONFLICT => Ok(Answer::Conflict),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Failure::transient(self.unavailable(&said())))
            }
            // What failed in the catalog or on the way may have been done before it failed.
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => Err(match effect {
                Effect::Changes => Failure::unknown(self.unavailable(&said())),
                Effect::Repeatable => Failure::transient(self.unavailable(&said())),
            }),
            _ => Err(self.refused(&said())),
        }
    }

    fn send(&self, request: RequestBuilder, effect: Effect) -> Result<(StatusCode, Vec<u8>), Failure> {
        let done = self.wait(async {
            let response = request.send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, body_of(response).await?))
        })?;
        let (status, body) = done.map_err(|error| {
            let why = sentence(&error);
            match effect {
                // Nothing was sent on a connection that was never made.
                Effect::Changes if !error.is_connect() && !error.is_builder() => {
                    Failure::unknown(self.unavailable(&why))
                }
                _ => Failure::transient(self.unavailable(&why)),
            }
        })?;
        match body {
            Some(body) => Ok((status, body)),
            None => Err(self.refused(&format!("its answer has more than {MAX_ANSWER_BYTES} bytes"))),
        }
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        self.runtime.wait(work).map_err(|error: io::Error| Failure::transient(self.unavailable(&error.to_string())))
    }

    fn http(&self) -> Result<&reqwest::Client, Failure> {
        if self.http.get().is_none() {
            // Redirects are not followed: the token is for this catalog alone.
            let mut builder = reqwest::Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(REQUEST_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("skein/", env!("CARGO_PKG_VERSION")));
            if let Some(path) = &self.config.ca_file {
                let unusable = |why: String| self.refused(&format!("its caFile {path} cannot be used: {why}"));
                let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
                let all = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
                builder = all.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
            }
            let made = builder.build().map_err(|error| self.refused(&sentence(&error)))?;
            return Ok(self.http.get_or_init(|| made));
        }
        Ok(self.http.get().expect("it was just looked at"))
    }

    /// The root of all paths, asked for once.
    fn root(&self) -> Result<Url, Failure> {
        if let Some(root) = self.root.get() {
            return Ok(root.clone());
        }
        let base = self.base(&self.config.uri)?;
        let mut url = base.clone();
        extend(&mut url, &["config"]);
        let mut request = self.http()?.get(url);
        if let Some(warehouse) = &self.config.warehouse {
            request = request.query(&[("warehouse", warehouse)]);
        }
        if let Some(token) = self.token()? {
            request = request.bearer_auth(token.expose());
        }
        let (status, body) = self.send(request, Effect::Repeatable)?;
        let config: CatalogConfig = match self.meaning(status, body, Effect::Repeatable)? {
            Answer::Ok(body) => self.parsed(&body)?,
            Answer::NotFound(why) => return Err(self.refused(&why)),
            Answer::Conflict => {
                return Err(self.refused("it answered the question for its configuration with a conflict"));
            }
        };
        let told = |name: &str| config.overrides.get(name).or_else(|| config.defaults.get(name));
        let mut root = match config.overrides.get("uri") {
            Some(uri) => self.base(uri)?,
            None => base,
        };
        if let Some(prefix) = told("prefix") {
            extend(&mut root, &prefix.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>());
        }
        Ok(self.root.get_or_init(|| root).clone())
    }

    /// `…/v1` of a catalog's uri.
    fn base(&self, uri: &str) -> Result<Url, Failure> {
        let mut url: Url = uri.parse().map_err(|error| self.refused(&format!("{uri:?} is no URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(self.refused(&format!("{uri:?} is no http or https URL")));
        }
        extend(&mut url, &["v1"]);
        Ok(url)
    }

    fn token(&self) -> Result<Option<Secret>, Failure> {
        if let Some(token) = &self.config.token {
            return Ok(Some(token.clone()));
        }
        let Some(credential) = &self.config.credential else { return Ok(None) };
        if let Some(token) = self.held_token().as_ref()
            && Instant::now() < token.renew_at
        {
            return Ok(Some(token.text.clone()));
        }
        let url = match &self.config.oauth2_uri {
            Some(uri) => uri.parse().map_err(|error| self.refused(&format!("{uri:?} is no URL: {error}")))?,
            None => {
                let mut url = self.base(&self.config.uri)?;
                extend(&mut url, &["oauth", "tokens"]);
                url
            }
        };
        let (id, secret) = credential.expose().split_once(':').unwrap_or(("", credential.expose()));
        let mut form =
            vec![("grant_type", "client_credentials"), ("client_secret", secret), ("scope", &self.config.scope)];
        if !id.is_empty() {
            form.push(("client_id", id));
        }
        let asked_at = Instant::now();
        let (status, body) = self.send(self.http()?.post(url).form(&form), Effect::Repeatable)?;
        let Answer::Ok(body) = self.meaning(status, body, Effect::Repeatable)? else {
            return Err(self.refused(&format!("it gives no token: {status}")));
        };
        // The answer has a token in it: what is wrong with it is not shown.
        let answer: TokenAnswer =
            serde_json::from_slice(&body).map_err(|_| self.refused("its answer has no access_token"))?;
        let life = Duration::from_secs(answer.expires_in.unwrap_or(DEFAULT_TOKEN_SECONDS));
        let text = Secret::new(answer.access_token);
        *self.held_token() = Some(Token { text: text.clone(), renew_at: asked_at + life - life / RENEW_SHARE });
        Ok(Some(text))
    }

    fn held_token(&self) -> std::sync::MutexGuard<'_, Option<Token>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unavailable(&self, why: &str) -> Problem {
        self.problem(
            why,
            "Check that the catalog runs and that the node can reach it; the work is tried again by itself",
        )
    }

    fn problem(&self, why: &str, next: &str) -> Problem {
        let why = format!("{}: {why}", self.config.uri);
        Problem::new(Code::CatalogUnavailable, "using the catalog failed", why, next)
    }
}

fn extend(url: &mut Url, parts: &[&str]) {
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(parts);
    }
}

/// The body of an answer; none if it is too long.
async fn body_of(mut response: Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if (body.len() + chunk.len()) as u64 > MAX_ANSWER_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// An error with its causes; reqwest's own sentence tells only that something failed. URLs are left out: they are
/// named already.
fn sentence(error: &reqwest::Error) -> String {
    let mut text = String::from("the request failed");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    if error.is_timeout() {
        text.push_str(" (no answer in time)");
    }
    text
}
