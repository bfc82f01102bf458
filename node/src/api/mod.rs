//! The HTTP API: routes, who may call them, what they answer.
//!
//! In: HTTP requests, from sockets or straight into the router. Out: JSON, problem documents, text. Holds: [`Api`], what
//! handlers share. One table ([`routes`]) makes the router and the OpenAPI document. Not here: types (the protocol's
//! `api`), anything that decides.

mod actions;
mod auth;
mod console;
mod error;
mod extract;
mod fleet;
pub(crate) mod fleet_source;
mod handling;
mod listing;
mod merging;
mod migrations;
mod openapi;
mod overview;
mod paging;
mod plans;
mod policies;
mod quarantine;
mod routes;
mod rows;
mod selecting;
mod serve;
mod sight;
mod tokens;

use std::sync::{Arc, OnceLock};

pub use actions::MAX_ITEMS;
pub use auth::{NODE_TOKEN_NAME, TOKEN_FILE};
use auth::{Tokens, Uses};
use axum::Router;
use axum::middleware::from_fn_with_state;
use console::SignIns;
pub(crate) use overview::status_of;
pub(crate) use rows::migration_detail;
pub(crate) use selecting::iceberg;
pub(crate) use serve::Server;

use handling::Guard;

use crate::core::Core;

/// What handlers share.
pub(crate) struct Api {
    core: Arc<Core>,
    tokens: Tokens,
    /// When the use of access tokens was recorded.
    uses: Uses,
    /// Failed attempts to sign in.
    sign_ins: SignIns,
    /// The OpenAPI document, once somebody asked for it.
    document: OnceLock<String>,
}

/// The API of a node, to be called below any socket.
///
/// # Errors
/// When the token file can be neither read nor written.
pub(crate) async fn router(core: Arc<Core>) -> std::io::Result<Router> {
    let (env, named) = (core.env.clone(), core.config.tokens.clone());
    let load = move || Tokens::load(&env, &named);
    let tokens = core.env.blocking.call(load).await.map_err(std::io::Error::other)??;
    // A router may be made again; the token is the same.
    let _ = core.token_sha256.set(tokens.own());
    let api =
        Arc::new(Api { core, tokens, uses: Uses::default(), sign_ins: SignIns::default(), document: OnceLock::new() });
    let mut all = Router::new();
    for route in routes::all() {
        let handler = match route.needs {
            None => route.handler,
            // The last layer is the outermost: nobody without the right makes the leader be asked.
            Some(permission) => {
                let guard = Guard { api: api.clone(), permission, what: route.summary };
                let dated = route.handler.layer(from_fn_with_state(api.clone(), handling::date));
                dated.layer(from_fn_with_state(guard, handling::authorize))
            }
        };
        all = all.route(route.path, handler);
    }
    let all = all.merge(console::router(&api));
    Ok(all.layer(from_fn_with_state(api.clone(), handling::handle)).with_state(api))
}
