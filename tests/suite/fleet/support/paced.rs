//! The world of paced nodes: a script, a shared folder, and the traces of who did what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Datasets that are alike.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) datasets: u32,
    pub(crate) batches: u32,
    /// Seconds of one batch.
    pub(crate) seconds: f64,
}

impl Group {
    pub(crate) fn new(name: &str, datasets: u32, batches: u32, seconds: f64) -> Self {
        Self { name: name.to_owned(), datasets, batches, seconds }
    }
}

/// The folders that paced nodes share.
#[derive(Debug)]
pub(crate) struct PacedWorld {
    root: PathBuf,
}

/// One call that a node's data plane made.
#[derive(Debug, Clone)]
pub(crate) struct Call(pub(crate) Value);

impl Call {
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    /// Milliseconds since 1970.
    pub(crate) fn at(&self) -> u64 {
        self.0["at"].as_u64().expect("a call has a time")
    }
}

impl PacedWorld {
    /// A world that plays these groups; a second of the script takes `pace` seconds.
    pub(crate) fn new(root: &Path, pace: f64, groups: &[Group]) -> Self {
        let world = Self { root: root.join("paced") };
        for name in ["source", "lake", "catalog"] {
            std::fs::create_dir_all(world.root.join(name)).expect("a folder can be made");
        }
        let groups: Vec<Value> = groups
            .iter()
            .map(|group| {
                let Group { name, datasets, batches, seconds } = group;
                json!({ "name": name, "datasets": datasets, "batches": batches, "seconds": seconds, "rows": 3 })
            })
            .collect();
        let script = json!({ "pace": pace, "groups": groups });
        std::fs::write(world.root.join("source/paced.json"), script.to_string()).expect("the script can be written");
        world
    }

    /// The section `connections` of a node's configuration.
    pub(crate) fn connections(&self) -> String {
        let root = self.root.display();
        format!(
            "connections:\n  legacy:\n    kind: hive-files\n    warehouse: {root}/source\n  lake:\n    kind: iceberg\n    catalogFile: {root}/catalog\n    warehouse: {root}/lake\n"
        )
    }

    /// Every call of every node so far, in the order of time.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let mut calls = Vec::new();
        let Ok(entries) = std::fs::read_dir(self.root.join("lake/trace")) else { return calls };
        for entry in entries {
            let text = std::fs::read_to_string(entry.expect("an entry can be read").path()).unwrap_or_default();
            // The last line may be on its way.
            calls.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()).map(Call));
        }
        calls.sort_by_key(Call::at);
        calls
    }

    /// The calls of one kind that were done.
    pub(crate) fn done(&self, call: &str) -> Vec<Call> {
        self.calls()
            .into_iter()
            .filter(|one| one.text("call") == call && matches!(one.text("outcome"), "done" | ""))
            .collect()
    }

    /// Batches that were done, by the node that did them.
    pub(crate) fn batches_by_node(&self, datasets: &str) -> BTreeMap<String, usize> {
        let mut nodes = BTreeMap::new();
        for call in self.done("run_batch").iter().filter(|call| call.text("dataset").contains(datasets)) {
            *nodes.entry(call.text("node").to_owned()).or_default() += 1;
        }
        nodes
    }

    /// Every name that was published was published once, each visible table has each row of its source once, and nothing
    /// happened that must not.
    #[track_caller]
    pub(crate) fn assert_all_once(&self, tables: usize, rows: usize) {
        let violations = std::fs::read_to_string(self.root.join("lake/violations.log")).unwrap_or_default();
        assert_eq!(violations, "", "what must never happen");
        let published = self.done("published");
        let mut names: Vec<&str> = published.iter().map(|call| call.text("target")).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), published.len()), (tables, tables), "names, and times that one was published");
        let mut values = self.visible();
        assert_eq!(values.len(), rows, "rows that a reader sees");
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), rows, "rows that a reader sees, each counted once");
    }

    /// The numbers in all visible tables.
    fn visible(&self) -> Vec<u64> {
        let mut values = Vec::new();
        for entry in std::fs::read_dir(self.root.join("catalog")).expect("there is a catalog") {
            let path = entry.expect("an entry can be read").path();
            if !path.is_file() || path.file_name().is_some_and(|name| name == ".lock") {
                continue;
            }
            let metadata = std::fs::read_to_string(self.location(&path)).expect("the metadata is there");
            let metadata: Value = serde_json::from_str(&metadata).expect("it is JSON");
            for file in metadata["files"].as_array().expect("a list") {
                let text = std::fs::read_to_string(file.as_str().expect("a location")).expect("the file is there");
                let value = |line: &str| line.split(' ').next().and_then(|word| word.parse::<u64>().ok());
                values.extend(text.lines().map(|line| value(line).expect("a number")));
            }
        }
        values
    }

    fn location(&self, name: &Path) -> PathBuf {
        std::fs::read_to_string(name).expect("a name points somewhere").into()
    }

    /// The metadata file that a table's name points at.
    pub(crate) fn points_at(&self, table: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join("catalog").join(table)).ok()
    }
}
