//! What people do with migrations: the form's buttons, and what becomes of it.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use maud::{Markup, html};
use skein_protocol::access::Permission;
use skein_protocol::api::{Action, ActionAnswer, ActionRequest, DecisionRequest, PlanDecision};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::MigrationId;

use super::page::{Oops, explained, inside};
use super::session::check_form;
use super::{Page, Visitor, check};
use crate::api::error::ApiError;
use crate::api::{Api, actions};

/// Everything that can be done, in the order of the buttons.
const VERBS: [(&str, &str, Permission); 7] = [
    ("approve", "Approve", Permission::Decide),
    ("reject", "Reject", Permission::Decide),
    ("pause", "Pause", Permission::Operate),
    ("resume", "Resume", Permission::Operate),
    ("retry", "Retry", Permission::Operate),
    ("cancel", "Cancel", Permission::Operate),
    ("rollback", "Roll back", Permission::Operate),
];

/// The buttons that the visitor may press, and a field for the reason; nothing for who may press none. Stands within a form.
pub(super) fn actions(visitor: &Visitor, what: &str) -> Markup {
    if !VERBS.iter().any(|(_, _, permission)| visitor.caller.rights.has(*permission)) {
        return html! {};
    }
    html! {
        fieldset.actions {
            legend { (what) }
            div { label for="reason" { "Reason" } input #reason name="reason" maxlength="1000"; }
            @for (verb, name, permission) in VERBS {
                @if visitor.caller.rights.has(permission) { button type="submit" name="verb" value=(verb) { (name) } }
            }
        }
    }
}

/// A form about migrations.
#[derive(Debug, Default)]
struct Asked {
    csrf: String,
    verb: String,
    reason: String,
    back: String,
    /// Ids, each perhaps with the plan that was seen.
    chosen: Vec<(MigrationId, Option<Hash256>)>,
}

impl Asked {
    /// A form's text. A name may come several times, which the usual decoder does not give.
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        let invalid = |why: String| ApiError::invalid("the form", why, "load the page again, and send it from there");
        let text = std::str::from_utf8(body).map_err(|error| invalid(error.to_string()))?;
        let mut asked = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value).ok_or_else(|| invalid(format!("{name} is no text")))?;
            match name {
                "csrf" => asked.csrf = value,
                "verb" => asked.verb = value,
                "reason" => asked.reason = value,
                "back" => asked.back = value,
                "chosen" => {
                    let (id, plan) =
                        value.split_once(':').map_or((value.as_str(), None), |(id, plan)| (id, Some(plan)));
                    let id = id.parse().map_err(|_| invalid(format!("{id:?} is no migration")))?;
                    let plan = plan.map(str::parse).transpose().map_err(|_| invalid(format!("{plan:?} is no plan")))?;
                    asked.chosen.push((id, plan));
                }
                other => return Err(invalid(format!("it has a field {other:?}"))),
            }
        }
        Ok(asked)
    }
}

/// A form's value as it was meant.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit =
                    |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(rest.next())? << 4 | digit(rest.next())?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

pub(super) async fn act(State(api): State<Arc<Api>>, Extension(visitor): Extension<Visitor>, body: Bytes) -> Page {
    let oops = |error: ApiError| Oops::new(&visitor, error);
    let asked = Asked::read(&body).map_err(oops)?;
    check_form(&visitor, &asked.csrf)?;
    let verb = VERBS.into_iter().find(|(verb, ..)| *verb == asked.verb);
    let (verb, name, permission) = verb.ok_or_else(|| {
        oops(ApiError::invalid("the form", format!("{:?} is nothing that can be done", asked.verb), "press a button"))
    })?;
    check(&visitor, permission, name)?;
    let answer = carry_out(&api, &visitor, verb, &asked).await.map_err(oops)?;
    Ok(inside(&visitor, "", name, outcome(name, &asked, &answer)))
}

async fn carry_out(api: &Api, visitor: &Visitor, verb: &str, asked: &Asked) -> Result<ActionAnswer, ApiError> {
    let reason = asked.reason.clone();
    let action = match verb {
        "pause" => Action::Pause,
        "resume" => Action::Resume,
        "retry" => Action::Retry,
        "cancel" => Action::Cancel,
        "rollback" => Action::Rollback,
        decision => {
            let planned = |(migration, plan): &(MigrationId, Option<Hash256>)| {
                let unplanned = || {
                    let next = "wait until it is planned";
                    ApiError::invalid(format!("migration {migration}"), "it has no plan yet", next)
                };
                Ok(PlanDecision { migration: *migration, plan: plan.ok_or_else(unplanned)? })
            };
            let items = asked.chosen.iter().map(planned).collect::<Result<_, ApiError>>()?;
            let request = DecisionRequest { approve: decision == "approve", items, reason };
            return actions::decide_on(api, &visitor.caller, request).await;
        }
    };
    let migrations = asked.chosen.iter().map(|(id, _)| *id).collect();
    actions::act_on(api, &visitor.caller, ActionRequest { action, migrations, reason }).await
}

fn outcome(name: &str, asked: &Asked, answer: &ActionAnswer) -> Markup {
    // Where the form was; never another site.
    let back = if asked.back.starts_with("/console/") { asked.back.as_str() } else { "/console/migrations" };
    html! {
        p role="status" { (name) ": done for " (answer.done) " of " (asked.chosen.len()) "." }
        @for refused in &answer.refused { (explained(&refused.problem)) }
        p { a href=(back) { "Back" } }
    }
}

#[cfg(test)]
mod tests {
    use skein_protocol::ids::{Generation, TableName};

    use super::*;

    #[test]
    fn a_form_is_read_field_by_field() {
        let id = MigrationId::derive(&"p".into(), Generation(1), &TableName::new("db", "t"));
        let plan = Hash256::default();
        let body = format!("csrf=x&verb=approve&reason=all+good%21&chosen={id}%3A{plan}&chosen={id}&back=%2Fconsole");
        let asked = Asked::read(body.as_bytes()).unwrap();
        assert_eq!((asked.csrf.as_str(), asked.verb.as_str(), asked.reason.as_str()), ("x", "approve", "all good!"));
        assert_eq!((asked.chosen, asked.back.as_str()), (vec![(id, Some(plan)), (id, None)], "/console"));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for wrong in [&b"chosen=1"[..], b"other=1", b"reason=%zz", b"reason=%f", b"reason=%ff", b"\xff"] {
            assert!(Asked::read(wrong).is_err(), "{wrong:?}");
        }
    }
}
