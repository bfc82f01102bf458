//! Lines of a stream, as Hadoop cuts them: at `\n`, `\r` or `\r\n`.
//!
//! In: bytes. Out: lines without their ends, in bounded memory.

use std::io::{ErrorKind, Read};

use super::TextError;

/// Longest line. Longer ones are more likely a binary file than a row.
pub(super) const MAX_LINE_BYTES: usize = 64 << 20;
/// Bytes asked from the stream at once.
const READ_BYTES: usize = 1 << 18;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts a stream into lines.
pub(in crate::source) struct Lines<R> {
    stream: R,
    buffer: Vec<u8>,
    /// Where the unread bytes start.
    start: usize,
    /// Bytes of the buffer that are filled.
    filled: usize,
    at_end: bool,
    /// The last line ended with `\r`: a `\n` right after it belongs to that end.
    after_return: bool,
    number: u64,
}

impl<R: Read> Lines<R> {
    /// Lines of `stream`.
    pub(in crate::source) fn new(stream: R) -> Self {
        Self { stream, buffer: vec![0; READ_BYTES], start: 0, filled: 0, at_end: false, after_return: false, number: 0 }
    }

    /// Number of lines read so far.
    pub(in crate::source) fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end.
    pub(in crate::source) fn next_line(&mut self) -> Result<Option<&[u8]>, TextError> {
        if self.number == 0 && self.start == 0 {
            self.skip_mark()?;
        }
        let mut searched = self.start;
        loop {
            if self.after_return && self.start < self.filled {
                self.after_return = false;
                if self.buffer[self.start] == b'\n' {
                    self.start += 1;
                    searched = self.start;
                }
            }
            if let Some(length) = memchr::memchr2(b'\n', b'\r', &self.buffer[searched..self.filled]) {
                let (start, end) = (self.start, searched + length);
                self.after_return = self.buffer[end] == b'\r';
                self.start = end + 1;
                self.number += 1;
                return Ok(Some(&self.buffer[start..end]));
            }
            if self.at_end {
                if self.start == self.filled {
                    return Ok(None);
                }
                let start = std::mem::replace(&mut self.start, self.filled);
                self.number += 1;
                return Ok(Some(&self.buffer[start..self.filled]));
            }
            let held = self.filled - self.start;
            if held > MAX_LINE_BYTES {
                return Err(TextError::LineTooLong { line: self.number + 1 });
            }
            self.fill()?;
            searched = self.start + held;
        }
    }

    fn skip_mark(&mut self) -> Result<(), TextError> {
        while self.filled < BYTE_ORDER_MARK.len() && !self.at_end {
            self.fill()?;
        }
        if self.buffer[..self.filled].starts_with(BYTE_ORDER_MARK) {
            self.start = BYTE_ORDER_MARK.len();
        }
        Ok(())
    }

    /// Moves what is unread to the front and reads more behind it.
    fn fill(&mut self) -> Result<(), TextError> {
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.start = 0;
        if self.buffer.len() - self.filled < READ_BYTES {
            self.buffer.resize(self.filled + 2 * READ_BYTES, 0);
        }
        loop {
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => {
                    self.at_end = true;
                    return Ok(());
                }
                Ok(read) => {
                    self.filled += read;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, so that every line end falls between two reads.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn all(stream: impl Read) -> Vec<String> {
        let mut lines = Lines::new(stream);
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            all.push(String::from_utf8(line.to_vec()).unwrap());
        }
        assert_eq!(lines.number(), all.len() as u64);
        all
    }

    #[test]
    fn lines_end_as_hadoop_ends_them() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("a", &["a"]),
            ("a\n", &["a"]),
            ("a\n\nb", &["a", "", "b"]),
            ("a\r\nb\rc\n", &["a", "b", "c"]),
            ("\r\r\n\n", &["", "", ""]),
            ("\u{feff}a\nb", &["a", "b"]),
            ("\n", &[""]),
        ];
        for (text, expected) in table {
            assert_eq!(all(text.as_bytes()), *expected, "{text:?}");
            assert_eq!(all(Drops(text.as_bytes())), *expected, "{text:?} byte by byte");
        }
    }

    #[test]
    fn long_lines_outgrow_the_buffer_and_come_out_whole() {
        let long = "x".repeat(3 * READ_BYTES + 17);
        assert_eq!(all(format!("{long}\n{long}").as_bytes()), [long.clone(), long]);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::new(std::io::repeat(b'x'));
        assert!(matches!(lines.next_line(), Err(TextError::LineTooLong { line: 1 })));
    }
}
