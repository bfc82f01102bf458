//! What goes wrong with a call: scripted faults and storms together, and how much of it took effect.
//!
//! In: calls. Out: at most one effect for each. Holds: [`Faults`]. Not here: doing what an effect says.

use std::collections::BTreeMap;
use std::time::Duration;

use skein_protocol::ids::TableName;

use super::fault::{Call, Effect, Fault};
use super::weather::{Raging, Storm};

/// Something that goes wrong with one call.
#[derive(Debug, Clone)]
pub(super) struct Strike {
    pub(super) effect: Effect,
    /// Under which name it is counted.
    pub(super) name: &'static str,
}

/// Everything that may go wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    seed: u64,
    scripted: Vec<Fault>,
    storms: Vec<Raging>,
    inflicted: BTreeMap<&'static str, u64>,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    pub(super) fn add(&mut self, fault: Fault) {
        self.scripted.push(fault);
    }

    pub(super) fn storm(&mut self, storm: Storm) {
        let before = self.storms.iter().filter(|raging| raging.weather() == storm.weather).count();
        self.storms.push(Raging::new(storm, self.seed, before as u64));
    }

    /// Nothing goes wrong any more.
    pub(super) fn heal(&mut self) {
        self.scripted.clear();
        self.storms.clear();
    }

    /// What goes wrong with this call. Every fault and storm counts the call; scripted faults come first, then storms, and
    /// of each the first that strikes wins.
    pub(super) fn strike(&mut self, call: Call, table: Option<&TableName>, now: Duration) -> Option<Strike> {
        let mut strike = None;
        for fault in &mut self.scripted {
            if fault.strikes(call, table) && strike.is_none() {
                strike = Some(Strike { effect: fault.effect.clone(), name: fault.name });
            }
        }
        for raging in &mut self.storms {
            if let Some(effect) = raging.strikes(call, table, now)
                && strike.is_none()
            {
                strike = Some(Strike { effect, name: raging.weather().name() });
            }
        }
        strike
    }

    /// Notes that something went wrong.
    pub(super) fn count(&mut self, name: &'static str) {
        *self.inflicted.entry(name).or_default() += 1;
    }

    /// How often each kind of thing went wrong.
    pub(super) fn inflicted(&self) -> &BTreeMap<&'static str, u64> {
        &self.inflicted
    }
}
