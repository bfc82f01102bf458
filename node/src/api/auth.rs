//! Who may call: bearer tokens.
//!
//! In: the node's token file, the configuration's named tokens, the ledger's. Out: the caller, with its rights. Holds: hashes of
//! tokens, never tokens; those of this node are compared in constant time. Not here: what a right allows (`protocol::access`).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use skein_protocol::access::Rights;
use skein_protocol::hash::Hash256;
use skein_protocol::ledger::{Standing, State};
use skein_protocol::problem::{Code, Problem};

use super::error::ApiError;
use crate::config::NamedToken;
use crate::core::Core;
use crate::env::{Env, FileMode};

/// The node file that holds the token which is made at the first start.
pub const TOKEN_FILE: &str = "token";
/// What its holder is called in histories.
pub const NODE_TOKEN_NAME: &str = "admin";
/// Random bytes of a token: as many as its hash has.
const TOKEN_BYTES: usize = 32;
/// Longest token that is looked at.
const MAX_TOKEN_CHARS: usize = 512;
/// How often the use of a token is recorded: it is for people who look for tokens that nobody uses.
const USE_MILLIS: u64 = 60 * 60 * 1000;
/// Tokens whose use is remembered; beyond that all are forgotten, and the ledger is asked.
const USES_KEPT: usize = 10_000;

/// A call was made by the holder of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// As histories name it.
    pub(super) name: String,
    /// What it may do.
    pub(super) rights: Rights,
    /// When its token ends, milliseconds since 1970.
    pub(super) expires_at: Option<u64>,
    /// Its token, if the ledger has it.
    pub(super) token: Option<Hash256>,
}

impl Caller {
    fn new(name: &str, rights: Rights) -> Self {
        Self { name: name.to_owned(), rights, expires_at: None, token: None }
    }
}

/// The tokens of this node's own files.
#[derive(Debug)]
pub(super) struct Tokens(Vec<NamedToken>);

impl Tokens {
    /// Reads the node's token, or makes it at the first start, and adds the configured ones. Blocks.
    pub(super) fn load(env: &Env, named: &[NamedToken]) -> std::io::Result<Self> {
        let token = match env.files.read(TOKEN_FILE)? {
            Some(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
            None => {
                let token = random(env);
                env.files.write(TOKEN_FILE, format!("{token}\n").as_bytes(), FileMode::Secret)?;
                token
            }
        };
        if token.is_empty() {
            return Err(std::io::Error::other("the token file is empty; remove it, and a new one is made"));
        }
        let sha256 = Hash256::of(token.as_bytes());
        let own = NamedToken { name: NODE_TOKEN_NAME.to_owned(), sha256, rights: Rights::all() };
        Ok(Self(std::iter::once(own).chain(named.iter().cloned()).collect()))
    }

    /// The hash of the node's own token: other members accept it too.
    pub(super) fn own(&self) -> Hash256 {
        self.0.first().map(|own| own.sha256).unwrap_or_default()
    }

    /// Who calls, at this time (milliseconds since 1970).
    pub(super) fn caller(&self, headers: &HeaderMap, state: &State, now: u64) -> Result<Caller, ApiError> {
        self.holder(bearer(headers)?, state, now)
    }

    /// Whose token this is, at this time (milliseconds since 1970).
    pub(super) fn holder(&self, token: &str, state: &State, now: u64) -> Result<Caller, ApiError> {
        if token.len() > MAX_TOKEN_CHARS {
            return Err(refused("its token is too long"));
        }
        let hash = Hash256::of(token.as_bytes());
        // All are compared, each to its end: how long it takes tells nothing.
        let mut caller = None;
        for known in &self.0 {
            if same(&known.sha256, &hash) {
                caller = Some(Caller::new(&known.name, known.rights.clone()));
            }
        }
        for member in state.members().values().filter(|member| member.standing != Standing::Removed) {
            if same(&member.seat.token_sha256, &hash) {
                caller = Some(Caller::new(NODE_TOKEN_NAME, Rights::all()));
            }
        }
        if let Some(caller) = caller {
            return Ok(caller);
        }
        // It is looked up by the hash of a secret: how long that takes tells of the hash at most, of which no token follows.
        let known = state.access().tokens().get(&hash).ok_or_else(|| refused("its token is not known"))?;
        if let Some(revoked) = &known.revoked {
            return Err(refused(&format!("its token ({}) was revoked by {}", known.name, revoked.by)));
        }
        if !known.holds(now) {
            return Err(refused(&format!("its token ({}) has expired", known.name)));
        }
        let (name, rights, expires_at) = (known.name.clone(), known.rights.clone(), known.expires_at);
        Ok(Caller { name, rights, expires_at, token: Some(hash) })
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let given = headers.get(header::AUTHORIZATION).ok_or_else(|| refused("it has no token"))?;
    let given = given.to_str().ok().and_then(|text| text.split_once(' '));
    let token = match given {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(refused("its authorization is no bearer token")),
    };
    Ok(token)
}

fn refused(why: &str) -> ApiError {
    let next = "send `Authorization: Bearer TOKEN`; the node's token is in the file `token` of its data folder";
    ApiError::from(Problem::new(Code::Unauthorized, "the call", why, next))
}

/// The text of a new secret.
pub(super) fn random(env: &Env) -> String {
    let mut bytes = [0; TOKEN_BYTES];
    env.entropy.fill(&mut bytes);
    Hash256(bytes).to_string()
}

fn same(one: &Hash256, other: &Hash256) -> bool {
    let differing = one.0.iter().zip(&other.0).fold(0_u8, |differing, (a, b)| differing | (a ^ b));
    std::hint::black_box(differing) == 0
}

/// When this node recorded the uses of tokens last.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<BTreeMap<Hash256, u64>>);

impl Uses {
    /// Whether a use at this time (milliseconds since 1970) is to be recorded; from now on it is taken as recorded.
    pub(super) fn is_news(&self, token: Hash256, core: &Core, now: u64) -> bool {
        let old = |last: u64| last.saturating_add(USE_MILLIS) <= now;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&token).is_some_and(|last| !old(*last)) {
            return false;
        }
        if known.len() >= USES_KEPT {
            known.clear();
        }
        let recorded = core.ledger.read(|state| state.access().tokens().get(&token).and_then(|token| token.last_used));
        known.insert(token, recorded.filter(|last| !old(*last)).unwrap_or(now));
        recorded.is_none_or(old)
    }

    /// It was not recorded after all.
    pub(super) fn forget(&self, token: Hash256) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
    }
}
