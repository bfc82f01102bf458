//! `approve` and `reject`: always by the hash of the plan that was seen.

use anyhow::{Context, Result, bail};
use skein_protocol::api::{ActionAnswer, DecisionRequest, MigrationRow, PlanDecision};
use skein_protocol::hash::Hash256;
use skein_protocol::ledger::Phase;

use super::act::{choose, finish};
use super::confirm;
use crate::args::{Choice, Format};
use crate::client::Client;
use crate::exit::Exit;
use crate::output;

/// Decisions in one request: keeps an entry of the ledger under a megabyte.
const DECISIONS_PER_REQUEST: usize = 5_000;

/// How to decide.
pub(super) struct Options<'a> {
    pub(super) approve: bool,
    pub(super) plan: Option<&'a str>,
    pub(super) reason: &'a str,
    pub(super) yes: bool,
}

pub(super) fn run(client: &Client, choice: &Choice, options: &Options<'_>, format: Format) -> Result<Exit> {
    let rows = choose(client, choice, Phase::Approval.as_str())?;
    let verb = if options.approve { "approve" } else { "reject" };
    let mut items = items(&rows)?;
    if let Some(wanted) = options.plan {
        let [item] = items.as_mut_slice() else {
            bail!("--plan names the plan of one migration, and {} are chosen", rows.len())
        };
        // A short form is enough if it is the present plan; anything else goes to the node, which says what is wrong.
        if !item.plan.to_string().starts_with(wanted) {
            item.plan = wanted.parse::<Hash256>().with_context(|| format!("the present plan is {}", item.plan))?;
        }
    }
    if items.is_empty() {
        bail!("no plan waits for approval there");
    }
    let bytes: u64 = rows.iter().map(|row| row.bytes).sum();
    let question = format!("{verb} {} plans ({})?", items.len(), output::bytes(bytes));
    if options.plan.is_none() && !confirm(&question, options.yes)? {
        bail!("nothing was done");
    }
    finish(&send(client, options.approve, &items, options.reason)?, verb, format)
}

fn items(rows: &[MigrationRow]) -> Result<Vec<PlanDecision>> {
    rows.iter()
        .map(|row| {
            let plan =
                row.plan.with_context(|| format!("{} has no plan yet: it is in phase {}", row.dataset, row.phase))?;
            Ok(PlanDecision { migration: row.id, plan })
        })
        .collect()
}

/// Sends decisions in parts.
pub(crate) fn send(client: &Client, approve: bool, items: &[PlanDecision], reason: &str) -> Result<ActionAnswer> {
    let mut whole = ActionAnswer { done: 0, refused: Vec::new() };
    for part in items.chunks(DECISIONS_PER_REQUEST) {
        let request = DecisionRequest { approve, items: part.to_vec(), reason: reason.to_owned() };
        let answer: ActionAnswer = client.post("/v1/decisions", &request)?;
        whole.done += answer.done;
        whole.refused.extend(answer.refused);
    }
    Ok(whole)
}
