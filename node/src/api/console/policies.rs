//! Policies: the list, and one with its document.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use maud::{Markup, html};
use skein_protocol::api::PolicyRow;
use skein_protocol::ids::PolicyName;
use skein_protocol::ledger::policies::PolicyRecord;

use super::page::{Oops, badge, encoded, facts, inside, time};
use super::{Page, Visitor};
use crate::api::Api;
use crate::api::error::ApiError;
use crate::api::rows::policy_row;
use crate::api::sight::sees_policy;

/// Policies that the list shows: further ones are found by the migrations' filter.
const MAX_SHOWN: usize = 1000;

pub(super) async fn list(State(api): State<Arc<Api>>, Extension(visitor): Extension<Visitor>) -> Page {
    let rights = &visitor.caller.rights;
    let (rows, all) = api.core.ledger.read(|state| {
        let seen = || state.policies().values().filter(|record| sees_policy(rights, record));
        let rows: Vec<PolicyRow> = seen().take(MAX_SHOWN).map(|record| policy_row(state, record)).collect();
        (rows, seen().count())
    });
    let content = html! {
        p role="status" { (all) " policies" @if all > rows.len() { ", of which the first " (rows.len()) " are shown" } }
        div.scrolls tabindex="0" role="region" aria-label="Policies" { table {
            thead { tr {
                th scope="col" { "Policy" } th scope="col" { "Team" } th scope="col" { "Migrations" } th scope="col" { "Labels" }
                th.number scope="col" { "Priority" } th scope="col" { "Applied" }
            } }
            tbody { @for row in &rows { tr {
                th scope="row" { a href={ "/console/policies/" (encoded(&row.name.0)) } { (row.name) } br; small { "generation " (row.generation) } }
                td { (row.owner) }
                td { (phases(row)) }
                td { @for (key, value) in &row.labels { code { (key) "=" (value) } " " } }
                td.number { (row.priority) }
                td { (time(row.applied_at)) " by " (row.applied_by) }
            } } }
        } }
    };
    Ok(inside(&visitor, "/console/policies", "Policies", content))
}

fn phases(row: &PolicyRow) -> Markup {
    html! { ul.phases { @for (phase, count) in &row.phases {
        li { a href={ "/console/migrations?policy=" (encoded(&row.name.0)) "&phase=" (phase.as_str()) } { (badge(*phase)) " " (count) } }
    } } }
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(visitor): Extension<Visitor>,
    Path(name): Path<String>,
) -> Page {
    let (name, rights) = (PolicyName(name), &visitor.caller.rights);
    let found = api.core.ledger.read(|state| {
        let seen = state.policies().get(&name).filter(|record| sees_policy(rights, record));
        seen.map(|record: &PolicyRecord| (policy_row(state, record), record.policy.document.clone()))
    });
    let none = || Oops::new(&visitor, ApiError::not_found(format!("policy {name}"), "list the policies"));
    let (row, document) = found.ok_or_else(none)?;
    // It was made by a serializer; if it cannot be read, it is shown as it is.
    let document = serde_json::from_str::<serde_json::Value>(&document)
        .ok()
        .and_then(|value| serde_yaml_ng::to_string(&value).ok())
        .unwrap_or(document);
    let content = html! {
        (facts(vec![
            ("Team", html! { (row.owner) }),
            ("Generation", html! { (row.generation) }),
            ("Priority", html! { (row.priority) }),
            ("Applied", html! { (time(row.applied_at)) " by " (row.applied_by) }),
        ]))
        h2 { "Migrations" }
        (phases(&row))
        h2 { "Document" }
        pre.script tabindex="0" { code { (document) } }
    };
    Ok(inside(&visitor, "/console/policies", &name.0, content))
}
