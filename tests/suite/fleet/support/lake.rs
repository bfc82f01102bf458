//! A warehouse and a lake that all nodes see, with independent writers and readers.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skein_tests::Readers;

/// The folders of source and target.
#[derive(Debug)]
pub(crate) struct Lake {
    root: PathBuf,
    readers: Readers,
}

impl Lake {
    /// Folders below `root`.
    pub(crate) fn new(root: &Path) -> Self {
        for name in ["legacy/warehouse", "lake", "catalog"] {
            std::fs::create_dir_all(root.join(name)).expect("a folder can be made");
        }
        Self { root: root.to_owned(), readers: Readers::default() }
    }

    fn warehouse(&self) -> PathBuf {
        self.root.join("legacy/warehouse")
    }

    fn catalog(&self) -> PathBuf {
        self.root.join("catalog/catalog.db")
    }

    /// The section `connections` of a node's configuration.
    pub(crate) fn connections(&self) -> String {
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
        (0..tables).map(|table| format!("{database}.t_{table:04}")).collect()
    }

    /// Compares tables with their sources through both pairs of independent readers.
    #[track_caller]
    pub(crate) fn agrees(&self, tables: &[String]) {
        let (warehouse, catalog) = (self.warehouse().display().to_string(), self.catalog().display().to_string());
        let mut arguments = vec!["--warehouse", &warehouse, "--catalog", &catalog, "--quiet"];
        for table in tables {
            arguments.extend(["--table", table]);
        }
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
