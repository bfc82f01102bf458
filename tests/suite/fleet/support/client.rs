//! A client of the fleet's API that knows several nodes and, when one does not answer, tries one other.

use std::time::Duration;

use serde_json::{Value, json};
use skein_tests::until;
use ureq::Agent;
use ureq::http::Request;

/// A node that has not answered by then is taken for dead by the client.
const DEADLINE: Duration = Duration::from_secs(20);

/// A call that had no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody answered, or nobody could just then: another node may.
    Unavailable(String),
    /// The answer is no.
    Refused(u16, Value),
}

/// Calls nodes. Clones know the same nodes as long as nobody teaches them others.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: Agent,
    token: String,
    /// Addresses of APIs, the preferred one first.
    pub(crate) nodes: Vec<String>,
}

impl Client {
    pub(crate) fn new(token: &str, nodes: Vec<String>) -> Self {
        let config = Agent::config_builder().timeout_global(Some(DEADLINE)).http_status_as_error(false).build();
        Self { agent: config.into(), token: token.to_owned(), nodes }
    }

    /// The same client, which asks only this node.
    pub(crate) fn of(&self, node: &str) -> Self {
        Self { nodes: vec![node.to_owned()], ..self.clone() }
    }

    /// The same client, which knows only the nodes at these places of its list.
    pub(crate) fn among(&self, places: std::ops::Range<usize>) -> Self {
        Self { nodes: self.nodes[places].to_vec(), ..self.clone() }
    }

    /// The same client, which prefers the node at this place of its list.
    pub(crate) fn preferring(&self, place: usize) -> Self {
        let mut nodes = self.nodes.clone();
        let count = nodes.len().max(1);
        nodes.rotate_left(place % count);
        Self { nodes, ..self.clone() }
    }

    /// Calls the preferred node, and once more the next one if the first cannot answer.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
        key: Option<&str>,
    ) -> Result<Value, Refusal> {
        let mut last = Refusal::Unavailable("there is no node".to_owned());
        let mut tried = self.nodes.iter().cycle();
        for _ in 0..2 {
            let Some(node) = tried.next() else { break };
            match self.call_once(node, method, path, body, key) {
                Err(Refusal::Unavailable(why)) => last = Refusal::Unavailable(format!("{node}{path}: {why}")),
                answered => return answered,
            }
        }
        Err(last)
    }

    fn call_once(
        &self,
        node: &str,
        method: &str,
        path: &str,
        body: Option<&str>,
        key: Option<&str>,
    ) -> Result<Value, Refusal> {
        let mut request = Request::builder().method(method).uri(format!("{node}{path}"));
        request = request.header("authorization", format!("Bearer {}", self.token));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if body.is_some_and(|body| body.starts_with('{')) {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(body.unwrap_or_default().to_owned()).expect("the request is in order");
        let mut answer = self.agent.run(request).map_err(|error| Refusal::Unavailable(error.to_string()))?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string();
        let text = text.map_err(|error| Refusal::Unavailable(error.to_string()))?;
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        match status {
            200..=299 => Ok(value),
            429 | 500..=599 => Err(Refusal::Unavailable(format!("{status}: {value}"))),
            _ => Err(Refusal::Refused(status, value)),
        }
    }

    /// Reads something.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Refusal> {
        self.call("GET", path, None, None)
    }

    /// Reads something; some node must answer before patience ends.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> Value {
        until(path, || match self.get(path) {
            Ok(value) => Some(value),
            Err(Refusal::Unavailable(_)) => None,
            Err(refused) => panic!("{path}: {refused:?}"),
        })
    }

    /// Applies a policy under a key; some node must acknowledge it before patience ends.
    #[track_caller]
    pub(crate) fn apply(&self, policy: &str, key: &str) -> Value {
        until(key, || match self.call("POST", "/v1/policies", Some(policy), Some(key)) {
            Ok(value) => Some(value),
            Err(Refusal::Unavailable(_)) => None,
            Err(refused) => panic!("{key}: {refused:?}"),
        })
    }

    /// The fleet as the asked node sees it.
    #[track_caller]
    pub(crate) fn fleet(&self) -> Value {
        self.read("/v1/fleet")
    }

    /// Migrations of a policy by phase.
    #[track_caller]
    pub(crate) fn phases(&self, policy: &str) -> Value {
        self.read(&format!("/v1/policies/{policy}"))["row"]["phases"].clone()
    }

    /// How many migrations of a policy are in a phase.
    #[track_caller]
    pub(crate) fn count(&self, policy: &str, phase: &str) -> u64 {
        self.phases(policy)[phase].as_u64().unwrap_or_default()
    }

    /// All migrations of a policy, page by page.
    #[track_caller]
    pub(crate) fn migrations(&self, policy: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.read(&format!("/v1/migrations?policy={policy}&limit=1000{cursor}"));
            all.extend(page["items"].as_array().expect("a list").iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// One migration, whole.
    #[track_caller]
    pub(crate) fn migration(&self, id: &str) -> Value {
        self.read(&format!("/v1/migrations/{id}"))
    }

    /// Waits until so many migrations of a policy are committed, and says what is wrong when one cannot be.
    #[track_caller]
    pub(crate) fn committed(&self, policy: &str, wanted: u64) {
        until(&format!("{wanted} migrations of {policy} are committed"), || {
            let phases = self.phases(policy);
            for stuck in ["paused", "quarantined", "cancelled", "rolled_back"] {
                assert_eq!(phases[stuck].as_u64().unwrap_or_default(), 0, "{phases}: {:#}", self.stuck(policy, stuck));
            }
            (phases["committed"].as_u64() == Some(wanted)).then_some(())
        });
    }

    fn stuck(&self, policy: &str, phase: &str) -> Value {
        let page = self.read(&format!("/v1/migrations?policy={policy}&phase={phase}&limit=1"));
        page["items"][0]["id"].as_str().map_or(json!("none"), |id| self.migration(id))
    }

    /// Every migration of a policy was published exactly once in its present run.
    #[track_caller]
    pub(crate) fn assert_published_once(&self, policy: &str) {
        for row in self.migrations(policy) {
            let detail = self.migration(row["id"].as_str().expect("an id"));
            let published = |item: &&Value| {
                item["run"] == row["run"] && item["what"].as_str().is_some_and(|what| what.starts_with("published as"))
            };
            let history = detail["history"].as_array().expect("a list");
            assert_eq!(history.iter().filter(published).count(), 1, "{detail:#}");
        }
    }
}
