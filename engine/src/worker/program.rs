//! Which program a worker is.

use std::ffi::OsString;
use std::path::PathBuf;

/// How a worker is started: a program that calls [`serve`](super::serve).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerProgram {
    /// The program.
    pub path: PathBuf,
    /// Its arguments. Nothing secret: other users of the machine see them.
    pub arguments: Vec<OsString>,
    /// The name that lists of processes show, if it is not the program's path.
    pub name: Option<OsString>,
}

impl WorkerProgram {
    /// The program at `path` with these arguments.
    pub fn new(path: impl Into<PathBuf>, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { path: path.into(), arguments: arguments.into_iter().map(Into::into).collect(), name: None }
    }
}
