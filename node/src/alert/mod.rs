//! Alerts: a webhook is told when a migration needs a person, or this node has no quorum, and when that is over.
//!
//! In: the ledger's state, the section `alerts` of the configuration. Out: signed messages, and entries that say what was
//! delivered. The leader alone tells what the ledger knows; every node tells of its own quorum. Not here: what is to be
//! told and when to try again (`skein_protocol::alert`), sockets (`Env::outbound`).

mod delivery;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use skein_protocol::alert::{self, Event, Incident, QuorumWatch};
use skein_protocol::ledger::Entry;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::api::fleet_source;
use crate::core::{Core, Recorded};
use delivery::{Delivery, Failed};

pub use delivery::{DELIVERY_HEADER, SIGNATURE_HEADER};

/// How often it is looked whether there is something to tell.
const LOOK: Duration = Duration::from_secs(1);
/// A call under way may take this long to end when the node stops.
const ENDING: Duration = Duration::from_secs(1);

/// The task that tells; none where no webhook is configured.
pub(crate) struct Alerts {
    stopping: watch::Sender<bool>,
    telling: JoinHandle<()>,
}

impl Alerts {
    /// Starts telling, if there is somebody to tell.
    pub(crate) fn start(core: &Arc<Core>) -> Option<Self> {
        let config = core.config.alerts.clone()?;
        let (stopping, stops) = watch::channel(false);
        let fleet = fleet_source::name(core);
        let teller = Teller {
            delivery: Delivery::new(core.env.outbound.clone(), config, fleet.clone()),
            quorum: QuorumWatch::new(fleet, core.node),
            core: core.clone(),
            failures: 0,
            rests_until: Duration::ZERO,
            looked_at: None,
        };
        Some(Self { stopping, telling: tokio::spawn(teller.run(stops)) })
    }

    /// Tells nothing more.
    pub(crate) async fn stop(self) {
        self.stopping.send_replace(true);
        if timeout(ENDING, self.telling).await.is_err() {
            tracing::debug!("a webhook did not answer in time");
        }
    }
}

struct Teller {
    core: Arc<Core>,
    delivery: Delivery,
    quorum: QuorumWatch,
    /// Failed deliveries in a row.
    failures: u32,
    /// Nothing is sent before this monotonic time.
    rests_until: Duration,
    /// The index at which nothing was to be told.
    looked_at: Option<u64>,
}

impl Teller {
    async fn run(mut self, mut stops: watch::Receiver<bool>) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stops.changed() => return,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                biased;
                _ = stops.changed() => return,
                () = self.look() => {}
            }
        }
    }

    async fn look(&mut self) {
        self.quorum.look(fleet_source::has_quorum(&self.core), self.core.now());
        if self.core.env.clock.monotonic() < self.rests_until {
            return;
        }
        match self.tell().await {
            Ok(()) => self.failures = 0,
            Err(failed) => self.rest(&failed),
        }
    }

    /// Tells everything that is to be told, or fails.
    async fn tell(&mut self) -> Result<(), Failed> {
        let now = self.core.now();
        if let Some(incident) = self.quorum.opened(now) {
            self.delivery.send(Event::Opened, std::slice::from_ref(&incident), now).await?;
            self.quorum.told(Some(incident));
        }
        if let Some(incident) = self.quorum.resolved() {
            self.delivery.send(Event::Resolved, std::slice::from_ref(&incident), now).await?;
            self.quorum.told(None);
        }
        // Who leads changes now and then, and two may think so for a moment: what the ledger then refuses was told twice.
        while self.core.ledger.is_leader() {
            let (index, due) = self.core.ledger.read_at(|index, state| {
                let new = self.looked_at != Some(index);
                (index, if new { alert::due(state) } else { alert::Due::default() })
            });
            if due.opened.is_empty() && due.resolved.is_empty() {
                self.looked_at = Some(index);
                return Ok(());
            }
            for (event, incidents) in [(Event::Resolved, &due.resolved), (Event::Opened, &due.opened)] {
                let told = self.delivery.send(event, incidents, self.core.now()).await?;
                self.record(told, event).await?;
            }
        }
        Ok(())
    }

    /// Notes what was told; one commit for all of it.
    async fn record(&self, told: &[Incident], event: Event) -> Result<(), Failed> {
        let resolved = event == Event::Resolved;
        let notes = told.iter().map(|one| self.core.record(Entry::AlertDelivered { incident: one.id, resolved }));
        let notes = futures::future::try_join_all(notes).await.map_err(|error| Failed(error.to_string()))?;
        // Told again at once, it would be told without end.
        let moot = notes.iter().any(|note| matches!(note, Recorded::Moot));
        if moot { Err(Failed("the ledger took no note of it".to_owned())) } else { Ok(()) }
    }

    fn rest(&mut self, failed: &Failed) {
        self.failures = self.failures.saturating_add(1);
        let pause = alert::retry_after(self.failures, self.core.random());
        self.rests_until = self.core.env.clock.monotonic() + Duration::from_millis(pause);
        let (host, failures) = (self.delivery.host(), self.failures);
        tracing::warn!(%host, failures, pause_millis = pause, why = %failed, "an alert was not delivered");
    }
}
