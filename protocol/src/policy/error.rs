//! What is wrong with a policy document, and where.
//!
//! Holds: [`PolicyError`], [`PolicyCode`], [`Path`]. Not here: finding it out.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind of an error in a policy document. Codes are added, never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PolicyCode {
    /// The text is not YAML, or has YAML forms that policies do not use. Nothing else is looked at.
    PolicySyntax,
    /// The document exceeds a bound: bytes, depth, values.
    PolicyTooLarge,
    /// A key, or an item of a list without order, stands twice.
    PolicyDuplicate,
    /// The key has no meaning at its place.
    PolicyUnknownKey,
    /// A key that must be there is not, or has no value.
    PolicyMissingKey,
    /// Text, number, truth value, list or mapping: another one is expected.
    PolicyWrongType,
    /// The value is none of those to choose from.
    PolicyUnknownValue,
    /// A number, a size, a text's length or a list lies outside of what is allowed.
    PolicyOutOfRange,
    /// A name has the wrong form.
    PolicyBadName,
    /// A column type is unknown, or no target column can have it.
    PolicyBadType,
    /// A selection pattern has the wrong form.
    PolicyBadGlob,
    /// A naming template has the wrong form.
    PolicyBadTemplate,
    /// A partition transform is unknown.
    PolicyBadTransform,
    /// A default value does not fit its column's type.
    PolicyBadDefault,
    /// An SQL expression is wrong, or uses what is not allowed.
    PolicyBadExpression,
    /// Two parts of the policy cannot both be meant.
    PolicyContradiction,
}

impl PolicyCode {
    /// The code as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PolicySyntax => "POLICY_SYNTAX",
            Self::PolicyTooLarge => "POLICY_TOO_LARGE",
            Self::PolicyDuplicate => "POLICY_DUPLICATE",
            Self::PolicyUnknownKey => "POLICY_UNKNOWN_KEY",
            Self::PolicyMissingKey => "POLICY_MISSING_KEY",
            Self::PolicyWrongType => "POLICY_WRONG_TYPE",
            Self::PolicyUnknownValue => "POLICY_UNKNOWN_VALUE",
            Self::PolicyOutOfRange => "POLICY_OUT_OF_RANGE",
            Self::PolicyBadName => "POLICY_BAD_NAME",
            Self::PolicyBadType => "POLICY_BAD_TYPE",
            Self::PolicyBadGlob => "POLICY_BAD_GLOB",
            Self::PolicyBadTemplate => "POLICY_BAD_TEMPLATE",
            Self::PolicyBadTransform => "POLICY_BAD_TRANSFORM",
            Self::PolicyBadDefault => "POLICY_BAD_DEFAULT",
            Self::PolicyBadExpression => "POLICY_BAD_EXPRESSION",
            Self::PolicyContradiction => "POLICY_CONTRADICTION",
        }
    }
}

impl fmt::Display for PolicyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong with a policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{line}:{column}: {}{message} [{code}]{}", if path.is_empty() { String::new() } else { format!("{path}: ") }, hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
pub struct PolicyError {
    /// Its kind.
    pub code: PolicyCode,
    /// What is wrong.
    pub message: String,
    /// The place in the document's structure (`spec.schema.add[0].type`); empty for the document itself.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

/// A place in a document's structure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Path(Vec<Step>);

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    /// The place that keys lead to, from the document's root: `spec.schema.add`.
    pub(super) fn of(keys: &str) -> Self {
        Self(keys.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    /// The place of `key` below this one.
    pub(super) fn key(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.push(Step::Key(key.to_owned()));
        path
    }

    /// The place of an item of this list.
    pub(super) fn item(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.push(Step::Index(index));
        path
    }

    pub(super) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    pub(super) fn pop(&mut self) {
        self.0.pop();
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key)
                    if key.is_empty() || key.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_') =>
                {
                    write!(f, "[{key:?}]")?;
                }
                Step::Key(key) => write!(f, "{}{key}", if position == 0 { "" } else { "." })?,
            }
        }
        Ok(())
    }
}
