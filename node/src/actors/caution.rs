//! Caution: what a node does not begin because it went wrong lately.
//!
//! In: starts and ends of batches. Out: limits for the scheduler. Holds: a circuit breaker for each connection and the ration
//! of retries; both forget everything when the node starts. Not here: the rules (`fleet::breaker`).

use std::collections::BTreeMap;

use skein_protocol::fleet::breaker::{Allow, Breaker, RetryBudget};
use skein_protocol::ids::{BatchId, ConnectionName, MigrationId};
use skein_protocol::ledger::{BatchState, State};
use skein_protocol::problem::Code;
use skein_protocol::schedule::Limits;

/// What went wrong lately.
#[derive(Debug, Default)]
pub(super) struct Caution {
    breakers: BTreeMap<ConnectionName, Breaker>,
    retries: RetryBudget,
}

impl Caution {
    /// Tells the scheduler; returns the time at which there may be more, milliseconds since 1970.
    pub(super) fn limit(&self, limits: &mut Limits, now: u64) -> Option<u64> {
        let mut wake_at: Option<u64> = None;
        let mut wake = |time: u64| wake_at = Some(wake_at.map_or(time, |earliest| earliest.min(time)));
        for (connection, breaker) in &self.breakers {
            let most = match breaker.allow(now) {
                Allow::Yes => continue,
                Allow::Probe => 1,
                Allow::NotBefore(time) => {
                    wake(time);
                    0
                }
            };
            limits.begin.insert(connection.clone(), most);
        }
        let left = self.retries.left(now);
        limits.retries = Some(left);
        if left == 0 {
            wake(RetryBudget::more_at(now));
        }
        wake_at
    }

    /// A batch begins.
    pub(super) fn began(&mut self, state: &State, id: MigrationId, batch: BatchId, now: u64) {
        let Some(migration) = state.migration(id) else { return };
        self.retries.began(migration.batch(batch).is_some_and(|batch| batch.failures > 0), now);
        for connection in connections(state, id) {
            if let Some(breaker) = self.breakers.get_mut(&connection) {
                breaker.began(now);
            }
        }
    }

    /// A batch came to its end; what its record says tells which connection did its part.
    pub(super) fn ended(&mut self, state: &State, id: MigrationId, batch: BatchId, now: u64) {
        let Some(record) = state.migration(id).and_then(|migration| migration.batch(batch)) else { return };
        let [source, target] = connections(state, id);
        let blamed = blamed(record);
        for (connection, is_source) in [(source, true), (target, false)] {
            match blamed {
                None if record.done.is_some() => {
                    if let Some(breaker) = self.breakers.get_mut(&connection) {
                        breaker.ended(true, now);
                    }
                }
                Some(of_source) if of_source == is_source => {
                    let breaker = self.breakers.entry(connection.clone()).or_default();
                    let before = breaker.is_open();
                    breaker.ended(false, now);
                    if breaker.is_open() && !before {
                        tracing::warn!(%connection, "the connection fails again and again: it is left alone for a while");
                    }
                }
                _ => {}
            }
        }
        self.breakers.retain(|_, breaker| *breaker != Breaker::default());
    }

    /// Connections that are left alone or being tried.
    pub(super) fn resting(&self) -> usize {
        self.breakers.values().filter(|breaker| breaker.is_open()).count()
    }
}

/// The source's and the target's connection.
fn connections(state: &State, id: MigrationId) -> [ConnectionName; 2] {
    let migration = state.migration(id);
    let record = migration.and_then(|migration| state.policies().get(&migration.policy));
    [
        record.map(|record| record.policy.source_connection.clone()).unwrap_or_default(),
        migration.map(|migration| migration.target_connection.clone()).unwrap_or_default(),
    ]
}

/// Whether the source (true) or the target (false) is to blame for a batch's failure, if either is.
fn blamed(record: &BatchState) -> Option<bool> {
    match record.problem.as_ref().map(|problem| problem.code)? {
        Code::Io | Code::SourceUnreadable => Some(true),
        Code::CatalogUnavailable | Code::DiskFull => Some(false),
        _ => None,
    }
}
