//! A file or an object that is read, wherever it lies.
//!
//! In: a place. Out: bytes at positions. Holds: [`Opened`]; blocks of an object that were fetched. Not here: writing.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use super::Stat;
use super::objects::{Object, ObjectStores};

/// Bytes that are fetched at once: a request costs some ten milliseconds, the time in which about this much is sent.
const BLOCK_BYTES: u64 = 2 * 1024 * 1024;
/// Blocks of one object that are kept: readers of Parquet go on in many columns side by side.
const MAX_BLOCKS: usize = 24;
/// Requests for more than this do not go through the blocks.
const DIRECT_BYTES: u64 = 4 * 1024 * 1024;
/// Buffer of sequential reading.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Something that is read at any position. Clones share what was fetched.
#[derive(Debug, Clone)]
pub struct Opened {
    kind: Kind,
    length: u64,
}

#[derive(Debug, Clone)]
enum Kind {
    Local(Arc<File>),
    Object(Arc<Remote>),
}

/// An object as it was when it was opened.
#[derive(Debug)]
struct Remote {
    stores: Arc<ObjectStores>,
    object: Object,
    tag: Option<String>,
    stat: Stat,
    /// Latest last.
    blocks: Mutex<VecDeque<(u64, Bytes)>>,
}

impl Opened {
    /// A file.
    ///
    /// # Errors
    /// When its length cannot be told.
    pub fn local(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { kind: Kind::Local(Arc::new(file)), length })
    }

    pub(super) fn object(stores: Arc<ObjectStores>, object: Object) -> io::Result<Self> {
        let found = stores.head(&object)?;
        let stat = Stat::of(&found);
        let remote = Remote { stores, object, tag: found.e_tag, stat, blocks: Mutex::default() };
        Ok(Self { kind: Kind::Object(Arc::new(remote)), length: found.size })
    }

    /// Length in bytes when it was opened.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What the store said of the object when it was opened; none for a file. Reading on fails once the object is another one.
    #[must_use]
    pub fn stat(&self) -> Option<&Stat> {
        match &self.kind {
            Kind::Local(_) => None,
            Kind::Object(remote) => Some(&remote.stat),
        }
    }

    /// Reads some bytes at a position; none at the end.
    ///
    /// # Errors
    /// When they cannot be read, or the object is another one now.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        match &self.kind {
            Kind::Local(file) => std::os::unix::fs::FileExt::read_at(file.as_ref(), buffer, at),
            Kind::Object(remote) => {
                if at >= self.length || buffer.is_empty() {
                    return Ok(0);
                }
                let wanted = (buffer.len() as u64).min(self.length - at);
                let bytes = if wanted > DIRECT_BYTES {
                    remote.fetch(at, at + wanted)?
                } else {
                    remote.block(at, self.length)?
                };
                let read = bytes.len().min(buffer.len());
                buffer[..read].copy_from_slice(&bytes[..read]);
                Ok(read)
            }
        }
    }

    /// Fills the buffer from a position.
    ///
    /// # Errors
    /// `UnexpectedEof` when there are fewer bytes; as [`Opened::read_at`].
    pub fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], at + filled as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads on from a position.
    #[must_use]
    pub fn from(&self, at: u64) -> Cursor {
        Cursor { opened: self.clone(), at }
    }
}

impl Remote {
    fn fetch(&self, start: u64, end: u64) -> io::Result<Bytes> {
        let bytes = self.stores.range(&self.object, start, end, self.tag.as_ref())?;
        if bytes.len() as u64 == end - start {
            return Ok(bytes);
        }
        let why = format!("{} bytes came instead of {}", bytes.len(), end - start);
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{}: {why}", self.object.location)))
    }

    /// What is left at `at` of the block that has it.
    fn block(&self, at: u64, length: u64) -> io::Result<Bytes> {
        let start = at - at % BLOCK_BYTES;
        let within = usize::try_from(at - start).expect("a block fits into memory");
        let kept = || {
            let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            let position = blocks.iter().position(|(known, _)| *known == start)?;
            let block = blocks.remove(position)?;
            blocks.push_back(block.clone());
            Some(block.1)
        };
        if let Some(block) = kept() {
            return Ok(block.slice(within..));
        }
        let block = self.fetch(start, (start + BLOCK_BYTES).min(length))?;
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.len() == MAX_BLOCKS {
            blocks.pop_front();
        }
        blocks.push_back((start, block.clone()));
        Ok(block.slice(within..))
    }
}

/// Reads on from a position.
#[derive(Debug)]
pub struct Cursor {
    opened: Opened,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.opened.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Length for Opened {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Opened {
    type T = BufReader<Cursor>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::with_capacity(READ_BUFFER_BYTES, self.from(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        // Checked before anything is allocated: a damaged footer may promise any length.
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are wanted of {}", self.length)));
        }
        let mut bytes = vec![0; length];
        self.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}
