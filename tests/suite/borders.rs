//! The borders of the workspace: who may know whom, checked on cargo's own resolution.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace's root")
}

/// What cargo itself says of the workspace and of everything that it resolves to.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("it is a list").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is a text")
}

/// Names of all packages that `name` needs at run time or when it is built, itself included.
fn needs(metadata: &Value, name: &str) -> BTreeSet<String> {
    let names: BTreeMap<&str, &str> =
        items(&metadata["packages"]).map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    let nodes: BTreeMap<&str, &Value> =
        items(&metadata["resolve"]["nodes"]).map(|node| (text(&node["id"]), node)).collect();
    let package = names.iter().find(|(_, of)| **of == name);
    let mut open = vec![*package.unwrap_or_else(|| panic!("{name} is a package of the workspace")).0];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dependency in items(&nodes[id]["deps"]) {
            if items(&dependency["dep_kinds"]).any(|kind| kind["kind"] != "dev") {
                open.push(text(&dependency["pkg"]));
            }
        }
    }
    seen.into_iter().map(|id| names[id].to_owned()).collect()
}

fn forbid(needed: &BTreeSet<String>, who: &str, families: &[&str]) {
    for package in needed {
        for family in families {
            let belongs = package == family || package.starts_with(&format!("{family}-"));
            assert!(!belongs, "{who} needs {package}");
        }
    }
}

const DATA_PATH: [&str; 6] = ["datafusion", "arrow", "parquet", "iceberg", "rusqlite", "skein-engine"];
const CONTROL_PLANE: [&str; 5] = ["openraft", "redb", "ractor", "axum", "skein-node"];

#[test]
fn the_nodes_library_needs_nothing_of_the_data_path() {
    let metadata = metadata();
    forbid(&needs(&metadata, "skein-node"), "skein-node", &DATA_PATH);
    assert!(needs(&metadata, "skein-noded").contains("datafusion"), "the check would see it where it is");
}

#[test]
fn the_protocol_knows_neither_runtime_nor_engine() {
    let needed = needs(&metadata(), "skein-protocol");
    forbid(&needed, "skein-protocol", &DATA_PATH);
    forbid(&needed, "skein-protocol", &CONTROL_PLANE);
    forbid(&needed, "skein-protocol", &["tokio", "rand", "skein-cli"]);
}

#[test]
fn the_engine_knows_no_cluster() {
    forbid(&needs(&metadata(), "skein-engine"), "skein-engine", &CONTROL_PLANE);
}

#[test]
fn the_command_line_speaks_http_alone() {
    let needed = needs(&metadata(), "skein-cli");
    forbid(&needed, "skein-cli", &DATA_PATH);
    forbid(&needed, "skein-cli", &CONTROL_PLANE);
}

#[test]
fn bincode_is_named_in_one_file_only() {
    let mut named = Vec::new();
    for folder in ["protocol/src", "engine/src", "node/src", "node/daemon/src", "cli/src", "bench/src"] {
        visit(&root().join(folder), &mut |path, text| {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            if path.extension().is_some_and(|e| e == "rs") && code.clone().any(|line| line.contains("bincode::")) {
                named.push(path.strip_prefix(root()).expect("it lies below").to_path_buf());
            }
        });
    }
    assert_eq!(named, [Path::new("protocol/src/wire.rs")]);
}

#[test]
fn no_source_file_is_longer_than_a_head_can_hold() {
    const MOST_LINES: usize = 600;
    for folder in ["protocol", "engine", "node", "cli", "bench", "simulation", "tests"] {
        visit(&root().join(folder), &mut |path, text| {
            if path.extension().is_some_and(|e| e == "rs") {
                let lines = text.lines().count();
                assert!(lines <= MOST_LINES, "{} has {lines} lines", path.display());
            }
        });
    }
}

#[test]
fn relative_links_in_documents_lead_somewhere() {
    let mut checked = 0;
    visit(root(), &mut |path, text| {
        if path.extension().is_none_or(|e| e != "md") {
            return;
        }
        let folder = path.parent().expect("a file lies in a folder");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            let file = target.split('#').next().unwrap_or_default().split(' ').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            assert!(folder.join(file).exists(), "{} links to {target}", path.display());
            checked += 1;
        }
    });
    assert!(checked > 10, "only {checked} links were found");
}

#[test]
fn every_problem_code_has_its_page() {
    for code in skein_protocol::problem::Code::ALL {
        let page = root().join(format!("docs/errors/{code}.md"));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        assert!(text.starts_with(&format!("# {code}\n")), "{} begins with its code", page.display());
    }
}

/// Calls `see` with every text file below `folder`, hidden folders and build output left out.
fn visit(folder: &Path, see: &mut impl FnMut(&Path, &str)) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is readable")
        .map(|entry| entry.expect("readable").path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            visit(&path, see);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            see(&path, &text);
        }
    }
}
