//! What pages are made of: the frame, badges, tables of facts, errors.

use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use skein_protocol::ledger::Phase;
use skein_protocol::problem::{Code, Problem};
use skein_protocol::shown;

use super::Visitor;
use crate::api::error::ApiError;

/// Places that every page leads to.
const PLACES: [(&str, &str); 4] = [
    ("/console", "Fleet"),
    ("/console/migrations", "Migrations"),
    ("/console/migrations?phase=approval", "Approvals"),
    ("/console/policies", "Policies"),
];

/// A page for somebody who is signed in. `at` is the place in the navigation that it belongs to.
pub(super) fn inside(visitor: &Visitor, at: &str, title: &str, content: Markup) -> Markup {
    frame(
        title,
        html! {
            a.skip href="#content" { "Skip to content" }
            header {
                a.name href="/console" { "Skein" }
                nav aria-label="Main" {
                    ul { @for (place, name) in PLACES {
                        li { a href=(place) aria-current=[(place == at).then_some("page")] { (name) } }
                    } }
                }
                form.who method="post" action="/console/sign-out" {
                    input type="hidden" name="csrf" value=(visitor.csrf);
                    span { (visitor.caller.name) " · " (visitor.caller.rights) }
                    button type="submit" { "Sign out" }
                }
            }
            main #content tabindex="-1" { h1 { (title) } (content) }
        },
    )
}

/// A page for anybody.
pub(super) fn outside(title: &str, content: Markup) -> Markup {
    frame(title, html! { main #content { p.name { "Skein" } h1 { (title) } (content) } })
}

fn frame(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Skein" }
                link rel="stylesheet" href="/console/style.css";
            }
            body { (body) }
        }
    }
}

/// A refused or failed request, as a page.
#[derive(Debug)]
pub(super) struct Oops(Box<(ApiError, Option<Visitor>)>);

impl Oops {
    pub(super) fn new(visitor: &Visitor, error: ApiError) -> Self {
        Self(Box::new((error, Some(visitor.clone()))))
    }

    /// For somebody who is not signed in.
    pub(super) fn outside(error: ApiError) -> Self {
        Self(Box::new((error, None)))
    }
}

impl IntoResponse for Oops {
    fn into_response(self) -> Response {
        let (error, visitor) = *self.0;
        let (status, problem) = (error.status, error.into_problem());
        let (title, content) = (format!("{} {}", status.as_u16(), problem.code), explained(&problem));
        let page = match visitor {
            Some(visitor) => inside(&visitor, "", &title, content),
            None => outside(&title, content),
        };
        (status, page).into_response()
    }
}

/// A problem: what, why, what next.
pub(super) fn explained(problem: &Problem) -> Markup {
    html! {
        div.problem role="alert" {
            p { strong { (problem.code) } " " (problem.what) @if let Some(dataset) = &problem.dataset { " (" (dataset) ")" } }
            p { (problem.why) }
            p.next { "What to do: " (problem.next) }
        }
    }
}

/// A phase in words, with a sign and a colour that mean the same.
pub(super) fn badge(phase: Phase) -> Markup {
    let (kind, sign) = match phase {
        Phase::Queued | Phase::Ready => ("waits", "○"),
        Phase::Preparation | Phase::Execution | Phase::Validation | Phase::Commit => ("runs", "▶"),
        Phase::Approval => ("asks", "?"),
        Phase::Committed => ("good", "✓"),
        Phase::RollingBack | Phase::RolledBack => ("back", "↶"),
        Phase::Paused => ("held", "‖"),
        Phase::Quarantined => ("bad", "✕"),
        Phase::Cancelled => ("over", "–"),
    };
    html! { span class={ "badge " (kind) } { span aria-hidden="true" { (sign) " " } (phase.as_str().replace('_', " ")) } }
}

/// How far something is.
pub(super) fn progress(done: u64, all: u64, of: &str) -> Markup {
    html! {
        @if all == 0 { "–" } @else {
            progress value=(done) max=(all) aria-label={ (of) ": " (done) " of " (all) } {}
            " " (shown::number(done)) " of " (shown::number(all))
        }
    }
}

/// A moment.
pub(super) fn time(millis: u64) -> Markup {
    let text = shown::time(millis);
    html! { time datetime=(text.replace(' ', "T")) { (text) } }
}

/// Names and values beside each other.
pub(super) fn facts(facts: Vec<(&str, Markup)>) -> Markup {
    html! { dl.facts { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } } }
}

/// What a code's page is called.
pub(super) fn code(code: Code) -> Markup {
    html! { code { (code) } }
}

/// A text as a part of an address.
pub(super) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().fold(String::with_capacity(text.len()), |mut done, byte| {
        if plain(byte) {
            done.push(char::from(byte));
        } else {
            done.push_str(&format!("%{byte:02X}"));
        }
        done
    })
}
