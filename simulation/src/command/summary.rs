//! What is kept of a seed: everything but its lines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Outcome;

/// A seed in short; one line of JSON each in the folder of a long run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The seed.
    pub seed: u64,
    /// The hash over its history.
    pub hash: String,
    /// Virtual milliseconds.
    pub millis: u64,
    /// Processor time of its process, milliseconds.
    #[serde(default)]
    pub cpu_millis: u64,
    /// Machines.
    pub machines: usize,
    /// Migrations.
    pub migrations: usize,
    /// Frames between nodes.
    pub frames: u64,
    /// Entries of the ledger.
    pub entries: u64,
    /// Calls of the data plane.
    pub calls: u64,
    /// How often each kind of fault took effect.
    pub inflicted: BTreeMap<String, u64>,
    /// How often each situation came up.
    pub marks: BTreeMap<String, u64>,
    /// What went wrong.
    pub failures: Vec<String>,
}

impl Summary {
    /// The summary of an outcome.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        Self {
            seed: outcome.seed,
            hash: outcome.hash.clone(),
            millis: u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
            cpu_millis: 0,
            machines: outcome.machines,
            migrations: outcome.migrations,
            frames: outcome.frames,
            entries: outcome.entries,
            calls: outcome.calls,
            inflicted: outcome.inflicted.clone(),
            marks: outcome.marks.clone(),
            failures: outcome.failures.clone(),
        }
    }

    /// The summary of a seed whose process did not come to an end of its own: a panic, a signal.
    #[must_use]
    pub fn broken(seed: u64, why: String) -> Self {
        Self { seed, failures: vec![why], ..Self::default() }
    }
}
