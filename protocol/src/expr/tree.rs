//! The expression tree: the forms that policies may use, and no other.
//!
//! Holds: [`Node`]. Not here: how it comes from SQL (`convert`), how it becomes SQL (`render`).

use super::ColumnRef;
use super::functions::{Aggregate, Function};
use crate::types::DataType;

/// One expression.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Column(ColumnRef),
    /// A field of a struct or the value under a map's key.
    Field(Box<Node>, String),
    Null,
    Boolean(bool),
    /// An unsigned number as written.
    Number(String),
    Text(String),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Box<Node>, Operator, Box<Node>),
    Is {
        value: Box<Node>,
        what: Test,
        negated: bool,
    },
    Like {
        value: Box<Node>,
        pattern: Box<Node>,
        any_case: bool,
        negated: bool,
    },
    In {
        value: Box<Node>,
        list: Vec<Node>,
        negated: bool,
    },
    Between {
        value: Box<Node>,
        low: Box<Node>,
        high: Box<Node>,
        negated: bool,
    },
    Case {
        operand: Option<Box<Node>>,
        branches: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
    },
    Cast {
        value: Box<Node>,
        to: DataType,
        /// Null instead of an error.
        lenient: bool,
    },
    Call(&'static Function, Vec<Node>),
    Aggregate {
        function: Aggregate,
        distinct: bool,
        /// Absent for `count(*)`.
        argument: Option<Box<Node>>,
    },
}

/// Operators between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Distinct,
    NotDistinct,
    Concat,
    Plus,
    Minus,
    Times,
    Divide,
    Modulo,
}

impl Operator {
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Or => "OR",
            Self::And => "AND",
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Distinct => "IS DISTINCT FROM",
            Self::NotDistinct => "IS NOT DISTINCT FROM",
            Self::Concat => "||",
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Times => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }

    pub(super) fn is_logical(self) -> bool {
        matches!(self, Self::Or | Self::And)
    }

    pub(super) fn is_arithmetic(self) -> bool {
        matches!(self, Self::Plus | Self::Minus | Self::Times | Self::Divide | Self::Modulo)
    }
}

/// What `IS` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Null,
    True,
    False,
    Unknown,
}

impl Test {
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::True => "TRUE",
            Self::False => "FALSE",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl Node {
    /// Shows this node and all below it to `see`, from left to right.
    pub(super) fn visit<'a>(&'a self, see: &mut impl FnMut(&'a Node)) {
        see(self);
        match self {
            Self::Column(_) | Self::Null | Self::Boolean(_) | Self::Number(_) | Self::Text(_) => {}
            Self::Field(value, _) | Self::Not(value) | Self::Negate(value) => value.visit(see),
            Self::Is { value, .. } | Self::Cast { value, .. } => value.visit(see),
            Self::Binary(left, _, right) => {
                left.visit(see);
                right.visit(see);
            }
            Self::Like { value, pattern, .. } => {
                value.visit(see);
                pattern.visit(see);
            }
            Self::In { value, list, .. } => {
                value.visit(see);
                list.iter().for_each(|item| item.visit(see));
            }
            Self::Between { value, low, high, .. } => {
                value.visit(see);
                low.visit(see);
                high.visit(see);
            }
            Self::Case { operand, branches, otherwise } => {
                operand.iter().for_each(|operand| operand.visit(see));
                for (when, then) in branches {
                    when.visit(see);
                    then.visit(see);
                }
                otherwise.iter().for_each(|otherwise| otherwise.visit(see));
            }
            Self::Call(_, arguments) => arguments.iter().for_each(|argument| argument.visit(see)),
            Self::Aggregate { argument, .. } => argument.iter().for_each(|argument| argument.visit(see)),
        }
    }
}
