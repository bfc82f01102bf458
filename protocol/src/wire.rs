//! Stored frames: how entries, votes and snapshots become bytes, and bytes become them again.
//!
//! In: serialisable values, or bytes that were read from a disk or a peer. Out: a frame, or a value.
//! Holds: the frame's layout, its limits, and the only mention of bincode; [`seal`](fn@seal) and [`open`] for frames that
//! travel.
//! Not here: JSON documents (the API's types, blobs), files, sockets.
//!
//! A frame is `version, kind, flags, payload`. bincode is not self-describing: reading a frame as
//! another type gives garbage, so every kind has one type for ever, and a change of that type is a new
//! kind. The version byte is the way out of bincode itself. Types whose serde form depends on being
//! asked what they are (`serde_json::Value`, untagged or flattened fields, skipped fields) cannot
//! be stored; [`check_storable`] finds them before they are.

mod kind;
mod seal;
#[cfg(test)]
mod tests;

pub use kind::Kind;
pub use seal::{COMPRESS_FROM_BYTES, HEAD_BYTES, Head, head, open, seal};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The frame layout and payload encoding that this build writes, and the only one that it reads.
pub const VERSION: u8 = 2;
/// Version, kind, flags.
pub const HEADER_BYTES: usize = 3;
/// No frame is longer: the largest is a snapshot of the state, about 2 KB a migration; this is room for
/// 100,000 of them and still fits in memory beside the state itself.
pub const MAX_FRAME_BYTES: usize = 256 << 20;
/// The payload is as it was encoded.
const NO_FLAGS: u8 = 0;
/// The payload is its decoded length (4 bytes, little-endian) and an LZ4 block. Only frames that travel have it.
const COMPRESSED: u8 = 1;
/// bincode counts an integer at its size in memory, which is at most 16 times its encoded size.
const MEMORY_PER_BYTE: usize = 16;
/// Frames up to this length may claim memory for [`MEMORY_PER_BYTE`] times as much, and so on upwards: a
/// wrong length inside of a frame is refused before anything of that length is allocated.
const SMALL: usize = 64 << 10;
const MEDIUM: usize = 1 << 20;
const LARGE: usize = 16 << 20;
const HUGE: usize = 72 << 20;

/// Bytes that are not the expected frame, or a value that cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The frame is longer than its kind allows.
    #[error("a frame of kind {kind:?} has {bytes} bytes; at most {} are allowed", .kind.max_bytes())]
    TooLarge {
        /// Expected kind.
        kind: Kind,
        /// Length of the whole frame.
        bytes: usize,
    },
    /// The frame ends before its header does.
    #[error("a frame of kind {kind:?} has only {bytes} bytes")]
    TooShort {
        /// Expected kind.
        kind: Kind,
        /// Length of the whole frame.
        bytes: usize,
    },
    /// Another build wrote it.
    #[error("frame version {found}; this build reads version {VERSION}")]
    Version {
        /// The frame's version byte.
        found: u8,
    },
    /// It holds something else.
    #[error("a frame of kind {found} where {expected:?} was expected")]
    Kind {
        /// Expected kind.
        expected: Kind,
        /// The frame's kind byte.
        found: u8,
    },
    /// The bytes end before a header does, so that not even its kind is known.
    #[error("{bytes} bytes are no frame: its header alone has {HEADER_BYTES}")]
    NoHeader {
        /// How many there are.
        bytes: usize,
    },
    /// Its kind is unknown, or one that never travels.
    #[error("a frame of kind {found} does not come from the network")]
    NotForNetwork {
        /// The frame's kind byte.
        found: u8,
    },
    /// It is compressed, and was not opened before it was decoded.
    #[error("a frame of kind {kind:?} is still compressed")]
    Sealed {
        /// The kind.
        kind: Kind,
    },
    /// Its compressed payload is not what its header says.
    #[error("a compressed frame of kind {kind:?} does not open: {why}")]
    Compression {
        /// The kind.
        kind: Kind,
        /// Why not.
        why: String,
    },
    /// It uses an option that this build does not know.
    #[error("unknown frame flags {found:#010b}")]
    Flags {
        /// The frame's flags byte.
        found: u8,
    },
    /// The payload does not decode.
    #[error("a frame of kind {kind:?} does not decode: {why}")]
    Damaged {
        /// Expected kind.
        kind: Kind,
        /// The decoder's words.
        why: String,
    },
    /// The payload decodes, and something follows it.
    #[error("{bytes} bytes follow the payload of a frame of kind {kind:?}")]
    Trailing {
        /// Expected kind.
        kind: Kind,
        /// How many.
        bytes: usize,
    },
    /// The value does not encode, or does not come back as it was.
    #[error("a value for a frame of kind {kind:?} cannot be stored: {why}")]
    NotStorable {
        /// The kind.
        kind: Kind,
        /// Why not.
        why: String,
    },
}

/// Makes a frame.
///
/// # Errors
/// When the value does not encode, or is larger than its kind allows.
pub fn encode<T: Serialize + ?Sized>(kind: Kind, value: &T) -> Result<Vec<u8>, WireError> {
    let mut frame = vec![VERSION, kind as u8, NO_FLAGS];
    bincode::serde::encode_into_std_write(value, &mut frame, bincode::config::standard())
        .map_err(|error| WireError::NotStorable { kind, why: error.to_string() })?;
    if frame.len() > kind.max_bytes() {
        return Err(WireError::TooLarge { kind, bytes: frame.len() });
    }
    Ok(frame)
}

/// What a frame holds, as its header says.
///
/// # Errors
/// When the header is cut off, of another version, or of a kind that does not come from the network.
pub fn kind_of(frame: &[u8]) -> Result<Kind, WireError> {
    let Some(&[version, found, _]) = frame.first_chunk::<HEADER_BYTES>() else {
        return Err(WireError::NoHeader { bytes: frame.len() });
    };
    if version != VERSION {
        return Err(WireError::Version { found: version });
    }
    Kind::from_byte(found).filter(|kind| kind.travels()).ok_or(WireError::NotForNetwork { found })
}

/// Reads a frame of a known kind.
///
/// # Errors
/// When the bytes are not exactly one frame of that kind; nothing larger than the limits is allocated.
pub fn decode<T: DeserializeOwned>(kind: Kind, frame: &[u8]) -> Result<T, WireError> {
    let bytes = frame.len();
    if bytes > kind.max_bytes() {
        return Err(WireError::TooLarge { kind, bytes });
    }
    let Some((&[version, found, flags], payload)) = frame.split_first_chunk::<HEADER_BYTES>() else {
        return Err(WireError::TooShort { kind, bytes });
    };
    if version != VERSION {
        return Err(WireError::Version { found: version });
    }
    if found != kind as u8 {
        return Err(WireError::Kind { expected: kind, found });
    }
    if flags == COMPRESSED {
        return Err(WireError::Sealed { kind });
    }
    if flags != NO_FLAGS {
        return Err(WireError::Flags { found: flags });
    }
    let (value, read) = decode_payload(payload).map_err(|error| WireError::Damaged { kind, why: error.to_string() })?;
    match payload.len() - read {
        0 => Ok(value),
        bytes => Err(WireError::Trailing { kind, bytes }),
    }
}

/// Makes a frame and makes sure that it reads back as the same value: its frame is the same again.
///
/// What was stored and does not read back would stop its node at every start, so this is asked first.
///
/// # Errors
/// When the value does not encode, is too large, or does not come back.
pub fn check_storable<T: Serialize + DeserializeOwned>(kind: Kind, value: &T) -> Result<Vec<u8>, WireError> {
    let frame = encode(kind, value)?;
    check_reads_back::<T>(kind, &frame)?;
    Ok(frame)
}

/// Makes sure that a frame, just encoded from a `T`, reads back as one whose frame is the same again.
///
/// # Errors
/// When it does not.
pub fn check_reads_back<T: Serialize + DeserializeOwned>(kind: Kind, frame: &[u8]) -> Result<(), WireError> {
    let back: T = decode(kind, frame)
        .map_err(|error| WireError::NotStorable { kind, why: format!("it does not read back: {error}") })?;
    if encode(kind, &back)? == frame {
        return Ok(());
    }
    Err(WireError::NotStorable { kind, why: "it reads back as another value".to_owned() })
}

fn decode_payload<T: DeserializeOwned>(payload: &[u8]) -> Result<(T, usize), bincode::error::DecodeError> {
    use bincode::config::standard;
    use bincode::serde::decode_from_slice;
    let bytes = payload.len();
    if bytes <= SMALL {
        decode_from_slice(payload, standard().with_limit::<{ SMALL * MEMORY_PER_BYTE }>())
    } else if bytes <= MEDIUM {
        decode_from_slice(payload, standard().with_limit::<{ MEDIUM * MEMORY_PER_BYTE }>())
    } else if bytes <= LARGE {
        decode_from_slice(payload, standard().with_limit::<{ LARGE * MEMORY_PER_BYTE }>())
    } else if bytes <= HUGE {
        decode_from_slice(payload, standard().with_limit::<{ HUGE * MEMORY_PER_BYTE }>())
    } else {
        decode_from_slice(payload, standard().with_limit::<{ MAX_FRAME_BYTES * MEMORY_PER_BYTE }>())
    }
}
