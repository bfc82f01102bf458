//! The programs under test, beside the test's own folder of the build, and built where they are not there.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::Answer;

/// One build at a time: others of the same process find what it made.
static BUILD: Mutex<()> = Mutex::new(());

/// A program of this workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The command line.
    CommandLine,
    /// The node that moves bytes.
    Node,
    /// The node whose batches take a stated time.
    PacedNode,
}

impl Program {
    /// Where it is; it is built first if it is nowhere.
    ///
    /// # Panics
    /// When it cannot be built.
    #[must_use]
    pub fn path(self) -> PathBuf {
        let own = std::env::current_exe().expect("a test knows its own path");
        let folder = own.ancestors().nth(2).expect("it lies in `deps` of the build's folder");
        let (package, name) = match self {
            Self::CommandLine => ("skein-cli", "skein"),
            Self::Node => ("skein-noded", "skein-node"),
            Self::PacedNode => ("skein-bench", "skein-paced-node"),
        };
        let path = folder.join(name);
        let _alone = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
        if !path.is_file() {
            let status = Command::new(env!("CARGO"))
                .args(["build", "--release", "--package", package, "--bin", name, "--target-dir"])
                .arg(folder.parent().expect("the build's folder lies in the target folder"))
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status()
                .expect("cargo starts");
            assert!(status.success(), "{name} cannot be built");
        }
        path
    }
}

/// Runs a program to its end, with a text on its standard input.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn run(mut command: Command, input: &str) -> Answer {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // Who reads no input is not disturbed by it.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
