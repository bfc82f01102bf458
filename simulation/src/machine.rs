//! One machine: what outlives the crashes of its node, and the node that runs there now.
//!
//! In: starts, crashes, pauses, time. Out: the running node. Holds: the order in which a crash happens: first the disk
//! and with it the network, then the runtime with all tasks, so that no destructor makes a clean end of it; that a
//! machine which stood still wakes with its clock ahead. Not here: when.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use skein_node::config::{Config, FleetConfig};
use skein_node::env::memory::MemoryHost;
use skein_node::env::{Env, Network};
use skein_node::fabric::Fabrics;
use skein_node::fabric::quic::QuicFabrics;
use skein_node::ledger::{LEDGER_NAME, Notice};
use skein_node::scripted::{ScriptedPlane, World, connections};
use skein_node::{Node, NodeHandle, founding};
use tokio::runtime::{Builder, RngSeed, Runtime};
use tokio::time::{Instant, advance, sleep_until};

use crate::clock::MachineClock;
use crate::entering;
use crate::net::{MachineNetwork, Net};
use crate::tape::Tape;
use crate::traced::TracedFabrics;

/// A session this short lets a seed see several expiries within seconds.
const SESSION_MILLIS: u64 = 2_000;
/// A new voter is trusted after so long.
const STABLE_MILLIS: u64 = 2_000;
/// So much of a ledger is overwritten when it is ruined: its header and all that leads to the rest.
const RUINED_BYTES: usize = 16 << 10;
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
    pub(crate) clock: Arc<MachineClock>,
    /// How its node is run from its next start on.
    pub(crate) config: Config,
    net: Net,
    world: World,
    tape: Tape,
    seed: u64,
    starts: u64,
    running: Option<Running>,
    /// It stands still since the first and until the second of these moments.
    paused: Option<(Duration, Duration)>,
    inflicted: BTreeMap<&'static str, u64>,
    /// How it comes into the fleet the first time: whom it asks, with which token.
    pub(crate) invitation: Option<(SocketAddr, String)>,
}

impl Machine {
    /// A fresh machine of this seed; nothing runs there.
    pub(crate) fn new(number: usize, seed: u64, voters: usize, world: World, net: Net, tape: Tape) -> Self {
        let own = seed.wrapping_mul(1_000).wrapping_add(number as u64);
        let last = u8::try_from(number + 1).expect("a handful of machines");
        let at = SocketAddr::from(([10, 0, 0, last], 7401));
        let mut host = MemoryHost::new(own);
        if let Net::Messages(fabric) = &net {
            host.fabric = fabric.clone();
        }
        let fleet = FleetConfig {
            listen: at,
            voters,
            session_millis: SESSION_MILLIS,
            stable_millis: STABLE_MILLIS,
            ..FleetConfig::default()
        };
        Self {
            number,
            at,
            host,
            clock: Arc::new(MachineClock::new(tape.moment(Duration::ZERO))),
            config: Config { connections: connections(), fleet: Some(fleet), ..Config::for_tests() },
            net,
            world,
            tape,
            seed: own,
            starts: 0,
            running: None,
            paused: None,
            inflicted: BTreeMap::new(),
            invitation: None,
        }
    }

    /// Lets a node start here; it is now `now` after the beginning.
    pub(crate) fn start(&mut self, now: Duration) {
        self.starts += 1;
        let runtime = runtime(self.seed.wrapping_add(self.starts << 32));
        let env = {
            let _inside = runtime.enter();
            self.env()
        };
        let (node, fate) = (Arc::new(OnceLock::new()), Arc::new(Fate::default()));
        let life = Life {
            machine: self.number,
            at: self.at,
            config: self.config.clone(),
            env: env.clone(),
            net: self.net.clone(),
            invitation: self.invitation.clone(),
            tape: self.tape.clone(),
            node: node.clone(),
        };
        self.tape.note(self.number, &format!("start {} at {} ms", self.starts, now.as_millis()));
        if self.config.version != Config::for_tests().version {
            self.count("node of another version");
        }
        let ends = fate.clone();
        runtime.spawn(async move {
            let why = live(life).await;
            *ends.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        });
        self.running = Some(Running { runtime, env, node, fate });
    }

    /// What the next start of the node has of the world.
    fn env(&self) -> Env {
        let inner = self.host.env(Arc::new(ScriptedPlane::at(self.world.clone(), self.number)));
        let clock = self.clock.clone();
        let (network, fabrics): (Arc<dyn Network>, Arc<dyn Fabrics>) = match &self.net {
            Net::Messages(_) => (inner.network.clone(), inner.fabrics.clone()),
            Net::Quic(datagrams) => {
                let network = Arc::new(MachineNetwork {
                    machine: self.number,
                    at: self.at,
                    tape: self.tape.clone(),
                    storage: self.host.storage.clone(),
                    streams: self.host.network.clone(),
                    datagrams: datagrams.clone(),
                });
                let (blocking, entropy) = (inner.blocking.clone(), inner.entropy.clone());
                (network.clone(), Arc::new(QuicFabrics::new(network, blocking, entropy, clock.clone())))
            }
        };
        let fabrics = Arc::new(TracedFabrics {
            machine: self.number,
            tape: self.tape.clone(),
            storage: self.host.storage.clone(),
            links: self.net.links().clone(),
            inner: fabrics,
        });
        Env { clock, network, fabrics, ..inner }
    }

    /// The machine loses its power now. What its disk keeps of the unsynced writes is drawn at the next start.
    pub(crate) fn crash(&mut self) {
        self.tape.note(self.number, &format!("crash after {} disk operations", self.host.storage.operations()));
        if self.end() {
            self.count("power lost");
        }
        self.host.storage.restart();
    }

    /// The node's process dies now, and the machine goes on: nothing that was written is lost.
    pub(crate) fn kill(&mut self) {
        if self.host.storage.is_crashed() {
            // A disk operation has taken the power along already.
            return self.crash();
        }
        self.tape.note(self.number, "the process is killed");
        if self.end() {
            self.count("process killed");
        }
        self.host.storage.restart_process();
    }

    /// Overwrites the ledger of a machine without power: it does not open again.
    pub(crate) fn ruin_ledger(&self) {
        self.host.storage.damage(LEDGER_NAME, 0, &[0xa5; RUINED_BYTES]);
    }

    /// Takes everything from the node first, so that no destructor makes a clean end of it; whether there was one.
    fn end(&mut self) -> bool {
        self.host.storage.crash();
        self.paused = None;
        let Some(Running { runtime, env, node, fate: _ }) = self.running.take() else { return false };
        drop(runtime);
        drop((env, node));
        true
    }

    /// Lets the machine stand still from now on. One that does so already stands still for at least as long.
    pub(crate) fn pause(&mut self, now: Duration, until: Duration) {
        if !self.is_up() {
            return;
        }
        self.tape.note(self.number, &format!("stands still until {} ms", until.as_millis()));
        self.paused = Some(match self.paused {
            Some((since, other)) => (since, other.max(until)),
            None => (now, until),
        });
    }

    /// Lets a machine that stands still wake at this moment.
    pub(crate) fn wake_at(&mut self, when: Duration) {
        if let Some((_, until)) = &mut self.paused {
            *until = when.min(*until);
        }
    }

    /// How often its node was started.
    pub(crate) fn starts(&self) -> u64 {
        self.starts
    }

    /// Whether it stands still.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// How often each kind of fault has taken effect here.
    pub(crate) fn inflicted(&self) -> BTreeMap<&'static str, u64> {
        let mut all = self.inflicted.clone();
        all.extend(self.host.storage.inflicted());
        all.extend(self.clock.inflicted());
        all
    }

    fn count(&mut self, kind: &'static str) {
        *self.inflicted.entry(kind).or_default() += 1;
    }

    /// Whether a node runs here, or tries to.
    pub(crate) fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// Lets everything on this machine happen until the moment that is `until` after the beginning.
    pub(crate) fn advance(&mut self, until: Duration) {
        let woken = match self.paused {
            Some((_, wakes)) if until < wakes => return,
            Some((since, wakes)) => {
                self.paused = None;
                self.tape.note(self.number, "goes on");
                self.count("pause");
                if wakes.saturating_sub(since) > Duration::from_millis(SESSION_MILLIS) {
                    self.count("pause longer than a session");
                }
                Some(self.tape.moment(wakes))
            }
            None => None,
        };
        let until = self.tape.moment(until);
        if let Some(running) = &self.running {
            running.runtime.block_on(async move {
                if let Some(woken) = woken {
                    // The clock is ahead before anything else runs: all timers that are due by then are due at once.
                    advance(woken.saturating_duration_since(Instant::now())).await;
                }
                sleep_until(until).await;
            });
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
    net: Net,
    invitation: Option<(SocketAddr, String)>,
    tape: Tape,
    node: Arc<OnceLock<Arc<NodeHandle>>>,
}

/// Runs a node until it gives up; why it does.
async fn live(life: Life) -> String {
    let Life { machine, at, config, env, net, invitation, tape, node } = life;
    let entered = match &invitation {
        Some((to, token)) => entering::join(&env, &net, (at, *to), token).await,
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
                Notice::Applied(applied) => tape.applied(machine, &applied),
                Notice::Missed => tape.skipped(machine),
            }
        }
    };
    tokio::select! {
        biased;
        () = telling => "its ledger was closed".to_owned(),
        error = handle.failed() => error.to_string(),
    }
}
