//! SQL expressions of policies: parsed, limited to a list of functions, and written out again in one canonical form.
//!
//! In: texts such as `country <> 'xx' and plays > 0`. Out: [`Expression`], its columns, its rendering with a
//! dataset's own column names. Holds: the allow-list ([`function_names`], [`aggregate_names`]) and the bounds.
//! Errors carry line and column within the text. Not here: evaluation (the engine's), whole statements
//! (they do not parse), column types (a column may be of any type until a dataset is known).
//!
//! Nothing that sqlparser parses gets through unseen: its tree is translated into a small one of our own, and
//! what has no place there is refused.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

mod call;
mod convert;
mod functions;
pub(crate) mod nearest;
mod render;
mod scan;
mod shape;
#[cfg(test)]
mod tests;
mod tree;

pub use functions::{aggregate_names, function_names};
pub use render::UnknownColumns;
use shape::Shape;
use tree::Node;

/// Longest expression, in characters. Generated filters of a few hundred terms fit; a list of ids does not belong here.
pub const MAX_EXPRESSION_CHARS: usize = 4_000;
/// Deepest nesting of brackets. The parser tries some forms twice, so its time may double with each level.
pub const MAX_BRACKET_DEPTH: usize = 12;
/// Deepest expression tree, counting each operator of a chain. Everything that walks the tree recurses this deep.
pub const MAX_TREE_DEPTH: usize = 100;

/// Where an expression is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Evaluated for each row; aggregates are refused.
    Row,
    /// Evaluated once over a whole table; columns occur within aggregates only.
    Aggregate,
}

/// A checked SQL expression. Equal and serialised by its source text.
#[derive(Debug, Clone)]
pub struct Expression {
    source: String,
    kind: Kind,
    tree: Node,
}

/// One thing that is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
    /// Line within the text, from 1.
    pub line: u32,
    /// Column within the line, in characters, from 1.
    pub column: u32,
}

/// Everything that is wrong with an expression; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(|error| format!("{}:{}: {}", error.line, error.column, error.message)).collect::<Vec<_>>().join("; "))]
pub struct ExpressionErrors(pub Vec<ExpressionError>);

/// A column that an expression names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRef {
    /// As written.
    pub name: String,
    /// Line within the text, from 1.
    pub line: u32,
    /// Column within the line, in characters, from 1.
    pub column: u32,
}

impl Expression {
    /// Parses and checks `source`.
    ///
    /// # Errors
    /// Everything that is wrong with it: syntax (one error, the first), or all functions, types and forms that
    /// are not allowed.
    pub fn parse(source: &str, kind: Kind) -> Result<Self, ExpressionErrors> {
        if source.trim().is_empty() {
            return Err(single(1, 1, "the expression is empty", None));
        }
        let chars = source.chars().count();
        if chars > MAX_EXPRESSION_CHARS {
            let message = format!("the expression has {chars} characters; {MAX_EXPRESSION_CHARS} are allowed");
            return Err(single(1, 1, message, None));
        }
        let dialect = GenericDialect {};
        let tokens = Tokenizer::new(&dialect, source)
            .tokenize_with_location()
            .map_err(|error| single(narrow(error.location.line), narrow(error.location.column), error.message, None))?;
        scan::scan(&tokens)?;
        let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
        let parsed = parser.parse_expr().map_err(|error| syntax(source, &error))?;
        let next = parser.peek_token();
        if next.token != Token::EOF {
            let at = next.span.start;
            let message = format!("the expression should end before `{}`", next.token);
            return Err(single(narrow(at.line), narrow(at.column), message, None));
        }
        let tree = convert::convert(&parsed, kind)?;
        Ok(Self { source: source.to_owned(), kind, tree })
    }

    /// The text as the policy has it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where it is used.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// False when the value is certainly no truth value (a number, a text, a time).
    #[must_use]
    pub fn may_be_boolean(&self) -> bool {
        Shape::of(&self.tree).may_be(Shape::Boolean)
    }

    /// The columns that it names, each once (ignoring case), in the order of their first occurrence.
    #[must_use]
    pub fn columns(&self) -> Vec<&ColumnRef> {
        let mut found: Vec<&ColumnRef> = Vec::new();
        self.tree.visit(&mut |node| {
            if let Node::Column(column) = node
                && !found.iter().any(|known| known.name.to_lowercase() == column.name.to_lowercase())
            {
                found.push(column);
            }
        });
        found
    }

    /// Canonical SQL with each column's name as `resolve` gives it, quoted. `resolve` gets names as written; it
    /// should ignore case, as Hive does (see [`resolver`]).
    ///
    /// # Errors
    /// The columns that `resolve` does not know.
    pub fn render(&self, resolve: impl Fn(&str) -> Option<String>) -> Result<String, UnknownColumns> {
        render::render(&self.tree, &resolve)
    }
}

/// Finds a name in `columns`: first exactly, then ignoring case. For [`Expression::render`].
pub fn resolver<'a>(columns: &'a [&'a str]) -> impl Fn(&str) -> Option<String> + 'a {
    move |name| {
        let exact = columns.iter().find(|column| **column == name);
        let found = exact.or_else(|| columns.iter().find(|column| column.to_lowercase() == name.to_lowercase()));
        found.map(|column| (*column).to_owned())
    }
}

/// `name` as a quoted SQL identifier.
#[must_use]
pub fn quote_identifier(name: &str) -> String {
    quoted(name, '"')
}

/// `text` as an SQL string literal.
#[must_use]
pub fn quote_text(text: &str) -> String {
    quoted(text, '\'')
}

/// `text` between marks; a mark within is doubled. Scripts of a million plans are made of these.
fn quoted(text: &str, mark: char) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(mark);
    for (number, part) in text.split(mark).enumerate() {
        if number > 0 {
            quoted.extend([mark, mark]);
        }
        quoted.push_str(part);
    }
    quoted.push(mark);
    quoted
}

fn single(line: u32, column: u32, message: impl Into<String>, hint: Option<String>) -> ExpressionErrors {
    ExpressionErrors(vec![ExpressionError { message: message.into(), hint, line, column }])
}

/// Lines and columns of a text of at most [`MAX_EXPRESSION_CHARS`]; zero means that the place is not known.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX).max(1)
}

/// sqlparser's syntax errors carry the place at the end of their message, or none when the text ended too early.
fn syntax(source: &str, error: &ParserError) -> ExpressionErrors {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => return single(1, 1, "the expression is nested too deeply", None),
    };
    let place = text.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((message, line.parse::<u32>().ok()?, column.parse::<u32>().ok()?))
    });
    let (message, line, column) = place.unwrap_or_else(|| {
        let line = source.lines().count().max(1);
        let column = source.lines().last().map_or(0, |last| last.chars().count()) + 1;
        (text, u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    });
    let message = message.replace("EOF", "the end");
    let hint = message.starts_with("Unterminated").then(|| "inside a text, write a quote twice".to_owned());
    single(line.max(1), column.max(1), message, hint)
}

impl fmt::Display for Expression {
    /// The canonical form, with column names in lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.render(|name| Some(name.to_lowercase())).expect("every name is resolved");
        f.write_str(&text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.kind == other.kind
    }
}

impl Eq for Expression {}

impl FromStr for Expression {
    type Err = ExpressionErrors;

    /// Parses a text whose use is not known: with aggregates it is [`Kind::Aggregate`].
    fn from_str(source: &str) -> Result<Self, Self::Err> {
        Self::parse(source, Kind::Row).or_else(|errors| Self::parse(source, Kind::Aggregate).map_err(|_| errors))
    }
}

impl Serialize for Expression {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Expression {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expression".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "An SQL expression: operators, CASE, CAST and the listed functions. No subqueries, no functions whose value changes from run to run.",
            "minLength": 1,
            "maxLength": MAX_EXPRESSION_CHARS
        })
    }
}
