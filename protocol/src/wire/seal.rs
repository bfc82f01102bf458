//! Frames that travel: compression when it helps, and the checks that come before anything is allocated.
//!
//! In: plain frames to send, bytes that a peer sent. Out: sealed frames, plain frames. Not here: the payload's
//! meaning, how frames are delimited on a stream (the node's fabric).

use super::{COMPRESSED, HEADER_BYTES, Kind, NO_FLAGS, VERSION, WireError};

/// Shorter payloads are sent as they are: they fit a few packets, and compressing them saves none.
pub const COMPRESS_FROM_BYTES: usize = 4 << 10;
/// The length of the payload before it was compressed.
const LENGTH_BYTES: usize = 4;
/// An LZ4 block never becomes more than this many times as long: each byte of a length adds at most 255.
const MOST_EXPANSION: usize = 255;
/// The shortest blocks, in which the token itself adds more than the factor says.
const EXPANSION_ROOM: usize = 64;

/// What a frame's first bytes promise about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// What it holds.
    pub kind: Kind,
    /// Whether its payload is compressed.
    pub compressed: bool,
}

/// Reads the header of a frame of `length` bytes that came from the network. `first` are its first bytes; the rest
/// need not be there yet, so that a frame can be refused before there is room for it.
///
/// # Errors
/// When no frame of this version and a kind that travels begins like this, or it is longer than its kind may be.
pub fn head(first: &[u8], length: usize) -> Result<Head, WireError> {
    let Some(&[version, byte, flags]) = first.first_chunk::<HEADER_BYTES>() else {
        return Err(WireError::NoHeader { bytes: first.len() });
    };
    if version != VERSION {
        return Err(WireError::Version { found: version });
    }
    let Some(kind) = Kind::from_byte(byte).filter(|kind| kind.travels()) else {
        return Err(WireError::NotForNetwork { found: byte });
    };
    if length > kind.max_bytes() {
        return Err(WireError::TooLarge { kind, bytes: length });
    }
    match flags {
        NO_FLAGS => Ok(Head { kind, compressed: false }),
        COMPRESSED => Ok(Head { kind, compressed: true }),
        found => Err(WireError::Flags { found }),
    }
}

/// Makes a frame ready to travel: a long payload is compressed if that makes it shorter by an eighth at least.
/// Whatever is not a plain frame stays as it is; its receiver refuses it.
#[must_use]
pub fn seal(frame: Vec<u8>) -> Vec<u8> {
    let Some((&[version, kind, flags], payload)) = frame.split_first_chunk::<HEADER_BYTES>() else {
        return frame;
    };
    let Ok(length) = u32::try_from(payload.len()) else {
        return frame;
    };
    if flags != NO_FLAGS || payload.len() < COMPRESS_FROM_BYTES {
        return frame;
    }
    let start = HEADER_BYTES + LENGTH_BYTES;
    let mut sealed = vec![0; start + lz4_flex::block::get_maximum_output_size(payload.len())];
    let Ok(written) = lz4_flex::block::compress_into(payload, &mut sealed[start..]) else {
        return frame;
    };
    if written + LENGTH_BYTES > payload.len() - payload.len() / 8 {
        return frame;
    }
    sealed[..HEADER_BYTES].copy_from_slice(&[version, kind, COMPRESSED]);
    sealed[HEADER_BYTES..start].copy_from_slice(&length.to_le_bytes());
    sealed.truncate(start + written);
    sealed.shrink_to_fit();
    sealed
}

/// Opens a frame that a peer sent: its kind, and the plain frame, ready to be decoded.
///
/// # Errors
/// When it is no frame that travels, or its payload is not what it says. Nothing longer than the kind's limit is
/// allocated, nor anything that so many compressed bytes could not fill.
pub fn open(frame: Vec<u8>) -> Result<(Kind, Vec<u8>), WireError> {
    let Head { kind, compressed } = head(&frame, frame.len())?;
    if !compressed {
        return Ok((kind, frame));
    }
    let refused = |why: String| WireError::Compression { kind, why };
    let Some((length, block)) = frame[HEADER_BYTES..].split_first_chunk::<LENGTH_BYTES>() else {
        return Err(refused("it ends before its length does".to_owned()));
    };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let bytes = length.saturating_add(HEADER_BYTES);
    if bytes > kind.max_bytes() {
        return Err(WireError::TooLarge { kind, bytes });
    }
    if length > block.len() * MOST_EXPANSION + EXPANSION_ROOM {
        return Err(refused(format!("{} bytes do not become {length}", block.len())));
    }
    let mut plain = vec![0; bytes];
    plain[..HEADER_BYTES].copy_from_slice(&[VERSION, kind as u8, NO_FLAGS]);
    match lz4_flex::block::decompress_into(block, &mut plain[HEADER_BYTES..]) {
        Ok(written) if written == length => Ok((kind, plain)),
        Ok(written) => Err(refused(format!("it says {length} bytes and has {written}"))),
        Err(error) => Err(refused(error.to_string())),
    }
}
