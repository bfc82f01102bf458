//! A file under a foreign decoder that remembers why the system refused to read, so that a failing disk is not taken
//! for a damaged file, and that allocates nothing for bytes that it does not have.

use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::files::Opened;

/// The file, and the error that it met.
#[derive(Clone)]
pub(super) struct Watched {
    file: Opened,
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl Watched {
    pub(super) fn new(file: Opened) -> Self {
        Self { file, failure: Arc::default() }
    }

    /// The file itself.
    pub(super) fn file(&self) -> &Opened {
        &self.file
    }

    /// The system's error, if one was met since the last call.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Its length when it was opened.
    pub(super) fn length(&self) -> u64 {
        self.file.length()
    }

    /// Reads on from `start`.
    pub(super) fn from(&self, start: u64) -> From {
        From { watched: self.clone(), at: start }
    }

    /// `length` bytes from `start`.
    pub(super) fn bytes(&self, start: u64, length: u64) -> io::Result<Bytes> {
        let end = start.saturating_add(length);
        let ends = |at: u64| {
            io::Error::new(
                ErrorKind::UnexpectedEof,
                format!("bytes {start} to {end} are wanted, and the file ends at {at}"),
            )
        };
        // Checked before anything is allocated: a damaged footer may promise any length.
        let wanted =
            usize::try_from(length).ok().filter(|_| end <= self.length()).ok_or_else(|| ends(self.length()))?;
        let mut bytes = vec![0; wanted];
        let mut filled = 0;
        while filled < wanted {
            match self.read_at(&mut bytes[filled..], start + filled as u64)? {
                0 => return Err(ends(start + filled as u64)),
                read => filled += read,
            }
        }
        Ok(bytes.into())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, at) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let copy = error
                        .raw_os_error()
                        .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error);
                    *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
                    return Err(error);
                }
                read => return read,
            }
        }
    }
}

/// Reads on from a position.
pub(super) struct From {
    watched: Watched,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.watched.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
