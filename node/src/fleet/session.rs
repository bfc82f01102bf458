//! A node's session: it opens one, tells the leader again and again that it lives, and acts for nobody without one.
//!
//! In: the leader's answers, the clock. Out: whether this node may act. Holds: the session's number and when the leader
//! answered last. A node stops by itself before others may take its place: time is looked at again at each effect, so
//! that a process that was stopped for a minute finds out before it does anything. Not here: expiring others (`steward`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skein_protocol::calls::{Heartbeat, Pulse};
use skein_protocol::defects::{self, Defect};
use skein_protocol::fleet::expiry;
use skein_protocol::ids::SessionNo;
use skein_protocol::ledger::{Answer, Entry, Standing};
use skein_protocol::problem::{Code, Problem};
use skein_protocol::wire::Kind;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::core::{ACTOR, Core};
use crate::env::FileMode;

/// Sessions of one start: a node that is expired more often than this within one start is better started anew.
const SESSION_BITS: u32 = 16;
/// Heartbeats within one session time: several may be lost.
const BEATS_PER_SESSION: u32 = 6;
/// Pause after a session could not be opened.
const OPEN_PAUSE: Duration = Duration::from_millis(200);

/// Whether a node may act, as its parts follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionState {
    /// It has none yet, or none any more.
    None,
    /// It may act.
    Acting,
    /// The leader was silent for so long that others may take over any time.
    Fenced,
    /// It was removed from the fleet.
    Removed,
}

/// A node's session.
pub(crate) struct Session {
    /// Nobody can take its place: there is nobody.
    alone: bool,
    session_millis: u64,
    inner: Mutex<Inner>,
    state: watch::Sender<SessionState>,
}

#[derive(Debug, Clone, Copy)]
struct Inner {
    /// Sessions of this start so far.
    opened: u64,
    number: Option<SessionNo>,
    /// Monotonic time at which the last heartbeat that was answered was sent.
    acked: Duration,
    removed: bool,
}

impl Session {
    pub(super) fn new(alone: bool, session_millis: u64) -> Self {
        let inner = Inner { opened: 0, number: None, acked: Duration::ZERO, removed: false };
        Self { alone, session_millis, inner: Mutex::new(inner), state: watch::Sender::new(SessionState::None) }
    }

    /// The number of the open session.
    pub(crate) fn number(&self) -> Option<SessionNo> {
        self.inner().number
    }

    /// Whether this node may act.
    pub(crate) fn may_act(&self, now: Duration) -> bool {
        self.state_at(now) == SessionState::Acting
    }

    fn state_at(&self, now: Duration) -> SessionState {
        let inner = *self.inner();
        if inner.removed {
            return SessionState::Removed;
        }
        if inner.number.is_none() {
            return SessionState::None;
        }
        let silent = u64::try_from(now.saturating_sub(inner.acked).as_millis()).unwrap_or(u64::MAX);
        if !self.alone && expiry::fence(silent, self.session_millis) && !defects::is(Defect::NoSelfFence) {
            return SessionState::Fenced;
        }
        SessionState::Acting
    }

    /// Milliseconds since the leader answered last.
    pub(crate) fn silence(&self, now: Duration) -> u64 {
        u64::try_from(now.saturating_sub(self.inner().acked).as_millis()).unwrap_or(u64::MAX)
    }

    /// Follows whether this node may act.
    pub(crate) fn watch(&self) -> watch::Receiver<SessionState> {
        self.state.subscribe()
    }

    fn tell(&self, now: Duration) {
        let state = self.state_at(now);
        self.state.send_if_modified(|seen| std::mem::replace(seen, state) != state);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acked(&self, sent: Duration, now: Duration) {
        self.inner().acked = sent;
        self.tell(now);
    }

    fn over(&self, now: Duration) {
        self.inner().number = None;
        self.tell(now);
    }

    fn removed(&self, now: Duration) {
        self.inner().removed = true;
        self.tell(now);
    }
}

/// Keeps a session for as long as the node runs.
pub(super) async fn keep(core: Arc<Core>) {
    let session = &core.fleet.session;
    let beat = Duration::from_millis(core.fleet.config.session_millis) / BEATS_PER_SESSION;
    let mut state = session.watch();
    loop {
        let now = core.env.clock.monotonic();
        if core.ledger.read(|state| state.member(core.node).is_some_and(|one| one.standing == Standing::Removed)) {
            tracing::error!(node = %core.node, "this node was removed from the fleet");
            session.removed(now);
        }
        session.tell(now);
        if *state.borrow_and_update() == SessionState::Removed {
            return;
        }
        if session.number().is_none() {
            if let Err(problem) = open(&core).await {
                tracing::info!(code = %problem.code, why = %problem.why, "no session yet");
                sleep(OPEN_PAUSE).await;
            }
            continue;
        }
        if session.alone {
            return;
        }
        pulse(&core, beat).await;
        sleep(beat).await;
    }
}

/// Opens a session.
async fn open(core: &Core) -> Result<(), Problem> {
    let session = &core.fleet.session;
    let sent = core.env.clock.monotonic();
    let number = {
        let mut inner = session.inner();
        inner.opened += 1;
        SessionNo(core.ledger.boot().boots << SESSION_BITS | inner.opened)
    };
    let entry = Entry::SessionOpened { node: core.node, session: number, seat: core.seat() };
    match core.ledger.propose(entry, ACTOR).await {
        Ok((_, Answer::Refused(problem))) if problem.code == Code::NodeRemoved => {
            tracing::error!(code = %problem.code, why = %problem.why, next = %problem.next, "this node was removed");
            session.removed(core.env.clock.monotonic());
            Err(problem)
        }
        Ok((_, Answer::Refused(problem))) => Err(problem),
        Ok(_) => {
            {
                let mut inner = session.inner();
                inner.number = Some(number);
                inner.acked = sent;
            }
            tracing::info!(node = %core.node, session = %number, "session opened");
            session.tell(core.env.clock.monotonic());
            remember_peers(core).await;
            Ok(())
        }
        Err(error) => Err(error.problem()),
    }
}

/// Writes down where the others are, for a start without a ledger.
pub(super) async fn remember_peers(core: &Core) {
    if session_is_alone(core) {
        return;
    }
    let addresses: Vec<String> = core.ledger.read(|state| {
        let others = state.active().filter(|member| member.node != core.node);
        others.map(|member| member.seat.address.clone()).collect()
    });
    if addresses.is_empty() {
        return;
    }
    let (env, text) = (core.env.clone(), addresses.join("\n") + "\n");
    let write = move || env.files.write(super::PEERS_FILE, text.as_bytes(), FileMode::Shared);
    match core.env.blocking.call(write).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the addresses of the members are not written down"),
        Err(error) => tracing::warn!(%error, "the addresses of the members are not written down"),
    }
}

fn session_is_alone(core: &Core) -> bool {
    core.fleet.session.alone
}

/// One heartbeat.
async fn pulse(core: &Core, deadline: Duration) {
    let session = &core.fleet.session;
    let Some(number) = session.number() else { return };
    let sent = core.env.clock.monotonic();
    let heartbeat = Heartbeat { node: core.node, session: number };
    let pulse = match core.ledger.leader() {
        None => None,
        Some(leader) if leader == core.node => {
            // A leader that has lost its quorum believes that it leads for a while.
            super::has_quorum(core).then(|| beat(core, &heartbeat))
        }
        Some(leader) => match core.fleet.peers.call(leader, Kind::Heartbeat, &heartbeat, deadline).await {
            Ok(pulse) => Some(pulse),
            Err(error) => {
                tracing::debug!(%error, %leader, "heartbeat");
                None
            }
        },
    };
    let now = core.env.clock.monotonic();
    match pulse {
        Some(Pulse::Alive) => session.acked(sent, now),
        Some(Pulse::Over) => {
            tracing::warn!(session = %number, "the session is over: work under way is given up, another session is opened");
            session.over(now);
        }
        None => session.tell(now),
    }
}

/// What a leader says to a heartbeat.
pub(super) fn beat(core: &Core, heartbeat: &Heartbeat) -> Pulse {
    let goes_on = core.ledger.read(|state| {
        state
            .member(heartbeat.node)
            .is_some_and(|member| member.session == heartbeat.session && member.standing == Standing::Active)
    });
    if goes_on {
        core.fleet.heard.note(heartbeat.node, core.env.clock.monotonic());
        Pulse::Alive
    } else {
        Pulse::Over
    }
}
