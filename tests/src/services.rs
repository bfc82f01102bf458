//! Services that tests speak to: each runs for as long as its handle lives, or the test's process does.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::readers;

/// A running service.
#[derive(Debug)]
pub struct Service {
    child: Child,
    /// The service ends when this is closed, be it because the test's process was killed.
    input: Option<ChildStdin>,
    folder: TempDir,
    /// Where it listens, and with which credentials.
    pub at: Value,
}

impl Service {
    /// Starts a service that `tests/python/service.py` knows, in a folder of its own.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start(kind: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("skein-service-").tempdir().expect("a folder can be made");
        // The metastore's classes are Spark's.
        let python = if kind == "metastore" { readers::spark() } else { readers::python() };
        let mut child = Command::new(python)
            .arg(readers::folder().join("service.py"))
            .arg(kind)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("it can be read");
        let at =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{kind} does not come up: {line:?}: {error}"));
        let input = child.stdin.take();
        Self { child, input, folder, at }
    }

    /// The service's own folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it announced under this name.
    ///
    /// # Panics
    /// When it announced no such thing.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.at[name].as_str().unwrap_or_else(|| panic!("it announced no {name}: {}", self.at))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
