//! One migration: where it is, its problem, batches and history; its plan with the script; its report with the evidence.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use maud::{Markup, html};
use skein_protocol::api::{BatchRow, MigrationDetail, Report};
use skein_protocol::evidence::{ColumnEvidence, RowSum};
use skein_protocol::ids::MigrationId;
use skein_protocol::ledger::migration::HistoryItem;
use skein_protocol::plan::{Conversion, Origin, Plan, Planned, Refusal, TargetColumn};
use skein_protocol::shown;

use super::act::actions;
use super::page::{Oops, badge, encoded, explained, facts, inside, progress, time};
use super::{Page, Visitor};
use crate::api::Api;
use crate::api::error::ApiError;
use crate::api::migrations::{self, documents};
use crate::api::rows::migration_detail;
use crate::report;

/// Where migrations stand in the navigation.
const AT: &str = "/console/migrations";

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(visitor): Extension<Visitor>,
    Path(name): Path<String>,
) -> Page {
    let detail = api.core.ledger.read(|state| {
        let id = migrations::find(state, &visitor.caller.rights, &name)?;
        state.migration(id).map(migration_detail).ok_or_else(|| migrations::none(&name))
    });
    let detail = detail.map_err(|error| Oops::new(&visitor, error))?;
    let row = &detail.row;
    let content = html! {
        @if let Some(problem) = &detail.problem { (explained(problem)) }
        (summary(&detail))
        ul.links {
            li { a href={ "/console/migrations/" (row.id) "/plan" } { "Plan and script" } }
            li { a href={ "/console/migrations/" (row.id) "/report" } { "Report with evidence" } }
        }
        form method="post" action="/console/act" {
            input type="hidden" name="csrf" value=(visitor.csrf);
            input type="hidden" name="back" value={ "/console/migrations/" (row.id) };
            input type="hidden" name="chosen" value=(chosen(row.id, row.plan.map(|plan| plan.to_string())));
            (actions(&visitor, "With this migration"))
        }
        (batches(&detail.batches))
        (history(&detail.history))
    };
    Ok(inside(&visitor, AT, &row.dataset.to_string(), content))
}

fn chosen(id: MigrationId, plan: Option<String>) -> String {
    plan.map_or_else(|| id.to_string(), |plan| format!("{id}:{plan}"))
}

fn summary(detail: &MigrationDetail) -> Markup {
    let row = &detail.row;
    let mut all = vec![
        ("Phase", html! { (badge(row.phase)) @if let Some(from) = row.from { " from " (from.as_str()) } }),
        ("Target", html! { (row.target) }),
        (
            "Policy",
            html! { a href={ "/console/policies/" (encoded(&row.policy.0)) } { (row.policy) } " generation " (row.generation) },
        ),
        ("Batches", progress(u64::from(row.batches_done), u64::from(row.batches), "batches")),
        ("Rows read", progress(row.rows_in, row.rows_planned.unwrap_or(row.rows_in), "rows")),
        ("Rows written", html! { (shown::number(row.rows_out)) }),
        ("Size of the source", html! { (shown::bytes(row.bytes)) }),
        ("Run", html! { (row.run) }),
        ("Node", html! { (detail.owner) " (epoch " (detail.epoch) ")" }),
        ("Since", time(row.changed_at)),
    ];
    if let Some(strategy) = &row.strategy {
        all.push(("Strategy", html! { (strategy) }));
    }
    if let Some((plan, by, at)) = &detail.approved {
        all.push(("Approved", html! { "plan " code { (plan.short()) } " by " (by) ", " (time(*at)) }));
    }
    if let Some(location) = &detail.metadata_location {
        all.push(("Published as", html! { code { (location) } }));
    }
    facts(all)
}

fn batches(rows: &[BatchRow]) -> Markup {
    html! {
        h2 { "Batches" }
        @if rows.is_empty() { p { "None yet." } } @else {
            div.scrolls tabindex="0" role="region" aria-label="Batches" { table {
                thead { tr {
                    th scope="col" { "Batch" } th scope="col" { "State" } th scope="col" { "Node" } th.number scope="col" { "Failures" }
                    th.number scope="col" { "Rows read" } th.number scope="col" { "Removed" } th.number scope="col" { "Written" }
                    th.number scope="col" { "Size" } th scope="col" { "Last failure" }
                } }
                tbody { @for row in rows { tr {
                    th scope="row" { (row.id) }
                    td { (row.state) }
                    td { @if let Some(node) = row.node { (node) } }
                    td.number { (row.failures) }
                    td.number { (shown::number(row.rows_in)) }
                    td.number { (shown::number(row.rows_removed)) }
                    td.number { (shown::number(row.rows_out)) }
                    td.number { (shown::bytes(row.bytes_out)) }
                    td { @if let Some(problem) = &row.problem { code { (problem.code) } " " (problem.why) } }
                } } }
            } }
        }
    }
}

fn history(items: &[HistoryItem]) -> Markup {
    html! {
        h2 { "History" }
        ol.history reversed { @for item in items.iter().rev() { li {
            (time(item.at_millis)) " " (badge(item.phase)) " " (item.what) " " small { "run " (item.run) ", by " (item.actor) ", entry " (item.index) }
        } } }
    }
}

pub(super) async fn plan(
    State(api): State<Arc<Api>>,
    Extension(visitor): Extension<Visitor>,
    Path(name): Path<String>,
) -> Page {
    let oops = |error: ApiError| Oops::new(&visitor, error);
    let (plan, refusal) = documents(&api, &visitor.caller.rights, &name).map_err(oops)?;
    let planned = match (plan, refusal) {
        (Some(hash), _) => api.core.document::<Plan>("the plan", hash).await.map(|plan| Planned::Ready(Box::new(plan))),
        (None, Some(hash)) => api.core.document::<Refusal>("the refusal", hash).await.map(Planned::Refused),
        (None, None) => return Err(oops(migrations::unplanned(&name))),
    };
    let content = match planned.map_err(|error| oops(error.into()))? {
        Planned::Ready(plan) => whole(&plan),
        Planned::Refused(refusal) => html! { @for problem in &refusal.problems { (explained(problem)) } },
    };
    let content =
        html! { p { a href={ "/console/migrations/" (encoded(&name)) } { "Back to the migration" } } (content) };
    Ok(inside(&visitor, AT, "Plan", content))
}

fn whole(plan: &Plan) -> Markup {
    let batches: usize = plan.stages.iter().map(|stage| stage.batches.len()).sum();
    html! {
        (facts(vec![
            ("From", html! { (plan.source.dataset) " in " code { (plan.source.location) } }),
            ("To", html! { (plan.target.name) " in " code { (plan.target.location) } }),
            ("Format", html! { (plan.source.format.name()) ", to Iceberg version " (plan.target.format_version) }),
            ("Files", html! { (shown::number(plan.source.files.len() as u64)) ", " (shown::bytes(plan.source_bytes())) }),
            ("Work", html! { (shown::number(batches as u64)) " batches in " (plan.stages.len()) " stages" }),
            ("Why so", html! { (plan.strategy.reason) }),
        ]))
        @if !plan.notes.is_empty() { h2 { "Notes" } ul { @for note in &plan.notes { li { (note) } } } }
        h2 { "Columns" }
        div.scrolls tabindex="0" role="region" aria-label="Columns" { table {
            thead { tr {
                th scope="col" { "Source" } th scope="col" { "Type" } th scope="col" { "Target" } th scope="col" { "Type" }
                th scope="col" { "Change" } th scope="col" { "What it is" }
            } }
            tbody { @for column in &plan.target.columns { (mapped(plan, column)) } }
        } }
        h2 { "Script" }
        pre.script tabindex="0" { code { (plan.script) } }
        h2 { "Undo" }
        p { (plan.undo) }
    }
}

/// A column of the source, if that is where it comes from, beside the target's.
fn mapped(plan: &Plan, column: &TargetColumn) -> Markup {
    let (from, from_type) = match &column.origin {
        Origin::Source { column: name } => {
            let source = plan.source.columns.iter().find(|source| source.name == *name);
            (html! { (name) }, source.map(|source| source.data_type.to_string()).unwrap_or_default())
        }
        Origin::Constant { value: Some(value) } => (html! { "always " code { (format!("{value:?}")) } }, String::new()),
        Origin::Constant { value: None } => (html! { "always null" }, String::new()),
    };
    let change = match &column.conversion {
        Conversion::Same => "none",
        Conversion::Widen => "a wider type, the same values",
        Conversion::Cast { why } => why,
        Conversion::TrimPadding => "without padding",
        Conversion::Add => "new",
    };
    html! { tr {
        td { (from) } td { code { (from_type) } }
        th scope="row" { (column.name) } td { code { (column.data_type) } }
        td { (change) }
        td { @if let Some(doc) = &column.doc { (doc) } }
    } }
}

pub(super) async fn report(
    State(api): State<Arc<Api>>,
    Extension(visitor): Extension<Visitor>,
    Path(name): Path<String>,
) -> Page {
    let oops = |error: ApiError| Oops::new(&visitor, error);
    let found = api.core.ledger.read(|state| {
        let id = migrations::find(state, &visitor.caller.rights, &name)?;
        state.migration(id).cloned().ok_or_else(|| migrations::none(&name))
    });
    let migration = found.map_err(oops)?;
    let report = report::report(&api.core, &migration).await.map_err(|error| oops(error.into()))?;
    let content = html! {
        p { a href={ "/console/migrations/" (migration.id) } { "Back to the migration" } }
        (evidence(&report))
    };
    Ok(inside(&visitor, AT, &format!("Report on {}", migration.dataset), content))
}

fn evidence(report: &Report) -> Markup {
    html! {
        p.verdict { (report.verdict) }
        @if !report.notes.is_empty() { h2 { "Notes" } ul { @for note in &report.notes { li { (note) } } } }
        @if let Some(table) = &report.table {
            h2 { "Rows and checksums of the whole table" }
            div.scrolls tabindex="0" role="region" aria-label="Sums" { table {
                thead { tr { th scope="col" { "What" } th.number scope="col" { "Rows" } th scope="col" { "Sum (row128)" } } }
                tbody {
                    (sum("source, as read", &table.source))
                    @for removed in &table.removed { (sum(&format!("removed by {}", removed.rule), &removed.rows)) }
                    (sum("kept", &table.kept))
                    (sum("expected in the target", &table.expected))
                    (sum("found in the target", &table.found))
                }
            } }
            (columns(&table.columns))
        }
        h2 { "Batches" }
        div.scrolls tabindex="0" role="region" aria-label="Evidence of batches" { table {
            thead { tr {
                th scope="col" { "Batch" } th.number scope="col" { "Source" } th.number scope="col" { "Kept" }
                th.number scope="col" { "Expected" } th.number scope="col" { "Found" } th scope="col" { "Sums" }
            } }
            tbody { @for (id, batch) in &report.batches { tr {
                th scope="row" { (id) }
                td.number { (shown::number(batch.source.rows)) } td.number { (shown::number(batch.kept.rows)) }
                td.number { (shown::number(batch.expected.rows)) } td.number { (shown::number(batch.found.rows)) }
                td { @if batch.expected == batch.found { "equal" } @else { strong { "different" } } }
            } } }
        } }
        @if let Some(proof) = &report.outsider {
            h2 { "For the legacy cluster" }
            p { "This query must give " (shown::number(proof.rows)) " rows and the sum " code { (proof.sum) } "." }
            pre.script tabindex="0" { code { (proof.query) } }
        }
        h2 { "Undo" }
        p { (report.undo) }
    }
}

fn sum(what: &str, rows: &RowSum) -> Markup {
    html! { tr { th scope="row" { (what) } td.number { (shown::number(rows.rows)) } td { code { (rows.sum) } } } }
}

fn columns(columns: &[ColumnEvidence]) -> Markup {
    let same = |column: &ColumnEvidence| {
        column.nulls_expected == column.nulls_found
            && column.min_expected == column.min_found
            && column.max_expected == column.max_found
    };
    let pair = |expected: &Option<String>, found: &Option<String>| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
        if expected == found { text(found) } else { format!("{}, expected {}", text(found), text(expected)) }
    };
    html! {
        @if !columns.is_empty() {
            h2 { "Columns" }
            div.scrolls tabindex="0" role="region" aria-label="Evidence of columns" { table {
                thead { tr {
                    th scope="col" { "Column" } th.number scope="col" { "Nulls" } th scope="col" { "Least" }
                    th scope="col" { "Greatest" } th scope="col" { "As expected" }
                } }
                tbody { @for column in columns { tr {
                    th scope="row" { (column.column) }
                    td.number {
                        (shown::number(column.nulls_found))
                        @if column.nulls_found != column.nulls_expected { ", expected " (shown::number(column.nulls_expected)) }
                    }
                    td { (pair(&column.min_expected, &column.min_found)) }
                    td { (pair(&column.max_expected, &column.max_found)) }
                    td { @if same(column) { "✓ yes" } @else { strong { "✕ no" } } }
                } } }
            } }
        }
    }
}
