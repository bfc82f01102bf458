//! `lint`, `apply`, `policies`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use skein_protocol::api::{ApplyAnswer, LintAnswer, Page, PolicyRow};
use skein_protocol::ledger::Phase;

use super::{pages, read_document, wait};
use crate::args::{Format, PolicyFilterArgs};
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
    // With a key the request may go on to another node, whatever became of it at the first.
    let own = key.is_none().then(fresh_key).transpose()?;
    let answer: ApplyAnswer = client.post_policy("/v1/policies", &text, key.or(own.as_deref()))?;
    if wait {
        show_applied(&answer, Format::Table)?;
        return wait::run(client, &answer.policy.0, format);
    }
    show_applied(&answer, format)?;
    Ok(Exit::Success)
}

/// A key that nobody used before.
fn fresh_key() -> Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes)).context("no random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
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

pub(super) fn list(client: &Client, filter: &PolicyFilterArgs, limit: u32, format: Format) -> Result<Exit> {
    let page: Page<PolicyRow> = pages(client, "/v1/policies", &query(filter), limit)?;
    if output::document(format, &page)? {
        return Ok(Exit::Success);
    }
    let mut table =
        Table::new(&["POLICY", ">GENERATION", "OWNER", ">PRIORITY", ">MIGRATIONS", ">COMMITTED", "APPLIED"]);
    for row in &page.items {
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
    if (page.items.len() as u64) < page.total {
        eprintln!("{} of {}; more with --limit", page.items.len(), page.total);
    }
    Ok(Exit::Success)
}

fn query(filter: &PolicyFilterArgs) -> Vec<(&'static str, String)> {
    let all = [("label", &filter.label), ("text", &filter.text)];
    all.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
}
