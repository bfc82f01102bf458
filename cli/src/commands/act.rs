//! `pause`, `resume`, `cancel`, `retry`, `rollback`.

use anyhow::{Result, bail};
use skein_protocol::api::{Action, ActionAnswer, ActionRequest, MigrationDetail, MigrationRow};
use skein_protocol::ids::MigrationId;
use skein_protocol::ledger::Phase;

use super::{all, confirm};
use crate::args::{ActionArgs, Choice, Format};
use crate::client::{Client, refusal_line};
use crate::exit::Exit;
use crate::output;

/// Migrations in one request: keeps an entry of the ledger under a megabyte.
const MIGRATIONS_PER_REQUEST: usize = 5_000;

/// An action and the phases that allow it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verb {
    action: Action,
    name: &'static str,
    phases: &'static [Phase],
}

const ACTIVE: [Phase; 7] = [
    Phase::Queued,
    Phase::Preparation,
    Phase::Approval,
    Phase::Ready,
    Phase::Execution,
    Phase::Validation,
    Phase::Commit,
];

pub(super) const PAUSE: Verb = Verb { action: Action::Pause, name: "pause", phases: &ACTIVE };
pub(super) const RESUME: Verb = Verb { action: Action::Resume, name: "resume", phases: &[Phase::Paused] };
pub(super) const CANCEL: Verb = Verb {
    action: Action::Cancel,
    name: "cancel",
    phases: &[
        Phase::Queued,
        Phase::Preparation,
        Phase::Approval,
        Phase::Ready,
        Phase::Execution,
        Phase::Validation,
        Phase::Commit,
        Phase::Paused,
        Phase::Quarantined,
    ],
};
pub(super) const RETRY: Verb = Verb {
    action: Action::Retry,
    name: "retry",
    phases: &[Phase::Quarantined, Phase::Paused, Phase::Cancelled, Phase::RolledBack],
};
pub(super) const ROLLBACK: Verb = Verb { action: Action::Rollback, name: "rollback", phases: &[Phase::Committed] };

pub(super) fn run(client: &Client, verb: Verb, arguments: &ActionArgs, format: Format) -> Result<Exit> {
    let phases = arguments.phase.clone().unwrap_or_else(|| join(verb.phases));
    let ids: Vec<MigrationId> = choose(client, &arguments.choice, &phases)?.into_iter().map(|row| row.id).collect();
    if ids.is_empty() {
        bail!("no migration is chosen: none of these is in a phase that allows {} ({phases})", verb.name);
    }
    let question = format!("{} {} migrations?", verb.name, ids.len());
    if ids.len() > 1 && !confirm(&question, arguments.yes)? {
        bail!("nothing was done");
    }
    let mut whole = ActionAnswer { done: 0, refused: Vec::new() };
    for part in ids.chunks(MIGRATIONS_PER_REQUEST) {
        let request =
            ActionRequest { action: verb.action, migrations: part.to_vec(), reason: arguments.reason.clone() };
        let answer: ActionAnswer = client.post("/v1/actions", &request)?;
        whole.done += answer.done;
        whole.refused.extend(answer.refused);
    }
    finish(&whole, verb.name, format)
}

/// Shows what was done and what was refused.
pub(super) fn finish(answer: &ActionAnswer, verb: &str, format: Format) -> Result<Exit> {
    if !output::document(format, answer)? {
        eprintln!("{verb}: done for {} migrations", answer.done);
        for refused in &answer.refused {
            eprintln!("refused: {}", refusal_line(refused));
        }
    }
    Ok(if answer.refused.is_empty() { Exit::Success } else { Exit::Failure })
}

pub(super) fn join(phases: &[Phase]) -> String {
    phases.iter().map(|phase| phase.as_str()).collect::<Vec<_>>().join(",")
}

/// The migrations that are named, or that the filters select among those in `phases`.
pub(super) fn choose(client: &Client, choice: &Choice, phases: &str) -> Result<Vec<MigrationRow>> {
    let mut rows = Vec::new();
    for name in &choice.migrations {
        let detail: MigrationDetail = client.get(&format!("/v1/migrations/{name}"), &[])?;
        rows.push(detail.row);
    }
    if choice.policy.is_none() && choice.label.is_none() && choice.text.is_none() {
        return Ok(rows);
    }
    let mut query = vec![("phase", phases.to_owned())];
    for (key, value) in [("policy", &choice.policy), ("label", &choice.label), ("text", &choice.text)] {
        if let Some(value) = value {
            query.push((key, value.clone()));
        }
    }
    rows.extend(all(client, &query, u32::MAX)?.items);
    Ok(rows)
}
