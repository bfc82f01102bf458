//! Seeds in processes of their own: a process runs one seed.
//!
//! In: seeds with options. Out: summaries, in the order in which they end. Not here: what is made of them.

use std::ffi::OsString;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::Summary;

/// A seed that runs.
pub(super) struct Running {
    seed: u64,
    child: Child,
}

impl Running {
    /// Starts `replay SEED --json` with further options.
    pub(super) fn start(seed: u64, options: &[OsString]) -> Result<Self> {
        let program = std::env::current_exe().context("the program's own path")?;
        let child = Command::new(program)
            .arg("replay")
            .arg(seed.to_string())
            .arg("--json")
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting a seed")?;
        Ok(Self { seed, child })
    }

    /// Waits for its end.
    pub(super) fn end(mut self) -> Result<Summary> {
        // What a seed says on stderr is a panic's text: short enough not to fill the pipe while stdout is read.
        let (mut said, mut complained) = (String::new(), String::new());
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut said).context("what a seed said")?;
        }
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut complained).context("what a seed complained of")?;
        }
        let status = self.child.wait().context("the end of a seed")?;
        match serde_json::from_str(said.lines().last().unwrap_or_default()) {
            Ok(summary) => Ok(summary),
            Err(_) => {
                let last = complained.lines().rev().take(8).collect::<Vec<_>>();
                let last: Vec<&str> = last.into_iter().rev().collect();
                Ok(Summary::broken(self.seed, format!("process: {status}: {}", last.join(" / "))))
            }
        }
    }
}
