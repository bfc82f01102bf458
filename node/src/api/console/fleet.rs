//! The first page: what waits, runs and is done, and the nodes.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use maud::html;
use skein_protocol::api::{FleetView, NodeRow, Status};
use skein_protocol::ledger::{Phase, Standing};
use skein_protocol::shown;

use super::page::{badge, facts, inside, progress};
use super::{Page, Visitor};
use crate::api::{Api, fleet_source, overview};

pub(super) async fn show(State(api): State<Arc<Api>>, Extension(visitor): Extension<Visitor>) -> Page {
    let (view, status) = (fleet_source::view(&api.core), overview::status_of(&api.core, None, &visitor.caller.rights));
    let content = html! {
        (summary(&view, &status))
        h2 { "Migrations by phase" }
        ul.phases { @for phase in Phase::ALL {
            @if let Some(count) = status.phases.get(&phase) {
                li { a href={ "/console/migrations?phase=" (phase.as_str()) } { (badge(phase)) " " (shown::number(u64::from(*count))) } }
            }
        } }
        h2 { "Nodes" }
        div.scrolls tabindex="0" role="region" aria-label="Nodes" { table {
            thead { tr {
                th scope="col" { "Node" } th scope="col" { "API" } th scope="col" { "Standing" } th scope="col" { "Ledger" }
                th scope="col" { "Slots in use" } th.number scope="col" { "Waiting work" } th.number scope="col" { "Migrations" }
                th scope="col" { "Zone" } th scope="col" { "Version" }
            } }
            tbody { @for row in view.nodes.iter().filter(|row| row.standing != Standing::Removed) { (node(row)) } }
        } }
    };
    Ok(inside(&visitor, "/console", "Fleet", content))
}

fn summary(view: &FleetView, status: &Status) -> maud::Markup {
    let leader = view.leader.map_or_else(|| "none: an election is under way".to_owned(), |leader| leader.to_string());
    let quorum = if view.quorum { "yes" } else { "no: nothing can be recorded" };
    facts(vec![
        ("Rows read", html! { (progress(status.rows_in, status.rows_planned, "rows")) }),
        ("Batches", html! { (progress(status.batches_done, status.batches, "batches")) }),
        ("Written", html! { (shown::bytes(status.bytes_out)) }),
        ("Rows removed by rules", html! { (shown::number(status.rows_removed)) }),
        ("Policies", html! { (status.policies) }),
        ("Leader", html! { (leader) }),
        ("Quorum", html! { (quorum) }),
        ("This page is from node", html! { (view.answered_by) }),
    ])
}

fn node(row: &NodeRow) -> maud::Markup {
    html! {
        tr {
            th scope="row" { (row.node) }
            td { (row.api) }
            td { (row.standing_word()) @if !row.note.is_empty() { br; small { (row.note) } } }
            td { (row.role.as_str()) }
            td { @match row.slots_busy {
                Some(busy) => { (progress(u64::from(busy), u64::from(row.slots), "slots")) }
                None => { "not heard of" }
            } }
            td.number { @match row.backlog_seconds { Some(backlog) => { (shown::seconds(backlog)) } None => { "–" } } }
            td.number { (row.owned) @if row.unstarted > 0 { " (" (row.unstarted) " to take)" } }
            td { (row.zone) }
            td { (row.version) }
        }
    }
}
