//! The header of an Avro file: its schema, its codec, what its writer noted.
//!
//! In: the file's first bytes. Out: [`Header`]. Sizes are bounded before anything is allocated.

use std::io::{self, Read};

use super::super::calendar::WriterCalendar;
use super::super::decoding::DecodeFailure;
use super::codec::Codec;
use super::schema;

/// First bytes of each file.
const MAGIC: &[u8; 4] = b"Obj\x01";
/// Bytes of the mark that ends each block.
pub(super) const SYNC_BYTES: usize = 16;
/// Longest header; a schema of 10,000 columns takes a tenth of this.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// What the header tells.
#[derive(Debug)]
pub(super) struct Header {
    /// The schema's text.
    pub(super) schema: Vec<u8>,
    /// How blocks are packed.
    pub(super) codec: Codec,
    /// The mark that ends each block.
    pub(super) sync: [u8; SYNC_BYTES],
    /// The writer's calendar and zone.
    pub(super) calendar: WriterCalendar,
    /// Where the first block starts.
    pub(super) end: u64,
}

impl Header {
    /// Reads the header at the start of `stream`.
    pub(super) fn read(stream: impl Read) -> Result<Self, DecodeFailure> {
        let mut stream = Counted { stream: stream.take(MAX_HEADER_BYTES), read: 0 };
        let (mut schema, mut codec, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let mut magic = [0; MAGIC.len()];
        stream.fill(&mut magic)?;
        if magic != *MAGIC {
            return Err(damaged("it does not begin as an Avro file"));
        }
        loop {
            let mut count = stream.long()?;
            if count == 0 {
                break;
            }
            if count < 0 {
                // The bytes of the entries, which nobody needs who reads them all.
                stream.long()?;
                count = count.checked_neg().ok_or_else(|| damaged("its header is damaged"))?;
            }
            for _ in 0..count {
                let key = stream.bytes()?;
                let value = stream.bytes()?;
                match key.as_slice() {
                    b"avro.schema" => schema = value,
                    b"avro.codec" => codec = value,
                    _ => keys.push((
                        String::from_utf8_lossy(&key).into_owned(),
                        String::from_utf8_lossy(&value).into_owned(),
                    )),
                }
            }
        }
        let mut sync = [0; SYNC_BYTES];
        stream.fill(&mut sync)?;
        schema::check(&schema)?;
        Ok(Self { schema, codec: Codec::of(&codec)?, sync, calendar: WriterCalendar::of_avro(&keys), end: stream.read })
    }

    /// The same header for blocks that are not packed.
    pub(super) fn plain(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let entries: [(&[u8], &[u8]); 2] = [(b"avro.schema", &self.schema), (b"avro.codec", b"null")];
        put_long(&mut bytes, entries.len() as u64);
        for part in entries.iter().flat_map(|(key, value)| [key, value]) {
            put_long(&mut bytes, part.len() as u64);
            bytes.extend_from_slice(part);
        }
        put_long(&mut bytes, 0);
        bytes.extend_from_slice(&self.sync);
        bytes
    }
}

fn damaged(why: &str) -> DecodeFailure {
    DecodeFailure::Damaged(why.to_owned())
}

/// Writes a number that is not negative.
pub(super) fn put_long(bytes: &mut Vec<u8>, number: u64) {
    let mut rest = number << 1;
    while rest > 0x7f {
        bytes.push(u8::try_from(rest & 0x7f).expect("masked to seven bits") | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).expect("at most seven bits are left"));
}

/// A stream that counts what was read.
pub(super) struct Counted<R> {
    stream: R,
    read: u64,
}

impl<R: Read> Counted<R> {
    /// Counts from nothing.
    pub(super) fn new(stream: R) -> Self {
        Self { stream, read: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.read
    }

    /// Fills `buffer`.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), DecodeFailure> {
        self.stream.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it is cut off"),
            _ => DecodeFailure::Io(error),
        })?;
        self.read += buffer.len() as u64;
        Ok(())
    }

    /// A number in zigzag form.
    pub(super) fn long(&mut self) -> Result<i64, DecodeFailure> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.fill(&mut byte)?;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
            }
        }
        Err(damaged("a number has no end"))
    }

    fn bytes(&mut self) -> Result<Vec<u8>, DecodeFailure> {
        let length = u64::try_from(self.long()?).ok().filter(|length| *length <= MAX_HEADER_BYTES);
        let length = length.ok_or_else(|| damaged("its header is too large"))?;
        let mut bytes = Vec::new();
        self.stream.by_ref().take(length).read_to_end(&mut bytes)?;
        self.read += bytes.len() as u64;
        if (bytes.len() as u64) < length { Err(damaged("it is cut off")) } else { Ok(bytes) }
    }
}
