//! The keys of one mapping, as the types of the document ask for them.
//!
//! Keys that are missing, empty or unknown are noted here; which keys there are, each type says by asking.

use std::ops::RangeInclusive;

use super::decode::{Decode, Decoder, distinct};
use super::error::{PolicyCode, Step};
use super::scalar::Meaning;
use super::tree::{Entry, Node, Position, Value};
use crate::expr::nearest::nearest;

/// The keys of one mapping.
pub(super) struct Fields<'d, 'n, 't> {
    decoder: &'d mut Decoder<'t>,
    at: Position,
    entries: &'n [Entry],
    /// It is no mapping at all; nothing more is said of its keys.
    broken: bool,
    known: Vec<&'static str>,
}

impl<'d, 'n, 't> Fields<'d, 'n, 't> {
    /// The keys of the mapping at `at`; `broken` when it is none.
    pub(super) fn new(decoder: &'d mut Decoder<'t>, at: Position, entries: &'n [Entry], broken: bool) -> Self {
        Self { decoder, at, entries, broken, known: Vec::new() }
    }

    /// A key that must be there.
    pub(super) fn required<T: Decode>(&mut self, key: &'static str) -> T {
        self.optional(key).unwrap_or_else(|| {
            self.missing(key);
            T::blank()
        })
    }

    /// A key that may be missing or empty.
    pub(super) fn optional<T: Decode>(&mut self, key: &'static str) -> Option<T> {
        self.with(key, |node, decoder| T::decode(node, decoder))
    }

    /// A key with a default.
    pub(super) fn or<T: Decode>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// A small number within `range`, which may be missing.
    pub(super) fn small(&mut self, key: &'static str, range: RangeInclusive<u8>) -> Option<u8> {
        let range = i64::from(*range.start())..=i64::from(*range.end());
        let number = self.with(key, |node, decoder| decoder.integer(node, range)).flatten();
        number.and_then(|number| u8::try_from(number).ok())
    }

    /// A list in which nothing stands twice.
    pub(super) fn set<T: Decode + PartialEq>(&mut self, key: &'static str) -> Option<Vec<T>> {
        self.with(key, |node, decoder| distinct(node, decoder))
    }

    /// A list that must be there, with at least one item and nothing twice.
    pub(super) fn some<T: Decode + PartialEq>(&mut self, key: &'static str) -> Vec<T> {
        let items = self.with(key, |node, decoder| {
            let empty = matches!(&node.value, Value::List(items) if items.is_empty());
            if empty {
                decoder.report(
                    node.at,
                    PolicyCode::PolicyOutOfRange,
                    "the list is empty; at least one item is needed",
                    None,
                );
            }
            distinct(node, decoder)
        });
        items.unwrap_or_else(|| {
            self.missing(key);
            Vec::new()
        })
    }

    /// A key that is read in its own way; absent when the key is missing or has no value.
    pub(super) fn with<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'n Node, &mut Decoder<'_>) -> T,
    ) -> Option<T> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        if matches!(&entry.value.value, Value::Scalar(scalar) if scalar.meaning() == Meaning::Null) {
            return None;
        }
        Some(self.decoder.within(Step::Key(key.to_owned()), |decoder| read(&entry.value, decoder)))
    }

    /// True when it is a mapping without other keys than these.
    pub(super) fn holds_only(&self, keys: &[&str]) -> bool {
        !self.broken && self.entries.iter().all(|entry| keys.contains(&entry.key.as_str()))
    }

    /// Where the mapping stands.
    pub(super) fn at(&self) -> Position {
        self.at
    }

    /// For errors about the mapping as a whole.
    pub(super) fn decoder(&mut self) -> &mut Decoder<'t> {
        self.decoder
    }

    fn missing(&mut self, key: &'static str) {
        if self.broken {
            return;
        }
        let entry = self.entries.iter().find(|entry| entry.key == key);
        let (at, message) = match entry {
            Some(entry) => (entry.key_at, format!("the key `{key}` has no value")),
            None => (self.at, format!("the key `{key}` is missing")),
        };
        self.decoder.within(Step::Key(key.to_owned()), |decoder| {
            decoder.report(at, PolicyCode::PolicyMissingKey, message, None);
        });
    }

    /// Notes the keys that nothing asked for.
    pub(super) fn finish(self) {
        for entry in self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let close = nearest(&entry.key, self.known.iter().copied());
            let hint = if entry.key == "<<" {
                "merge keys are not supported; write the keys out".to_owned()
            } else if entry.key.ends_with([')', '>']) {
                "within { } a type with a comma needs quotes: \"decimal(18,4)\"".to_owned()
            } else if let Some(close) = close {
                format!("did you mean `{close}`?")
            } else {
                format!("known here: {}", self.known.join(", "))
            };
            let message = format!("the key `{}` is unknown here", entry.key);
            self.decoder.within(Step::Key(entry.key.clone()), |decoder| {
                decoder.report(entry.key_at, PolicyCode::PolicyUnknownKey, message, Some(hint));
            });
        }
    }
}
