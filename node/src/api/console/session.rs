//! Signing in and out, and who a request of a browser is from.
//!
//! A person signs in with an access token. The browser keeps a random text in a cookie that scripts cannot read and other sites
//! cannot send; the ledger keeps its hash, so every node knows it, and it ends with its token. Forms carry a second text, made of
//! the first, and say where they come from.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::extract::{Form, Request, State};
use axum::http::header::{COOKIE, HOST, ORIGIN, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use skein_protocol::hash::Hash256;
use skein_protocol::ledger::Entry;
use skein_protocol::problem::{Code, Problem};

use super::Visitor;
use super::page::{self, Oops};
use crate::api::auth::{self, Caller};
use crate::api::error::ApiError;
use crate::api::serve::Peer;
use crate::api::{Api, fleet_source};

/// The cookie's name.
const COOKIE_NAME: &str = "skein_session";
/// How long one stays signed in: a working day.
const SESSION_MILLIS: u64 = 12 * 60 * 60 * 1000;
/// Wrong tokens from one address within [`WINDOW_MILLIS`]: a person who pastes the wrong thing tries less often.
const MAX_FAILURES: u32 = 10;
/// The time in which they count.
const WINDOW_MILLIS: u64 = 60 * 1000;
/// Addresses whose failures are remembered.
const ADDRESSES_KEPT: usize = 10_000;

/// Failed sign-ins by address: when the first was, and how many.
#[derive(Debug, Default)]
pub(in crate::api) struct SignIns(Mutex<BTreeMap<IpAddr, (u64, u32)>>);

impl SignIns {
    /// Whether one more try from this address is allowed.
    fn may_try(&self, from: IpAddr, now: u64) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&from).is_none_or(|(since, failures)| *failures < MAX_FAILURES || now >= since + WINDOW_MILLIS)
    }

    fn failed(&self, from: IpAddr, now: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (since, _)| now < *since + WINDOW_MILLIS);
        if known.len() < ADDRESSES_KEPT {
            known.entry(from).or_insert((now, 0)).1 += 1;
        }
    }
}

/// Lets a request pass that comes from somebody who is signed in; others are shown where to do so.
pub(super) async fn visit(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let Some(visitor) = visitor(&api, request.headers()) else {
        return Redirect::to("/console/sign-in").into_response();
    };
    request.extensions_mut().insert(visitor.caller.clone());
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

fn visitor(api: &Api, headers: &HeaderMap) -> Option<Visitor> {
    let secret = cookie(headers)?;
    let (hash, now) = (Hash256::of(secret.as_bytes()), api.core.env.clock.wall_millis());
    let caller = api.core.ledger.read(|state| {
        let (name, rights) = state.access().signed_in(&hash, now)?;
        Some(Caller { name: name.to_owned(), rights: rights.clone(), expires_at: None, token: None })
    })?;
    Some(Visitor { caller, csrf: csrf(secret) })
}

/// The text in the cookie.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

/// What forms carry: it follows from the cookie's text, which does not follow from it.
fn csrf(secret: &str) -> String {
    Hash256::of(format!("form of {secret}").as_bytes()).to_string()
}

/// Refuses changes that a page of another site asks for. Browsers say with every form where it comes from.
pub(super) async fn same_origin(request: Request, next: Next) -> Response {
    if request.method() == Method::GET || request.method() == Method::HEAD {
        return next.run(request).await;
    }
    if is_own(request.headers()) {
        return next.run(request).await;
    }
    let why = "it comes from a page of another site, or does not say where it comes from";
    let problem = Problem::new(Code::Forbidden, "the form", why, "use the console's own pages");
    Oops::outside(ApiError::from(problem)).into_response()
}

fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    origin.is_some() && origin == text(HOST)
}

/// Whether a form carries what its session's forms carry.
pub(super) fn check_form(visitor: &Visitor, given: &str) -> Result<(), Oops> {
    if Hash256::of(given.as_bytes()) == Hash256::of(visitor.csrf.as_bytes()) {
        return Ok(());
    }
    let why = "it was made for another session";
    let problem = Problem::new(Code::Forbidden, "the form", why, "load the page again, and send it from there");
    Err(Oops::new(visitor, ApiError::from(problem)))
}

/// The form of somebody who wants in.
#[derive(Deserialize)]
pub(super) struct Wanted {
    token: String,
}

/// The form of somebody who wants out.
#[derive(Deserialize)]
pub(super) struct Leaving {
    csrf: String,
}

pub(super) async fn ask() -> Markup {
    page::outside("Sign in", form(None))
}

fn form(wrong: Option<&str>) -> Markup {
    html! {
        @if let Some(wrong) = wrong { p.problem role="alert" { (wrong) } }
        form.sign-in method="post" action="/console/sign-in" {
            label for="token" { "Access token" }
            input #token name="token" type="password" autocomplete="current-password" required autofocus;
            button type="submit" { "Sign in" }
        }
        p { "An administrator makes one with " code { "skein token create NAME --role ROLE --team TEAM" } "." }
    }
}

pub(super) async fn sign_in(
    State(api): State<Arc<Api>>,
    peer: Option<Extension<Peer>>,
    Form(wanted): Form<Wanted>,
) -> Response {
    let (core, now) = (&api.core, api.core.env.clock.wall_millis());
    // A call that came through no socket comes from this machine.
    let from = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |Extension(Peer(peer))| peer.ip());
    if !api.sign_ins.may_try(from, now) {
        let page = page::outside("Sign in", form(Some("Too many wrong tokens: wait a minute, then try again.")));
        let wait = [(RETRY_AFTER, (WINDOW_MILLIS / 1000).to_string())];
        return (StatusCode::TOO_MANY_REQUESTS, wait, page).into_response();
    }
    let token = wanted.token.trim();
    let caller = match core.ledger.read(|state| api.tokens.holder(token, state, now)) {
        Ok(caller) => caller,
        Err(error) => {
            api.sign_ins.failed(from, now);
            let why = format!("That token does not open the console: {}.", error.into_problem().why);
            return (StatusCode::UNAUTHORIZED, page::outside("Sign in", form(Some(&why)))).into_response();
        }
    };
    let secret = auth::random(&core.env);
    let expires_at = caller.expires_at.unwrap_or(u64::MAX).min(now + SESSION_MILLIS);
    let entry = Entry::SignedIn {
        session: Hash256::of(secret.as_bytes()),
        name: caller.name.clone(),
        rights: caller.rights,
        token: caller.token,
        expires_at,
    };
    if let Err(problem) = fleet_source::record(core, entry, &caller.name).await {
        return Oops::outside(ApiError::from(problem)).into_response();
    }
    let life = (expires_at - now) / 1000;
    ([(SET_COOKIE, kept(&secret, life))], Redirect::to("/console")).into_response()
}

/// The cookie as the browser is told to keep it.
fn kept(secret: &str, seconds: u64) -> String {
    format!("{COOKIE_NAME}={secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}")
}

pub(super) async fn sign_out(
    State(api): State<Arc<Api>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    Form(leaving): Form<Leaving>,
) -> Result<Response, Oops> {
    check_form(&visitor, &leaving.csrf)?;
    if let Some(secret) = cookie(&headers) {
        let entry = Entry::SignedOut { session: Hash256::of(secret.as_bytes()) };
        let recorded = fleet_source::record(&api.core, entry, &visitor.caller.name).await;
        recorded.map_err(|problem| Oops::new(&visitor, ApiError::from(problem)))?;
    }
    let gone = HeaderValue::from_str(&kept("", 0)).map_err(|error| {
        let problem = Problem::new(Code::Internal, "the sign-out", error.to_string(), "report this defect");
        Oops::new(&visitor, ApiError::from(problem))
    })?;
    Ok(([(SET_COOKIE, gone)], Redirect::to("/console/sign-in")).into_response())
}
