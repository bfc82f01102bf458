//! `lint`, `apply`, `policies`.

use std::path::Path;

use anyhow::Result;
use skein_protocol::api::{ApplyAnswer, LintAnswer, PolicyRow};
use skein_protocol::ledger::Phase;

use super::{read_document, wait};
use crate::args::Format;
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{self, Table};

/// Checks a document here; no node is needed for that.
pub(super) fn lint(file: &Path, format: Format) -> Result<Exit> {
    let text = read_document(file)?;
    let answer = match skein_protocol::policy::parse(&text) {
        Ok(policy) => LintAnswer { policy: Some(policy.metadata.name), errors: Vec::new() },
        Err(errors) => LintAnswer { policy: None, errors },
    };
    if !output::document(format, &answer)? {
        let name = file.display();
        match &answer.policy {
            Some(policy) => output::print(&format!("{name}: policy {policy} is in order\n"))?,
            None => {
                for error in &answer.errors {
                    output::print(&format!("{name}:{error}\n"))?;
                }
            }
        }
    }
    Ok(if answer.errors.is_empty() { Exit::Success } else { Exit::Failure })
}

pub(super) fn apply(client: &Client, file: &Path, wait: bool, key: Option<&str>, format: Format) -> Result<Exit> {
    let text = read_document(file)?;
    let answer: ApplyAnswer = client.post_policy("/v1/policies", &text, key)?;
    if wait {
        show_applied(&answer, Format::Table)?;
        return wait::run(client, &answer.policy.0, format);
    }
    show_applied(&answer, format)?;
    Ok(Exit::Success)
}

fn show_applied(answer: &ApplyAnswer, format: Format) -> Result<()> {
    if format != Format::Table {
        output::document(format, answer)?;
        return Ok(());
    }
    let ApplyAnswer { policy, generation, changed, created, superseded, kept } = answer;
    let text = if *changed {
        let mut text = format!("policy {policy}, generation {generation}: {created} migrations created");
        if *superseded > 0 {
            text.push_str(&format!(", {superseded} superseded"));
        }
        if *kept > 0 {
            text.push_str(&format!(", {kept} kept as they are (published, or about to be)"));
        }
        text
    } else {
        format!("policy {policy}, generation {generation}: nothing to do, it was applied before")
    };
    eprintln!("{text}");
    Ok(())
}

pub(super) fn list(client: &Client, format: Format) -> Result<Exit> {
    let rows: Vec<PolicyRow> = client.get("/v1/policies", &[])?;
    if output::document(format, &rows)? {
        return Ok(Exit::Success);
    }
    let mut table =
        Table::new(&["POLICY", ">GENERATION", "OWNER", ">PRIORITY", ">MIGRATIONS", ">COMMITTED", "APPLIED"]);
    for row in &rows {
        let all: u32 = row.phases.values().sum();
        let committed = row.phases.get(&Phase::Committed).copied().unwrap_or(0);
        table.row(vec![
            row.name.0.clone().into(),
            row.generation.to_string().into(),
            row.owner.clone().into(),
            row.priority.to_string().into(),
            output::number(u64::from(all)).into(),
            output::number(u64::from(committed)).into(),
            output::time(row.applied_at).into(),
        ]);
    }
    output::print(&table.render())?;
    Ok(Exit::Success)
}
