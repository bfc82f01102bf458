//! The programs under test, beside the test's own folder of the build, and built where they are not there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Which node is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The one that moves bytes.
    Node,
    /// The one whose batches take a stated time.
    PacedNode,
}

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let own = std::env::current_exe().expect("a test knows its own path");
    let folder = own.ancestors().nth(2).expect("it lies in `deps` of the build's folder").to_path_buf();
    let needed = [("skein", "skein-cli"), ("skein-node", "skein-noded"), ("skein-paced-node", "skein-bench")];
    for (program, package) in needed.into_iter().filter(|(program, _)| !folder.join(program).is_file()) {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--release", "--package", package, "--bin", program, "--target-dir"])
            .arg(folder.parent().expect("the build's folder lies in the target folder"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo starts");
        assert!(status.success(), "{program} cannot be built");
    }
    folder
});

impl Program {
    pub(crate) fn path(self) -> PathBuf {
        FOLDER.join(match self {
            Self::Node => "skein-node",
            Self::PacedNode => "skein-paced-node",
        })
    }
}

/// What a program that came to its end gave.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// The same, if it ended with `code`.
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

/// Runs `skein` against a node, to its end.
pub(crate) fn cli(server: &str, token: &Path, arguments: &[&str], input: &str) -> Answer {
    let mut command = Command::new(FOLDER.join("skein"));
    command.args(arguments).env("SKEIN_SERVER", server).env("NO_COLOR", "1").env("SKEIN_TOKEN_FILE", token);
    // With cargo's variables it would build the node that it looks for.
    for name in ["SKEIN_TOKEN", "CARGO", "CARGO_MANIFEST_DIR"] {
        command.env_remove(name);
    }
    run(command, input)
}

/// Runs a program to its end.
pub(crate) fn run(mut command: Command, input: &str) -> Answer {
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
