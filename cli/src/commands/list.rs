//! `list`: migrations, page by page.

use anyhow::Result;
use serde::de::DeserializeOwned;
use skein_protocol::api::{MAX_PAGE, MigrationRow, Page};

use crate::args::{FilterArgs, Format};
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{self, Cell, Table};

pub(super) fn run(client: &Client, filter: &FilterArgs, limit: u32, format: Format) -> Result<Exit> {
    let page = all(client, &query(filter), limit)?;
    if output::document(format, &page)? {
        return Ok(Exit::Success);
    }
    output::print(&table(&page.items))?;
    if (page.items.len() as u64) < page.total {
        eprintln!("{} of {}; more with --limit", page.items.len(), page.total);
    }
    Ok(Exit::Success)
}

/// The filter as a query.
fn query(filter: &FilterArgs) -> Vec<(&'static str, String)> {
    let mut query = Vec::new();
    for (key, value) in
        [("phase", &filter.phase), ("policy", &filter.policy), ("label", &filter.label), ("text", &filter.text)]
    {
        if let Some(value) = value {
            query.push((key, value.clone()));
        }
    }
    if let Some(owner) = filter.owner {
        query.push(("owner", owner.to_string()));
    }
    if filter.superseded {
        query.push(("superseded", "true".to_owned()));
    }
    query
}

/// Up to `limit` migrations, over as many pages as it takes.
pub(crate) fn all(client: &Client, query: &[(&'static str, String)], limit: u32) -> Result<Page<MigrationRow>> {
    pages(client, "/v1/migrations", query, limit)
}

/// Up to `limit` items of a list, over as many pages as it takes.
pub(crate) fn pages<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    query: &[(&'static str, String)],
    limit: u32,
) -> Result<Page<T>> {
    let mut gathered: Option<Page<T>> = None;
    loop {
        let have = gathered.as_ref().map_or(0, |page| u32::try_from(page.items.len()).unwrap_or(u32::MAX));
        let mut query: Vec<(&str, String)> = query.to_vec();
        query.push(("limit", limit.saturating_sub(have).clamp(1, MAX_PAGE).to_string()));
        if let Some(cursor) = gathered.as_ref().and_then(|page| page.next.clone()) {
            query.push(("cursor", cursor));
        }
        let page: Page<T> = client.get(path, &query)?;
        let whole = match gathered.take() {
            None => page,
            Some(mut before) => {
                before.items.extend(page.items);
                Page { next: page.next, total: page.total, items: before.items }
            }
        };
        if whole.next.is_none() || whole.items.len() >= limit as usize {
            return Ok(whole);
        }
        gathered = Some(whole);
    }
}

/// One line for each migration.
pub(super) fn table(rows: &[MigrationRow]) -> String {
    let mut table =
        Table::new(&["DATASET", "TARGET", "POLICY", ">RUN", "PHASE", ">BATCHES", ">ROWS OUT", "PROBLEM", "SINCE"]);
    for row in rows {
        table.row(vec![
            row.dataset.to_string().into(),
            row.target.to_string().into(),
            row.policy.0.clone().into(),
            row.run.to_string().into(),
            Cell::phase(row.phase),
            format!("{}/{}", row.batches_done, row.batches).into(),
            output::number(row.rows_out).into(),
            row.problem.map(|code| code.to_string()).unwrap_or_default().into(),
            output::time(row.changed_at).into(),
        ]);
    }
    table.render()
}
