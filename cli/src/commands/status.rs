//! `status`: the node and its migrations at a glance.

use anyhow::Result;
use skein_protocol::api::Status;
use skein_protocol::ledger::Phase;

use crate::args::Format;
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{self, Cell, Table};
use crate::watch;

pub(super) fn run(client: &Client, policy: Option<&str>, watched: bool, format: Format) -> Result<Exit> {
    if watched {
        return watch::run(client, policy, format);
    }
    let status = get(client, policy)?;
    if !output::document(format, &status)? {
        output::print(&text(&status))?;
    }
    Ok(Exit::Success)
}

/// The status of everything, or of one policy.
pub(crate) fn get(client: &Client, policy: Option<&str>) -> Result<Status> {
    let query: Vec<(&str, String)> = policy.map(|policy| ("policy", policy.to_owned())).into_iter().collect();
    client.get("/v1/status", &query)
}

/// A status in one line.
pub(crate) fn line(status: &Status) -> String {
    let all: u32 = status.phases.values().sum();
    let ended: u32 = status.phases.iter().filter(|(phase, _)| phase.is_end()).map(|(_, count)| count).sum();
    let troubled: u32 = [Phase::Quarantined, Phase::Paused].iter().filter_map(|phase| status.phases.get(phase)).sum();
    let committed = status.phases.get(&Phase::Committed).copied().unwrap_or(0);
    let mut line = format!(
        "{committed} of {all} committed, {} of {} batches, {} rows read, {} written",
        status.batches_done,
        status.batches,
        output::number(status.rows_in),
        output::number(status.rows_out),
    );
    if ended > committed || troubled > 0 {
        line.push_str(&format!(", {troubled} need attention"));
    }
    line
}

fn text(status: &Status) -> String {
    let mut text = format!(
        "node {} (version {}), up {}, {} of {} slots busy, entry {}\n\n",
        status.node,
        status.version,
        output::seconds(status.up_millis / 1000),
        status.slots_busy,
        status.slots,
        output::number(status.applied_index),
    );
    let mut table = Table::new(&["PHASE", ">MIGRATIONS"]);
    for (phase, count) in &status.phases {
        table.row(vec![Cell::phase(*phase), output::number(u64::from(*count)).into()]);
    }
    text.push_str(&table.render());
    text.push_str(&format!(
        "\nbatches  {} of {}\nrows     {} read, {} removed by rules, {} written\nbytes    {} in the sources, {} written\n",
        output::number(status.batches_done),
        output::number(status.batches),
        output::number(status.rows_in),
        output::number(status.rows_removed),
        output::number(status.rows_out),
        output::bytes(status.bytes_planned),
        output::bytes(status.bytes_out),
    ));
    text
}
