//! The list of migrations: filters in the address, pages, and what can be done with those that are chosen.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use maud::{Markup, html};
use skein_protocol::access::Permission;
use skein_protocol::api::{Filter, MigrationRow, Page as Rows};
use skein_protocol::ledger::Phase;
use skein_protocol::shown;

use super::act::actions;
use super::page::{Oops, badge, code, encoded, inside, progress, time};
use super::{Page, Visitor};
use crate::api::Api;
use crate::api::extract::Params;
use crate::api::listing::Wanted;
use crate::api::rows::migration_row;

/// Migrations on a page of the console: a few screens.
const ON_A_PAGE: u32 = 50;

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(visitor): Extension<Visitor>,
    Params(filter): Params<Filter>,
) -> Page {
    // A form sends its empty fields, too.
    let filter = Filter {
        limit: Some(filter.limit.unwrap_or(ON_A_PAGE)),
        policy: filter.policy.filter(|policy| !policy.0.is_empty()),
        ..filter
    };
    let wanted = Wanted::new(filter.clone(), &visitor.caller.rights).map_err(|error| Oops::new(&visitor, error))?;
    let rows = api.core.ledger.read(|state| wanted.page(state, migration_row));
    let waiting = filter.phase.as_deref() == Some(Phase::Approval.as_str());
    let (at, title) = match waiting {
        true => ("/console/migrations?phase=approval", "Approvals"),
        false => ("/console/migrations", "Migrations"),
    };
    let content = html! { (search(&filter)) (table(&visitor, &filter, &rows)) };
    Ok(inside(&visitor, at, title, content))
}

fn search(filter: &Filter) -> Markup {
    let phase = filter.phase.as_deref().unwrap_or_default();
    html! {
        form.filter method="get" action="/console/migrations" role="search" {
            div { label for="text" { "Name or code" } input #text name="text" value=[filter.text.as_deref()]; }
            div {
                label for="phase" { "Phase" }
                select #phase name="phase" {
                    option value="" { "all" }
                    @for one in Phase::ALL { option value=(one.as_str()) selected[one.as_str() == phase] { (one.as_str().replace('_', " ")) } }
                }
            }
            div { label for="policy" { "Policy" } input #policy name="policy" value=[filter.policy.as_ref().map(|policy| policy.0.as_str())]; }
            div { label for="label" { "Label" } input #label name="label" placeholder="wave=3" value=[filter.label.as_deref()]; }
            button type="submit" { "Search" }
            a href="/console/migrations" { "Clear" }
        }
    }
}

fn table(visitor: &Visitor, filter: &Filter, rows: &Rows<MigrationRow>) -> Markup {
    let may = |permission| visitor.caller.rights.has(permission);
    let chooses = may(Permission::Operate) || may(Permission::Decide);
    html! {
        p role="status" { (shown::number(rows.total)) @if rows.total == 1 { " migration" } @else { " migrations" } }
        @if !rows.items.is_empty() {
            form method="post" action="/console/act" {
                input type="hidden" name="csrf" value=(visitor.csrf);
                input type="hidden" name="back" value=(address(filter, filter.cursor.as_deref()));
                div.scrolls tabindex="0" role="region" aria-label="Migrations" { table {
                    thead { tr {
                        @if chooses { th scope="col" { span.unseen { "Choose" } } }
                        th scope="col" { "Dataset" } th scope="col" { "Phase" } th scope="col" { "Problem" } th scope="col" { "Batches" }
                        th.number scope="col" { "Rows" } th.number scope="col" { "Size" } th scope="col" { "Policy" } th scope="col" { "Since" }
                    } }
                    tbody { @for row in &rows.items { (line(row, chooses)) } }
                } }
                @if chooses { (actions(visitor, "With those chosen")) }
            }
        }
        nav.pages aria-label="Pages" {
            @if filter.cursor.is_some() { a href=(address(filter, None)) { "First page" } }
            @if let Some(next) = &rows.next { a rel="next" href=(address(filter, Some(next))) { "Next page" } }
        }
    }
}

fn line(row: &MigrationRow, chooses: bool) -> Markup {
    let chosen = match row.plan {
        Some(plan) => format!("{}:{plan}", row.id),
        None => row.id.to_string(),
    };
    html! {
        tr {
            @if chooses { td { input type="checkbox" name="chosen" value=(chosen) aria-label={ "Choose " (row.dataset) }; } }
            th scope="row" { a href={ "/console/migrations/" (row.id) } { (row.dataset) } @if row.target != row.dataset { br; small { "to " (row.target) } } }
            td { (badge(row.phase)) @if let Some(from) = row.from { br; small { "from " (from.as_str()) } } }
            td { @if let Some(problem) = row.problem { (code(problem)) } }
            td { (progress(u64::from(row.batches_done), u64::from(row.batches), "batches")) }
            td.number { @match row.rows_planned { Some(rows) => { (shown::number(rows)) } None => { "–" } } }
            td.number { (shown::bytes(row.bytes)) }
            td { a href={ "/console/policies/" (encoded(&row.policy.0)) } { (row.policy) } }
            td { (time(row.changed_at)) }
        }
    }
}

/// The address of a list with this filter, from this place on.
fn address(filter: &Filter, cursor: Option<&str>) -> String {
    let Filter { phase, policy, label, text, owner, superseded, limit, cursor: _ } = filter;
    let limit = limit.filter(|limit| *limit != ON_A_PAGE);
    let pairs = [
        ("phase", phase.clone()),
        ("policy", policy.as_ref().map(|policy| policy.0.clone())),
        ("label", label.clone()),
        ("text", text.clone()),
        ("owner", owner.map(|owner| owner.to_string())),
        ("superseded", superseded.map(|superseded| superseded.to_string())),
        ("limit", limit.map(|limit| limit.to_string())),
        ("cursor", cursor.map(str::to_owned)),
    ];
    let given = pairs.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    let query: Vec<String> = given.map(|(name, value)| format!("{name}={}", encoded(&value))).collect();
    if query.is_empty() { "/console/migrations".to_owned() } else { format!("/console/migrations?{}", query.join("&")) }
}
