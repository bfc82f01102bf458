//! Unpacks a footer: ORC packs in blocks, each with its length before it.
//!
//! In: packed bytes, the postscript's codec. Out: plain bytes, never more than was asked for. Not here: the data's
//! blocks (the decoder's own).

use std::io::Read;

use super::super::decoding::DecodeFailure;

/// Bytes before each block: its length, and a bit for one that is not packed.
const HEADER_BYTES: usize = 3;

/// A codec by its number in the postscript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Zlib,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// The codec of a postscript.
    pub(super) fn of(number: u64) -> Result<Self, DecodeFailure> {
        Ok(match number {
            0 => Self::None,
            1 => Self::Zlib,
            2 => Self::Snappy,
            3 => return Err(DecodeFailure::Unsupported("it is packed with LZO".to_owned())),
            4 => Self::Lz4,
            5 => Self::Zstd,
            other => return Err(DecodeFailure::Unsupported(format!("it is packed with a codec of number {other}"))),
        })
    }
}

/// The plain bytes of `packed`; an error if they are more than `most`.
pub(super) fn unpacked(packed: &[u8], codec: Codec, most: usize) -> Result<Vec<u8>, DecodeFailure> {
    let damaged = |why: &str| DecodeFailure::Damaged(format!("its footer cannot be unpacked: {why}"));
    if codec == Codec::None {
        return if packed.len() <= most { Ok(packed.to_vec()) } else { Err(damaged("it is too large")) };
    }
    let (mut plain, mut rest) = (Vec::new(), packed);
    while !rest.is_empty() {
        let Some((header, behind)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            return Err(damaged("a block's length is cut off"));
        };
        let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let Some((block, behind)) = behind.split_at_checked((header >> 1) as usize) else {
            return Err(damaged("a block is cut off"));
        };
        rest = behind;
        let room = most - plain.len();
        let before = plain.len();
        if header & 1 == 1 {
            plain.extend_from_slice(block);
        } else {
            unpack(block, codec, room, &mut plain).map_err(|why| damaged(&why))?;
        }
        if plain.len() - before > room {
            return Err(damaged("it is too large"));
        }
    }
    Ok(plain)
}

/// Adds the plain bytes of `block`, at most one more than there is `room` for.
fn unpack(block: &[u8], codec: Codec, room: usize, plain: &mut Vec<u8>) -> Result<(), String> {
    let one_more = room as u64 + 1;
    match codec {
        Codec::None => plain.extend_from_slice(block),
        Codec::Zlib => {
            let read = flate2::read::DeflateDecoder::new(block).take(one_more).read_to_end(plain);
            read.map_err(|error| error.to_string())?;
        }
        Codec::Zstd => {
            let decoder = zstd::Decoder::new(block).map_err(|error| error.to_string())?;
            decoder.take(one_more).read_to_end(plain).map_err(|error| error.to_string())?;
        }
        Codec::Snappy => {
            let length = snap::raw::decompress_len(block).map_err(|error| error.to_string())?;
            if length > room {
                return Err("it is too large".to_owned());
            }
            plain.extend(snap::raw::Decoder::new().decompress_vec(block).map_err(|error| error.to_string())?);
        }
        Codec::Lz4 => {
            // A byte of LZ4 stands for 255 plain ones at most.
            let length = block.len().saturating_mul(255).min(room);
            plain.extend(lz4_flex::block::decompress(block, length).map_err(|error| error.to_string())?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn block(bytes: &[u8], plain: bool) -> Vec<u8> {
        let header = u32::try_from(bytes.len()).unwrap() << 1 | u32::from(plain);
        [&header.to_le_bytes()[..HEADER_BYTES], bytes].concat()
    }

    #[test]
    fn blocks_of_every_codec_are_unpacked_and_never_beyond_the_limit() {
        let text = b"the quick brown goose ".repeat(50);
        let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        deflate.write_all(&text).unwrap();
        let packed = [
            (Codec::Zlib, deflate.finish().unwrap()),
            (Codec::Snappy, snap::raw::Encoder::new().compress_vec(&text).unwrap()),
            (Codec::Lz4, lz4_flex::block::compress(&text)),
            (Codec::Zstd, zstd::encode_all(text.as_slice(), 1).unwrap()),
        ];
        for (codec, bytes) in packed {
            let both = [block(&bytes, false), block(b"tail", true)].concat();
            let expected = [text.as_slice(), b"tail"].concat();
            assert_eq!(unpacked(&both, codec, expected.len()).unwrap(), expected, "{codec:?}");
            assert!(unpacked(&both, codec, text.len() - 1).is_err(), "{codec:?}");
            assert!(unpacked(&both[..both.len() - 1], codec, 1 << 20).is_err(), "{codec:?}");
        }
    }

    #[test]
    fn codecs_that_cannot_be_unpacked_are_refused_by_name() {
        assert!(Codec::of(3).unwrap_err().to_string().contains("LZO"));
        assert!(Codec::of(9).is_err());
    }
}
