//! Collects what an inspection finds, without repeating itself a thousand times.
//!
//! In: problems and notes as they are found. Out: bounded lists. Holds: [`Findings`].

use std::collections::BTreeMap;

use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableName;
use skein_protocol::problem::{Code, Problem};

use super::location;
use crate::worker::Telling;

/// Most problems of one code that are listed: a broken table of 10,000 files should still have a readable plan.
const MAX_OF_ONE_CODE: usize = 20;

/// The problems of an inspection; a failure if something could not be looked at for the moment: what was seen is not all that
/// there is.
pub(super) fn whole(mut problems: Vec<Problem>) -> Result<Vec<Problem>, Failure> {
    match problems.iter().position(|problem| problem.code == Code::Io) {
        Some(passing) => Err(location::failure(problems.swap_remove(passing))),
        None => Ok(problems),
    }
}

/// Problems and notes of one dataset.
#[derive(Debug)]
pub(super) struct Findings {
    dataset: TableName,
    problems: Vec<Problem>,
    seen: BTreeMap<Code, usize>,
    notes: Vec<String>,
    telling: Telling,
}

impl Findings {
    /// Nothing found yet of `dataset`.
    pub(super) fn new(dataset: &TableName) -> Self {
        let (problems, seen, notes) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { dataset: dataset.clone(), problems, seen, notes, telling: Telling::default() }
    }

    /// The same, of an inspection that tells which files it reads.
    pub(super) fn with_telling(self, telling: Telling) -> Self {
        Self { telling, ..self }
    }

    /// Who is told which files are read.
    pub(super) fn telling(&self) -> &Telling {
        &self.telling
    }

    /// Adds a problem.
    pub(super) fn problem(
        &mut self,
        code: Code,
        what: impl Into<String>,
        why: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.add(Problem::new(code, what, why, next));
    }

    /// Adds a problem that was made elsewhere.
    pub(super) fn add(&mut self, problem: Problem) {
        let seen = self.seen.entry(problem.code).or_default();
        *seen += 1;
        if *seen <= MAX_OF_ONE_CODE {
            self.problems.push(problem.of(&self.dataset));
        }
    }

    /// Adds a note, once.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Whether anything prevents a migration so far.
    pub(super) fn prevented(&self) -> bool {
        !self.problems.is_empty()
    }

    /// The lists.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<String>) {
        for (code, seen) in self.seen {
            if seen > MAX_OF_ONE_CODE {
                self.notes.push(format!("{} more problems {code} are not listed.", seen - MAX_OF_ONE_CODE));
            }
        }
        (self.problems, self.notes)
    }
}
