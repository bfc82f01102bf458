//! One start of the node of a trial, and the client that uses it.
//!
//! In: a machine, a world, a wire. Out: how the start ended. Holds: [`Site`]. Not here: starting again (`trial`).

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use skein_node::config::Config;
use skein_node::env::Env;
use skein_node::env::memory::{MemoryHost, MemoryStorage};
use skein_node::scripted::{Call, Hold, ScriptedPlane, VirtualClock, World, connections};
use skein_node::{Node, NodeHandle};
use skein_protocol::ledger::{Migration, Phase};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::scenario::{Next, Scenario};
use super::trip::{Trip, Tripwire};

/// A client looks this often.
const LOOK: Duration = Duration::from_millis(20);
/// It waits for an answer this long: longer than the slowest call of the data plane.
const PATIENCE: Duration = Duration::from_secs(10);
/// A start that takes longer hangs; virtual time.
const LONG: Duration = Duration::from_secs(3600);
/// A tombstone stands for this long: longer than a late change of the catalog takes.
pub(super) const TOMBSTONE: Duration = Duration::from_secs(120);
/// No answer of the API is longer.
const MOST_ANSWER_BYTES: usize = 1 << 20;

/// What becomes of one start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The scenario is over.
    Done(Phase),
    /// The machine lost its power.
    Crashed,
}

/// What a trial's client does, and what it was told so far.
pub(super) struct Client<'a> {
    pub(super) scenario: Scenario,
    pub(super) policy: &'a str,
    pub(super) world: &'a World,
    pub(super) trip: &'a Trip,
    /// What goes wrong from the moment on at which the wire is armed.
    pub(super) storm: &'a dyn Fn(&World),
    /// Whether the weather has turned.
    pub(super) stormy: bool,
    /// Registrations wait here until a request to cancel is on its way.
    pub(super) hold: Option<Hold>,
    /// The action was acknowledged.
    pub(super) acknowledged: bool,
}

/// A running node.
struct Site {
    node: NodeHandle,
    token: String,
    storage: MemoryStorage,
}

/// Starts the node at this wall time, and lets the client go on; how it ended, and the wall time then.
pub(super) async fn live(host: &MemoryHost, wall: u64, client: &mut Client<'_>) -> Result<(Ended, u64)> {
    let plane = Tripwire { inner: ScriptedPlane::at(client.world.clone(), 0), trip: client.trip.clone() };
    let env = Env { clock: Arc::new(VirtualClock::starting_at(wall)), ..host.env(Arc::new(plane)) };
    let clock = env.clock.clone();
    let config = Config {
        connections: connections(),
        tombstone_millis: u64::try_from(TOMBSTONE.as_millis()).expect("two minutes"),
        ..Config::for_tests()
    };
    let ended = match Node::start(config, env.clone()).await {
        Err(_) if host.storage.is_crashed() => Ended::Crashed,
        Err(error) => return Err(error.into()),
        Ok(node) => {
            let Some(token) = env.files.read(node.token_file()).ok().flatten() else {
                return Ok((Ended::Crashed, clock.wall_millis()));
            };
            let token = String::from_utf8(token)?.trim().to_owned();
            let site = Site { node, token, storage: host.storage.clone() };
            timeout(LONG, site.serve(client)).await.map_err(|_| site.hangs())??
        }
    };
    Ok((ended, clock.wall_millis()))
}

impl Site {
    async fn serve(&self, client: &mut Client<'_>) -> Result<Ended> {
        loop {
            if self.storage.is_crashed() {
                return Ok(Ended::Crashed);
            }
            if client.trip.is_armed() && !client.stormy {
                client.stormy = true;
                (client.storm)(client.world);
            }
            let (next, phase) = self.node.read(|state| {
                let migration = state.migrations().values().next();
                let rests = Phase::ALL.into_iter().all(|phase| state.due(phase).next().is_none());
                (client.scenario.next(migration, rests), migration.map(|one| one.phase))
            });
            match (next, phase) {
                (Next::End, Some(phase)) => return Ok(Ended::Done(phase)),
                (Next::Submit, _) => {
                    let _ = self.post("/v1/policies", client.policy.to_owned()).await?;
                }
                (Next::Act { action, arms }, _) => self.act(client, action, arms).await?,
                _ => {}
            }
            sleep(LOOK).await;
        }
    }

    async fn act(&self, client: &mut Client<'_>, action: &'static str, arms: bool) -> Result<()> {
        if let Some(hold) = &mut client.hold {
            hold.entered(1).await;
        }
        if arms && client.trip.arm() {
            client.world.heal();
            client.stormy = true;
            (client.storm)(client.world);
        }
        let id = self.node.read(|state| state.migrations().keys().next().copied()).context("no migration")?;
        let body = json!({ "action": action, "migrations": [id], "reason": "a trial" });
        let answer = self.post("/v1/actions", body.to_string()).await?;
        client.acknowledged |= arms && answer.is_some_and(|answer| answer["done"] == json!(1));
        if let Some(hold) = client.hold.take() {
            hold.release();
        }
        Ok(())
    }

    /// Makes a call; nothing when there is no answer, as from a machine without power.
    async fn post(&self, path: &str, body: String) -> Result<Option<Value>> {
        let request = Request::post(path).header("authorization", format!("Bearer {}", self.token));
        let request = request.body(Body::from(body))?;
        let ask = async {
            let Ok(response) = self.node.router().oneshot(request).await;
            let status = response.status();
            let bytes = to_bytes(response.into_body(), MOST_ANSWER_BYTES).await.unwrap_or_default();
            (status, bytes)
        };
        let dark = async {
            while !self.storage.is_crashed() {
                sleep(LOOK).await;
            }
        };
        let answered = tokio::select! {
            biased;
            answered = timeout(PATIENCE, ask) => answered.ok(),
            () = dark => None,
        };
        let Some((status, bytes)) = answered else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        if status.is_client_error() {
            return Err(anyhow!("{path} is refused: {status} {text}"));
        }
        Ok(if status.is_success() { Some(serde_json::from_str(&text)?) } else { None })
    }

    fn hangs(&self) -> anyhow::Error {
        let state = self.node.read(|state| {
            let told = |one: &Migration| format!("{} {:?} {:?}", one.phase, one.problem, one.history.last());
            state.migrations().values().map(told).collect::<Vec<_>>()
        });
        anyhow!("it hangs: {state:?}")
    }
}

/// Lets registrations wait, where the scenario wants one to be under way.
pub(super) fn hold(scenario: Scenario, world: &World) -> Option<Hold> {
    (scenario == Scenario::Cancel).then(|| world.hold(Call::Register, None))
}
