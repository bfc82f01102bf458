//! What an expression's value is, as far as that can be said before the columns' types are known.
//!
//! Out: [`Shape`]. Good enough to refuse `filter: plays + 1`; the engine has the last word.

use super::functions::{Aggregate, Returns};
use super::tree::Node;
use crate::types::DataType;

/// A family of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Boolean,
    Number,
    Text,
    /// Dates and timestamps.
    Time,
    /// A number or a time: what arithmetic over columns gives.
    Measure,
    /// Anything: depends on a column's type, or is null.
    Unknown,
}

impl Shape {
    /// True unless it is certainly something else.
    pub(super) fn may_be(self, wanted: Self) -> bool {
        self == wanted
            || self == Self::Unknown
            || (self == Self::Measure && matches!(wanted, Self::Number | Self::Time))
    }

    /// In words.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Boolean => "a truth value",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Time => "a date or timestamp",
            Self::Measure => "a number or a time",
            Self::Unknown => "a value",
        }
    }

    /// The shape of a node.
    pub(super) fn of(node: &Node) -> Self {
        match node {
            Node::Column(_) | Node::Field(..) | Node::Null => Self::Unknown,
            Node::Boolean(_) | Node::Not(_) => Self::Boolean,
            Node::Is { .. } | Node::Like { .. } | Node::In { .. } | Node::Between { .. } => Self::Boolean,
            Node::Number(_) => Self::Number,
            Node::Negate(value) => Self::of(value),
            Node::Text(_) => Self::Text,
            Node::Binary(left, operator, right) if operator.is_arithmetic() => {
                // Dates can be subtracted; all other arithmetic gives numbers.
                let times = [left, right].iter().any(|side| Self::of(side).may_be(Self::Time));
                if times { Self::Measure } else { Self::Number }
            }
            Node::Binary(_, super::tree::Operator::Concat, _) => Self::Text,
            Node::Binary(..) => Self::Boolean,
            Node::Case { branches, otherwise, .. } => {
                Self::first_known(branches.iter().map(|(_, then)| then).chain(otherwise.as_deref()))
            }
            Node::Cast { to, .. } => Self::of_type(to),
            Node::Call(function, arguments) => match function.returns {
                Returns::Always(shape) => shape,
                Returns::Arguments => Self::first_known(arguments.iter()),
            },
            Node::Aggregate { function, argument, .. } => match function {
                Aggregate::Count | Aggregate::CountIf | Aggregate::Sum | Aggregate::Avg => Self::Number,
                Aggregate::BoolAnd | Aggregate::BoolOr => Self::Boolean,
                Aggregate::Min | Aggregate::Max => argument.as_deref().map_or(Self::Unknown, Self::of),
            },
        }
    }

    fn first_known<'a>(nodes: impl Iterator<Item = &'a Node>) -> Self {
        nodes.map(Self::of).find(|shape| *shape != Self::Unknown).unwrap_or(Self::Unknown)
    }

    fn of_type(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::TinyInt | DataType::SmallInt | DataType::Int | DataType::BigInt => Self::Number,
            DataType::Float | DataType::Double | DataType::Decimal { .. } => Self::Number,
            DataType::String | DataType::Char { .. } | DataType::Varchar { .. } => Self::Text,
            DataType::Date | DataType::Timestamp | DataType::TimestampTz => Self::Time,
            DataType::Binary | DataType::Array(_) | DataType::Map(..) | DataType::Struct(_) => Self::Unknown,
        }
    }
}
