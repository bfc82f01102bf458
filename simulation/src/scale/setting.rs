//! What is run: how large the fleet, how much it has to move, who dies on the way.
//!
//! In: a name and a seed. Out: [`Setting`]. Not here: what the datasets look like in detail (`warehouse`).

use serde::{Deserialize, Serialize};

/// A fleet and its work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// What people call it.
    pub name: String,
    /// Same setting, same history.
    pub seed: u64,
    /// Nodes.
    pub nodes: u32,
    /// Slots of each.
    pub slots: u32,
    /// Datasets over all policies.
    pub datasets: u32,
    /// Policies that they are spread over.
    pub policies: u32,
    /// Whether plans wait for a person, who approves whatever there is every few seconds.
    pub approval: bool,
    /// Most batches of a policy at once.
    pub max_parallel: Option<u32>,
    /// Partitions of the dataset in the middle; half have fewer.
    pub median_partitions: f64,
    /// Spread of the logarithm of the number of partitions.
    pub partitions_spread: f64,
    /// Bytes of the usual partition, MiB.
    pub partition_mib: u32,
    /// Nodes that are killed on the way and stay dead, percent.
    pub killed_percent: u32,
    /// A batch of this dataset loses a row between reading and reading back: whether that is found.
    pub torn: Option<u32>,
}

impl Setting {
    /// The reference story: 1,500 playlist datasets, a column added, exact duplicates dropped, every plan approved, 50 workers.
    #[must_use]
    pub fn story(seed: u64) -> Self {
        Self {
            name: "50 × 1,500".to_owned(),
            seed,
            nodes: 50,
            slots: 1,
            datasets: 1_500,
            policies: 1,
            approval: true,
            max_parallel: Some(50),
            median_partitions: 8.0,
            partitions_spread: 1.2,
            partition_mib: 160,
            killed_percent: 0,
            torn: None,
        }
    }

    /// 500 nodes and 100,000 migrations.
    #[must_use]
    pub fn hundred_thousand(seed: u64) -> Self {
        Self {
            name: "500 × 100,000".to_owned(),
            nodes: 500,
            slots: 2,
            datasets: 100_000,
            policies: 20,
            median_partitions: 0.9,
            partitions_spread: 0.9,
            partition_mib: 224,
            ..Self::without_people(seed)
        }
    }

    /// 5,000 nodes and a million migrations.
    #[must_use]
    pub fn million(seed: u64) -> Self {
        Self {
            name: "5,000 × 1,000,000".to_owned(),
            nodes: 5_000,
            slots: 4,
            datasets: 1_000_000,
            policies: 40,
            median_partitions: 0.9,
            partitions_spread: 0.9,
            partition_mib: 224,
            ..Self::without_people(seed)
        }
    }

    fn without_people(seed: u64) -> Self {
        Self { approval: false, max_parallel: None, ..Self::story(seed) }
    }

    /// The same with so many percent of the nodes killed on the way.
    #[must_use]
    pub fn killing(mut self, percent: u32) -> Self {
        self.killed_percent = percent;
        if percent > 0 {
            self.name = format!("{}, {percent} % killed", self.name);
        }
        self
    }

    /// All slots of the fleet.
    #[must_use]
    pub fn all_slots(&self) -> u64 {
        u64::from(self.nodes) * u64::from(self.slots)
    }
}
