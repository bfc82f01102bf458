//! Progress on standard error: one line that is drawn again on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where nobody watches, a changed line is written this often.
const QUIET_INTERVAL: Duration = Duration::from_secs(5);

/// One line of progress.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    last: String,
    written: Option<Instant>,
}

impl Progress {
    /// Nothing is shown yet.
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), last: String::new(), written: None }
    }

    /// Shows `line` in place of the one before.
    pub(crate) fn show(&mut self, line: &str) {
        if line == self.last {
            return;
        }
        let mut out = std::io::stderr().lock();
        if self.terminal {
            let _ = write!(out, "\r\u{1b}[K{line}");
            let _ = out.flush();
        } else if self.written.is_none_or(|written| written.elapsed() >= QUIET_INTERVAL) {
            let _ = writeln!(out, "{line}");
            self.written = Some(Instant::now());
        } else {
            return;
        }
        line.clone_into(&mut self.last);
    }

    /// Ends with `line`, or with nothing on a terminal.
    pub(crate) fn end(&mut self, line: &str) {
        let mut out = std::io::stderr().lock();
        if self.terminal {
            let _ = write!(out, "\r\u{1b}[K");
        }
        if !line.is_empty() {
            let _ = writeln!(out, "{line}");
        }
        let _ = out.flush();
        self.last.clear();
    }
}
