//! `worker`: the process that decodes foreign files for a node. Nobody but a node starts it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use skein_engine::worker::WorkerProgram;

/// What the kernel calls the program of a process, also when a newer one lies under its name by now.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// How workers are called in lists of processes.
const NAME: &str = "skein-node";
/// The command.
pub(crate) const COMMAND: &str = "worker";

/// The program that a node's workers are: its own.
///
/// # Errors
/// When the process cannot tell what program it runs.
pub fn worker_program() -> Result<WorkerProgram> {
    let path = match Path::new(OWN_PROGRAM).exists() {
        true => OWN_PROGRAM.into(),
        false => std::env::current_exe().context("the program's own path is not known")?,
    };
    Ok(WorkerProgram { name: Some(NAME.into()), ..WorkerProgram::new(path, [COMMAND]) })
}

/// Is a worker until the node that started it goes away.
pub(crate) fn work(log: &str) -> Result<ExitCode> {
    crate::run::start_log(log, None)?;
    Ok(skein_engine::worker::serve())
}
