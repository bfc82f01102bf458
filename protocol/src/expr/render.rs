//! From our tree to SQL: one canonical form, which DataFusion reads.
//!
//! Brackets stand where two readers could differ, and nowhere else.

use std::fmt::Write as _;

use super::functions::Aggregate;
use super::tree::{Node, Operator};
use super::{quote_identifier, quote_text};
use crate::types::DataType;

/// Columns that the resolver does not know, as written, each once; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {}: {}", if .0.len() == 1 { "column" } else { "columns" }, .0.join(", "))]
pub struct UnknownColumns(pub Vec<String>);

/// How tightly a form binds; operands that bind less are put in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bond {
    /// `IS DISTINCT FROM`: some readers take everything that follows for its right side, so it always needs brackets.
    Distinct,
    Or,
    And,
    Not,
    Predicate,
    Concat,
    Sum,
    Product,
    Sign,
    Atom,
}

pub(super) fn render(tree: &Node, resolve: &dyn Fn(&str) -> Option<String>) -> Result<String, UnknownColumns> {
    let mut renderer = Renderer { out: String::new(), resolve, unknown: Vec::new() };
    renderer.node(tree);
    if renderer.unknown.is_empty() { Ok(renderer.out) } else { Err(UnknownColumns(renderer.unknown)) }
}

struct Renderer<'a> {
    out: String,
    resolve: &'a dyn Fn(&str) -> Option<String>,
    unknown: Vec<String>,
}

fn bond(node: &Node) -> Bond {
    match node {
        Node::Binary(_, Operator::Distinct | Operator::NotDistinct, _) => Bond::Distinct,
        Node::Binary(_, Operator::Or, _) => Bond::Or,
        Node::Binary(_, Operator::And, _) => Bond::And,
        Node::Not(_) => Bond::Not,
        Node::Binary(_, Operator::Concat, _) => Bond::Concat,
        Node::Binary(_, Operator::Plus | Operator::Minus, _) => Bond::Sum,
        Node::Binary(_, Operator::Times | Operator::Divide | Operator::Modulo, _) => Bond::Product,
        Node::Binary(..) | Node::Is { .. } | Node::Like { .. } | Node::In { .. } | Node::Between { .. } => {
            Bond::Predicate
        }
        Node::Negate(_) => Bond::Sign,
        _ => Bond::Atom,
    }
}

impl Renderer<'_> {
    fn text(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// A node in brackets unless it binds at least as tightly as `least`.
    fn operand(&mut self, node: &Node, least: Bond) {
        if bond(node) >= least {
            self.node(node);
        } else {
            self.text("(");
            self.node(node);
            self.text(")");
        }
    }

    fn list<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node>) {
        for (index, node) in nodes.into_iter().enumerate() {
            if index > 0 {
                self.text(", ");
            }
            self.node(node);
        }
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Column(column) => match (self.resolve)(&column.name) {
                Some(name) => self.text(&quote_identifier(&name)),
                None if self.unknown.contains(&column.name) => {}
                None => self.unknown.push(column.name.clone()),
            },
            Node::Field(value, field) => {
                self.operand(value, Bond::Atom);
                self.text(&format!("[{}]", quote_text(field)));
            }
            Node::Null => self.text("NULL"),
            Node::Boolean(truth) => self.text(if *truth { "TRUE" } else { "FALSE" }),
            Node::Number(number) => self.text(number),
            Node::Text(text) => self.text(&quote_text(text)),
            Node::Not(value) => {
                self.text("NOT ");
                self.operand(value, Bond::Atom);
            }
            Node::Negate(value) => {
                self.text("-");
                self.operand(value, Bond::Atom);
            }
            Node::Binary(left, operator, right) => self.binary(left, *operator, right, bond(node)),
            Node::Is { value, what, negated } => {
                self.operand(value, Bond::Concat);
                self.text(if *negated { " IS NOT " } else { " IS " });
                self.text(what.sql());
            }
            Node::Like { value, pattern, any_case, negated } => {
                self.operand(value, Bond::Concat);
                self.text(if *negated { " NOT" } else { "" });
                self.text(if *any_case { " ILIKE " } else { " LIKE " });
                self.operand(pattern, Bond::Concat);
            }
            Node::In { value, list, negated } => {
                self.operand(value, Bond::Concat);
                self.text(if *negated { " NOT IN (" } else { " IN (" });
                self.list(list);
                self.text(")");
            }
            Node::Between { value, low, high, negated } => {
                self.operand(value, Bond::Concat);
                self.text(if *negated { " NOT BETWEEN " } else { " BETWEEN " });
                self.operand(low, Bond::Concat);
                self.text(" AND ");
                self.operand(high, Bond::Concat);
            }
            Node::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref())
            }
            Node::Cast { value, to, lenient } => {
                self.text(if *lenient { "TRY_CAST(" } else { "CAST(" });
                self.node(value);
                self.text(&format!(" AS {})", sql_type(to)));
            }
            Node::Call(function, arguments) => {
                self.text(function.name);
                self.text("(");
                self.list(arguments);
                self.text(")");
            }
            Node::Aggregate { function, distinct, argument } => {
                self.aggregate(*function, *distinct, argument.as_deref())
            }
        }
    }

    fn binary(&mut self, left: &Node, operator: Operator, right: &Node, own: Bond) {
        // Chains of one operator lean to the left, as they are read; comparisons make no chains.
        let least = match own {
            Bond::Predicate | Bond::Distinct => Bond::Concat,
            // Readers differ in how tightly || binds beside + and *.
            Bond::Concat if bond(left) != Bond::Concat => Bond::Atom,
            _ => own,
        };
        self.operand(left, least);
        let _ = write!(self.out, " {} ", operator.sql());
        let tighter = match own {
            Bond::Or => Bond::And,
            Bond::And => Bond::Not,
            Bond::Predicate | Bond::Distinct => Bond::Concat,
            Bond::Concat => Bond::Atom,
            Bond::Sum => Bond::Product,
            _ => Bond::Sign,
        };
        self.operand(right, tighter);
    }

    fn case(&mut self, operand: Option<&Node>, branches: &[(Node, Node)], otherwise: Option<&Node>) {
        self.text("CASE");
        if let Some(operand) = operand {
            self.text(" ");
            self.node(operand);
        }
        for (when, then) in branches {
            self.text(" WHEN ");
            self.node(when);
            self.text(" THEN ");
            self.node(then);
        }
        if let Some(otherwise) = otherwise {
            self.text(" ELSE ");
            self.node(otherwise);
        }
        self.text(" END");
    }

    fn aggregate(&mut self, function: Aggregate, distinct: bool, argument: Option<&Node>) {
        self.text(function.sql());
        self.text(if distinct { "(DISTINCT " } else { "(" });
        match argument {
            None => self.text("*"),
            Some(condition) if function == Aggregate::CountIf => {
                self.text("CASE WHEN ");
                self.node(condition);
                self.text(" THEN 1 END");
            }
            Some(argument) => self.node(argument),
        }
        self.text(")");
    }
}

/// A type of a cast as the engine's SQL names it.
fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::String => "VARCHAR".to_owned(),
        DataType::Timestamp => "TIMESTAMP(6)".to_owned(),
        other => other.to_string().to_uppercase(),
    }
}
