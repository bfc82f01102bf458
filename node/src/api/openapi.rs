//! The OpenAPI 3.1 document, generated from the table of routes and the protocol's types.

use axum::http::Method;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use skein_protocol::api::{AGE_HEADER, APPLIED_INDEX_HEADER, CURRENT_PARAMETER, ProblemDocument};

use super::error::PROBLEM_MEDIA_TYPE;
use super::plans;
use super::routes::{self, Media, Route};

/// Where schemas stand in the document.
const SCHEMAS: &str = "/components/schemas";

/// The document.
pub(super) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in routes::all() {
        let operation = operation(&route, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation;
    }
    let problem = generator.subschema_for::<ProblemDocument>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Skein",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Moves datasets from a legacy warehouse to Apache Iceberg. Errors are problem documents \
                            with a stable code.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": {
                "Problem": {
                    "description": "The call was refused or failed",
                    "content": { PROBLEM_MEDIA_TYPE: { "schema": problem } },
                },
            },
            "schemas": generator.take_definitions(false),
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "summary": route.summary,
        "operationId": operation_id(route),
        "responses": {
            "200": { "description": "Done" },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    let mut parameters = path_parameters(route.path);
    parameters.extend(
        route
            .query
            .map(|query| query(generator))
            .map_or_else(Vec::new, |schema| query_parameters(&schema.to_value(), generator)),
    );
    if route.method == Method::GET && route.needs.is_some() {
        parameters.push(json!({
            "name": CURRENT_PARAMETER,
            "in": "query",
            "required": false,
            "description": "Asks the leader first: the answer has everything that was recorded before the call",
            "schema": { "type": "boolean", "default": false },
        }));
        operation["responses"]["200"]["headers"] = json!({
            APPLIED_INDEX_HEADER: {
                "description": "Index of the last entry that the answering node had applied, at least",
                "schema": { "type": "integer" },
            },
            AGE_HEADER: {
                "description": "Milliseconds since the answering node last knew that it was up to date",
                "schema": { "type": "integer" },
            },
        });
    }
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(content) = content(route.body, generator) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    if let Some(content) = content(route.answer, generator) {
        operation["responses"]["200"]["content"] = content;
    }
    match route.needs {
        None => operation["security"] = json!([]),
        Some(permission) => {
            operation["x-skein-permission"] = json!(permission.as_str());
            operation["x-skein-roles"] = json!(permission.roles().collect::<Vec<_>>());
        }
    }
    operation
}

/// `getV1MigrationsIdPlan`: the method and the words of the path.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    route.method.as_str().to_lowercase() + &words.map(capital).collect::<String>()
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })).collect()
}

/// A query's parameters are its type's properties.
fn query_parameters(schema: &Value, generator: &SchemaGenerator) -> Vec<Value> {
    let referred = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next());
    let definition = referred.and_then(|name| generator.definitions().get(name)).unwrap_or(schema);
    let properties = definition["properties"].as_object().into_iter().flatten();
    let parameter =
        |(name, schema): (&String, &Value)| json!({ "name": name, "in": "query", "required": false, "schema": schema });
    properties.map(parameter).collect()
}

fn content(media: Media, generator: &mut SchemaGenerator) -> Option<Value> {
    Some(match media {
        Media::Nothing => return None,
        Media::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        Media::Policy(schema) => {
            let schema = schema(generator);
            json!({ "application/yaml": { "schema": schema }, "application/json": { "schema": schema } })
        }
        Media::Lines(schema) => json!({ plans::MEDIA_TYPE: { "schema": schema(generator) } }),
        Media::Text(kind) => json!({ kind: { "schema": { "type": "string" } } }),
        Media::AnyJson => json!({ "application/json": { "schema": {} } }),
    })
}
