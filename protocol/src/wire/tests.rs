//! Frames: golden bytes, refusals, and the limits of what is allocated.

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
    assert_eq!(encode(Kind::LogEntry, &Shape::Unit).unwrap(), [2, 1, 0, 0]);
    assert_eq!(encode(Kind::Vote, &Shape::One(300)).unwrap(), [2, 2, 0, 1, 251, 44, 1]);
    let golden = [&[2, 7, 0, 2, 5][..], b"geese", &[1, 5, 2, 1], b"a", &[2, 1, 2, 1], b"b", &[0]];
    assert_eq!(encode(Kind::Proposal, &many()).unwrap(), golden.concat());
}

#[test]
fn numbers_of_kinds_never_change() {
    let stored = [1, 2, 3, 4, 6, 7, 8];
    let travelling = [16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32];
    assert_eq!(Kind::STORED.map(|kind| kind as u8), stored);
    assert_eq!(Kind::TRAVELLING.map(|kind| kind as u8), travelling);
    let names: Vec<String> = Kind::TRAVELLING.iter().map(|kind| format!("{kind:?}")).collect();
    let expected = "RaftAppend RaftVote RaftSnapshot Propose ReadIndex Heartbeat BlobPut BlobGet Steal RunBatch Join \
                    Renew Gossip Sign Refusal Answer LogLines";
    assert_eq!(names.join(" "), expected);
    for byte in 0..=u8::MAX {
        let kind = Kind::from_byte(byte);
        assert_eq!(kind.map(|kind| kind as u8), (stored.contains(&byte) || travelling.contains(&byte)).then_some(byte));
        assert_eq!(kind.is_some_and(Kind::travels), travelling.contains(&byte));
    }
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
    assert_eq!(with(0, 1), WireError::Version { found: 1 });
    assert_eq!(with(1, 5), WireError::Kind { expected: Kind::Proposal, found: 5 });
    assert_eq!(with(2, 2), WireError::Flags { found: 2 });
    assert_eq!(with(2, COMPRESSED), WireError::Sealed { kind: Kind::Proposal });
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
