//! `wait`: until the migrations of a policy have come to rest.

use std::time::Duration;

use anyhow::Result;
use skein_protocol::api::Status;
use skein_protocol::ledger::Phase;

use super::status;
use crate::args::Format;
use crate::client::Client;
use crate::exit::Exit;
use crate::output;
use crate::progress::Progress;

/// How often the node is asked.
const INTERVAL: Duration = Duration::from_millis(250);

pub(super) fn run(client: &Client, policy: &str, format: Format) -> Result<Exit> {
    let status = until(client, policy, at_rest)?;
    output::document(format, &status)?;
    let all: u32 = status.phases.values().sum();
    let committed = status.phases.get(&Phase::Committed).copied().unwrap_or(0);
    if committed == all {
        return Ok(Exit::Success);
    }
    for (phase, next) in [
        (Phase::Approval, "review and approve them: skein approve --policy"),
        (Phase::Paused, "look at them: skein list --phase paused --policy"),
        (Phase::Quarantined, "look at them: skein list --phase quarantined --policy"),
    ] {
        if let Some(count) = status.phases.get(&phase).filter(|count| **count > 0) {
            eprintln!("{count} are in phase {phase}; {next} {policy}");
        }
    }
    Ok(Exit::NotCommitted)
}

/// Shows progress until `done` holds; the last status.
pub(crate) fn until(client: &Client, policy: &str, done: impl Fn(&Status) -> bool) -> Result<Status> {
    let mut progress = Progress::new();
    loop {
        let status = status::get(client, Some(policy))?;
        let line = status::line(&status);
        if done(&status) {
            progress.end(&line);
            return Ok(status);
        }
        progress.show(&line);
        std::thread::sleep(INTERVAL);
    }
}

/// True when nothing goes on without a person.
pub(crate) fn at_rest(status: &Status) -> bool {
    status.phases.iter().all(|(phase, count)| *count == 0 || !phase.is_active())
}
