//! One test's world: a legacy warehouse, a lake with its catalog, a node's folder.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Cli, Node, Options, Readers, until};

/// Folders of one test; they go when it ends.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
    /// Where its readers run.
    pub readers: Readers,
}

impl World {
    /// An empty world.
    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("skein-test-").tempdir().expect("a folder can be made");
        for name in ["legacy/warehouse", "lake", "catalog", "node"] {
            std::fs::create_dir_all(folder.path().join(name)).expect("a folder can be made");
        }
        Self { folder, readers: Readers::default() }
    }

    /// A world whose warehouse has these Parquet files: paths below it, and the query that gives their rows.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let world = Self::empty();
        world.write(files);
        world
    }

    /// The folder that holds everything of it.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The legacy warehouse.
    pub fn warehouse(&self) -> PathBuf {
        self.root().join("legacy/warehouse")
    }

    /// Where tables are staged and stay.
    pub fn lake(&self) -> PathBuf {
        self.root().join("lake")
    }

    /// The catalog's file.
    pub fn catalog(&self) -> PathBuf {
        self.root().join("catalog/catalog.db")
    }

    /// Writes Parquet files into the warehouse, with DuckDB.
    pub fn write(&self, files: &[(&str, &str)]) {
        let files: Vec<Value> =
            files.iter().map(|(path, sql)| json!({ "path": self.warehouse().join(path), "sql": sql })).collect();
        let (code, text) = self.readers.run("write_parquet.py", &[], &Value::from(files).to_string());
        assert_eq!(code, 0, "{text}");
    }

    /// Describes the warehouse's tables, as a metastore would.
    pub fn describe(&self, description: &Value) {
        std::fs::write(self.root().join("legacy/metastore.json"), description.to_string()).expect("it can be written");
    }

    /// Starts the usual node.
    pub fn start(&self) -> Node {
        self.start_with(&Options::default())
    }

    /// Starts a node.
    pub fn start_with(&self, options: &Options) -> Node {
        Node::start(self.root(), options)
    }

    /// Every visible table, as pyiceberg finds it.
    #[track_caller]
    pub fn tables(&self) -> Value {
        self.readers.document("lake.py", &["--catalog", &text(&self.catalog()), "list"])
    }

    /// Does something in the lake as somebody else.
    #[track_caller]
    pub fn outside(&self, arguments: &[&str]) -> Value {
        let catalog = text(&self.catalog());
        let mut all = vec!["--catalog", &catalog];
        all.extend(arguments);
        self.readers.document("lake.py", &all)
    }

    /// Names of the visible tables.
    #[track_caller]
    pub fn names(&self) -> Vec<String> {
        self.tables().as_object().expect("tables have names").keys().cloned().collect()
    }

    /// Compares tables with their sources through both pairs of readers; `more` says what was to be changed.
    #[track_caller]
    pub fn agrees(&self, tables: &[&str], more: &[&str]) {
        let (warehouse, catalog) = (text(&self.warehouse()), text(&self.catalog()));
        let description = self.root().join("legacy/metastore.json");
        let described = text(&description);
        let mut arguments = vec!["--warehouse", &warehouse, "--catalog", &catalog];
        if description.is_file() {
            arguments.extend(["--description", &described]);
        }
        for table in tables {
            arguments.extend(["--table", table]);
        }
        arguments.extend(more);
        let (code, report) = self.readers.run("compare.py", &arguments, "");
        assert_eq!(code, 0, "{report}");
        let report: Value = serde_json::from_str(&report).expect("it prints JSON");
        assert_eq!(report["totals"]["agree"], report["totals"]["tables"], "{report:#}");
    }

    /// Waits until nothing is left of what the present runs staged but what a visible table refers to. (What earlier runs
    /// recorded stays: somebody may still read a table that was taken back.)
    pub fn assert_collected(&self, cli: &Cli) {
        let tables = self.tables();
        let tables = tables.as_object().expect("tables have names").values();
        let referred: HashSet<PathBuf> = tables
            .flat_map(|table| table["files"].as_array().expect("a list"))
            .filter_map(|file| file.as_str().map(PathBuf::from))
            .collect();
        let list = cli.document(&["list", "--superseded"]);
        let rows = list["items"].as_array().expect("a list");
        let present: HashSet<(String, String)> =
            rows.iter().map(|row| (row["id"].as_str().expect("an id").to_owned(), row["run"].to_string())).collect();
        until("everything that nothing refers to is removed", || {
            let staged = contents(&self.lake()).into_keys();
            let mut orphans = staged.filter(|file| is_of(file, &present) && !referred.contains(file));
            orphans.next().is_none().then_some(())
        });
    }
}

/// Whether a file was staged by one of these runs: it lies in `…/<migration>/<run>/`.
fn is_of(file: &Path, runs: &HashSet<(String, String)>) -> bool {
    let mut names = file.iter().rev().skip(1).map(|name| name.to_string_lossy().into_owned());
    let (Some(run), Some(migration)) = (names.next(), names.next()) else { return false };
    runs.contains(&(migration, run))
}

fn text(path: &Path) -> String {
    path.to_str().expect("paths of tests are texts").to_owned()
}

/// Every file below a folder with its content.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder can be listed") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let content = std::fs::read(&path).expect("the file can be read");
                found.insert(path, content);
            }
        }
    }
    found
}

/// A policy over `include`; `more` are further lines of its `spec`.
pub fn policy(name: &str, include: &str, more: &str) -> String {
    let more: String = more.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: skein/v1
kind: MigrationPolicy
metadata: {{ name: {name}, owner: team-music, labels: {{ wave: \"3\" }} }}
spec:
  source: {{ connection: legacy, include: [\"{include}\"] }}
  target: {{ connection: lake }}
{more}"
    )
}
