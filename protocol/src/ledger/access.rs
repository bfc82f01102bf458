//! Access tokens and approvals as the ledger keeps them.
//!
//! A token's text is nowhere: its SHA-256 names it. A token that was revoked or has expired stays for a while, so that lists tell
//! what became of it and its name is given to nobody else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::Rights;
use crate::hash::Hash256;
use crate::ids::MigrationId;

/// A token with which a person or a program calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Stands in histories; no other token has it.
    pub name: String,
    /// What it allows.
    pub rights: Rights,
    /// Who made it.
    pub issued_by: String,
    /// When, milliseconds since 1970.
    pub issued_at: u64,
    /// It is of no use from this time on, milliseconds since 1970; none: for ever.
    pub expires_at: Option<u64>,
    /// When it was used last, to the hour, milliseconds since 1970.
    pub last_used: Option<u64>,
    /// Who took it back, when (milliseconds since 1970), and why.
    pub revoked: Option<Revoked>,
}

/// How a token was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// By whom.
    pub by: String,
    /// When, milliseconds since 1970.
    pub at_millis: u64,
    /// Why, in the person's words.
    pub reason: String,
}

impl AccessToken {
    /// Whether it opens anything at this time, milliseconds since 1970.
    #[must_use]
    pub fn holds(&self, now_millis: u64) -> bool {
        self.revoked.is_none() && self.expires_at.is_none_or(|end| now_millis < end)
    }
}

/// One person's approval of one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The plan.
    pub plan: Hash256,
    /// By whom.
    pub actor: String,
    /// When, milliseconds since 1970.
    pub at_millis: u64,
}

/// A person who signed in with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// What the token's holder is called.
    pub name: String,
    /// What it allows, if the ledger does not have the token.
    pub rights: Rights,
    /// SHA-256 of the token's text, if the ledger has it.
    pub token: Option<Hash256>,
    /// The end, milliseconds since 1970.
    pub expires_at: u64,
}

/// Who may call, and who has approved what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Access {
    /// Tokens by the hashes of their texts.
    pub(super) tokens: BTreeMap<Hash256, AccessToken>,
    /// Who is signed in, by the hashes of what their browsers keep.
    pub(super) sessions: BTreeMap<Hash256, SignIn>,
    /// Approvals of plans that wait for further ones.
    pub(super) approvals: BTreeMap<MigrationId, Vec<Approval>>,
}

impl Access {
    /// All tokens by the hashes of their texts, worthless ones too.
    #[must_use]
    pub fn tokens(&self) -> &BTreeMap<Hash256, AccessToken> {
        &self.tokens
    }

    /// Who calls with what a browser keeps, at this time (milliseconds since 1970): its name and its rights. None when nobody
    /// is signed in so, or no longer.
    #[must_use]
    pub fn signed_in(&self, session: &Hash256, now_millis: u64) -> Option<(&str, &Rights)> {
        let person = self.sessions.get(session).filter(|person| now_millis < person.expires_at)?;
        match person.token {
            None => Some((&person.name, &person.rights)),
            Some(token) => {
                let token = self.tokens.get(&token).filter(|token| token.holds(now_millis))?;
                Some((&token.name, &token.rights))
            }
        }
    }

    /// Approvals of a migration's plan that waits for further ones.
    #[must_use]
    pub fn approvals(&self, migration: MigrationId) -> &[Approval] {
        self.approvals.get(&migration).map_or(&[], Vec::as_slice)
    }
}
