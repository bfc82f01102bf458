//! From the YAML tree to typed values, noting every error instead of stopping at the first.
//!
//! In: [`Node`]s. Out: values and [`PolicyError`]s. Each type of the document says how it is read ([`Decode`]) and what
//! stands in for it where it is broken ([`Decode::blank`]), so that the rest can still be looked at.
//! Keys that no type asks for are unknown keys. Not here: what values mean together (`contradictions`).

use std::ops::RangeInclusive;

use super::error::{Path, PolicyCode, PolicyError, Step};
use super::fields::Fields;
use super::scalar::{Meaning, Scalar};
use super::tree::{Entry, Node, Position, Value};
use crate::expr::nearest::nearest;
use crate::expr::{Expression, Kind};

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
        let mut fields = Fields::new(self, node.at, entries, broken);
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
