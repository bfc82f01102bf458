//! Unpacks text files: by their first bytes, or by Hadoop's endings where a codec has none.
//!
//! In: files. Out: streams of plain bytes. What is damaged is `InvalidData` or `UnexpectedEof`, whatever a codec calls it;
//! what the system refuses keeps its kind.

use std::io::{self, BufReader, Cursor, ErrorKind, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::super::format::{Packing, first_bytes, packing};
use crate::files::Opened;

/// Bytes asked from a packed file at once.
const PACKED_BYTES: usize = 1 << 18;
/// Largest block, packed or plain, in Hadoop's framing. Writers use 256 KiB; this leaves room for settings.
const MAX_BLOCK_BYTES: usize = 64 << 20;

/// Opens the text of the file called `path`.
pub(in crate::source) fn open(file: &Opened, path: &str) -> io::Result<Box<dyn Read + Send>> {
    let first = first_bytes(file)?;
    let packing = packing(path, &first)
        .map_err(|name| io::Error::new(ErrorKind::InvalidData, format!("it holds {name} and no text")))?;
    let all = file.from(0);
    let Some(packing) = packing else { return Ok(Box::new(all)) };
    let packed = BufReader::with_capacity(PACKED_BYTES, all);
    let plain: Box<dyn Read + Send> = match packing {
        Packing::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Packing::Bzip2 => Box::new(MultiBzDecoder::new(packed)),
        Packing::Zstd => Box::new(zstd::Decoder::with_buffer(packed)?),
        Packing::Deflate => Box::new(ZlibDecoder::new(packed)),
        Packing::Snappy => Box::new(HadoopBlocks::new(packed, snappy)),
        Packing::Lz4 => Box::new(HadoopBlocks::new(packed, lz4)),
    };
    Ok(Box::new(Unpacked(plain)))
}

/// Calls a codec's own errors damage.
struct Unpacked(Box<dyn Read + Send>);

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::Interrupted => error,
            _ if error.raw_os_error().is_some() => error,
            _ => io::Error::new(ErrorKind::InvalidData, error),
        })
    }
}

/// Unpacks one chunk, given the bytes that its block may still have.
type Unpack = fn(&[u8], usize) -> Result<Vec<u8>, String>;

fn snappy(chunk: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let length = snap::raw::decompress_len(chunk).map_err(|error| error.to_string())?;
    if length > most {
        return Err(format!("a chunk of {length} bytes in a block of {most}"));
    }
    snap::raw::Decoder::new().decompress_vec(chunk).map_err(|error| error.to_string())
}

fn lz4(chunk: &[u8], most: usize) -> Result<Vec<u8>, String> {
    // A byte of LZ4 stands for 255 plain ones at most, so that a small chunk claims little.
    lz4_flex::block::decompress(chunk, most.min(chunk.len().saturating_mul(255))).map_err(|error| error.to_string())
}

/// Hadoop's framing of codecs without their own: the plain length of a block, then chunks with their packed lengths.
struct HadoopBlocks<R> {
    packed: R,
    unpack: Unpack,
    /// Plain bytes that the current block still has behind the current chunk.
    in_block: usize,
    chunk: Cursor<Vec<u8>>,
}

impl<R: Read> HadoopBlocks<R> {
    fn new(packed: R, unpack: Unpack) -> Self {
        Self { packed, unpack, in_block: 0, chunk: Cursor::new(Vec::new()) }
    }

    /// The next length; `None` at the end of the file.
    fn length(&mut self) -> io::Result<Option<usize>> {
        let mut bytes = [0; 4];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.packed.read(&mut bytes[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let length = u32::from_be_bytes(bytes) as usize;
        if length > MAX_BLOCK_BYTES {
            return Err(damaged(&format!("a block of {length} bytes")));
        }
        Ok(Some(length))
    }

    /// Unpacks the next chunk; false at the end of the file.
    fn next_chunk(&mut self) -> io::Result<bool> {
        while self.in_block == 0 {
            match self.length()? {
                Some(length) => self.in_block = length,
                None => return Ok(false),
            }
        }
        let length = self.length()?.ok_or(ErrorKind::UnexpectedEof)?;
        let mut chunk = Vec::new();
        self.packed.by_ref().take(length as u64).read_to_end(&mut chunk)?;
        if chunk.len() < length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let plain = (self.unpack)(&chunk, self.in_block).map_err(|why| damaged(&why))?;
        self.in_block =
            self.in_block.checked_sub(plain.len()).ok_or_else(|| damaged("a chunk is larger than its block"))?;
        self.chunk = Cursor::new(plain);
        Ok(true)
    }
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

impl<R: Read> Read for HadoopBlocks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.chunk.read(buffer)?;
            if read > 0 || buffer.is_empty() || !self.next_chunk()? {
                return Ok(read);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn framed(chunks: &[&[u8]], pack: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
        let mut block = length(chunks.iter().map(|chunk| chunk.len()).sum()).to_vec();
        for chunk in chunks {
            let packed = pack(chunk);
            block.extend(length(packed.len()));
            block.extend(packed);
        }
        block
    }

    fn read(bytes: &[u8], name: &str) -> io::Result<Vec<u8>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let file = Opened::local(file).unwrap();
        let mut plain = Vec::new();
        open(&file, name)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn files_are_unpacked_by_their_first_bytes_or_their_ending_and_cut_ones_are_damaged() {
        let text = b"1,a\n2,b\n".repeat(500);
        let snappy = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&text).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&text).unwrap();
        let (one, other) = text.split_at(1_000);
        let files = [
            ("a.snappy", [framed(&[one], snappy), framed(&[], snappy), framed(&[b"", other], snappy)].concat()),
            ("a.lz4", framed(&[one, other], lz4_flex::block::compress)),
            ("a.deflate", zlib.finish().unwrap()),
            ("a.zst", [zstd::encode_all(one, 1).unwrap(), zstd::encode_all(other, 1).unwrap()].concat()),
            ("a.bz2", bzip2.finish().unwrap()),
        ];
        for (name, packed) in files {
            assert_eq!(read(&packed, name).unwrap(), text, "{name}");
            let error = read(&packed[..packed.len() - 3], name).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData), "{name}: {error}");
        }
        assert_eq!(read(&text, "a").unwrap(), text);
    }

    #[test]
    fn claims_beyond_all_measure_are_refused_before_anything_is_allocated() {
        let huge = [u32::MAX.to_be_bytes().as_slice(), b"\0\0\0\x04abcd"].concat();
        let within = [b"\0\0\0\x10\0\0\0\x05".as_slice(), &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
        for (name, bytes) in [("a.snappy", &huge), ("a.lz4", &huge), ("a.snappy", &within)] {
            assert_eq!(read(bytes, name).unwrap_err().kind(), ErrorKind::InvalidData, "{name}");
        }
    }
}
