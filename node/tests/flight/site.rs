//! A site: one simulated machine, the world round it, and the node that runs there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use skein_node::config::Config;
use skein_node::env::memory::MemoryHost;
use skein_node::env::{Clock, Env};
use skein_node::scripted::{ScriptedPlane, VirtualClock, World, connections};
use skein_node::{Node, NodeError, NodeHandle};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{MigrationId, TableName};
use skein_protocol::ledger::{Migration, Phase, State};
use tokio::runtime::{Builder, RngSeed, Runtime};
use tokio::time::timeout;
use tower::ServiceExt;

/// The wall clock at the beginning of every world: 2026-01-01.
pub(crate) const DAWN: u64 = 1_767_225_600_000;
/// Nothing in these tests takes longer, in virtual time.
const LONG: Duration = Duration::from_secs(4 * 3600);

/// A runtime in virtual time whose every choice follows from `seed`.
pub(crate) fn runtime(seed: u64) -> Runtime {
    let seed = RngSeed::from_bytes(&seed.to_le_bytes());
    Builder::new_current_thread().enable_all().start_paused(true).rng_seed(seed).build().unwrap()
}

/// Runs a test in a runtime of its own.
pub(crate) fn simulate<T>(test: impl Future<Output = T>) -> T {
    runtime(1).block_on(test)
}

pub(crate) fn table(name: &str) -> TableName {
    TableName::new("db", name)
}

/// A machine and the world round it.
pub(crate) struct Ground {
    pub(crate) host: MemoryHost,
    pub(crate) world: World,
    pub(crate) config: Config,
}

impl Ground {
    pub(crate) fn new(seed: u64) -> Self {
        let config = Config { connections: connections(), ..Config::for_tests() };
        Self { host: MemoryHost::new(seed), world: World::new(seed), config }
    }

    /// The environment of one start; its clock follows the runtime that this is called in.
    pub(crate) fn env(&self, wall_millis: u64) -> Env {
        let env = self.host.env(Arc::new(ScriptedPlane::new(self.world.clone())));
        Env { clock: Arc::new(VirtualClock::starting_at(wall_millis)), ..env }
    }

    pub(crate) async fn start(&self, wall_millis: u64) -> Result<Site, NodeError> {
        self.start_in(self.env(wall_millis)).await
    }

    pub(crate) async fn start_in(&self, env: Env) -> Result<Site, NodeError> {
        let node = Node::start(self.config.clone(), env.clone()).await?;
        let token = env.files.read(node.token_file()).unwrap().unwrap();
        let token = String::from_utf8(token).unwrap().trim().to_owned();
        Ok(Site { node, world: self.world.clone(), clock: env.clock, token })
    }
}

/// A running node.
pub(crate) struct Site {
    pub(crate) node: NodeHandle,
    pub(crate) world: World,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) token: String,
}

impl Site {
    /// A node on a fresh machine; its world has these tables, each of so many files of so many rows.
    pub(crate) async fn with_tables(tables: &[&str], files: u64, rows: u64) -> Self {
        let ground = Ground::new(7);
        add_tables(&ground.world, tables, files, rows);
        ground.start(DAWN).await.unwrap()
    }

    /// Makes a call with the node's token.
    pub(crate) async fn call(&self, method: Method, path: &str, body: impl Into<Body>) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {}", self.token));
        self.send(request.body(body.into()).unwrap()).await
    }

    /// The whole answer to a request.
    pub(crate) async fn respond(&self, request: Request<Body>) -> Response<Body> {
        self.node.router().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.respond(request).await;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, text) = self.call(Method::GET, path, Body::empty()).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Value {
        let (status, text) = self.call(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn apply(&self, policy: &str) -> Value {
        self.post("/v1/policies", policy.to_owned()).await
    }

    /// Asks for an action that must be done.
    pub(crate) async fn act(&self, action: &str, dataset: &str) {
        let answer = self.try_to(action, dataset).await;
        assert_eq!((&answer["done"], answer["refused"].as_array().unwrap().len()), (&json!(1), 0), "{answer}");
    }

    pub(crate) async fn try_to(&self, action: &str, dataset: &str) -> Value {
        let request = json!({ "action": action, "migrations": [self.id(dataset)], "reason": "a test" });
        self.post("/v1/actions", request.to_string()).await
    }

    /// Approves the present plan of a dataset.
    pub(crate) async fn approve(&self, dataset: &str) -> Value {
        let plan = self.look(dataset, |migration| migration.plan.as_ref().unwrap().hash);
        let items = json!([{ "migration": self.id(dataset), "plan": plan }]);
        self.post("/v1/decisions", json!({ "approve": true, "items": items }).to_string()).await
    }

    /// The newest migration of a dataset.
    pub(crate) fn id(&self, dataset: &str) -> MigrationId {
        self.node.read(|state| newest(state, dataset).id)
    }

    pub(crate) fn look<R>(&self, dataset: &str, look: impl FnOnce(&Migration) -> R) -> R {
        self.node.read(|state| look(newest(state, dataset)))
    }

    pub(crate) fn phase(&self, dataset: &str) -> Phase {
        self.look(dataset, |migration| migration.phase)
    }

    /// The code of a dataset's problem.
    pub(crate) fn problem(&self, dataset: &str) -> String {
        self.look(dataset, |migration| migration.problem.as_ref().map(|problem| problem.code.to_string()))
            .unwrap_or_default()
    }

    /// What the history says, line by line.
    pub(crate) fn history(&self, dataset: &str) -> Vec<String> {
        self.look(dataset, |migration| migration.history.iter().map(|item| item.what.clone()).collect())
    }

    /// Waits until the state is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) {
        let waiting = async {
            loop {
                let mut notices = self.node.subscribe();
                if self.node.read(&wanted) {
                    return;
                }
                assert!(notices.next().await.is_some(), "the ledger closed while waiting for {what}");
            }
        };
        if timeout(LONG, waiting).await.is_err() {
            let phases: BTreeMap<String, String> = self.node.read(|state| {
                let all = state.migrations().values();
                all.map(|m| (m.dataset.to_string(), format!("{} {:?} {:?}", m.phase, m.problem, m.history))).collect()
            });
            panic!("never {what}: {phases:#?} {:#?}", self.world.trace());
        }
    }

    /// Waits until a dataset is in a phase.
    pub(crate) async fn until_phase(&self, dataset: &str, phase: Phase) {
        self.until(&format!("{dataset} {phase}"), |state| newest(state, dataset).phase == phase).await;
    }

    /// Waits until all migrations are committed.
    pub(crate) async fn until_committed(&self) {
        self.until("all committed", |state| {
            !state.migrations().is_empty() && state.count(Phase::Committed) == state.migrations().len()
        })
        .await;
    }

    /// Waits until the newest migrations of these datasets are committed, whatever became of others.
    pub(crate) async fn until_committed_now(&self, datasets: &[&str]) {
        for dataset in datasets {
            self.until_phase(dataset, Phase::Committed).await;
        }
    }

    /// Waits until nothing is left to do.
    pub(crate) async fn until_at_rest(&self) {
        self.until("at rest", |state| Phase::ALL.into_iter().all(|phase| state.due(phase).next().is_none())).await;
    }

    /// Every row of the dataset's source is visible once, and nothing was done that must not be.
    pub(crate) fn assert_whole(&self, dataset: &str) {
        let name = table(dataset);
        assert_eq!(self.world.visible(&name), Some(self.world.source(&name)), "{dataset}");
        assert_eq!(self.world.violations(), Vec::<String>::new());
    }
}

fn newest<'a>(state: &'a State, dataset: &str) -> &'a Migration {
    let name = table(dataset);
    let of = state.migrations().values().filter(|migration| migration.dataset == name);
    of.max_by_key(|migration| migration.generation).unwrap_or_else(|| panic!("no migration of {dataset}"))
}

/// Gives a world tables of consecutive numbers, none twice.
pub(crate) fn add_tables(world: &World, tables: &[&str], files: u64, rows: u64) {
    for (number, name) in (0_u64..).zip(tables) {
        let file = |file: u64| {
            let first = number * 1_000_000 + file * 1_000;
            (first..first + rows).collect()
        };
        world.add_table(&table(name), &(0..files).map(file).collect::<Vec<Vec<u64>>>());
    }
}

/// A policy over all tables of the world, published under their own names without an approval.
pub(crate) fn policy(spec: &str) -> String {
    named_policy("p", spec)
}

pub(crate) fn named_policy(name: &str, spec: &str) -> String {
    let approval = if spec.contains("approval:") { "" } else { "  approval: { required: false }\n" };
    let source = if spec.contains("source:") { "" } else { "  source: { connection: legacy, include: [\"db.*\"] }\n" };
    format!(
        "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: {name}, owner: team, labels: {{ wave: \"3\" }} }}\n\
         spec:\n{source}  target: {{ connection: lake }}\n{approval}{spec}\n"
    )
}

/// The blob of a document in a migration's record.
pub(crate) fn hash_of(text: &Value) -> Hash256 {
    text.as_str().unwrap().parse().unwrap()
}
