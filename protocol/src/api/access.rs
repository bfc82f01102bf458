//! Access tokens in the HTTP API.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Role;
use crate::hash::Hash256;

/// Longest life of an access token that expires: five years.
pub const MAX_ACCESS_TOKEN_SECONDS: u64 = 5 * 366 * 24 * 60 * 60;

/// Who calls, and what its token allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhoAmI {
    /// As histories name it.
    pub name: String,
    /// Roles.
    pub roles: BTreeSet<Role>,
    /// The teams that they hold for; absent: all.
    pub teams: Option<BTreeSet<String>>,
    /// When the token ends, milliseconds since 1970; absent: it does not.
    pub expires_at: Option<u64>,
}

/// Asks for an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessTokenRequest {
    /// The person or program that it is for; stands in histories.
    pub name: String,
    /// What it allows.
    pub roles: BTreeSet<Role>,
    /// The teams (`metadata.owner` of policies) that it holds for; absent: all, and what belongs to none.
    #[serde(default)]
    pub teams: Option<BTreeSet<String>>,
    /// How long it is valid, seconds; absent: until it is revoked.
    #[serde(default)]
    pub valid_seconds: Option<u64>,
}

/// An access token that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedAccessToken {
    /// The token: shown once and kept nowhere.
    pub token: String,
    /// SHA-256 of it, by which the fleet knows it.
    pub sha256: Hash256,
    /// Whom it is for.
    pub name: String,
    /// What it allows.
    pub roles: BTreeSet<Role>,
    /// The teams that it holds for; absent: all.
    pub teams: Option<BTreeSet<String>>,
    /// Valid until then, milliseconds since 1970; absent: until it is revoked.
    pub expires_at: Option<u64>,
}

impl std::fmt::Debug for IssuedAccessToken {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedAccessToken")
            .field("name", &self.name)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// Whether a token opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenState {
    /// It does.
    Valid,
    /// It does; it stands in the answering node's configuration, and other nodes may not know it.
    Configured,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// An access token as the fleet knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessTokenRow {
    /// SHA-256 of the token.
    pub sha256: Hash256,
    /// Whom it is for.
    pub name: String,
    /// What it allows.
    pub roles: BTreeSet<Role>,
    /// The teams that it holds for; absent: all.
    pub teams: Option<BTreeSet<String>>,
    /// Whether it opens anything.
    pub state: AccessTokenState,
    /// Who made it.
    pub issued_by: Option<String>,
    /// When, milliseconds since 1970.
    pub issued_at: Option<u64>,
    /// Valid until then, milliseconds since 1970; absent: until it is revoked.
    pub expires_at: Option<u64>,
    /// When it was used last, to the hour, milliseconds since 1970.
    pub last_used: Option<u64>,
    /// Who took it back.
    pub revoked_by: Option<String>,
    /// Why it was taken back.
    pub reason: Option<String>,
}

/// Why a token is taken back; the query of `DELETE /v1/tokens/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RevokeQuery {
    /// Why; goes into the record of the token.
    pub reason: String,
}
