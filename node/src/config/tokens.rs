//! The section `tokens`: who may call, and what for.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_yaml_ng::Value;
use skein_protocol::access::{Rights, Role};
use skein_protocol::hash::Hash256;
use skein_protocol::policy;

use super::decode::{plain_name, section};
use super::{ConfigError, NamedToken};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenSection {
    name: String,
    sha256: String,
    #[serde(default)]
    roles: Vec<String>,
    teams: Option<BTreeSet<String>>,
}

/// What a token allows. One without a role would allow nothing, which nobody means.
fn rights(token: &TokenSection, at: &str, errors: &mut Vec<ConfigError>) -> Rights {
    let mut roles = BTreeSet::new();
    for role in &token.roles {
        match role.parse::<Role>() {
            Ok(role) => drop(roles.insert(role)),
            Err(not) => errors.push(ConfigError::new(format!("{at}.roles"), not.to_string(), "see docs/access.md")),
        }
    }
    if token.roles.is_empty() {
        let next = "write roles: [viewer], operator, approver or admin; until now a token had all of them";
        errors.push(ConfigError::new(format!("{at}.roles"), "it has no role", next));
    }
    if token.teams.as_ref().is_some_and(BTreeSet::is_empty) {
        let next = "name the teams, or leave the key out for all of them";
        errors.push(ConfigError::new(format!("{at}.teams"), "it names no team", next));
    }
    for team in token.teams.iter().flatten() {
        if let Err(why) = policy::check_owner(team) {
            errors.push(ConfigError::new(format!("{at}.teams"), why, "teams are what policies name as metadata.owner"));
        }
    }
    Rights { roles, teams: token.teams.clone() }
}

pub(super) fn tokens(value: Option<Value>, errors: &mut Vec<ConfigError>) -> Vec<NamedToken> {
    let items: Vec<Value> = section(value, "tokens", errors).unwrap_or_default();
    let mut tokens: Vec<NamedToken> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let at = format!("tokens[{index}]");
        let Some(token) = section::<TokenSection>(Some(item), &at, errors) else { continue };
        if let Err(why) = plain_name(&token.name) {
            errors.push(ConfigError::new(format!("{at}.name"), why, "for example `ci`"));
        }
        if tokens.iter().any(|other| other.name == token.name) || token.name == crate::api::NODE_TOKEN_NAME {
            errors.push(ConfigError::new(
                format!("{at}.name"),
                format!("{:?} is taken", token.name),
                "choose another name",
            ));
        }
        let rights = rights(&token, &at, errors);
        match token.sha256.trim().parse::<Hash256>() {
            Ok(sha256) => tokens.push(NamedToken { name: token.name, sha256, rights }),
            // The text may be a token that was put here by mistake: it is not shown.
            Err(_) => errors.push(ConfigError::new(
                format!("{at}.sha256"),
                "it is no SHA-256 in 64 hexadecimal digits",
                "make one with `printf %s TOKEN | sha256sum`; the token itself must not be here",
            )),
        }
    }
    tokens
}
