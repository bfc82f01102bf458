//! Mutated files: each is looked at and read by an engine with workers. Whatever a file holds, it ends in rows or in a code,
//! and the engine goes on.
//!
//! Some hundreds of files by default. `SKEIN_MUTATED=10000` tries as many; `SKEIN_MUTATED_REPORT=FILE` writes the table of
//! outcomes; `SKEIN_MUTATED_KEEP=FOLDER` keeps files that end a worker, stall it, make a decoder panic, or are met with a code that is
//! not theirs: the first of each kind.

mod formats;
mod mutator;
mod report;
mod site;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use formats::Format;
use mutator::{Random, mutated};
use report::Tally;
use site::{Outcome, Seen, Site};
use skein_protocol::problem::Code;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Files that are tried unless somebody wants more.
const FILES: usize = 420;
/// Formats that are tried beside each other.
const BESIDE: usize = 4;
/// Codes that a file's content may have. Others say that something else is wrong: a disk, a rule, Skein.
const CODES: [Code; 14] = [
    Code::FileDamaged,
    Code::FormatUnsupported,
    Code::SchemaConflict,
    Code::TypeUnsupported,
    Code::ValueInvalid,
    Code::ColumnAmbiguous,
    Code::ColumnMissing,
    Code::DescriptionInvalid,
    Code::NoSchema,
    Code::PartitionLayout,
    Code::Difference,
    Code::MemoryExceeded,
    Code::WorkerDied,
    Code::CastFailed,
];

fn wanted(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Why an outcome is not one that a file may have.
fn objection(seen: &Seen) -> Option<&'static str> {
    match seen.outcome {
        Outcome::Stalled => Some("it has no end"),
        Outcome::Refused(code) if !CODES.contains(&code) => Some("the code says that something else is wrong"),
        Outcome::Refused(_) if seen.passing => Some("another try is said to help"),
        _ => None,
    }
}

/// What is remarkable of a file's outcome, without its numbers: the same for files that are alike.
fn remarkable(seen: &Seen) -> Option<String> {
    let died = matches!(seen.outcome, Outcome::Refused(Code::WorkerDied | Code::MemoryExceeded));
    let panicked = seen.said.contains("the decoder gave up");
    let kind: String = seen.said.chars().filter(|c| !c.is_ascii_digit()).collect();
    (died || panicked || objection(seen).is_some()).then(|| format!("{:?} {kind}", seen.outcome))
}

/// Tries `files` changes of one format.
async fn try_format(format: Format, number: u64, files: usize, keep: Option<PathBuf>) -> (Tally, Vec<String>) {
    let mut site = Site::new(format.table, &format.file, &format.whole).await;
    let (mut tally, mut objections, mut known) = (Tally::default(), Vec::new(), BTreeSet::new());
    for file in 0..files {
        let bytes = mutated(&format.whole, &mut Random::new((number << 32) | file as u64));
        let (looked, read) = site.with(&bytes).await;
        for (step, seen) in [("look", &looked), ("read", &read)] {
            tally.count(format.name, step, &seen.outcome);
            if let Some(why) = objection(seen) {
                objections.push(format!("{} {file}, {step}: {why}: {:?} {}", format.name, seen.outcome, seen.said));
            }
            let new = remarkable(seen).is_some_and(|kind| known.insert(kind));
            if let Some(folder) = keep.as_ref().filter(|_| new) {
                let name = format!("{}-{file}-{step}", format.table);
                std::fs::write(folder.join(&name), &bytes).expect("it can be kept");
                let said = format!("{}\n{:?}\n{}\n", format.name, seen.outcome, seen.said);
                std::fs::write(folder.join(name + ".txt"), said).expect("it can be kept");
            }
        }
    }
    // After all of them the whole file is read as before.
    let (looked, read) = site.with(&format.whole).await;
    assert_eq!((looked.outcome, read.outcome), (Outcome::Same, Outcome::Same), "{}: {}", format.name, read.said);
    (tally, objections)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutated_files_end_in_rows_or_in_a_code_and_the_engine_goes_on() {
    let files = wanted("SKEIN_MUTATED").map_or(FILES, |number| number.parse().expect("a number"));
    let keep = wanted("SKEIN_MUTATED_KEEP").map(PathBuf::from);
    let formats = formats::all();
    let (number, beside) = (formats.len(), Arc::new(Semaphore::new(BESIDE)));
    let mut tries = JoinSet::new();
    for (index, format) in formats.into_iter().enumerate() {
        let share = files / number + usize::from(index < files % number);
        let (beside, keep) = (Arc::clone(&beside), keep.clone());
        tries.spawn(async move {
            let _turn = beside.acquire_owned().await.expect("it is never closed");
            try_format(format, index as u64, share, keep).await
        });
    }
    let (mut all, mut objections) = (Tally::default(), Vec::new());
    while let Some(tried) = tries.join_next().await {
        let (tally, more) = tried.expect("no try panics");
        all.add(tally);
        objections.extend(more);
    }
    let table = all.markdown();
    eprintln!("{files} files\n\n{table}");
    if let Some(path) = wanted("SKEIN_MUTATED_REPORT") {
        std::fs::write(path, report::page(files, &table)).expect("the report can be written");
    }
    assert!(objections.is_empty(), "{} objections:\n{}", objections.len(), objections.join("\n"));
    assert!(all.refused() > files / 2, "a mutator whose changes nobody notices proves nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_once_ended_a_decoder_are_met_with_the_code_in_their_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mutated");
    let mut tried = 0;
    for format in formats::all() {
        let own = skein_tests::contents(&folder).into_iter().filter_map(|(path, bytes)| {
            let name = path.file_name()?.to_str()?.to_owned();
            // TABLE.CODE.NUMBER
            let mut parts = name.split('.');
            let (table, code) = (parts.next()?, parts.next()?);
            (table == format.table && !format.name.contains(',')).then(|| (name.clone(), code.to_owned(), bytes))
        });
        let own: Vec<_> = own.collect();
        if own.is_empty() {
            continue;
        }
        let mut site = Site::new(format.table, &format.file, &format.whole).await;
        for (name, code, bytes) in own {
            let (looked, read) = site.with(&bytes).await;
            let outcome = if matches!(looked.outcome, Outcome::Refused(_)) { &looked } else { &read };
            let found = match outcome.outcome {
                Outcome::Refused(code) => code.to_string(),
                ref other => format!("{other:?}"),
            };
            assert_eq!(found, code, "{name}: {} {}", looked.said, read.said);
            assert!(objection(&looked).is_none() && objection(&read).is_none(), "{name}: {looked:?} {read:?}");
            tried += 1;
        }
    }
    assert!(tried >= 5, "only {tried} files are there");
}
