//! The bytes of one call: written and read until a deadline, and never more than an answer may have.
//!
//! In: a connection, a deadline. Out: bytes. Not here: what they mean (`wire`, `call`).

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Reads and writes of one call.
pub(super) struct Channel<'a> {
    pub(super) stream: &'a TcpStream,
    /// When the call is given up.
    pub(super) until: Instant,
    /// Bytes that may still be read.
    pub(super) left: &'a Cell<u64>,
}

impl Channel<'_> {
    fn time_left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// A socket whose time is over says "would block".
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

impl Read for Channel<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left.get()).unwrap_or(usize::MAX).min(into.len());
        if most == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
        }
        self.stream.set_read_timeout(Some(self.time_left()?))?;
        let read = self.stream.read(&mut into[..most]).map_err(timed_out)?;
        self.left.set(self.left.get() - read as u64);
        Ok(read)
    }
}

impl Write for Channel<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.time_left()?))?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
