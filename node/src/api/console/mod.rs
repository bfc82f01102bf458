//! The console: pages for people, made by the node, for a browser without anything else.
//!
//! In: what the API's handlers read. Out: HTML. Holds: its routes, the headers of all its answers. Not here: anything that the API
//! cannot do; every form ends in a handler of the API.
//!
//! Pages work without scripts: there are none.

mod act;
mod fleet;
mod migration;
mod migrations;
mod page;
mod policies;
mod session;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::Markup;
use skein_protocol::access::Permission;

use super::Api;
use super::auth::Caller;
use super::error::ApiError;
use page::Oops;
pub(super) use session::SignIns;

/// The stylesheet of all pages.
const STYLE: &str = include_str!("style.css");
/// Nothing but the console's own stylesheet is loaded, nothing runs, forms go nowhere else, nobody frames it.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";

/// A person who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) caller: Caller,
    /// What every form of the session carries, and no other site knows.
    pub(super) csrf: String,
}

/// A page, or why there is none.
type Page = Result<Markup, Oops>;

/// The console's routes.
pub(super) fn router(api: &Arc<Api>) -> Router<Arc<Api>> {
    let inside = Router::new()
        .route("/console", get(fleet::show))
        .route("/console/migrations", get(migrations::list))
        .route("/console/migrations/{id}", get(migration::show))
        .route("/console/migrations/{id}/plan", get(migration::plan))
        .route("/console/migrations/{id}/report", get(migration::report))
        .route("/console/act", post(act::act))
        .route("/console/policies", get(policies::list))
        .route("/console/policies/{name}", get(policies::show))
        .route("/console/sign-out", post(session::sign_out))
        .route_layer(from_fn_with_state(api.clone(), session::visit));
    let open = Router::new()
        .route("/", get(async || Redirect::to("/console")))
        .route("/console/sign-in", get(session::ask).post(session::sign_in))
        .route("/console/style.css", get(style));
    // Forms of other sites are refused before anything is read of them.
    inside.merge(open).layer(from_fn(session::same_origin)).layer(from_fn(guarded))
}

async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "no-cache")], STYLE).into_response()
}

/// Headers of every answer, errors included.
async fn guarded(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What a page shows is for whoever is signed in, at this moment.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses a page or form that the visitor's token does not allow.
fn check(visitor: &Visitor, permission: Permission, what: &str) -> Result<(), Oops> {
    visitor.caller.rights.check(permission, what).map_err(|problem| Oops::new(visitor, ApiError::from(problem)))
}
