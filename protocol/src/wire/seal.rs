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
    /// Its length once it is open, header included.
    pub open_bytes: usize,
}

/// The first bytes that tell all of a [`Head`].
pub const HEAD_BYTES: usize = HEADER_BYTES + LENGTH_BYTES;

/// Reads the beginning of a frame of `length` bytes that came from the network. `first` are its first
/// [`HEAD_BYTES`], or all if it is shorter; the rest need not be there yet, so that a frame can be refused before
/// there is room for it.
///
/// # Errors
/// When no frame of this version and a kind that travels begins like this, or it is longer than its kind may be, as
/// it came or once it is open, or so few bytes cannot become so many.
pub fn head(first: &[u8], length: usize) -> Result<Head, WireError> {
    let Some((&[version, byte, flags], rest)) = first.split_first_chunk::<HEADER_BYTES>() else {
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
        NO_FLAGS => Ok(Head { kind, compressed: false, open_bytes: length }),
        COMPRESSED => Ok(Head { kind, compressed: true, open_bytes: open_bytes(kind, rest, length)? }),
        found => Err(WireError::Flags { found }),
    }
}

/// The length that a compressed frame claims to have once it is open, if that can be.
fn open_bytes(kind: Kind, rest: &[u8], length: usize) -> Result<usize, WireError> {
    let refused = |why: String| WireError::Compression { kind, why };
    let Some(claimed) = rest.first_chunk::<LENGTH_BYTES>() else {
        return Err(refused("it ends before its length does".to_owned()));
    };
    let claimed = usize::try_from(u32::from_le_bytes(*claimed)).unwrap_or(usize::MAX);
    let bytes = claimed.saturating_add(HEADER_BYTES);
    if bytes > kind.max_bytes() {
        return Err(WireError::TooLarge { kind, bytes });
    }
    let block = length.saturating_sub(HEAD_BYTES);
    if claimed > block.saturating_mul(MOST_EXPANSION).saturating_add(EXPANSION_ROOM) {
        return Err(refused(format!("{block} bytes do not become {claimed}")));
    }
    Ok(bytes)
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
    let Head { kind, compressed, open_bytes } = head(&frame, frame.len())?;
    if !compressed {
        return Ok((kind, frame));
    }
    let refused = |why: String| WireError::Compression { kind, why };
    let mut plain = vec![0; open_bytes];
    plain[..HEADER_BYTES].copy_from_slice(&[VERSION, kind as u8, NO_FLAGS]);
    let claimed = open_bytes - HEADER_BYTES;
    match lz4_flex::block::decompress_into(&frame[HEAD_BYTES..], &mut plain[HEADER_BYTES..]) {
        Ok(written) if written == claimed => Ok((kind, plain)),
        Ok(written) => Err(refused(format!("it says {claimed} bytes and has {written}"))),
        Err(error) => Err(refused(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{decode, encode};
    use super::*;

    fn sealed_text(bytes: usize) -> Vec<u8> {
        seal(encode(Kind::Propose, &"goose ".repeat(bytes / 6)).unwrap())
    }

    #[test]
    fn a_long_frame_travels_compressed_and_opens_as_it_was() {
        let plain = encode(Kind::Propose, &"goose ".repeat(10_000)).unwrap();
        let sealed = seal(plain.clone());
        assert!(sealed.len() < plain.len() / 10, "{} bytes became {}", plain.len(), sealed.len());
        let head = head(&sealed[..HEAD_BYTES], sealed.len()).unwrap();
        assert_eq!(head, Head { kind: Kind::Propose, compressed: true, open_bytes: plain.len() });
        assert!(matches!(decode::<String>(Kind::Propose, &sealed), Err(WireError::Sealed { .. })));
        assert_eq!(open(sealed).unwrap(), (Kind::Propose, plain));
    }

    #[test]
    fn short_frames_and_those_that_do_not_shrink_travel_as_they_are() {
        let short = encode(Kind::Propose, &"goose ".repeat(100)).unwrap();
        assert_eq!(seal(short.clone()), short);
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u8::try_from(state >> 56).unwrap()
        };
        let noise: Vec<u8> = (0..20_000).map(|_| random()).collect();
        let noise = encode(Kind::Propose, &noise).unwrap();
        assert_eq!(seal(noise.clone()), noise);
        assert_eq!(open(noise.clone()).unwrap(), (Kind::Propose, noise));
    }

    #[test]
    fn a_bomb_is_refused_before_there_is_room_for_it() {
        let mut bomb = sealed_text(60_000);
        bomb[HEADER_BYTES..HEAD_BYTES].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(open(bomb.clone()), Err(WireError::TooLarge { .. })));
        bomb[HEADER_BYTES..HEAD_BYTES].copy_from_slice(&(30_u32 << 20).to_le_bytes());
        assert!(matches!(open(bomb.clone()), Err(WireError::Compression { .. })), "so few bytes never become 30 MiB");
        assert!(matches!(head(&bomb[..HEAD_BYTES], bomb.len()), Err(WireError::Compression { .. })));
    }

    #[test]
    fn a_compressed_frame_says_its_exact_length() {
        let sealed = sealed_text(60_000);
        let claimed = u32::from_le_bytes(*sealed[HEADER_BYTES..].first_chunk().unwrap());
        for other in [0, 1, claimed - 1, claimed + 1] {
            let mut lying = sealed.clone();
            lying[HEADER_BYTES..HEAD_BYTES].copy_from_slice(&other.to_le_bytes());
            assert!(matches!(open(lying), Err(WireError::Compression { .. })), "{other} was accepted");
        }
        for end in 0..sealed.len() {
            assert!(open(sealed[..end].to_vec()).is_err(), "{end} bytes were accepted");
        }
    }

    #[test]
    fn stored_kinds_and_unknown_ones_never_come_from_the_network() {
        for byte in 0..=u8::MAX {
            let frame = [VERSION, byte, NO_FLAGS];
            let known = Kind::from_byte(byte).is_some_and(Kind::travels);
            assert_eq!(head(&frame, 3).is_ok(), known, "kind {byte}");
        }
        assert_eq!(head(&[VERSION, 16], 2), Err(WireError::NoHeader { bytes: 2 }));
        assert_eq!(head(&[VERSION - 1, 16, 0], 3), Err(WireError::Version { found: VERSION - 1 }));
        assert_eq!(head(&[VERSION, 16, 4], 3), Err(WireError::Flags { found: 4 }));
    }

    #[test]
    fn a_length_is_judged_by_the_kind() {
        for kind in Kind::TRAVELLING {
            let first = [VERSION, kind as u8, NO_FLAGS];
            assert!(head(&first, kind.max_bytes()).is_ok());
            let longer = kind.max_bytes() + 1;
            assert_eq!(head(&first, longer), Err(WireError::TooLarge { kind, bytes: longer }));
        }
    }
}
