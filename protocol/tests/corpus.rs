//! The kept corpus of the fuzzers, run on stable: every file through its target, and what is derived from it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "the corpus lies in files")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use skein_protocol::calls::{BatchAnswer, BatchCall, Heartbeat, Pulse, StealAnswer, StealRequest};
use skein_protocol::fleet::load::PeerLoad;
use skein_protocol::fuzzing::TARGETS;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{Attempt, BatchId, BatchNo, Epoch, MigrationId, NodeId, Run, SessionNo, StageNo};
use skein_protocol::ledger::fold::{Folded, Proposal};
use skein_protocol::ledger::{Entry, State};
use skein_protocol::peer::{Gossip, JoinRequest, Joined, RenewRequest, Secret, SignRequest, Signed};
use skein_protocol::problem::{Code, Problem};
use skein_protocol::wire::{self, HEADER_BYTES, Kind};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn kept(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder().join("corpus").join(target))
        .unwrap_or_else(|error| panic!("there is no corpus of {target}: {error}"))
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn nothing_in_the_corpus_does_harm_neither_whole_nor_cut_nor_with_a_bit_flipped() {
    for (target, run) in TARGETS {
        let files = kept(target);
        assert!(!files.is_empty(), "the corpus of {target} is empty");
        for (_, bytes) in files {
            run(&bytes);
            for at in 0..bytes.len().min(400) {
                run(&bytes[..at]);
                for bit in [0x01, 0x80, 0xff] {
                    let mut other = bytes.clone();
                    other[at] ^= bit;
                    run(&other);
                }
            }
        }
    }
}

#[test]
fn every_target_is_one_line_of_the_fuzzing_workspace() {
    let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let mut named = BTreeSet::new();
    for (target, _) in TARGETS {
        let code = std::fs::read_to_string(folder().join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(code.contains(&format!("fuzzing::{target}(bytes)")), "{target}");
        assert!(manifest.contains(&format!("fuzz_targets/{target}.rs")), "{target}");
        named.insert(format!("{target}.rs"));
    }
    let files = std::fs::read_dir(folder().join("fuzz_targets")).unwrap();
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(named.contains(&name), "{name} is not among the targets");
    }
}

/// The payload of one frame of each target.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    fn payload<T: serde::Serialize>(kind: Kind, value: &T) -> Vec<u8> {
        wire::encode(kind, value).unwrap()[HEADER_BYTES..].to_vec()
    }
    let (node, hash) = (NodeId(7), Hash256::of(b"x"));
    let csr = vec![0x30, 0x82, 1, 2, 3];
    let problem = Problem::new(Code::Stale, "what", "why", "next").of(&"db.table");
    let batch = BatchId { stage: StageNo(1), batch: BatchNo(300) };
    let call = BatchCall {
        owner: node,
        migration: MigrationId(uuid::Uuid::from_u128(5)),
        plan: hash,
        run: Run(1),
        epoch: Epoch(70_000),
        batch,
        attempt: Attempt(2),
        prior: vec![hash, hash],
        memory_bytes: 1 << 40,
    };
    let entry = Entry::MemberAdmitted { node, token: hash, address: "10.0.0.1:7401".to_owned() };
    let proposal = Proposal { session: 1 << 16, sequence: 9, at_millis: 1 << 40, actor: "node".to_owned(), entry };
    let mut folded = Folded::<State>::default();
    folded.apply(&proposal);
    let join = JoinRequest { secret: Secret([9; 32]), node, csr: csr.clone(), address: "10.0.0.1:7401".to_owned() };
    let joined = Joined { chain: "chain".to_owned(), ca: "ca".to_owned(), members: vec![(node, "a:1".to_owned())] };
    let gossip = Gossip { from: "10.0.0.1:7401".to_owned(), message: vec![0, 1, 2, 255] };
    let load = PeerLoad { node, slots: 4, free: 1, backlog_seconds: 1 << 33, ..PeerLoad::default() };
    let long = wire::encode(Kind::Propose, &"goose ".repeat(2_000)).unwrap();
    vec![
        ("open", wire::seal(long)),
        ("open", wire::encode(Kind::Gossip, &gossip).unwrap()),
        ("join", payload(Kind::Join, &join)),
        ("joined", payload(Kind::Answer, &joined)),
        ("renew", payload(Kind::Renew, &RenewRequest { node, csr: csr.clone() })),
        ("sign", payload(Kind::Sign, &SignRequest { node, csr, token: Some(hash) })),
        ("signed", payload(Kind::Answer, &Signed { chain: "chain".to_owned(), ca: "ca".to_owned() })),
        ("gossip", payload(Kind::Gossip, &gossip)),
        ("refusal", payload(Kind::Refusal, &problem)),
        ("heartbeat", payload(Kind::Heartbeat, &Heartbeat { node, session: SessionNo(3 << 16) })),
        ("pulse", payload(Kind::Answer, &Pulse::Over)),
        ("steal", payload(Kind::Steal, &StealRequest { thief: load })),
        ("steal_answer", payload(Kind::Answer, &StealAnswer { given: 300, lent: 1 })),
        ("run_batch", payload(Kind::RunBatch, &call)),
        ("batch_answer", payload(Kind::Answer, &BatchAnswer::Done(b"{}".to_vec()))),
        ("proposal", payload(Kind::Proposal, &proposal)),
        ("snapshot", payload(Kind::Snapshot, &folded)),
    ]
}

/// When a type changes its form: with this variable the new form is added to the files that are kept.
const WRITE: &str = "SKEIN_WRITE_CORPUS";

/// Writes the part of the corpus that is made, not found.
fn write_seeds() {
    for (number, (target, bytes)) in seeds().into_iter().enumerate() {
        let folder = folder().join("corpus").join(target);
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(format!("{name}-{number}")), bytes).unwrap();
        write("whole", &bytes);
        write("cut", &bytes[..bytes.len() / 2]);
        // A length of 2^64 - 1, of 4 GiB, and of 30 MiB where the first number is.
        write("endless", &[&[253][..], &[255; 8], &bytes].concat());
        write("four-gib", &[&[252][..], &u32::MAX.to_le_bytes(), &bytes].concat());
        write("bomb", &[&[wire::VERSION, Kind::Propose as u8, 1][..], &(30_u32 << 20).to_le_bytes(), &bytes].concat());
        write("nothing", &[]);
    }
}

#[test]
fn the_seeds_are_in_the_corpus() {
    if std::env::var_os(WRITE).is_some() {
        write_seeds();
    }
    for (target, bytes) in seeds() {
        let there = kept(target).iter().any(|(_, kept)| *kept == bytes);
        assert!(there, "{target} changed its form: run this test with {WRITE}=1, and keep the old files");
    }
}
