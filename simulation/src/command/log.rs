//! The nodes' own log, each line with its machine.
//!
//! In: events of all nodes. Out: lines on stderr, of one machine or one migration if that is asked for. Not here: the tape.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use crate::fleet;

/// What of the log is shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    /// Of one machine.
    pub(super) machine: Option<usize>,
    /// Lines that have this text.
    pub(super) text: Option<String>,
}

impl Shown {
    /// Whether a line of a machine is shown.
    pub(super) fn shows(&self, machine: usize, line: &str) -> bool {
        self.machine.is_none_or(|wanted| wanted == machine)
            && self.text.as_ref().is_none_or(|text| line.contains(text.as_str()))
    }
}

/// Writes the lines that are shown to stderr.
#[derive(Debug, Clone)]
pub(super) struct Log(pub(super) Shown);

/// One line on its way.
pub(super) struct Line {
    shown: Shown,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { shown: self.0.clone(), bytes: Vec::new() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.bytes);
        let (machine, micros) = fleet::present();
        if self.shown.shows(machine, &text) {
            // A log that nobody reads any more is no reason to stop.
            let _ = write!(io::stderr(), "{micros:>10} {machine} {text}");
        }
    }
}
