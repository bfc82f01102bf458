//! Who may call: bearer tokens.
//!
//! In: the node's token file, the configuration's named tokens. Out: the caller's name. Holds: hashes of tokens, never
//! tokens; they are compared in constant time. Not here: roles, which come with the fleet.

use axum::http::{HeaderMap, header};
use skein_protocol::hash::Hash256;
use skein_protocol::problem::{Code, Problem};

use super::error::ApiError;
use crate::config::NamedToken;
use crate::env::{Env, FileMode};

/// The node file that holds the token which is made at the first start.
pub const TOKEN_FILE: &str = "token";
/// What its holder is called in histories.
pub const NODE_TOKEN_NAME: &str = "admin";
/// Random bytes of a token: as many as its hash has.
const TOKEN_BYTES: usize = 32;
/// Longest token that is looked at.
const MAX_TOKEN_CHARS: usize = 512;

/// A call was made by the holder of this token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller(pub(super) String);

/// The tokens that a node accepts.
#[derive(Debug)]
pub(super) struct Tokens(Vec<NamedToken>);

impl Tokens {
    /// Reads the node's token, or makes it at the first start, and adds the configured ones. Blocks.
    pub(super) fn load(env: &Env, named: &[NamedToken]) -> std::io::Result<Self> {
        let token = match env.files.read(TOKEN_FILE)? {
            Some(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
            None => {
                let mut bytes = [0; TOKEN_BYTES];
                env.entropy.fill(&mut bytes);
                let token = Hash256(bytes).to_string();
                env.files.write(TOKEN_FILE, format!("{token}\n").as_bytes(), FileMode::Secret)?;
                token
            }
        };
        if token.is_empty() {
            return Err(std::io::Error::other("the token file is empty; remove it, and a new one is made"));
        }
        let own = NamedToken { name: NODE_TOKEN_NAME.to_owned(), sha256: Hash256::of(token.as_bytes()) };
        Ok(Self(std::iter::once(own).chain(named.iter().cloned()).collect()))
    }

    /// The hash of the node's own token: other members accept it too.
    pub(super) fn own(&self) -> Hash256 {
        self.0.first().map(|own| own.sha256).unwrap_or_default()
    }

    /// Who calls. `members` are hashes of the other members' own tokens.
    pub(super) fn caller(&self, headers: &HeaderMap, members: &[Hash256]) -> Result<Caller, ApiError> {
        let refused = |why: &str| {
            let next = "send `Authorization: Bearer TOKEN`; the node's token is in the file `token` of its data folder";
            ApiError::from(Problem::new(Code::Unauthorized, "the call", why, next))
        };
        let given = headers.get(header::AUTHORIZATION).ok_or_else(|| refused("it has no token"))?;
        let given = given.to_str().ok().and_then(|text| text.split_once(' '));
        let token = match given {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => return Err(refused("its authorization is no bearer token")),
        };
        if token.len() > MAX_TOKEN_CHARS {
            return Err(refused("its token is too long"));
        }
        let hash = Hash256::of(token.as_bytes());
        // All are compared, each to its end: how long it takes tells nothing.
        let mut caller = None;
        for known in &self.0 {
            if same(&known.sha256, &hash) {
                caller = Some(Caller(known.name.clone()));
            }
        }
        for known in members {
            if same(known, &hash) {
                caller = Some(Caller(NODE_TOKEN_NAME.to_owned()));
            }
        }
        caller.ok_or_else(|| refused("its token is not known"))
    }
}

fn same(one: &Hash256, other: &Hash256) -> bool {
    let differing = one.0.iter().zip(&other.0).fold(0_u8, |differing, (a, b)| differing | (a ^ b));
    std::hint::black_box(differing) == 0
}
