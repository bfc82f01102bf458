//! A warehouse and a lake that all nodes see, with independent writers and readers.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skein_tests::{Readers, Store};

/// Where the legacy tables lie in a store.
const WAREHOUSE: &str = "fleet/warehouse";

/// Source and target: folders that all nodes see, or a store. Readers compare with the folder of the source in both cases.
#[derive(Debug)]
pub(crate) struct Lake {
    root: PathBuf,
    readers: Readers,
    store: Option<Store>,
}

impl Lake {
    /// Folders below `root`.
    pub(crate) fn new(root: &Path) -> Self {
        for name in ["legacy/warehouse", "lake", "catalog"] {
            std::fs::create_dir_all(root.join(name)).expect("a folder can be made");
        }
        Self { root: root.to_owned(), readers: Readers::default(), store: None }
    }

    /// Source and target in an object store with a REST catalog: nodes share nothing else.
    pub(crate) fn in_store(root: &Path) -> Self {
        Self { store: Some(Store::start()), ..Self::new(root) }
    }

    fn warehouse(&self) -> PathBuf {
        self.root.join("legacy/warehouse")
    }

    fn catalog(&self) -> PathBuf {
        let Some(store) = &self.store else { return self.root.join("catalog/catalog.db") };
        let path = self.root.join("catalog/catalog.json");
        std::fs::write(&path, json!(store.rest_properties()).to_string()).expect("it can be written");
        path
    }

    /// The section `connections` of a node's configuration.
    pub(crate) fn connections(&self) -> String {
        if let Some(store) = &self.store {
            let legacy = store.source(&store.plain(WAREHOUSE));
            return format!("connections: {}\n", json!({ "legacy": legacy, "lake": store.lake() }));
        }
        format!(
            "connections:\n  legacy:\n    kind: hive-files\n    warehouse: {}\n  lake:\n    kind: iceberg\n    catalogFile: {}\n    warehouse: {}\n",
            self.warehouse().display(),
            self.catalog().display(),
            self.root.join("lake").display()
        )
    }

    /// Writes so many tables of two files each, every one with rows of its own; their names.
    pub(crate) fn write(&self, database: &str, tables: u32) -> Vec<String> {
        let mut files = Vec::new();
        for table in 0..tables {
            for file in 0..2 {
                let first = u64::from(table) * 1_000_000 + file * 10_000;
                let sql = format!(
                    "SELECT i AS id, 'song ' || (i % 97) AS title, i / 7.0 AS seconds FROM range({first}, {first} + 500) t(i)"
                );
                let path = self.warehouse().join(format!("{database}.db/t_{table:04}/part-{file}"));
                files.push(json!({ "path": path, "sql": sql }));
            }
        }
        let (code, text) = self.readers.run("write_parquet.py", &[], &Value::from(files).to_string());
        assert_eq!(code, 0, "{text}");
        if let Some(store) = &self.store {
            let folder = format!("{database}.db");
            store.put(&self.readers, &self.warehouse().join(&folder), &store.plain(&format!("{WAREHOUSE}/{folder}")));
        }
        (0..tables).map(|table| format!("{database}.t_{table:04}")).collect()
    }

    /// Writes one table of so many files, whose keys recur in all of them; its name.
    pub(crate) fn write_large(&self, database: &str, files: u64, rows: u64) -> String {
        let keys = files * rows / 3;
        let file = |file: u64| {
            let (first, end) = (file * rows, (file + 1) * rows);
            let sql = format!(
                "SELECT (i * 7919) % {keys} AS id, i % 1000 AS version, md5(i::VARCHAR) AS title, i AS row FROM range({first}, {end}) t(i)"
            );
            json!({ "path": self.warehouse().join(format!("{database}.db/large/part-{file}")), "sql": sql })
        };
        let files: Vec<Value> = (0..files).map(file).collect();
        let (code, text) = self.readers.run("write_parquet.py", &[], &Value::from(files).to_string());
        assert_eq!(code, 0, "{text}");
        format!("{database}.large")
    }

    /// Compares tables with their sources through both pairs of independent readers.
    #[track_caller]
    pub(crate) fn agrees(&self, tables: &[String]) {
        self.agrees_with(tables, &[]);
    }

    /// The same, where `more` says what was to be changed.
    #[track_caller]
    pub(crate) fn agrees_with(&self, tables: &[String], more: &[&str]) {
        let (warehouse, catalog) = (self.warehouse().display().to_string(), self.catalog().display().to_string());
        let mut arguments = vec!["--warehouse", &warehouse, "--catalog", &catalog, "--quiet"];
        for table in tables {
            arguments.extend(["--table", table]);
        }
        arguments.extend(more);
        let (code, report) = self.readers.run("compare.py", &arguments, "");
        assert_eq!(code, 0, "{report}");
        let report: Value = serde_json::from_str(&report).expect("it prints JSON");
        assert_eq!(report["totals"]["agree"].as_u64(), Some(tables.len() as u64), "{report:#}");
    }
}

/// A policy over `include` that waits for nobody's approval.
pub(crate) fn policy(name: &str, include: &str) -> String {
    format!(
        "apiVersion: skein/v1
kind: MigrationPolicy
metadata: {{ name: {name}, owner: team-music }}
spec:
  source: {{ connection: legacy, include: [\"{include}\"] }}
  target: {{ connection: lake }}
  approval: {{ required: false }}
"
    )
}
