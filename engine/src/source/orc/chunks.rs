//! The watched file as ORC's decoder wants it.

use std::io;

use bytes::Bytes;
use orc_rust::reader::ChunkReader;

use super::super::watched::{From, Watched};

impl ChunkReader for Watched {
    type T = From;

    fn len(&self) -> u64 {
        self.length()
    }

    fn get_read(&self, start: u64) -> io::Result<Self::T> {
        Ok(self.from(start))
    }

    fn get_bytes(&self, start: u64, length: u64) -> io::Result<Bytes> {
        self.bytes(start, length)
    }
}
