//! Join tokens: a secret that lets one node in, and the hash of the authority that the node may believe.

use std::fmt;
use std::str::FromStr;

use skein_protocol::hash::Hash256;
use skein_protocol::peer::Secret;

use crate::env::Entropy;

const PREFIX: &str = "skein-join";

/// A join token. Its text is a secret: show it once, to the person who asked for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JoinToken {
    /// Proves that the joiner was let in. The ledger knows its hash.
    pub secret: Secret,
    /// SHA-256 of the authority's certificate: proves to the joiner that it talks to the fleet.
    pub authority: Hash256,
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// A text that is not a join token. It is not repeated: it may be one with a slip in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a join token: {0}; a token is `{PREFIX}.<64 hexadecimal digits>.<64 hexadecimal digits>`")]
pub struct NotAToken(&'static str);

impl JoinToken {
    /// Makes a token for a fleet whose authority's certificate has this hash.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy, authority: Hash256) -> Self {
        let mut secret = [0; 32];
        entropy.fill(&mut secret);
        Self { secret: Secret(secret), authority }
    }

    /// What the ledger knows of it.
    #[must_use]
    pub fn hash(&self) -> Hash256 {
        self.secret.hash()
    }

    /// The token's text, for the person who asked for it.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{PREFIX}.{}.{}", Hash256(self.secret.0), self.authority)
    }
}

impl FromStr for JoinToken {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.trim().split('.');
        let (Some(PREFIX), Some(secret), Some(authority), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotAToken("it has another form"));
        };
        let secret: Hash256 = secret.parse().map_err(|_| NotAToken("its secret is not 64 hexadecimal digits"))?;
        let authority = authority.parse().map_err(|_| NotAToken("its hash is not 64 hexadecimal digits"))?;
        Ok(Self { secret: Secret(secret.0), authority })
    }
}
