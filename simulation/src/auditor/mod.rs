//! The auditor: looks at the fleet from outside, and knows the specification alone.
//!
//! In: what people ask, what is answered (or that nothing is), what the sources hold, what a reader of each target sees over
//! time, and in the end the list of migrations that the API gives. Out: what contradicts the specification. Holds: no knowledge
//! of nodes, ledgers or entries; an unanswered request may have been done or not, at any time from then on. Not here: asking
//! and looking.

mod request;
mod story;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use request::{Action, Answer, Listed, Request, Seen, line};
use request::{Asked, Outcome};
use story::Story;

/// The name under which complaints about appearances are made.
pub(crate) const ASKED: &str = "asked-and-approved";
/// The name under which complaints about ends are made.
pub(crate) const ENDS: &str = "acknowledged-ends";
/// The name under which complaints about broken answers are made.
pub(crate) const KEPT: &str = "answers-kept";
/// The name under which complaints about rows are made.
pub(crate) const ROWS: &str = "target-equals-transform";

/// Looks from outside.
#[derive(Debug, Default)]
pub struct Auditor {
    asked: BTreeMap<u64, Asked>,
    targets: BTreeMap<String, Story>,
    /// Metadata files of other people's tables.
    foreign: BTreeSet<String>,
    listed: Option<Vec<Listed>>,
    complaints: Vec<String>,
}

impl Auditor {
    /// Nothing has happened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the transformed source of a target has these rows, in any order.
    pub fn source(&mut self, target: &str, at: Duration, rows: Vec<String>) {
        self.targets.entry(target.to_owned()).or_default().source(at, rows);
    }

    /// The source of a target is not there; a policy that is submitted now does not select it.
    pub fn absent(&mut self, target: &str) {
        self.targets.entry(target.to_owned()).or_default().absent = true;
    }

    /// A table of somebody else: where it is seen, the fleet has no part in it.
    pub fn foreign(&mut self, location: &str) {
        self.foreign.insert(location.to_owned());
    }

    /// Somebody asks for something; `id` is new.
    pub fn asked(&mut self, id: u64, at: Duration, request: Request) {
        self.asked.insert(id, Asked { request, at, outcome: Outcome::Open });
    }

    /// What was asked is answered, or never will be.
    pub fn answered(&mut self, id: u64, at: Duration, answer: Answer) {
        let Some(asked) = self.asked.get_mut(&id) else {
            self.complaints.push(format!("{KEPT}: {at:?}: an answer to question {id}, which nobody asked"));
            return;
        };
        asked.outcome = Outcome::of(&asked.request, at, answer);
        self.compare_keys(id);
    }

    /// The same request under the same key has one answer.
    fn compare_keys(&mut self, id: u64) {
        let Some(Asked { request: Request::Submit { key, document, .. }, outcome: Outcome::Done { at, body }, .. }) =
            self.asked.get(&id)
        else {
            return;
        };
        for other in self.asked.values() {
            let Request::Submit { key: other_key, document: other_document, .. } = &other.request else { continue };
            let Outcome::Done { body: first, .. } = &other.outcome else { continue };
            if key != other_key {
                continue;
            }
            if document != other_document {
                self.complaints.push(format!("{KEPT}: {at:?}: two documents were taken under the key {key}"));
                return;
            }
            if first != body {
                self.complaints.push(format!("{KEPT}: {at:?}: key {key} was answered {first}, and then {body}"));
                return;
            }
        }
    }

    /// What a reader of a target sees now; none: no table, or a tombstone.
    pub fn saw(&mut self, target: &str, at: Duration, seen: Option<Seen>) {
        let seen = seen.filter(|seen| !self.foreign.contains(&seen.location));
        let story = self.targets.entry(target.to_owned()).or_default();
        self.complaints.extend(story.saw(target, at, seen, &self.asked));
    }

    /// What the API lists in the end.
    pub fn listed(&mut self, rows: Vec<Listed>) {
        self.listed = Some(rows);
    }

    /// Everything is over; whether nothing happens any more. What contradicts the specification.
    #[must_use]
    pub fn finish(&mut self, at: Duration, all_quiet: bool) -> Vec<String> {
        let mut complaints = std::mem::take(&mut self.complaints);
        for (target, story) in &self.targets {
            complaints.extend(story.honest(target, &self.asked));
        }
        if !all_quiet {
            return complaints;
        }
        let mut wanted: BTreeSet<&String> = self.targets.keys().collect();
        for asked in self.asked.values() {
            if let Request::Submit { targets, .. } = &asked.request {
                wanted.extend(targets);
            }
        }
        let none = Story::default();
        for target in wanted {
            let story = self.targets.get(target).unwrap_or(&none);
            let listed = self.listed.as_ref().map(|rows| rows.iter().filter(|row| row.target == *target).collect());
            complaints.extend(story.ended(target, at, listed, &self.asked));
        }
        complaints
    }
}
