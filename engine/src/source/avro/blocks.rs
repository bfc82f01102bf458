//! The blocks of an Avro file: counted, or unpacked for the decoder.
//!
//! In: a file, its header. Out: the number of rows; a stream of the same file with blocks that are not packed.

use std::io::{self, BufRead, BufReader, Read};

use super::super::decoding::DecodeFailure;
use super::super::watched::{From, Watched};
use super::header::{Counted, Header, SYNC_BYTES, put_long};
use super::walk::Shape;

/// Largest block, packed or plain. Writers close a block at 64 KB to some MB.
const MAX_BLOCK_BYTES: u64 = 256 << 20;
/// Bytes read at once for a block's counts, or its data.
const READ_BYTES: usize = 64 << 10;
/// Longest form of a block's two numbers.
const COUNTS_BYTES: usize = 20;

fn damaged(why: &str) -> DecodeFailure {
    DecodeFailure::Damaged(why.to_owned())
}

/// Rows and packed bytes of the block that `stream` stands before.
fn counts<R: Read>(stream: &mut Counted<R>) -> Result<(u64, u64), DecodeFailure> {
    let rows = u64::try_from(stream.long()?).map_err(|_| damaged("a block has a negative number of rows"))?;
    let bytes = u64::try_from(stream.long()?).ok().filter(|bytes| *bytes <= MAX_BLOCK_BYTES);
    Ok((rows, bytes.ok_or_else(|| damaged("a block is larger than any writer makes it"))?))
}

/// The rows of a file by its blocks' counts. Data is passed over; each block's end is looked at.
pub(super) fn rows(watched: &Watched, header: &Header) -> Result<u64, DecodeFailure> {
    let (mut at, mut all) = (header.end, 0_u64);
    while at < watched.length() {
        let mut stream = Counted::new(BufReader::with_capacity(COUNTS_BYTES, watched.from(at)));
        let (rows, bytes) = counts(&mut stream)?;
        let end = at.saturating_add(stream.position()).saturating_add(bytes);
        if watched.length().saturating_sub(end) < SYNC_BYTES as u64 {
            return Err(damaged("its last block is cut off"));
        }
        if watched.bytes(end, SYNC_BYTES as u64)?.as_ref() != header.sync.as_slice() {
            return Err(damaged("a block does not end with the file's mark"));
        }
        at = end + SYNC_BYTES as u64;
        all = all.checked_add(rows).ok_or_else(|| damaged("its blocks claim more rows than can be counted"))?;
    }
    Ok(all)
}

/// The file as if its blocks had never been packed. Each read gives one whole block.
pub(super) struct PlainBlocks {
    stream: Counted<BufReader<From>>,
    header: Header,
    shape: Shape,
    at: u64,
    end: u64,
    plain: Vec<u8>,
    given: usize,
}

impl PlainBlocks {
    /// The blocks of `watched` behind `header`, which comes first.
    pub(super) fn new(watched: &Watched, header: Header) -> Result<Self, DecodeFailure> {
        let shape = Shape::of(&header.schema)?;
        let stream = Counted::new(BufReader::with_capacity(READ_BYTES, watched.from(header.end)));
        Ok(Self { stream, shape, at: header.end, end: watched.length(), plain: header.plain(), given: 0, header })
    }

    fn next_block(&mut self) -> Result<(), DecodeFailure> {
        self.plain.clear();
        self.given = 0;
        if self.at >= self.end {
            return Ok(());
        }
        let (rows, bytes) = counts(&mut self.stream)?;
        if bytes > self.end - self.at {
            return Err(damaged("a block is cut off"));
        }
        let mut packed = vec![0; usize::try_from(bytes).expect("bounded above")];
        self.stream.fill(&mut packed)?;
        let mut sync = [0; SYNC_BYTES];
        self.stream.fill(&mut sync)?;
        if sync != self.header.sync {
            return Err(damaged("a block does not end with the file's mark"));
        }
        self.at = self.header.end + self.stream.position();
        let mut data = Vec::new();
        let most = usize::try_from(MAX_BLOCK_BYTES).expect("a quarter of what 32 bits count");
        self.header.codec.unpack(&packed, most, &mut data).map_err(DecodeFailure::Damaged)?;
        // Each row takes a byte at least, unless it has no columns but nulls.
        if rows > data.len() as u64 {
            return Err(damaged("a block claims more rows than it has bytes"));
        }
        if !self.shape.holds(&data, rows) {
            return Err(damaged("a block does not hold the rows that it claims"));
        }
        put_long(&mut self.plain, rows);
        put_long(&mut self.plain, data.len() as u64);
        self.plain.extend_from_slice(&data);
        self.plain.extend_from_slice(&sync);
        Ok(())
    }
}

/// The rows of `file` by its blocks' counts, and those of the blocks that the decoder is given.
#[cfg(any(test, feature = "fuzzing"))]
pub(in crate::source) fn counted_and_given(file: crate::files::Opened) -> Result<(u64, u64), DecodeFailure> {
    let watched = Watched::new(file);
    let header = Header::read(BufReader::new(watched.from(0)))?;
    let counted = rows(&watched, &header)?;
    let mut blocks = PlainBlocks::new(&watched, header)?;
    let mut given = 0_u64;
    loop {
        // The header was made first, and each block is one piece behind it.
        blocks.next_block()?;
        if blocks.plain.is_empty() {
            return Ok((counted, given));
        }
        let (rows, _) = counts(&mut Counted::new(blocks.plain.as_slice()))?;
        given += rows;
    }
}

impl Read for PlainBlocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for PlainBlocks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.given == self.plain.len() {
            self.next_block().map_err(|failure| match failure {
                DecodeFailure::Io(error) => error,
                other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
            })?;
        }
        Ok(&self.plain[self.given..])
    }

    fn consume(&mut self, bytes: usize) {
        self.given += bytes;
    }
}
