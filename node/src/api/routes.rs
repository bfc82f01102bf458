//! The one table of routes: the router and the OpenAPI document are both made of it.

use std::sync::Arc;

use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use skein_protocol::access::Permission;
use skein_protocol::api::{
    AccessTokenRequest, AccessTokenRow, ActionAnswer, ActionRequest, ApplyAnswer, DecisionRequest, Digest,
    DrainRequest, Filter, FleetView, IssuedAccessToken, JoinToken, LintAnswer, MigrationDetail, MigrationRow,
    NodeDetail, NodeRow, Page, PlanLine, PlannedDataset, PolicyDetail, PolicyFilter, PolicyRow, QuarantineFilter,
    QuarantineRequest, QuarantineRow, RemoveQuery, Report, RevokeQuery, RevokedToken, Status, TokenRequest, TokenRow,
    WhoAmI,
};
use skein_protocol::policy::Policy;

use super::overview::StatusQuery;
use super::{Api, actions, fleet, migrations, overview, plans, policies, quarantine, tokens};

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a body is.
#[derive(Clone, Copy)]
pub(super) enum Media {
    /// None.
    Nothing,
    /// A JSON document.
    Json(SchemaOf),
    /// A policy document, in YAML or JSON.
    Policy(SchemaOf),
    /// Lines of JSON.
    Lines(SchemaOf),
    /// Text of this media type.
    Text(&'static str),
    /// Some JSON document.
    AnyJson,
}

/// One route.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    /// What a caller needs; none: it may be called without a token.
    pub(super) needs: Option<Permission>,
    pub(super) query: Option<SchemaOf>,
    pub(super) body: Media,
    pub(super) answer: Media,
    pub(super) handler: MethodRouter<Arc<Api>>,
}

impl Route {
    fn get(path: &'static str, summary: &'static str, answer: Media, handler: MethodRouter<Arc<Api>>) -> Self {
        let (method, query, body) = (Method::GET, None, Media::Nothing);
        Self { method, path, summary, needs: Some(Permission::Read), query, body, answer, handler }
    }

    fn post(
        path: &'static str,
        summary: &'static str,
        (body, answer): (Media, Media),
        handler: MethodRouter<Arc<Api>>,
    ) -> Self {
        let needs = Some(Permission::Operate);
        Self { method: Method::POST, body, needs, ..Self::get(path, summary, answer, handler) }
    }

    fn delete(path: &'static str, summary: &'static str, answer: Media, handler: MethodRouter<Arc<Api>>) -> Self {
        let needs = Some(Permission::Administer);
        Self { method: Method::DELETE, needs, ..Self::get(path, summary, answer, handler) }
    }

    fn query(self, query: SchemaOf) -> Self {
        Self { query: Some(query), ..self }
    }

    fn open(self) -> Self {
        Self { needs: None, ..self }
    }

    fn needs(self, permission: Permission) -> Self {
        Self { needs: Some(permission), ..self }
    }
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn json<T: JsonSchema>() -> Media {
    Media::Json(of::<T>)
}

/// All routes.
pub(super) fn all() -> Vec<Route> {
    [of_policies(), of_migrations(), of_quarantine(), of_access(), of_fleet(), of_node()]
        .into_iter()
        .flatten()
        .collect()
}

fn of_policies() -> Vec<Route> {
    let policy = Media::Policy(of::<Policy>);
    vec![
        Route::post("/v1/lint", "Check a policy document", (policy, json::<LintAnswer>()), post(policies::lint))
            .needs(Permission::Read),
        Route::post(
            "/v1/plan",
            "Plan what applying a policy would do; nothing is recorded",
            (policy, Media::Lines(of::<PlanLine>)),
            post(plans::plan),
        ),
        Route::post(
            "/v1/policies",
            "Apply a policy; with a header Idempotency-Key, a repeated call gets its first answer",
            (policy, json::<ApplyAnswer>()),
            post(policies::apply),
        ),
        Route::get("/v1/policies", "List policies", json::<Page<PolicyRow>>(), get(policies::list))
            .query(of::<PolicyFilter>),
        Route::get("/v1/policies/{name}", "One policy", json::<PolicyDetail>(), get(policies::show)),
    ]
}

fn of_migrations() -> Vec<Route> {
    let text = Media::Text("text/plain");
    vec![
        Route::get("/v1/migrations", "List migrations", json::<Page<MigrationRow>>(), get(migrations::list))
            .query(of::<Filter>),
        Route::get(
            "/v1/migrations/{id}",
            "One migration, by id, or by dataset or target if that names one alone",
            json::<MigrationDetail>(),
            get(migrations::show),
        ),
        Route::get(
            "/v1/migrations/{id}/plan",
            "A migration's plan or refusal",
            json::<PlannedDataset>(),
            get(migrations::plan),
        ),
        Route::get("/v1/migrations/{id}/script", "A migration's SQL script", text, get(migrations::script)),
        Route::get(
            "/v1/migrations/{id}/report",
            "A migration's report",
            json::<Report>(),
            get(migrations::show_report),
        ),
        Route::post(
            "/v1/actions",
            "Pause, resume, cancel, retry or roll back migrations",
            (json::<ActionRequest>(), json::<ActionAnswer>()),
            post(actions::act),
        ),
        Route::post(
            "/v1/decisions",
            "Approve or reject plans by their hashes",
            (json::<DecisionRequest>(), json::<ActionAnswer>()),
            post(actions::decide),
        )
        .needs(Permission::Decide),
    ]
}

fn of_quarantine() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/quarantine",
            "Migrations that failed for good, with everything about them",
            json::<Page<QuarantineRow>>(),
            get(quarantine::list),
        )
        .query(of::<QuarantineFilter>),
        Route::get(
            "/v1/quarantine/{id}",
            "One of them, by id, dataset or target",
            json::<QuarantineRow>(),
            get(quarantine::show),
        ),
        Route::post(
            "/v1/quarantine/replay",
            "Open the next run of quarantined migrations, by ids or all that a filter selects",
            (json::<QuarantineRequest>(), json::<ActionAnswer>()),
            post(quarantine::replay),
        ),
        Route::post(
            "/v1/quarantine/discard",
            "End quarantined migrations, by ids or all that a filter selects",
            (json::<QuarantineRequest>(), json::<ActionAnswer>()),
            post(quarantine::discard),
        ),
    ]
}

fn of_access() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/whoami",
            "Who the caller is, and what its token allows",
            json::<WhoAmI>(),
            get(tokens::who_am_i),
        ),
        Route::post(
            "/v1/tokens",
            "Make an access token; its text is in the answer and nowhere else",
            (json::<AccessTokenRequest>(), json::<IssuedAccessToken>()),
            post(tokens::issue),
        )
        .needs(Permission::Administer),
        Route::get(
            "/v1/tokens",
            "List access tokens, by hashes of their texts",
            json::<Vec<AccessTokenRow>>(),
            get(tokens::list),
        )
        .needs(Permission::Administer),
        Route::delete(
            "/v1/tokens/{token}",
            "Take an access token back, by its name or the SHA-256 of its text",
            json::<AccessTokenRow>(),
            delete(tokens::revoke),
        )
        .query(of::<RevokeQuery>),
    ]
}

fn of_fleet() -> Vec<Route> {
    vec![
        Route::get("/v1/fleet", "The fleet as this node sees it", json::<FleetView>(), get(fleet::show)),
        Route::post(
            "/v1/fleet/tokens",
            "Make a token with which one node may join",
            (json::<TokenRequest>(), json::<JoinToken>()),
            post(fleet::issue_token),
        )
        .needs(Permission::Administer),
        Route::get(
            "/v1/fleet/tokens",
            "List join tokens, by hashes of their secrets",
            json::<Vec<TokenRow>>(),
            get(fleet::tokens),
        )
        .needs(Permission::Administer),
        Route::delete(
            "/v1/fleet/tokens/{hash}",
            "Make a join token worthless, by the SHA-256 of its secret",
            json::<RevokedToken>(),
            delete(fleet::revoke_token),
        ),
        Route::get("/v1/nodes/{id}", "One node, by id or address", json::<NodeDetail>(), get(fleet::node)),
        Route::delete(
            "/v1/nodes/{id}",
            "Remove a node for good; what it owned goes to others",
            json::<NodeRow>(),
            delete(fleet::remove),
        )
        .query(of::<RemoveQuery>),
        Route::post(
            "/v1/nodes/{id}/drain",
            "Let a node hand over its work, or take work again",
            (json::<DrainRequest>(), json::<NodeRow>()),
            post(fleet::drain),
        )
        .needs(Permission::Administer),
        Route::get("/v1/debug/digest", "The state of this replica in one number", json::<Digest>(), get(fleet::digest)),
    ]
}

fn of_node() -> Vec<Route> {
    let text = Media::Text("text/plain");
    vec![
        Route::get("/v1/status", "The node at a glance", json::<Status>(), get(overview::status))
            .query(of::<StatusQuery>),
        Route::get("/v1/blobs/{hash}", "A document by its hash: plans, evidence", Media::AnyJson, get(overview::blob)),
        Route::get("/v1/openapi.json", "This document", Media::AnyJson, get(overview::document)),
        Route::get(
            "/v1/policy-schema.json",
            "JSON Schema of policy documents",
            Media::AnyJson,
            get(overview::policy_schema),
        ),
        Route::get("/healthz", "The process lives", text, get(overview::alive)).open(),
        Route::get("/readyz", "The node can record facts", text, get(overview::ready)).open(),
        Route::get("/metrics", "Prometheus metrics", text, get(overview::metrics)),
    ]
}
