//! What fuzzers do with our own readers: any bytes go in, and what must hold of each reader is asserted.
//!
//! In: bytes; the first of them often chooses how the rest is read. Out: nothing, or a panic. Holds: [`TARGETS`].
//! Not here: the fuzzer (`engine/fuzz`), libraries that decode values (they run in processes of their own, see `worker`).
//!
//! The corpus in `engine/fuzz/corpus` goes through the same functions in each test run.

use crate::{metastore, source};

/// A reader under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As the fuzzer and the corpus's folder call it.
    pub name: &'static str,
    /// Reads the bytes and asserts what must hold.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    Target { name: "text", run: source::fuzzing::text },
    Target { name: "opencsv", run: source::fuzzing::opencsv },
    Target { name: "json_lines", run: source::fuzzing::json_lines },
    Target { name: "packed_text", run: source::fuzzing::packed_text },
    Target { name: "avro_blocks", run: source::fuzzing::avro_blocks },
    Target { name: "orc_tail", run: source::fuzzing::orc_tail },
    Target { name: "metastore_answer", run: metastore::fuzzing::answer },
    Target { name: "hive_type", run: source::fuzzing::hive_type },
];

/// Runs the target called `name`.
///
/// # Panics
/// When there is no such target, and when its reader does what it must not.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the name is one of TARGETS");
    (target.run)(bytes);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Changes of each file of the corpus that are tried in each run; the fuzzer tries millions.
    const CHANGES: u64 = 20;

    fn corpus(name: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
    }

    /// `bytes` with a few of them changed, doubled or cut off; the same for the same `seed`.
    fn changed(bytes: &[u8], seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut below = |most: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % (most as u64 + 1)).unwrap()
        };
        let mut bytes = bytes.to_vec();
        for _ in 0..=below(3) {
            if bytes.is_empty() {
                break;
            }
            let at = below(bytes.len() - 1);
            match below(3) {
                0 => bytes[at] ^= 1 << below(7),
                1 => bytes[at] = [0, 0x7f, 0x80, 0xff, b'\n', b'\\', b'"', b'{'][below(7)],
                2 => bytes.truncate(at),
                _ => bytes.extend_from_within(at..),
            }
        }
        bytes
    }

    #[test]
    fn the_corpus_and_changes_of_it_go_through_every_reader() {
        for target in TARGETS {
            let corpus = corpus(target.name);
            assert!(corpus.len() >= 5, "{} has a corpus", target.name);
            for (number, bytes) in (0..).zip(&corpus) {
                (target.run)(bytes);
                (0..CHANGES).for_each(|change| (target.run)(&changed(bytes, number * CHANGES + change)));
            }
        }
    }

    #[test]
    fn every_reader_has_a_fuzz_target_of_its_name() {
        let manifest = include_str!("../fuzz/Cargo.toml");
        for target in TARGETS {
            assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
        }
    }
}
