//! What is kept of a seed: everything but its lines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A seed in short; one line of JSON each in the folder of a long run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The seed.
    pub seed: u64,
    /// The hash over everything that happened: equal for equal histories.
    pub hash: String,
    /// Virtual milliseconds that it took.
    pub millis: u64,
    /// Processor time of its process, milliseconds; 0 as long as it goes on.
    #[serde(default)]
    pub cpu_millis: u64,
    /// Machines.
    pub machines: usize,
    /// Migrations, of all generations.
    pub migrations: usize,
    /// Frames between the nodes.
    pub frames: u64,
    /// Entries of the ledger.
    pub entries: u64,
    /// Calls of the data plane.
    pub calls: u64,
    /// How often each kind of fault took effect.
    pub inflicted: BTreeMap<String, u64>,
    /// How often the situations came up that a run over many seeds must see.
    pub marks: BTreeMap<String, u64>,
    /// What went wrong; empty if nothing did.
    pub failures: Vec<String>,
}

impl Summary {
    /// The summary of a seed whose process did not come to an end of its own: a panic, a signal.
    #[must_use]
    pub fn broken(seed: u64, why: String) -> Self {
        Self { seed, failures: vec![why], ..Self::default() }
    }
}
