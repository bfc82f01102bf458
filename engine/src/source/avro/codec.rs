//! The codecs of Avro's blocks.
//!
//! In: a packed block. Out: plain bytes, never more than was asked for.

use std::io::Read;

use super::super::decoding::DecodeFailure;

/// Bytes of the checksum behind a block that is packed with Snappy.
const CHECKSUM_BYTES: usize = 4;

/// A codec by its name in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
    Bzip2,
}

impl Codec {
    /// The codec of a header.
    pub(super) fn of(name: &[u8]) -> Result<Self, DecodeFailure> {
        Ok(match name {
            b"" | b"null" => Self::Null,
            b"deflate" => Self::Deflate,
            b"snappy" => Self::Snappy,
            b"zstandard" => Self::Zstandard,
            b"bzip2" => Self::Bzip2,
            other => {
                let name = String::from_utf8_lossy(other);
                return Err(DecodeFailure::Unsupported(format!("it is packed with {name:?}")));
            }
        })
    }

    /// Adds the plain bytes of `block` to `plain`; an error if they are more than `most`, or damaged.
    pub(super) fn unpack(self, block: &[u8], most: usize, plain: &mut Vec<u8>) -> Result<(), String> {
        let before = plain.len();
        let one_more = most as u64 + 1;
        let read = match self {
            Self::Null => block.take(one_more).read_to_end(plain),
            Self::Deflate => flate2::read::DeflateDecoder::new(block).take(one_more).read_to_end(plain),
            Self::Bzip2 => bzip2::read::BzDecoder::new(block).take(one_more).read_to_end(plain),
            Self::Zstandard => zstd::Decoder::new(block).and_then(|d| d.take(one_more).read_to_end(plain)),
            Self::Snappy => return snappy(block, most, plain),
        };
        read.map_err(|error| format!("a block cannot be unpacked: {error}"))?;
        if plain.len() - before > most {
            return Err(format!("a block has more than {most} bytes"));
        }
        Ok(())
    }
}

fn snappy(block: &[u8], most: usize, plain: &mut Vec<u8>) -> Result<(), String> {
    let (packed, checksum) =
        block.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| "a block has no checksum".to_owned())?;
    let length = snap::raw::decompress_len(packed).map_err(|error| error.to_string())?;
    if length > most {
        return Err(format!("a block of {length} bytes"));
    }
    let unpacked = snap::raw::Decoder::new().decompress_vec(packed).map_err(|error| error.to_string())?;
    let mut sum = flate2::Crc::new();
    sum.update(&unpacked);
    if sum.sum() != u32::from_be_bytes(*checksum) {
        return Err("a block has another checksum than its bytes".to_owned());
    }
    plain.extend(unpacked);
    Ok(())
}
