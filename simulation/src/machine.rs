//! One machine: what outlives the crashes of its node, and the node that runs there now.
//!
//! In: starts, crashes, time. Out: the running node. Holds: the order in which a crash happens: first the disk and
//! with it the network, then the runtime with all tasks, so that no destructor makes a clean end of it. Not here: when.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use skein_node::config::{Config, FleetConfig};
use skein_node::env::Env;
use skein_node::env::memory::{MemoryFabric, MemoryHost};
use skein_node::ledger::Notice;
use skein_node::scripted::{ScriptedPlane, VirtualClock, World, connections};
use skein_node::{Node, NodeHandle, founding};
use tokio::runtime::{Builder, RngSeed, Runtime};
use tokio::time::sleep_until;

use crate::entering;
use crate::shim;
use crate::tape::Tape;

/// A session this short lets a seed see several expiries within seconds.
const SESSION_MILLIS: u64 = 2_000;
/// A new voter is trusted after so long.
const STABLE_MILLIS: u64 = 2_000;
/// The founder's first token is never used; it may be valid for ever so long.
const FIRST_TOKEN_MILLIS: u64 = 60 * 60 * 1000;

/// What the node of a machine came to.
#[derive(Debug, Default)]
struct Fate(Mutex<Option<String>>);

/// One start of a node.
struct Running {
    runtime: Runtime,
    env: Env,
    node: Arc<OnceLock<Arc<NodeHandle>>>,
    fate: Arc<Fate>,
}

/// One machine.
pub(crate) struct Machine {
    /// From 0.
    pub(crate) number: usize,
    /// Where its node is reached by others.
    pub(crate) at: SocketAddr,
    pub(crate) host: MemoryHost,
    world: World,
    tape: Tape,
    seed: u64,
    starts: u64,
    running: Option<Running>,
    /// How it comes into the fleet the first time: whom it asks, with which token.
    pub(crate) invitation: Option<(SocketAddr, String)>,
}

impl Machine {
    /// A fresh machine of this seed; nothing runs there.
    pub(crate) fn new(number: usize, seed: u64, world: World, fabric: MemoryFabric, tape: Tape) -> Self {
        let own = seed.wrapping_mul(1_000).wrapping_add(number as u64);
        let last = u8::try_from(number + 1).expect("a handful of machines");
        let at = SocketAddr::from(([10, 0, 0, last], 7401));
        let host = MemoryHost { fabric, ..MemoryHost::new(own) };
        Self { number, at, host, world, tape, seed: own, starts: 0, running: None, invitation: None }
    }

    fn config(&self) -> Config {
        let fleet = FleetConfig {
            listen: self.at,
            voters: 3,
            session_millis: SESSION_MILLIS,
            stable_millis: STABLE_MILLIS,
            ..FleetConfig::default()
        };
        Config { connections: connections(), fleet: Some(fleet), ..Config::for_tests() }
    }

    /// Lets a node start here; it is now `now` after the beginning.
    pub(crate) fn start(&mut self, now: Duration) {
        self.starts += 1;
        let runtime = runtime(self.seed.wrapping_add(self.starts << 32));
        let env = {
            let _inside = runtime.enter();
            let inner = self.host.env(Arc::new(ScriptedPlane::new(self.world.clone())));
            let millis = u64::try_from(now.as_millis()).expect("a simulation takes no years");
            Env {
                clock: Arc::new(VirtualClock::starting_at(shim::dawn_millis() + millis)),
                fabrics: Arc::new(crate::traced::TracedFabrics {
                    machine: self.number,
                    tape: self.tape.clone(),
                    storage: self.host.storage.clone(),
                    inner: inner.fabrics.clone(),
                }),
                ..inner
            }
        };
        let (node, fate) = (Arc::new(OnceLock::new()), Arc::new(Fate::default()));
        let life = Life {
            machine: self.number,
            at: self.at,
            config: self.config(),
            env: env.clone(),
            fabric: self.host.fabric.clone(),
            invitation: self.invitation.clone(),
            tape: self.tape.clone(),
            node: node.clone(),
        };
        self.tape.note(self.number, &format!("start {}", self.starts));
        let ends = fate.clone();
        runtime.spawn(async move {
            let why = live(life).await;
            *ends.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        });
        self.running = Some(Running { runtime, env, node, fate });
    }

    /// The machine loses its power now. What its disk keeps of the unsynced writes is drawn at the next start.
    pub(crate) fn crash(&mut self) {
        self.host.storage.crash();
        self.tape.note(self.number, &format!("crash after {} disk operations", self.host.storage.operations()));
        if let Some(Running { runtime, env, node, fate: _ }) = self.running.take() {
            drop(runtime);
            drop((env, node));
        }
        self.host.storage.restart();
    }

    /// Whether a node runs here, or tries to.
    pub(crate) fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// Lets everything on this machine happen until the moment that is `until` after the beginning.
    pub(crate) fn advance(&mut self, until: Duration) {
        if let Some(running) = &self.running {
            let until = self.tape.moment(until);
            running.runtime.block_on(async move { sleep_until(until).await });
        }
    }

    /// The node, once it has started.
    pub(crate) fn node(&self) -> Option<&Arc<NodeHandle>> {
        self.running.as_ref()?.node.get()
    }

    /// Why the node gave up, if it did.
    pub(crate) fn gave_up(&self) -> Option<String> {
        self.running.as_ref()?.fate.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets a task run on this machine; it dies with its node.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(running) = &self.running {
            running.runtime.spawn(task);
        }
    }

    /// The token of the node's first start.
    pub(crate) fn token(&self) -> Option<String> {
        let running = self.running.as_ref()?;
        let bytes = running.env.files.read(running.node.get()?.token_file()).ok()??;
        Some(String::from_utf8(bytes).ok()?.trim().to_owned())
    }
}

/// A runtime in virtual time whose every choice follows from `seed`.
fn runtime(seed: u64) -> Runtime {
    let seed = RngSeed::from_bytes(&seed.to_le_bytes());
    let built = Builder::new_current_thread().enable_time().start_paused(true).rng_seed(seed).build();
    built.expect("a runtime without input and output needs nothing of the machine")
}

/// What one start of a node needs.
struct Life {
    machine: usize,
    at: SocketAddr,
    config: Config,
    env: Env,
    fabric: MemoryFabric,
    invitation: Option<(SocketAddr, String)>,
    tape: Tape,
    node: Arc<OnceLock<Arc<NodeHandle>>>,
}

/// Runs a node until it gives up; why it does.
async fn live(life: Life) -> String {
    let Life { machine, at, config, env, fabric, invitation, tape, node } = life;
    let entered = match &invitation {
        Some((to, token)) => entering::join(&env, &fabric, (at, *to), token).await,
        None => match founding::found(&env, FIRST_TOKEN_MILLIS) {
            Ok(_) | Err(founding::FoundingError::Taken(_)) => Ok(()),
            Err(error) => Err(error.into()),
        },
    };
    if let Err(error) = entered {
        return format!("it does not enter the fleet: {error:#}");
    }
    let handle = match Node::start(config, env).await {
        Ok(handle) => Arc::new(handle),
        Err(error) => return format!("it does not start: {error}"),
    };
    let mut notices = handle.subscribe();
    tape.note(machine, &format!("node {} runs", handle.id()));
    // The task that set it is this one.
    let _ = node.set(handle.clone());
    let telling = async {
        while let Some(notice) = notices.next().await {
            match notice {
                Notice::Applied(applied) => {
                    let proposal = &applied.proposal;
                    let entry = format!("{} {} {:?}", proposal.at_millis, proposal.actor, proposal.entry);
                    tape.applied(machine, applied.index, &format!("{entry} -> {:?}", applied.answer));
                }
                Notice::Missed => tape.note(machine, "applied a snapshot"),
            }
        }
    };
    tokio::select! {
        biased;
        () = telling => "its ledger was closed".to_owned(),
        error = handle.failed() => error.to_string(),
    }
}
