//! Stored frames: how entries, votes and snapshots become bytes, and bytes become them again.
//!
//! In: serialisable values, or bytes that were read from a disk or a peer. Out: a frame, or a value.
//! Holds: the frame's layout, its limits, and the only mention of bincode.
//! Not here: JSON documents (the API's types, blobs), files, sockets.
//!
//! A frame is `version, kind, flags, payload`. bincode is not self-describing: reading a frame as
//! another type gives garbage, so every kind has one type for ever, and a change of that type is a new
//! kind. The version byte is the way out of bincode itself. Types whose serde form depends on being
//! asked what they are (`serde_json::Value`, untagged or flattened fields, skipped fields) cannot
//! be stored; [`check_storable`] finds them before they are.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The frame layout and payload encoding that this build writes, and the only one that it reads.
pub const VERSION: u8 = 1;
/// Version, kind, flags.
pub const HEADER_BYTES: usize = 3;
/// No frame is longer: the largest is a snapshot of the state, about 2 KB a migration; this is room for
/// 100,000 of them and still fits in memory beside the state itself.
pub const MAX_FRAME_BYTES: usize = 256 << 20;
/// No flags are known yet; compression will be the first.
const NO_FLAGS: u8 = 0;
/// bincode counts an integer at its size in memory, which is at most 16 times its encoded size.
const MEMORY_PER_BYTE: usize = 16;
/// Frames up to this length may claim memory for [`MEMORY_PER_BYTE`] times as much, and so on upwards: a
/// wrong length inside of a frame is refused before anything of that length is allocated.
const SMALL: usize = 64 << 10;
const MEDIUM: usize = 1 << 20;
const LARGE: usize = 16 << 20;

/// What a frame holds. Numbers are written to disks: they are added, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// An entry of the replicated log.
    LogEntry = 1,
    /// A vote of the consensus protocol.
    Vote = 2,
    /// The position of a log entry (purged up to, committed up to).
    LogPosition = 3,
    /// What a snapshot covers.
    SnapshotMeta = 4,
    /// The state that the log folds into.
    Snapshot = 5,
    /// The identity of the node that a ledger belongs to.
    LedgerIdentity = 6,
    /// One proposal alone, while it is checked that it can be stored.
    Proposal = 7,
}

impl Kind {
    /// No frame of this kind is longer, header included.
    #[must_use]
    pub const fn max_bytes(self) -> usize {
        match self {
            // A batch of proposals: see the ledger's limits; a single proposal may take half of it.
            Kind::LogEntry => 16 << 20,
            Kind::Proposal => 4 << 20,
            Kind::Snapshot => MAX_FRAME_BYTES,
            // A few numbers; a membership has at most a handful of voters with their addresses.
            Kind::Vote | Kind::LogPosition | Kind::LedgerIdentity => 1 << 10,
            Kind::SnapshotMeta => 64 << 10,
        }
    }
}

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
    } else {
        decode_from_slice(payload, standard().with_limit::<{ MAX_FRAME_BYTES * MEMORY_PER_BYTE }>())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Unit,
        One(u64),
        Many { name: String, optional: Option<i64>, map: BTreeMap<String, Vec<u8>> },
    }

    fn many() -> Shape {
        let map = BTreeMap::from([("a".to_owned(), vec![1, 2]), ("b".to_owned(), vec![])]);
        Shape::Many { name: "geese".to_owned(), optional: Some(-3), map }
    }

    #[test]
    fn values_survive_their_frames() {
        for shape in [Shape::Unit, Shape::One(u64::MAX), many()] {
            let frame = encode(Kind::Proposal, &shape).unwrap();
            assert_eq!(decode::<Shape>(Kind::Proposal, &frame).unwrap(), shape);
            assert_eq!(check_storable(Kind::Proposal, &shape).unwrap(), frame);
        }
    }

    #[test]
    fn the_bytes_of_a_frame_never_change() {
        assert_eq!(encode(Kind::LogEntry, &Shape::Unit).unwrap(), [1, 1, 0, 0]);
        assert_eq!(encode(Kind::Vote, &Shape::One(300)).unwrap(), [1, 2, 0, 1, 251, 44, 1]);
        let golden = [&[1, 7, 0, 2, 5][..], b"geese", &[1, 5, 2, 1], b"a", &[2, 1, 2, 1], b"b", &[0]];
        assert_eq!(encode(Kind::Proposal, &many()).unwrap(), golden.concat());
    }

    #[test]
    fn numbers_of_kinds_never_change() {
        let kinds = [
            Kind::LogEntry,
            Kind::Vote,
            Kind::LogPosition,
            Kind::SnapshotMeta,
            Kind::Snapshot,
            Kind::LedgerIdentity,
            Kind::Proposal,
        ];
        assert_eq!(kinds.map(|kind| kind as u8), [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn every_prefix_of_a_frame_is_refused() {
        let frame = encode(Kind::Proposal, &many()).unwrap();
        for end in 0..frame.len() {
            assert!(decode::<Shape>(Kind::Proposal, &frame[..end]).is_err(), "{end} bytes were accepted");
        }
    }

    #[test]
    fn bytes_after_the_payload_are_refused() {
        let mut frame = encode(Kind::Proposal, &Shape::Unit).unwrap();
        frame.push(0);
        let refused = decode::<Shape>(Kind::Proposal, &frame).unwrap_err();
        assert_eq!(refused, WireError::Trailing { kind: Kind::Proposal, bytes: 1 });
    }

    #[test]
    fn another_version_kind_or_flag_is_refused_by_name() {
        let frame = encode(Kind::Proposal, &Shape::Unit).unwrap();
        let with = |at: usize, byte: u8| {
            let mut other = frame.clone();
            other[at] = byte;
            decode::<Shape>(Kind::Proposal, &other).unwrap_err()
        };
        assert_eq!(with(0, 2), WireError::Version { found: 2 });
        assert_eq!(with(1, 5), WireError::Kind { expected: Kind::Proposal, found: 5 });
        assert_eq!(with(2, 1), WireError::Flags { found: 1 });
    }

    #[test]
    fn a_frame_beyond_its_kinds_limit_is_refused_before_it_is_read() {
        let frame = vec![0; Kind::Vote.max_bytes() + 1];
        let refused = decode::<Shape>(Kind::Vote, &frame).unwrap_err();
        assert_eq!(refused, WireError::TooLarge { kind: Kind::Vote, bytes: frame.len() });
        let long = "x".repeat(Kind::Vote.max_bytes());
        assert!(matches!(encode(Kind::Vote, &long), Err(WireError::TooLarge { .. })));
    }

    #[test]
    fn a_lying_length_inside_a_frame_allocates_nothing_of_that_length() {
        let mut frame = vec![VERSION, Kind::Proposal as u8, NO_FLAGS, 253];
        frame.extend_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(decode::<Vec<u8>>(Kind::Proposal, &frame), Err(WireError::Damaged { .. })));
        assert!(matches!(decode::<String>(Kind::Proposal, &frame), Err(WireError::Damaged { .. })));
        assert!(matches!(decode::<Vec<u64>>(Kind::Proposal, &frame), Err(WireError::Damaged { .. })));
    }

    #[test]
    fn a_value_that_does_not_read_back_is_not_storable() {
        let value = serde_json::json!({"a": [1, 2]});
        let refused = check_storable(Kind::Proposal, &value).unwrap_err();
        assert!(matches!(refused, WireError::NotStorable { .. }), "{refused}");

        #[derive(Serialize, Deserialize)]
        struct Skips {
            #[serde(skip_serializing_if = "Option::is_none", default)]
            first: Option<u8>,
            second: u8,
        }
        let refused = check_storable(Kind::Proposal, &Skips { first: None, second: 1 });
        assert!(refused.is_err(), "a skipped field shifts all that follow");
    }
}
