//! The commands: each reads its arguments, asks the node, shows the answer.

mod act;
mod decide;
pub(crate) mod fleet;
mod list;
pub(crate) mod node;
mod plan;
mod policy;
mod quarantine;
mod report;
mod show;
pub(crate) mod status;
mod token;
pub(crate) mod wait;

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::CommandFactory;

use crate::args::{Arguments, Command, Format};
use crate::client::Client;
use crate::demo;
use crate::exit::Exit;
use crate::output;

pub(crate) use decide::send as send_decisions;
pub(crate) use list::{all, pages};

pub(crate) use plan::{planned as plan_table, summary as plan_summary, table as plan_lines, whole as plan_whole};
pub(crate) use report::render as render_report;

/// Longest policy document that is sent; the node refuses longer ones too.
const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

/// Carries out what the arguments say.
pub(crate) fn run(arguments: Arguments) -> Result<Exit> {
    let format = arguments.output;
    let connection = &arguments.connection;
    let client = || Client::new(connection);
    match arguments.command {
        Command::Lint { file } => policy::lint(&file, format),
        Command::Plan { file, dataset } => plan::run(&client()?, &file, dataset.as_deref(), format),
        Command::Apply { file, wait, idempotency_key } => {
            policy::apply(&client()?, &file, wait, idempotency_key.as_deref(), format)
        }
        Command::Approve { choice, plan, reason, yes } => {
            let options = decide::Options { approve: true, plan: plan.as_deref(), reason: &reason, yes };
            decide::run(&client()?, &choice, &options, format)
        }
        Command::Reject { choice, reason, yes } => {
            let options = decide::Options { approve: false, plan: None, reason: &reason, yes };
            decide::run(&client()?, &choice, &options, format)
        }
        Command::Status { policy, watch } => status::run(&client()?, policy.as_deref(), watch, format),
        Command::Policies { filter, limit } => policy::list(&client()?, &filter, limit, format),
        Command::List { filter, limit } => list::run(&client()?, &filter, limit, format),
        Command::Show { migration, plan, script } => show::run(&client()?, &migration, plan, script, format),
        Command::Pause(action) => act::run(&client()?, act::PAUSE, &action, format),
        Command::Resume(action) => act::run(&client()?, act::RESUME, &action, format),
        Command::Cancel(action) => act::run(&client()?, act::CANCEL, &action, format),
        Command::Retry(action) => act::run(&client()?, act::RETRY, &action, format),
        Command::Rollback(action) => act::run(&client()?, act::ROLLBACK, &action, format),
        Command::Report { migration, batches } => report::run(&client()?, &migration, batches, format),
        Command::Wait { policy } => wait::run(&client()?, &policy, format),
        Command::Fleet(command) => fleet::run(client, &command, format),
        Command::Node(command) => node::run(&client()?, &command, format),
        Command::Quarantine(command) => quarantine::run(&client()?, &command, format),
        Command::Token(command) => token::run(&client()?, &command, format),
        Command::Whoami => token::who_am_i(&client()?, format),
        Command::Schema => schema(format),
        Command::Demo(demo) => demo::run(&demo),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "skein", &mut script);
            output::print(&String::from_utf8(script).context("the completions are no text")?)?;
            Ok(Exit::Success)
        }
    }
}

fn schema(format: Format) -> Result<Exit> {
    let schema = skein_protocol::policy::json_schema();
    // A schema is a document for programs in any case.
    let format = if format == Format::Table { Format::Json } else { format };
    output::document(format, &schema)?;
    Ok(Exit::Success)
}

/// Reads a document from a file or, for `-`, from standard input.
pub(crate) fn read_document(file: &Path) -> Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(MAX_DOCUMENT_BYTES).read_to_string(&mut text).context("standard input cannot be read")?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
        opened
            .take(MAX_DOCUMENT_BYTES)
            .read_to_string(&mut text)
            .with_context(|| format!("{} cannot be read", file.display()))?;
    }
    Ok(text)
}

/// Asks a person on the terminal; without one the answer must be given beforehand.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        bail!("{question} Nobody can be asked here: say it beforehand with --yes");
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
