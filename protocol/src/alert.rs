//! Alerts: what people are told without asking.
//!
//! In: the ledger's state, what it says was told already. Out: incidents that are to be told, opened or resolved; the
//! message; when to try again. Holds: an incident's id, the same wherever and whenever it is computed, so that it is told
//! once. Not here: sending, signing, who of the fleet sends (the node).

mod quorum;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::hash::Hash256;
use crate::ids::{MigrationId, NodeId, PolicyName, Run, TableName};
use crate::ledger::{Migration, Phase, State};
use crate::problem::Problem;

pub use quorum::{QUORUM_GRACE_MILLIS, QuorumWatch};

/// Incidents in one message: keeps it under a few hundred kilobytes. What is more goes into the next one.
pub const INCIDENTS_PER_MESSAGE: usize = 100;
/// Incidents that the message's line of text names; the others are counted.
const NAMED_IN_TEXT: usize = 5;
/// The form of messages.
pub const MESSAGE_VERSION: u32 = 1;
/// First pause after a failed delivery.
const FIRST_RETRY_MILLIS: u64 = 2_000;
/// Longest pause: an alert that comes later than this after the receiver is back helps nobody.
const LONGEST_RETRY_MILLIS: u64 = 5 * 60 * 1_000;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// A migration is paused: a difference, or a person.
    Paused,
    /// A migration failed for good.
    Quarantined,
    /// A node sees no majority of voters: nothing can be recorded.
    NoQuorum,
    /// One that was told and that no history tells of any more; only ever resolved.
    Forgotten,
}

impl IncidentKind {
    /// The kind as people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Quarantined => "quarantined",
            Self::NoQuorum => "no_quorum",
            Self::Forgotten => "forgotten",
        }
    }
}

/// Something that needs a person, or no longer does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Its id: of the migration, the phase and the moment.
    pub id: Hash256,
    /// What kind.
    pub kind: IncidentKind,
    /// Since when, milliseconds since 1970.
    pub since: u64,
    /// The migration that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration: Option<Subject>,
    /// The node that noticed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Why; absent once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// The migration of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Its id.
    pub id: MigrationId,
    /// The source table.
    pub dataset: TableName,
    /// The target table.
    pub target: TableName,
    /// The policy.
    pub policy: PolicyName,
    /// Who is responsible for the policy.
    pub owner: String,
    /// The policy's labels.
    pub labels: BTreeMap<String, String>,
    /// The run.
    pub run: Run,
    /// Where the migration is.
    pub phase: Phase,
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// Incidents that nobody was told of.
    pub opened: Vec<Incident>,
    /// Incidents that were told and are over.
    pub resolved: Vec<Incident>,
}

/// One message: incidents that opened, or incidents that are over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The form of the message.
    pub version: u32,
    /// The same when the message is sent again: receivers can tell repetitions.
    pub id: Hash256,
    /// `opened` or `resolved`.
    pub event: Event,
    /// All of it in one line; chat programs show this field.
    pub text: String,
    /// The fleet.
    pub fleet: String,
    /// When it was written, milliseconds since 1970.
    pub at: u64,
    /// What it is about.
    pub incidents: Vec<Incident>,
}

/// What became of a message's incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// They began.
    Opened,
    /// They are over.
    Resolved,
}

/// What is to be told, given what [`State::alerts`] says was told. Costs what is paused and quarantined; only when something
/// that was told is over, the histories are looked through.
#[must_use]
pub fn due(state: &State) -> Due {
    let mut due = Due::default();
    let mut open = BTreeSet::new();
    for phase in [Phase::Paused, Phase::Quarantined] {
        for migration in state.in_phase(phase) {
            let incident = present(state, migration);
            open.insert(incident.id);
            if !state.alerts().contains_key(&incident.id) {
                due.opened.push(incident);
            }
        }
    }
    let told = state.alerts().iter().filter(|(_, resolved)| !**resolved).map(|(id, _)| *id);
    let over: BTreeSet<Hash256> = told.filter(|id| !open.contains(id)).collect();
    if !over.is_empty() {
        due.resolved = past(state, over);
    }
    due
}

/// The incident that a paused or quarantined migration is.
fn present(state: &State, migration: &Migration) -> Incident {
    let problem = migration.problem.as_deref().cloned();
    Incident { problem, ..incident(state, migration, migration.phase, migration.changed_at, migration.run) }
}

fn incident(state: &State, migration: &Migration, phase: Phase, since: u64, run: Run) -> Incident {
    let policy = state.policies().get(&migration.policy).map(|record| &record.policy);
    Incident {
        id: Hash256::of(format!("skein incident\n{}\n{phase}\n{since}", migration.id).as_bytes()),
        kind: if phase == Phase::Quarantined { IncidentKind::Quarantined } else { IncidentKind::Paused },
        since,
        migration: Some(Subject {
            id: migration.id,
            dataset: migration.dataset.clone(),
            target: migration.target.clone(),
            policy: migration.policy.clone(),
            owner: policy.map(|policy| policy.owner.clone()).unwrap_or_default(),
            labels: policy.into_iter().flat_map(|policy| policy.labels.iter().cloned()).collect(),
            run,
            phase: migration.phase,
        }),
        node: None,
        problem: None,
    }
}

/// The incidents with these ids, out of the migrations' histories.
fn past(state: &State, mut wanted: BTreeSet<Hash256>) -> Vec<Incident> {
    let mut found = Vec::new();
    for migration in state.migrations().values() {
        let mut before = None;
        for item in &migration.history {
            let stopped = matches!(item.phase, Phase::Paused | Phase::Quarantined);
            if stopped && before != Some(item.phase) {
                let incident = incident(state, migration, item.phase, item.at_millis, item.run);
                if wanted.remove(&incident.id) {
                    found.push(incident);
                }
            }
            before = Some(item.phase);
        }
    }
    let forgotten =
        |id| Incident { id, kind: IncidentKind::Forgotten, since: 0, migration: None, node: None, problem: None };
    found.extend(wanted.into_iter().map(forgotten));
    found
}

/// The message about the first of these incidents, at most [`INCIDENTS_PER_MESSAGE`]; none when there are none.
#[must_use]
pub fn message(event: Event, fleet: &str, incidents: &[Incident], at: u64) -> Option<Message> {
    let incidents = &incidents[..incidents.len().min(INCIDENTS_PER_MESSAGE)];
    if incidents.is_empty() {
        return None;
    }
    let ids: Vec<String> = incidents.iter().map(|incident| incident.id.to_string()).collect();
    let id = Hash256::of(format!("skein message\n{event:?}\n{}", ids.join("\n")).as_bytes());
    let text = text(event, fleet, incidents);
    Some(Message {
        version: MESSAGE_VERSION,
        id,
        event,
        text,
        fleet: fleet.to_owned(),
        at,
        incidents: incidents.to_vec(),
    })
}

fn text(event: Event, fleet: &str, incidents: &[Incident]) -> String {
    let mut parts: Vec<String> = incidents.iter().take(NAMED_IN_TEXT).map(|one| line(event, one)).collect();
    if incidents.len() > NAMED_IN_TEXT {
        parts.push(format!("and {} more", incidents.len() - NAMED_IN_TEXT));
    }
    let verb = if event == Event::Opened { "needs you" } else { "resolved" };
    format!("Skein {fleet}, {verb}: {}", parts.join("; "))
}

fn line(event: Event, incident: &Incident) -> String {
    let what = match (&incident.migration, incident.node) {
        (Some(subject), _) if event == Event::Resolved => {
            format!("{} was {} and is now in phase {}", subject.dataset, incident.kind.as_str(), subject.phase)
        }
        (Some(subject), _) => {
            format!("{} ({}) is {}", subject.dataset, subject.policy, incident.kind.as_str())
        }
        (None, Some(node)) if event == Event::Resolved => format!("node {node} sees a majority of the voters again"),
        (None, Some(node)) => format!("node {node} sees no majority of the voters: nothing can be recorded there"),
        (None, None) => format!("incident {}", incident.id.short()),
    };
    match &incident.problem {
        Some(problem) => format!("{what}: {} [{}]", problem.why, problem.code),
        None => what,
    }
}

/// What is signed: the time of sending, seconds since 1970, and the body. A receiver refuses what is old.
#[must_use]
pub fn signed_text(seconds: u64, body: &[u8]) -> Vec<u8> {
    let mut text = format!("{seconds}.").into_bytes();
    text.extend_from_slice(body);
    text
}

/// The pause after the `failures`-th failed delivery in a row (from 1), milliseconds: twice as long each time, between
/// half and the whole of it by `random`, so that fleets that share a receiver do not come back to it at once.
#[must_use]
pub fn retry_after(failures: u32, random: u64) -> u64 {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = (FIRST_RETRY_MILLIS << doublings).min(LONGEST_RETRY_MILLIS);
    whole / 2 + random % (whole / 2 + 1)
}
