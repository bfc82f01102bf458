//! Counts outcomes, and shows them as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::site::Outcome;

/// How often each outcome was met, by format and step.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<(&'static str, &'static str), BTreeMap<Outcome, usize>>);

impl Tally {
    pub(crate) fn count(&mut self, format: &'static str, step: &'static str, outcome: &Outcome) {
        *self.0.entry((format, step)).or_default().entry(outcome.clone()).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (row, outcomes) in other.0 {
            for (outcome, times) in outcomes {
                *self.0.entry(row).or_default().entry(outcome).or_default() += times;
            }
        }
    }

    /// Files that were not read, with a code.
    pub(crate) fn refused(&self) -> usize {
        let read = self.0.iter().filter(|((_, step), _)| *step == "read").flat_map(|(_, outcomes)| outcomes);
        read.filter(|(outcome, _)| matches!(outcome, Outcome::Refused(_))).map(|(_, times)| times).sum()
    }

    /// A row for each format and step, a column for each outcome.
    pub(crate) fn markdown(&self) -> String {
        let outcomes: BTreeSet<&Outcome> = self.0.values().flat_map(BTreeMap::keys).collect();
        let mut table = String::from("| format | step |");
        for outcome in &outcomes {
            let _ = write!(table, " {} |", title(outcome));
        }
        table.push_str("\n|---|---|");
        table.push_str(&"---:|".repeat(outcomes.len()));
        for ((format, step), found) in &self.0 {
            let _ = write!(table, "\n| {format} | {step} |");
            for outcome in &outcomes {
                let times = found.get(outcome).map_or_else(String::new, ToString::to_string);
                let _ = write!(table, " {times} |");
            }
        }
        table.push('\n');
        table
    }
}

fn title(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Same => "as the whole file".to_owned(),
        Outcome::Other => "other rows".to_owned(),
        Outcome::Refused(code) => code.to_string(),
        Outcome::Stalled => "no end".to_owned(),
    }
}

/// The page that is kept.
pub(crate) fn page(files: usize, table: &str) -> String {
    format!(
        "# {files} mutated files

Made by `tests/mutated {files}`: files of every format, changed by a seeded mutator (bits, bytes, ranges moved, doubled and taken
out, cut ends, lengths made huge), each looked at (`look`: inspection) and read by the plan of the whole file (`read`: a batch with its
read-back), in worker processes as a node has them. No engine died, and every failure has a code that names the file's content.

*other rows*: the change went into values, and the format has nothing to tell by. `WORKER_DIED` and `MEMORY_EXCEEDED`: the worker
ended, and its call alone failed.

{table}"
    )
}
