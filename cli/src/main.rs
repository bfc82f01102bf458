//! The command line `skein`.
//!
//! In: arguments, policy files. Out: requests to a node's HTTP API, tables or documents on standard output, progress and
//! errors on standard error. Not here: decisions about data; any other protocol.

mod args;
mod client;
mod commands;
mod demo;
mod exit;
mod output;
mod progress;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use args::Arguments;
use exit::Exit;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A reader that went away is no reason to complain.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Success }.into();
        }
    };
    match commands::run(arguments) {
        Ok(exit) => exit,
        Err(error) if output::is_broken_pipe(&error) => Exit::Success,
        Err(error) => {
            output::error(&error);
            Exit::Failure
        }
    }
    .into()
}
