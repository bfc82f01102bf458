//! The independent readers and writers, which are Python programs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| environment("SKEIN_TEST_PYTHON", "requirements.txt"));
static SPARK: LazyLock<PathBuf> = LazyLock::new(|| environment("SKEIN_TEST_SPARK", "spark.txt"));

/// The interpreter that `variable` names, else one that has the packages of a file.
fn environment(variable: &str, packages: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let mut command = Command::new(folder().join("venv"));
    let output = command.arg(folder().join(packages)).stderr(Stdio::inherit()).output().expect("bash is there");
    assert!(output.status.success(), "the Python environment cannot be made");
    String::from_utf8_lossy(&output.stdout).trim().into()
}

/// The interpreter that has Spark.
pub fn spark() -> &'static Path {
    &SPARK
}

/// The interpreter that has the readers.
pub(crate) fn python() -> &'static Path {
    &PYTHON
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

/// Where the readers run.
#[derive(Debug, Clone, Default)]
pub struct Readers {
    /// Words before the interpreter: to enter the node's own view of the file system.
    pub launcher: Vec<String>,
}

impl Readers {
    /// Runs one of the programs of `tests/python`; its exit code and what it printed.
    pub fn run(&self, program: &str, arguments: &[&str], input: &str) -> (i32, String) {
        let mut words = self.launcher.iter().map(PathBuf::from).chain([PYTHON.clone()]);
        let mut command = Command::new(words.next().expect("there is at least the interpreter"));
        let mut child = command
            .args(words)
            .arg(folder().join(program))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads its input");
        let output = child.wait_with_output().expect("it ends");
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The document that a program prints; it must succeed.
    #[track_caller]
    pub fn document(&self, program: &str, arguments: &[&str]) -> Value {
        let (code, text) = self.run(program, arguments, "");
        assert_eq!(code, 0, "{program} {arguments:?}: {text}");
        serde_json::from_str(&text).expect("it prints JSON")
    }
}
