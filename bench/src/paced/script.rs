//! What there is to move: a JSON file in the source's folder that stands for a warehouse.
//!
//! In:    the file `paced.json`.
//! Out:   names of datasets; the files and rows of each.
//! Holds: the rows of a dataset follow from its place in the script alone, so every node sees the same.
//! Not here: moving anything (`plane`).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use skein_protocol::ids::TableName;
use skein_protocol::inspection::SourceFile;

use crate::rows::Row;

/// The script's name in the folder of the source connection.
pub(crate) const SCRIPT: &str = "paced.json";
/// Bytes that a file claims for each second: what the planner takes a slot to move in a second, so that its estimates are
/// right. Files of less than four seconds may share a batch; their seconds add up then.
const BYTES_PER_SECOND: f64 = (40_u64 << 20) as f64;
/// Numbers of one dataset lie below those of the next.
const NUMBERS_PER_DATASET: u64 = 1 << 32;

/// The script as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Script {
    /// Real seconds for each second of the script: a small number plays a long script in a short time.
    #[serde(default = "real")]
    pub(crate) pace: f64,
    /// Real seconds that an inspection takes; with many of them, migrations stay queued.
    #[serde(default)]
    pub(crate) inspect_seconds: f64,
    /// Datasets of a kind.
    pub(crate) groups: Vec<Group>,
}

/// Datasets that are alike.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Group {
    /// Their tables are `paced.NAME_00000` and so on.
    pub(crate) name: String,
    /// How many.
    #[serde(default = "one")]
    pub(crate) datasets: u32,
    /// Files of each; a file is a batch, if it is long enough.
    #[serde(default = "one")]
    pub(crate) batches: u32,
    /// Seconds that one file takes.
    pub(crate) seconds: f64,
    /// Rows of one file.
    #[serde(default = "one")]
    pub(crate) rows: u32,
}

fn real() -> f64 {
    1.0
}

fn one() -> u32 {
    1
}

/// One table of the warehouse.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dataset {
    number: u64,
    batches: u32,
    seconds: f64,
    rows: u32,
}

/// All tables of the warehouse.
#[derive(Debug)]
pub(crate) struct Warehouse {
    pace: f64,
    inspection: Duration,
    datasets: BTreeMap<TableName, Dataset>,
}

impl Warehouse {
    /// Reads the script in `folder`.
    ///
    /// # Errors
    /// When it cannot be read, or says what cannot be.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(SCRIPT);
        let text = std::fs::read_to_string(&path).with_context(|| format!("the script {}", path.display()))?;
        let script = serde_json::from_str(&text).with_context(|| format!("the script {}", path.display()))?;
        Self::of(&script)
    }

    /// The warehouse that a script describes.
    ///
    /// # Errors
    /// When it says what cannot be.
    pub(crate) fn of(script: &Script) -> Result<Self> {
        ensure!(script.pace.is_finite() && script.pace >= 0.0, "the pace is {}", script.pace);
        let inspection = Duration::try_from_secs_f64(script.inspect_seconds).context("the time of an inspection")?;
        let mut datasets = BTreeMap::new();
        for group in &script.groups {
            ensure!(group.seconds.is_finite() && group.seconds >= 0.0, "{} takes {} s", group.name, group.seconds);
            for place in 0..group.datasets {
                let name = TableName::new("paced", format!("{}_{place:05}", group.name));
                let number = datasets.len() as u64;
                let Group { batches, seconds, rows, .. } = *group;
                let earlier = datasets.insert(name, Dataset { number, batches, seconds, rows });
                ensure!(earlier.is_none(), "two groups are called {}", group.name);
            }
        }
        Ok(Self { pace: script.pace, inspection, datasets })
    }

    /// How long an inspection takes.
    pub(crate) fn inspection(&self) -> Duration {
        self.inspection
    }

    /// The names of all tables, sorted.
    pub(crate) fn names(&self) -> Vec<TableName> {
        self.datasets.keys().cloned().collect()
    }

    /// One table.
    pub(crate) fn dataset(&self, name: &TableName) -> Option<&Dataset> {
        self.datasets.get(name)
    }

    /// How long so many files of a table take, in real time.
    pub(crate) fn duration(&self, dataset: &Dataset, files: usize) -> Duration {
        Duration::from_secs_f64(dataset.seconds * self.pace * files as f64)
    }
}

impl Dataset {
    /// Its files as an inspection finds them.
    pub(crate) fn files(&self) -> Vec<SourceFile> {
        let rows = u64::from(self.rows);
        let file = |number: u32| SourceFile {
            path: format!("part-{number:05}"),
            bytes: (self.seconds * BYTES_PER_SECOND) as u64 + 1,
            modified_nanos: 1_700_000_000_000_000_000,
            version: number.to_string(),
            partition: Vec::new(),
            rows: Some(rows),
            row_groups: vec![rows],
        };
        (0..self.batches).map(file).collect()
    }

    /// The rows of one file.
    pub(crate) fn rows(&self, file: u32) -> Vec<Row> {
        let first = self.number * NUMBERS_PER_DATASET + u64::from(file) * u64::from(self.rows);
        (0..self.rows).map(|place| Row { value: first + u64::from(place), file, place }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warehouse(text: &str) -> Result<Warehouse> {
        Warehouse::of(&serde_json::from_str(text)?)
    }

    #[test]
    fn every_row_of_a_warehouse_is_another_number() {
        let text = r#"{"groups": [
            {"name": "small", "datasets": 3, "seconds": 1, "rows": 5},
            {"name": "large", "batches": 4, "seconds": 8, "rows": 2}]}"#;
        let warehouse = warehouse(text).unwrap();
        let mut values = Vec::new();
        for name in warehouse.names() {
            let dataset = warehouse.dataset(&name).unwrap();
            for file in 0..u32::try_from(dataset.files().len()).unwrap() {
                values.extend(dataset.rows(file).iter().map(|row| row.value));
            }
        }
        assert_eq!(values.len(), 3 * 5 + 4 * 2);
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 3 * 5 + 4 * 2);
    }

    #[test]
    fn time_is_what_the_script_says_at_its_pace() {
        let warehouse = warehouse(r#"{"pace": 0.5, "groups": [{"name": "a", "seconds": 8}]}"#).unwrap();
        let dataset = warehouse.dataset(&TableName::new("paced", "a_00000")).unwrap();
        assert_eq!(warehouse.duration(dataset, 1), Duration::from_secs(4));
        assert_eq!(warehouse.duration(dataset, 2), Duration::from_secs(8));
    }

    #[test]
    fn a_script_that_cannot_be_played_is_refused() {
        for text in [
            r#"{"pace": -1, "groups": []}"#,
            r#"{"groups": [{"name": "a", "seconds": -1}]}"#,
            r#"{"groups": [{"name": "a", "seconds": 1}, {"name": "a", "seconds": 2}]}"#,
            r#"{"groups": [], "tempo": 2}"#,
        ] {
            assert!(warehouse(text).is_err(), "{text}");
        }
    }
}
