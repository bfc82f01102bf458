//! The actors: a supervisor, a dispatcher that hands out work, one actor for each migration that is worked on.
//!
//! In: the ledger's state and what was applied to it. Out: entries, effects on the data plane. Holds: [`Tree`], the whole
//! of them as the node sees it. Not here: decisions (`skein_protocol::{schedule, machine}`).
//!
//! ```text
//!            supervisor ◄── listener (what was applied)
//!            │        │
//!       dispatcher   migration, migration, …   ── tasks: one for each piece of work
//! ```
//! The dispatcher decides what begins (`schedule::decide`) and tells the supervisor, which builds the migration's actor
//! if need be. The actor records the start, lets a task act, and the task records the outcome. Any error kills the
//! actor; the supervisor builds it again from the ledger after a pause.

mod brief;
mod caution;
mod dispatcher;
mod door;
mod job;
mod listener;
mod migration;
mod supervisor;
mod task;
mod work;

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorRef};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::core::Core;
pub(crate) use door::Door;
use supervisor::{Supervisor, SupervisorMessage};
pub(crate) use task::Task;

/// Work under way may take this long to end when the node stops; what is longer is done again after the next start.
const DRAIN: Duration = Duration::from_secs(30);
/// The actors themselves end within this time, as they do nothing any more.
const ENDING: Duration = Duration::from_secs(5);

/// The actors did not start.
#[derive(Debug, thiserror::Error)]
#[error("the actors do not start: {0}")]
pub struct TreeError(String);

/// All actors of a node.
pub(crate) struct Tree {
    root: ActorRef<SupervisorMessage>,
    ended: JoinHandle<()>,
}

impl Tree {
    /// Starts the actors on the current runtime.
    pub(crate) async fn start(core: Arc<Core>) -> Result<Self, TreeError> {
        let started = Supervisor::spawn(None, Supervisor, core.clone()).await;
        let (root, ended) = started.map_err(|error| TreeError(error.to_string()))?;
        core.open_door(Door::new(root.clone()));
        Ok(Self { root, ended })
    }

    /// Waits until the supervisor has ended by itself, which it never should.
    pub(crate) async fn ended(&self) -> TreeError {
        let ended = self.root.get_cell();
        // It answers when the actor has stopped.
        let _ = ended.wait(None).await;
        TreeError("the supervisor ended".to_owned())
    }

    /// Hands out nothing more, waits for the work under way, and ends all actors.
    pub(crate) async fn stop(self) {
        let (idle, is_idle) = oneshot::channel();
        if self.root.cast(SupervisorMessage::Drain(idle)).is_ok() && timeout(DRAIN, is_idle).await.is_err() {
            tracing::warn!("work under way did not end in time; it is done again after the next start");
        }
        self.root.stop(None);
        if timeout(ENDING, self.ended).await.is_err() {
            tracing::error!("the actors did not end in time");
        }
    }
}
