//! From the YAML tree to typed values, noting every error instead of stopping at the first.
//!
//! In: [`Node`]s. Out: values and [`PolicyError`]s. Each type of the document says how it is read ([`Decode`]) and what
//! stands in for it where it is broken ([`Decode::blank`]), so that the rest can still be looked at.
//! Keys that no type asks for are unknown keys. Not here: what values mean together (`contradictions`).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::error::{Path, PolicyCode, PolicyError, Step};
use super::scalar::{Meaning, Scalar};
use super::tree::{Entry, Node, Position, Value};
use crate::expr::nearest::nearest;
use crate::expr::{Expression, Kind};
use crate::types::DataType;

/// Something that a document holds.
pub(super) trait Decode: Sized {
    /// Reads it; where that fails, notes why and returns what could be read.
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self;

    /// What stands in for a value that is missing. Checks that follow ignore it.
    fn blank() -> Self;
}

/// A text that does not have the form that its place needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadText {
    /// What is wrong with it.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl BadText {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Reads one document.
pub(super) struct Decoder<'t> {
    document: &'t str,
    path: Path,
    pub(super) errors: Vec<PolicyError>,
}

impl<'t> Decoder<'t> {
    pub(super) fn new(document: &'t str) -> Self {
        Self { document, path: Path::default(), errors: Vec::new() }
    }

    /// Notes an error at the present path.
    pub(super) fn report(&mut self, at: Position, code: PolicyCode, message: impl Into<String>, hint: Option<String>) {
        let path = self.path.to_string();
        self.errors.push(PolicyError { code, message: message.into(), path, line: at.line, column: at.column, hint });
    }

    /// Works one step further down.
    pub(super) fn within<T>(&mut self, step: Step, work: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = work(self);
        self.path.pop();
        result
    }

    /// Reads a mapping. `build` asks for its keys; keys that it does not ask for are unknown.
    pub(super) fn object<T>(&mut self, node: &Node, build: impl FnOnce(&mut Fields<'_, '_, 't>) -> T) -> T {
        let (entries, broken): (&[Entry], bool) = match &node.value {
            Value::Map(entries) => (entries, false),
            _ => {
                self.wrong_type(node, "a mapping of keys to values");
                (&[], true)
            }
        };
        let mut fields = Fields { decoder: self, at: node.at, entries, broken, known: Vec::new() };
        let built = build(&mut fields);
        fields.finish();
        built
    }

    /// A text; absent when it is something else, which is noted.
    pub(super) fn text<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        let scalar = self.scalar(node, "a text")?;
        if scalar.meaning() == Meaning::Text {
            return Some(scalar.text());
        }
        let hint = format!("put it in quotes: \"{}\"", scalar.text());
        let message = format!("a text is expected, and this is {}", scalar.meaning().noun());
        self.report(node.at, PolicyCode::PolicyWrongType, message, Some(hint));
        None
    }

    /// A text in a form of its own.
    pub(super) fn parse<T>(
        &mut self,
        node: &Node,
        code: PolicyCode,
        parse: impl FnOnce(&str) -> Result<T, BadText>,
    ) -> Option<T> {
        let text = self.text(node)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(bad) => {
                self.report(node.at, code, bad.message, bad.hint);
                None
            }
        }
    }

    /// A whole number within `range`.
    pub(super) fn integer(&mut self, node: &Node, range: RangeInclusive<i64>) -> Option<i64> {
        let scalar = self.scalar(node, "a whole number")?;
        match scalar.meaning() {
            Meaning::Integer(Some(value)) if range.contains(&value) => Some(value),
            Meaning::Integer(_) => {
                let message = format!("{} is out of range: {} to {}", scalar.text(), range.start(), range.end());
                self.report(node.at, PolicyCode::PolicyOutOfRange, message, None);
                None
            }
            _ => {
                self.wrong_type(node, "a whole number");
                None
            }
        }
    }

    /// One of the texts of `choices`.
    pub(super) fn choice<T: Copy>(&mut self, node: &Node, choices: &[(&'static str, T)]) -> Option<T> {
        let names = || choices.iter().map(|(name, _)| *name);
        let text = self.text(node)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let close = nearest(text, names()).map(|name| format!("did you mean `{name}`? "));
        let hint = format!("{}one of: {}", close.unwrap_or_default(), names().collect::<Vec<_>>().join(", "));
        self.report(
            node.at,
            PolicyCode::PolicyUnknownValue,
            format!("`{text}` is not a value of this key"),
            Some(hint),
        );
        None
    }

    /// An SQL expression with a truth value. Its errors are placed at the characters that they are about.
    pub(super) fn predicate(&mut self, node: &Node, kind: Kind) -> Option<Expression> {
        let text = self.text(node)?;
        let expression = match Expression::parse(text, kind) {
            Ok(expression) => expression,
            Err(errors) => {
                for error in errors.0 {
                    let at = match &node.value {
                        Value::Scalar(scalar) => scalar.position_of(self.document, error.line, error.column),
                        _ => node.at,
                    };
                    self.report(at, PolicyCode::PolicyBadExpression, error.message, error.hint);
                }
                return None;
            }
        };
        if !expression.may_be_boolean() {
            let hint = Some("compare it: ... = 0".to_owned());
            self.report(node.at, PolicyCode::PolicyBadExpression, "the expression is neither true nor false", hint);
            return None;
        }
        Some(expression)
    }

    /// Notes that another kind of value is expected.
    pub(super) fn wrong_type(&mut self, node: &Node, wanted: &str) {
        let (found, null) = match &node.value {
            Value::Scalar(scalar) => (scalar.meaning().noun(), scalar.meaning() == Meaning::Null),
            Value::List(_) => ("a list", false),
            Value::Map(_) => ("a mapping", false),
        };
        if null {
            self.report(node.at, PolicyCode::PolicyMissingKey, format!("a value is missing: {wanted}"), None);
        } else {
            let message = format!("{wanted} is expected, and this is {found}");
            self.report(node.at, PolicyCode::PolicyWrongType, message, None);
        }
    }

    /// A single value that is not null.
    pub(super) fn scalar<'n>(&mut self, node: &'n Node, wanted: &str) -> Option<&'n Scalar> {
        match &node.value {
            Value::Scalar(scalar) if scalar.meaning() != Meaning::Null => Some(scalar),
            _ => {
                self.wrong_type(node, wanted);
                None
            }
        }
    }
}

/// The keys of one mapping.
pub(super) struct Fields<'d, 'n, 't> {
    decoder: &'d mut Decoder<'t>,
    at: Position,
    entries: &'n [Entry],
    /// It is no mapping at all; nothing more is said of its keys.
    broken: bool,
    known: Vec<&'static str>,
}

impl<'n, 't> Fields<'_, 'n, 't> {
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

    fn finish(self) {
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

/// A list; items that stand in it twice are noted. Broken items are equal to nothing.
pub(super) fn distinct<T: Decode + PartialEq>(node: &Node, decoder: &mut Decoder<'_>) -> Vec<T> {
    let Value::List(nodes) = &node.value else { return Vec::decode(node, decoder) };
    let mut items: Vec<(T, bool)> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        decoder.within(Step::Index(index), |decoder| {
            let before = decoder.errors.len();
            let item = T::decode(node, decoder);
            let good = decoder.errors.len() == before;
            if good && items.iter().any(|(earlier, good)| *good && *earlier == item) {
                decoder.report(node.at, PolicyCode::PolicyDuplicate, "this stands in the list already", None);
            }
            items.push((item, good));
        });
    }
    items.into_iter().map(|(item, _)| item).collect()
}

impl Decode for bool {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        match decoder.scalar(node, "true or false").map(|scalar| (scalar.meaning(), scalar.text())) {
            Some((Meaning::Boolean(value), _)) => value,
            Some((_, text)) => {
                let hint = match text.to_lowercase().as_str() {
                    "yes" | "on" => Some("write true".to_owned()),
                    "no" | "off" => Some("write false".to_owned()),
                    _ => None,
                };
                decoder.report(node.at, PolicyCode::PolicyWrongType, "true or false is expected", hint);
                false
            }
            None => false,
        }
    }

    fn blank() -> Self {
        false
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        match &node.value {
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| decoder.within(Step::Index(index), |decoder| T::decode(item, decoder)))
                .collect(),
            _ => {
                decoder.wrong_type(node, "a list");
                Vec::new()
            }
        }
    }

    fn blank() -> Self {
        Vec::new()
    }
}

/// Labels: any text under keys that the caller checks.
impl Decode for BTreeMap<String, String> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        let Value::Map(entries) = &node.value else {
            decoder.wrong_type(node, "a mapping of names to texts");
            return Self::new();
        };
        let mut labels = Self::new();
        for entry in entries {
            decoder.within(Step::Key(entry.key.clone()), |decoder| {
                if let Err(bad) = super::names::label_key(&entry.key) {
                    decoder.report(entry.key_at, PolicyCode::PolicyBadName, bad.message, bad.hint);
                }
                let value = decoder.parse(&entry.value, PolicyCode::PolicyBadName, super::names::label_value);
                labels.insert(entry.key.clone(), value.unwrap_or_default());
            });
        }
        labels
    }

    fn blank() -> Self {
        Self::new()
    }
}

impl Decode for DataType {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        let parse = |text: &str| {
            text.parse::<Self>().map_err(|not| {
                let open = |c| text.matches(c).count();
                let cut = open('(') > open(')') || open('<') > open('>');
                let bad = BadText::new(not.to_string());
                if cut { bad.hint("within { } a type with a comma needs quotes: \"decimal(18,4)\"") } else { bad }
            })
        };
        decoder.parse(node, PolicyCode::PolicyBadType, parse).unwrap_or_else(Self::blank)
    }

    fn blank() -> Self {
        Self::String
    }
}

/// Makes an enum of texts to choose from.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)+ } default $default:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// As the document has it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::policy::decode::Decode for $name {
            fn decode(node: &$crate::policy::tree::Node, decoder: &mut $crate::policy::decode::Decoder<'_>) -> Self {
                decoder.choice(node, &[$(($text, Self::$variant)),+]).unwrap_or_default()
            }

            fn blank() -> Self {
                Self::default()
            }
        }
    };
}

pub(super) use choice;

/// Gives a type with a text form (`FromStr`, `Display`) its JSON form and its schema.
macro_rules! as_text {
    ($name:ident, $schema:tt) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

pub(super) use as_text;
