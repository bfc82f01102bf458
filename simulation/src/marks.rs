//! Situations that a run over many seeds must have seen: a simulation in which nothing ever happens proves nothing.
//!
//! In: entries as they are applied. Out: names of situations. Holds: how an entry or a history tells of one. Not here:
//! counting them (`tape`).

use std::collections::BTreeSet;

use skein_protocol::ledger::entry::{Request, TransferReason};
use skein_protocol::ledger::{Answer, Entry, Migration};
use skein_protocol::problem::Code;

/// Every situation that must come up, in a run over some hundred seeds.
pub const WANTED: [&str; 33] = [
    "answer to a registration lost",
    "asked again for a join token",
    "batch failed half-way",
    "batch lent",
    "batch returned",
    "batch tried again",
    "cancelled after the intent",
    "death of the leader",
    "difference paused a migration",
    "entry of an old epoch refused",
    "late batch refused",
    "late change of a name refused",
    "link disturbed",
    "mass death seen",
    "member came back under another number",
    "migration adopted",
    "migration cancelled",
    "migration committed",
    "migration paused",
    "migration quarantined",
    "migration rolled back",
    "node gave up",
    "node left or was drained",
    "plan approved",
    "policy superseded",
    "proposal refused",
    "request repeated under its key",
    "retry opened a run",
    "session expired",
    "snapshot applied",
    "submission repeated",
    "target withdrawn",
    "work stolen",
];

/// What the history of a migration tells of, each once.
#[must_use]
pub(crate) fn of_history(migration: &Migration) -> BTreeSet<&'static str> {
    let telling = [
        ("adopted by node", "migration adopted"),
        ("cancelled: the target is taken back", "cancelled after the intent"),
        ("cancelled", "migration cancelled"),
        ("paused", "migration paused"),
        ("quarantined", "migration quarantined"),
        ("rollback begins", "migration rolled back"),
    ];
    let said = |start: &str| migration.history.iter().any(|item| item.what.starts_with(start));
    telling.iter().filter(|(start, _)| said(start)).map(|(_, mark)| *mark).collect()
}

/// What an applied entry and its answer tell of.
#[must_use]
pub(crate) fn of_entry(entry: &Entry, answer: &Answer) -> Vec<&'static str> {
    let mut marks = Vec::new();
    let applied = matches!(answer, Answer::Applied | Answer::Partly(_));
    match (entry, answer) {
        (_, Answer::Refused(problem)) => {
            marks.push("proposal refused");
            if matches!(entry, Entry::BatchDone { .. }) {
                marks.push("late batch refused");
            }
            if problem.code == Code::Stale {
                marks.push("entry of an old epoch refused");
            }
        }
        (Entry::SessionsExpired { mass, .. }, Answer::Applied) => {
            marks.push("session expired");
            if *mass {
                marks.push("mass death seen");
            }
        }
        (Entry::Transferred { reason: TransferReason::Steal, .. }, _) if applied => marks.push("work stolen"),
        (Entry::Transferred { reason: TransferReason::Drain, .. } | Entry::SessionClosed { .. }, _) if applied => {
            marks.push("node left or was drained");
        }
        (Entry::BatchReturned { .. }, Answer::Applied) => marks.push("batch returned"),
        (Entry::Approved(_), _) if applied => marks.push("plan approved"),
        (Entry::Committed { .. }, Answer::Applied) => marks.push("migration committed"),
        (Entry::Withdrawn { .. }, Answer::Applied) => marks.push("target withdrawn"),
        (Entry::Differs { .. }, Answer::Applied) => marks.push("difference paused a migration"),
        (Entry::WorkFailed { .. } | Entry::BatchFailed { .. }, Answer::Applied) => marks.push("work failed"),
        (Entry::MemberReplaced { .. }, Answer::Applied) => marks.push("member came back under another number"),
        (Entry::Requested { request: Request::Retry, .. }, _) if applied => marks.push("retry opened a run"),
        (Entry::PolicyApplied { .. }, Answer::PolicyApplied { superseded, .. }) if !superseded.is_empty() => {
            marks.push("policy superseded");
        }
        _ => {}
    }
    marks
}
