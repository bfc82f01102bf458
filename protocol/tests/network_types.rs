//! Every type that travels survives its frame, sealed and opened, whatever its values are; and no bytes do harm.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use skein_protocol::calls::{BatchAnswer, BatchCall, Heartbeat, Pulse, StealAnswer, StealRequest};
use skein_protocol::fleet::load::PeerLoad;
use skein_protocol::fuzzing::TARGETS;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{Attempt, BatchId, BatchNo, Epoch, MigrationId, NodeId, Run, SessionNo, StageNo};
use skein_protocol::peer::{Gossip, JoinRequest, Joined, RenewRequest, Secret, SignRequest, Signed};
use skein_protocol::problem::{Code, Problem};
use skein_protocol::wire::{self, Kind};

fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(kind: Kind, value: &T) {
    let plain = wire::check_storable(kind, value).unwrap();
    let (opened, back) = wire::open(wire::seal(plain.clone())).unwrap();
    assert_eq!((opened, &back), (kind, &plain));
    assert_eq!(wire::decode::<T>(kind, &back).unwrap(), *value);
    assert!(wire::decode::<T>(kind, &plain[..plain.len() - 1]).is_err(), "it survives the loss of its last byte");
}

fn node() -> impl Strategy<Value = NodeId> {
    any::<u64>().prop_map(NodeId)
}

fn hash() -> impl Strategy<Value = Hash256> {
    any::<[u8; 32]>().prop_map(Hash256)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    // Long enough for some to be compressed, and even enough for that to help.
    prop_oneof![vec(any::<u8>(), 0..300), vec(0_u8..3, 0..9_000)]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-c]{0,9000}"]
}

fn load() -> impl Strategy<Value = PeerLoad> {
    (node(), any::<(u32, u32, u64, u64, u64, bool)>()).prop_map(|(node, numbers)| {
        let (slots, free, backlog_seconds, open_seconds, running_seconds, draining) = numbers;
        PeerLoad { node, slots, free, backlog_seconds, open_seconds, running_seconds, draining }
    })
}

fn batch_call() -> impl Strategy<Value = BatchCall> {
    let numbers = any::<(u128, u32, u64, u32, u32, u32, u64)>();
    (node(), hash(), vec(hash(), 0..200), numbers).prop_map(|(owner, plan, prior, numbers)| {
        let (migration, run, epoch, stage, batch, attempt, memory_bytes) = numbers;
        BatchCall {
            owner,
            migration: MigrationId(uuid::Uuid::from_u128(migration)),
            plan,
            run: Run(run),
            epoch: Epoch(epoch),
            batch: BatchId { stage: StageNo(stage), batch: BatchNo(batch) },
            attempt: Attempt(attempt),
            prior,
            memory_bytes,
        }
    })
}

fn problem() -> impl Strategy<Value = Problem> {
    let code = (0..Code::ALL.len()).prop_map(|at| Code::ALL[at]);
    (code, text(), option::of(text()), text(), text()).prop_map(|(code, what, dataset, why, next)| Problem {
        code,
        what,
        dataset,
        why,
        next,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn joins_survive(secret: [u8; 32], node in node(), csr in bytes(), address in text()) {
        survives(Kind::Join, &JoinRequest { secret: Secret(secret), node, csr, address });
    }

    #[test]
    fn answers_to_joins_survive(chain in text(), ca in text(), members in vec((node(), text()), 0..5)) {
        survives(Kind::Answer, &Joined { chain: chain.clone(), ca: ca.clone(), members });
        survives(Kind::Answer, &Signed { chain, ca });
    }

    #[test]
    fn renewals_and_signatures_survive(node in node(), csr in bytes(), token in option::of(hash())) {
        survives(Kind::Renew, &RenewRequest { node, csr: csr.clone() });
        survives(Kind::Sign, &SignRequest { node, csr, token });
    }

    #[test]
    fn gossip_survives(from in text(), message in bytes()) {
        survives(Kind::Gossip, &Gossip { from, message });
    }

    #[test]
    fn refusals_survive(problem in problem()) {
        survives(Kind::Refusal, &problem);
    }

    #[test]
    fn heartbeats_survive(node in node(), session: u64, over: bool) {
        survives(Kind::Heartbeat, &Heartbeat { node, session: SessionNo(session) });
        survives(Kind::Answer, &if over { Pulse::Over } else { Pulse::Alive });
    }

    #[test]
    fn steals_survive(thief in load(), given: u32, lent: u32) {
        survives(Kind::Steal, &StealRequest { thief });
        survives(Kind::Answer, &StealAnswer { given, lent });
    }

    #[test]
    fn batches_survive(call in batch_call(), result in bytes(), done: bool) {
        survives(Kind::RunBatch, &call);
        survives(Kind::Answer, &if done { BatchAnswer::Done(result) } else { BatchAnswer::Failed(result) });
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        for (_, run) in TARGETS {
            run(&bytes);
        }
    }

    #[test]
    fn any_bytes_after_a_header_do_no_harm(kind in 0..Kind::TRAVELLING.len(), flags in 0_u8..3, bytes in vec(any::<u8>(), 0..200)) {
        let kind = Kind::TRAVELLING[kind];
        let frame = [&[wire::VERSION, kind as u8, flags][..], &bytes].concat();
        if let Ok((opened, plain)) = wire::open(frame) {
            assert_eq!(opened, kind);
            assert!(plain.len() <= kind.max_bytes());
        }
    }
}
