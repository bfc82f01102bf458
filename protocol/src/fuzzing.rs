//! Every decoder that bytes from the network reach, as functions of bytes: what fuzzers call, and the tests that run
//! the kept corpus.
//!
//! In: any bytes. Out: nothing; a function panics when a decoder is wrong, that is when what it read does not survive
//! its own frame. Holds: one function a target of `fuzz/`. Not here: decoders (`wire`), the bytes (`fuzz/corpus`).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::calls::{BatchAnswer, BatchCall, Heartbeat, Pulse, StealAnswer, StealRequest};
use crate::ledger::fold::{Folded, Proposal};
use crate::ledger::{Entry, State};
use crate::peer::{Gossip, JoinRequest, Joined, RenewRequest, SignRequest, Signed};
use crate::problem::Problem;
use crate::wire::{self, HEADER_BYTES, Kind, VERSION, WireError};

/// One target: its name, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// Whole frames, as they come from a stream: header, compression, lengths.
pub fn open(bytes: &[u8]) {
    let Ok((kind, plain)) = wire::open(bytes.to_vec()) else { return };
    assert!(kind.travels(), "{kind:?} came from the network");
    assert!(plain.len() <= kind.max_bytes(), "{} bytes of kind {kind:?}", plain.len());
    let again = wire::open(wire::seal(plain.clone())).expect("what was opened can be sealed and opened");
    assert!(again == (kind, plain), "a frame of kind {kind:?} changes when it is sealed");
}

macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident($kind:ident, $type:ty, $check:expr);)*) => {
        $($(#[$doc])* pub fn $name(bytes: &[u8]) {
            payload::<$type>(Kind::$kind, bytes, $check);
        })*

        /// All targets.
        pub const TARGETS: &[Target] = &[("open", open), $((stringify!($name), $name),)*];
    };
}

/// Types without bounds of their own.
fn any<T>(_: &T) -> bool {
    true
}

targets! {
    /** Payloads of `Kind::Join`: what strangers may send. */ join(Join, JoinRequest, |value| value.check().is_ok());
    /** Answers to a join. */ joined(Answer, Joined, any);
    /** Payloads of `Kind::Renew`. */ renew(Renew, RenewRequest, |value| value.check().is_ok());
    /** Payloads of `Kind::Sign`. */ sign(Sign, SignRequest, |value| value.check().is_ok());
    /** Answers with a certificate. */ signed(Answer, Signed, any);
    /** Payloads of `Kind::Gossip`: the envelope of a membership's message. */ gossip(Gossip, Gossip, |value| value.check().is_ok());
    /** Payloads of `Kind::Refusal`. */ refusal(Refusal, Problem, any);
    /** Payloads of `Kind::Heartbeat`. */ heartbeat(Heartbeat, Heartbeat, any);
    /** Answers to a heartbeat. */ pulse(Answer, Pulse, any);
    /** Payloads of `Kind::Steal`. */ steal(Steal, StealRequest, any);
    /** Answers to a steal. */ steal_answer(Answer, StealAnswer, any);
    /** Payloads of `Kind::RunBatch`. */ run_batch(RunBatch, BatchCall, any);
    /** Answers to a batch. */ batch_answer(Answer, BatchAnswer, any);
    /** Proposals: what `Kind::Propose` and `Kind::RaftAppend` carry. */ proposal(Proposal, Proposal<Entry>, any);
    /** States: what the parts of `Kind::RaftSnapshot` make up. */ snapshot(Snapshot, Folded<State>, any);
}

/// Decodes `bytes` as the payload of a frame of `kind`; what is read must survive its own frame, unless `check` finds it
/// too long to be meant.
fn payload<T: Serialize + DeserializeOwned>(kind: Kind, bytes: &[u8], check: impl Fn(&T) -> bool) {
    let mut frame = Vec::with_capacity(HEADER_BYTES + bytes.len());
    frame.extend_from_slice(&[VERSION, kind as u8, 0]);
    frame.extend_from_slice(bytes);
    let value: T = match wire::decode(kind, &frame) {
        Ok(value) => value,
        Err(WireError::Damaged { .. } | WireError::Trailing { .. } | WireError::TooLarge { .. }) => return,
        Err(other) => panic!("a frame with the right header is refused for it: {other}"),
    };
    if check(&value) {
        wire::check_storable(kind, &value).expect("what was read survives its own frame");
    }
}
