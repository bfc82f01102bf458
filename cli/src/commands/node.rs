//! `node`: the nodes of the fleet.

use anyhow::{Result, bail};
use skein_protocol::api::{DrainRequest, NodeDetail, NodeRow};
use skein_protocol::ledger::Standing;

use super::{confirm, fleet, list};
use crate::args::{Format, NodeCommand};
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{self, Cell, Table};

pub(super) fn run(client: &Client, command: &NodeCommand, format: Format) -> Result<Exit> {
    match command {
        NodeCommand::List { all } => {
            let mut rows = fleet::view(client)?.nodes;
            rows.retain(|row| *all || row.standing != Standing::Removed);
            if !output::document(format, &rows)? {
                output::print(&table(&rows, true))?;
            }
        }
        NodeCommand::Show { node } => {
            let detail: NodeDetail = client.get(&format!("/v1/nodes/{node}"), &[])?;
            if !output::document(format, &detail)? {
                output::print(&text(&detail))?;
            }
        }
        NodeCommand::Drain { node, cancel, reason } => {
            let request = DrainRequest { cancel: *cancel, reason: reason.clone() };
            let row: NodeRow = client.post(&format!("/v1/nodes/{node}/drain"), &request)?;
            if !output::document(format, &row)? {
                let said = if *cancel { "takes work again" } else { "hands its work over; see `skein node show`" };
                eprintln!("node {} {said}", row.node);
            }
        }
        NodeCommand::Remove { node, reason, yes } => return remove(client, node, reason, *yes, format),
    }
    Ok(Exit::Success)
}

fn remove(client: &Client, node: &str, reason: &str, yes: bool, format: Format) -> Result<Exit> {
    let detail: NodeDetail = client.get(&format!("/v1/nodes/{node}"), &[])?;
    let row = &detail.row;
    eprint!("{}", table(std::slice::from_ref(row), true));
    let question = format!(
        "remove node {} for good? It is {} and owns {} migrations; it can only come back as a new node.",
        row.node,
        row.standing_word(),
        row.owned
    );
    if !confirm(&question, yes)? {
        bail!("nothing was done");
    }
    let row: NodeRow = client.delete(&format!("/v1/nodes/{}", row.node), &[("reason", reason.to_owned())])?;
    if !output::document(format, &row)? {
        eprintln!("node {} is removed", row.node);
    }
    Ok(Exit::Success)
}

/// One line for each node.
pub(crate) fn table(rows: &[NodeRow], addresses: bool) -> String {
    let mut heads =
        vec!["NODE", "STANDING", "ROLE", ">SLOTS", ">BACKLOG", ">OWNED", ">UNSTARTED", "ZONE", "VERSION", ">HEARD"];
    if addresses {
        heads.extend(["ADDRESS", "API"]);
    } else {
        heads.push("ADDRESS");
    }
    let mut table = Table::new(&heads);
    for row in rows {
        let mut cells: Vec<Cell> = vec![
            row.node.to_string().into(),
            Cell::standing(row),
            row.role.as_str().into(),
            slots(row).into(),
            row.backlog_seconds.map(output::seconds).unwrap_or_default().into(),
            output::number(u64::from(row.owned)).into(),
            output::number(u64::from(row.unstarted)).into(),
            row.zone.clone().into(),
            row.version.clone().into(),
            heard(row).into(),
            row.address.clone().into(),
        ];
        if addresses {
            cells.push(row.api.clone().into());
        }
        table.row(cells);
    }
    table.render()
}

/// Slots in use of all slots.
pub(crate) fn slots(row: &NodeRow) -> String {
    match row.slots_busy {
        Some(busy) => format!("{busy}/{}", row.slots),
        None => format!("?/{}", row.slots),
    }
}

/// How long ago it was heard.
pub(crate) fn heard(row: &NodeRow) -> String {
    match row.last_heard_millis {
        Some(0..1000) => "now".to_owned(),
        Some(millis) => format!("{} ago", output::seconds(millis / 1000)),
        None => "never".to_owned(),
    }
}

fn text(detail: &NodeDetail) -> String {
    let row = &detail.row;
    let mut text = format!("node {}\n", output::bold(&row.node.to_string()));
    let mut line = |key: &str, value: &str| text.push_str(&format!("{key:<11}{value}\n"));
    line("standing", row.standing_word());
    line("role", row.role.as_str());
    line("session", &row.session.to_string());
    line("address", &row.address);
    line("api", &row.api);
    line("zone", &row.zone);
    line("version", &row.version);
    line("slots", &format!("{} in use", slots(row)));
    line("backlog", &row.backlog_seconds.map_or_else(|| "not heard".to_owned(), output::seconds));
    line("heard", &heard(row));
    line("owns", &format!("{} migrations, {} of them not started", row.owned, row.unstarted));
    if !row.note.is_empty() {
        line("note", &row.note);
    }
    if !detail.phases.is_empty() {
        let mut phases = Table::new(&["PHASE", ">MIGRATIONS"]);
        for (phase, count) in &detail.phases {
            phases.row(vec![Cell::phase(*phase), output::number(u64::from(*count)).into()]);
        }
        text.push_str(&format!("\n{}", phases.render()));
    }
    if !detail.running.is_empty() {
        text.push_str(&format!("\n{}", list::table(&detail.running)));
    }
    text
}
