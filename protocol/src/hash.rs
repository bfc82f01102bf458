//! Content hashes: SHA-256 as a newtype, and the canonical JSON form that documents are hashed in.
//!
//! In: bytes or serialisable documents. Out: [`Hash256`]. Not here: row checksums (`evidence`).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A SHA-256 hash; shown and serialised as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash256(pub [u8; 32]);

impl Hash256 {
    /// Hashes `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Hashes a document in its canonical JSON form (see [`canonical_json`]).
    ///
    /// # Errors
    /// When the document cannot be expressed as JSON (a map with keys that are not strings).
    pub fn of_document<T: Serialize>(document: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::of(canonical_json(document)?.as_bytes()))
    }

    /// The first twelve digits: enough for people to tell plans apart.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

pub use crate::canonical::canonical_json;

impl fmt::Display for Hash256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash256({self})")
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hexadecimal digits, not {0:?}")]
pub struct NotAHash(String);

impl FromStr for Hash256 {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotAHash(text.chars().take(80).collect());
        if text.len() != 64 || !text.is_ascii() {
            return Err(refused());
        }
        let mut bytes = [0_u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| refused())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| refused())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Hash256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Hash256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

impl JsonSchema for Hash256 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hash256".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9a-f]{64}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_does_not_change_a_documents_hash() {
        let one = serde_json::json!({"b": 1, "a": {"d": [1, 2], "c": null}});
        let two = serde_json::json!({"a": {"c": null, "d": [1, 2]}, "b": 1});
        assert_eq!(Hash256::of_document(&one).unwrap(), Hash256::of_document(&two).unwrap());
        assert_eq!(canonical_json(&one).unwrap(), r#"{"a":{"c":null,"d":[1,2]},"b":1}"#);
    }

    #[test]
    fn a_hash_survives_its_text_form() {
        let hash = Hash256::of(b"skein");
        assert_eq!(hash.to_string().parse::<Hash256>().unwrap(), hash);
        assert!("zz".parse::<Hash256>().is_err());
    }
}
