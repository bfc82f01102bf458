//! The watched file as Parquet's decoder wants it.

use std::io::BufReader;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::super::watched::{From, Watched};

/// Bytes read at once for a page's header; headers with statistics take a few hundred.
const HEADER_BYTES: usize = 1 << 10;

impl Length for Watched {
    fn len(&self) -> u64 {
        self.length()
    }
}

impl ChunkReader for Watched {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::with_capacity(HEADER_BYTES, self.from(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.bytes(start, length as u64).map_err(|error| ParquetError::EOF(error.to_string()))
    }
}
