//! The folder that all nodes of a paced fleet see: staged files, what must never happen, who did what.
//!
//! In:    locations below the target's warehouse.
//! Out:   files that were created once; `violations.log`; `trace/NODE.jsonl`.
//! Holds: no file is ever overwritten; a line of a log is one write, so that processes do not mix theirs.
//! Not here: the catalog (`catalog`), what is in the files (`rows`, `plane`).

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use skein_protocol::data_plane::Failure;
use skein_protocol::problem::{Code, Problem};

/// What must never happen and did.
const VIOLATIONS: &str = "violations.log";
/// The folder of traces.
const TRACES: &str = "trace";

/// The shared folder, as one node writes into it.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    root: PathBuf,
    node: String,
}

impl Shared {
    /// The folder `root`, made if it does not exist, for the node whose traces are called `node`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(root: &Path, node: &str) -> io::Result<Self> {
        fs::create_dir_all(root.join(TRACES))?;
        Ok(Self { root: root.to_owned(), node: node.to_owned() })
    }

    /// Creates a file that must not be there. (Nothing is forced to the disk: machines do not die in these runs, processes
    /// do.)
    ///
    /// # Errors
    /// When it is there, which is a violation, or cannot be written.
    pub(crate) fn create(&self, location: &str, content: &[u8]) -> Result<(), Failure> {
        let path = Path::new(location);
        let written = (|| {
            fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
            OpenOptions::new().write(true).create_new(true).open(path)?.write_all(content)
        })();
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.violation(&format!("{location} was written twice"));
                let next = "look at violations.log: two attempts had one name";
                Err(Failure::permanent(Problem::new(Code::Internal, location, "it is there already", next)))
            }
            Err(error) => Err(unwritable(location, &error)),
        }
    }

    /// Notes what must never happen.
    pub(crate) fn violation(&self, what: &str) {
        let line = format!("{} {} {what}\n", self.node, std::process::id());
        self.append(&self.root.join(VIOLATIONS), &line);
    }

    /// Notes what this node did; adds who and when.
    pub(crate) fn trace(&self, mut what: Value) {
        what["at"] = Value::from(now_millis());
        what["node"] = Value::from(self.node.as_str());
        what["pid"] = Value::from(std::process::id());
        let path = self.root.join(TRACES).join(format!("{}.jsonl", self.node));
        self.append(&path, &format!("{what}\n"));
    }

    fn append(&self, path: &Path, line: &str) {
        let appended = OpenOptions::new().create(true).append(true).open(path);
        // One write is one line, whoever else appends.
        if let Err(error) = appended.and_then(|mut file| file.write_all(line.as_bytes())) {
            tracing::error!(path = %path.display(), %error, "a line of the trace is lost");
        }
    }
}

/// The failure for a place that cannot be read or written; trying again may help.
pub(crate) fn unwritable(location: &str, error: &io::Error) -> Failure {
    let next = "look at the shared folder: its disk and its permissions";
    Failure::transient(Problem::new(Code::Io, location, error.to_string(), next))
}

fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_created_once_and_the_second_time_is_a_violation() {
        let folder = tempfile::tempdir().unwrap();
        let shared = Shared::open(folder.path(), "node-1").unwrap();
        let location = folder.path().join("deep/down/file").display().to_string();
        shared.create(&location, b"first").unwrap();
        assert!(!folder.path().join(VIOLATIONS).exists());
        assert!(shared.create(&location, b"second").is_err());
        assert_eq!(fs::read(&location).unwrap(), b"first");
        assert!(fs::read_to_string(folder.path().join(VIOLATIONS)).unwrap().contains("written twice"));
    }

    #[test]
    fn a_trace_says_who_did_what() {
        let folder = tempfile::tempdir().unwrap();
        let shared = Shared::open(folder.path(), "node-1").unwrap();
        shared.trace(serde_json::json!({ "call": "register" }));
        shared.trace(serde_json::json!({ "call": "load" }));
        let text = fs::read_to_string(folder.path().join("trace/node-1.jsonl")).unwrap();
        let calls: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(calls.len(), 2);
        assert_eq!((calls[1]["call"].as_str(), calls[1]["node"].as_str()), (Some("load"), Some("node-1")));
    }
}
