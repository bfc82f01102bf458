//! From sqlparser's tree to ours.
//!
//! In: a parsed expression and its use. Out: a [`Node`], or everything in it that is not allowed.
//! What is not named here is refused. Calls are in `call`.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType as SqlType, Expr, Ident, Spanned, Subscript, TimezoneInfo,
    UnaryOperator, Value,
};
use sqlparser::tokenizer::Location;

use super::shape::Shape;
use super::tree::{Node, Operator, Test};
use super::{ColumnRef, ExpressionError, ExpressionErrors, Kind, MAX_TREE_DEPTH, narrow};
use crate::types::DataType;

/// Translates `parsed`.
pub(super) fn convert(parsed: &Expr, kind: Kind) -> Result<Node, ExpressionErrors> {
    let mut converter = Converter { kind, errors: Vec::new(), depth: 0, aggregates: 0, within_aggregate: false };
    let tree = converter.expr(parsed);
    if kind == Kind::Aggregate && converter.aggregates == 0 && converter.errors.is_empty() {
        let hint = "count what breaks the rule: count_if(plays < 0) = 0";
        converter.refuse(parsed, "the expression has no aggregate, and it is evaluated over a whole table", hint);
    }
    if converter.errors.is_empty() { Ok(tree) } else { Err(ExpressionErrors(converter.errors)) }
}

pub(super) struct Converter {
    kind: Kind,
    errors: Vec<ExpressionError>,
    depth: usize,
    aggregates: usize,
    within_aggregate: bool,
}

impl Converter {
    /// Translates one expression; where it must be refused, the error is noted and null stands in.
    pub(super) fn expr(&mut self, expr: &Expr) -> Node {
        if self.depth == MAX_TREE_DEPTH {
            let message = format!("the expression is more than {MAX_TREE_DEPTH} operators deep");
            return self.refuse(expr, message, "write a long chain of OR as IN (...)");
        }
        self.depth += 1;
        let node = self.form(expr);
        self.depth -= 1;
        node
    }

    fn form(&mut self, expr: &Expr) -> Node {
        match expr {
            Expr::Nested(inner) => self.form(inner),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => self.column(expr),
            Expr::Value(value) => self.value(expr, &value.value),
            Expr::TypedString(typed) => self.typed(expr, &typed.data_type, &typed.value.value),
            Expr::UnaryOp { op, expr: operand } => self.unary(expr, *op, operand),
            Expr::BinaryOp { left, op, right } => self.binary(expr, left, op, right),
            Expr::IsNull(value) => self.is(value, Test::Null, false),
            Expr::IsNotNull(value) => self.is(value, Test::Null, true),
            Expr::IsTrue(value) => self.is(value, Test::True, false),
            Expr::IsNotTrue(value) => self.is(value, Test::True, true),
            Expr::IsFalse(value) => self.is(value, Test::False, false),
            Expr::IsNotFalse(value) => self.is(value, Test::False, true),
            Expr::IsUnknown(value) => self.is(value, Test::Unknown, false),
            Expr::IsNotUnknown(value) => self.is(value, Test::Unknown, true),
            Expr::IsDistinctFrom(left, right) => self.distinct(left, Operator::Distinct, right),
            Expr::IsNotDistinctFrom(left, right) => self.distinct(left, Operator::NotDistinct, right),
            Expr::InList { expr: value, list, negated } => Node::In {
                value: Box::new(self.expr(value)),
                list: list.iter().map(|item| self.expr(item)).collect(),
                negated: *negated,
            },
            Expr::Between { expr: value, negated, low, high } => Node::Between {
                value: Box::new(self.expr(value)),
                low: Box::new(self.expr(low)),
                high: Box::new(self.expr(high)),
                negated: *negated,
            },
            Expr::Like { negated, any: false, expr: value, pattern, escape_char: None } => {
                self.like(value, pattern, false, *negated)
            }
            Expr::ILike { negated, any: false, expr: value, pattern, escape_char: None } => {
                self.like(value, pattern, true, *negated)
            }
            Expr::Like { .. } | Expr::ILike { .. } => {
                self.refuse(expr, "LIKE has one pattern here and no ESCAPE", "a backslash escapes % and _")
            }
            Expr::RLike { negated, expr: value, pattern, .. } => {
                let arguments = vec![self.expr(value), self.expr(pattern)];
                let call = self.call_named("regexp_like", arguments);
                if *negated { Node::Not(Box::new(call)) } else { call }
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Cast { kind, expr: value, data_type, array: false, format: None } => {
                self.cast(expr, value, data_type, matches!(kind, CastKind::TryCast | CastKind::SafeCast))
            }
            other => self.call(other),
        }
    }

    /// Notes an error at the place of `expr`.
    pub(super) fn refuse(&mut self, expr: &Expr, message: impl Into<String>, hint: &str) -> Node {
        self.refuse_at(expr.span().start, message, hint)
    }

    /// Notes an error.
    pub(super) fn refuse_at(&mut self, at: Location, message: impl Into<String>, hint: &str) -> Node {
        self.errors.push(ExpressionError {
            message: message.into(),
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
            line: narrow(at.line),
            column: narrow(at.column),
        });
        Node::Null
    }

    /// Translates an operand that must be of one shape.
    pub(super) fn shaped(&mut self, expr: &Expr, wanted: Shape, place: &str) -> Node {
        let node = self.expr(expr);
        let shape = Shape::of(&node);
        if !shape.may_be(wanted) {
            self.refuse(expr, format!("{place} takes {}, and this is {}", wanted.noun(), shape.noun()), "");
        }
        node
    }

    /// Translates the argument of an aggregate called at `at`.
    pub(super) fn within_aggregate(&mut self, at: Location, translate: impl FnOnce(&mut Self) -> Node) -> Node {
        if self.kind == Kind::Row {
            return self.refuse_at(at, "aggregates are for checks; this expression is evaluated for each row", "");
        }
        if self.within_aggregate {
            return self.refuse_at(at, "an aggregate within an aggregate", "");
        }
        self.aggregates += 1;
        self.within_aggregate = true;
        let node = translate(self);
        self.within_aggregate = false;
        node
    }

    fn column(&mut self, expr: &Expr) -> Node {
        match expr {
            Expr::Identifier(ident) => self.column_ref(ident),
            Expr::CompoundIdentifier(idents) => match idents.split_first() {
                Some((column, fields)) => {
                    let column = self.column_ref(column);
                    fields.iter().fold(column, |value, field| Node::Field(Box::new(value), field_name(field)))
                }
                None => self.refuse(expr, "a column is expected", ""),
            },
            Expr::CompoundFieldAccess { root, access_chain } => {
                let mut value = self.expr(root);
                for access in access_chain {
                    let key = match access {
                        AccessExpr::Dot(Expr::Identifier(field)) => Some(field_name(field)),
                        AccessExpr::Subscript(Subscript::Index { index: Expr::Value(index) }) => match &index.value {
                            Value::SingleQuotedString(key) => Some(key.clone()),
                            _ => None,
                        },
                        _ => None,
                    };
                    let Some(key) = key else {
                        let hint = "positions start at 0 in Hive and at 1 elsewhere, so they are left out";
                        return self.refuse(expr, "brackets hold a text: a map's key or a struct's field", hint);
                    };
                    value = Node::Field(Box::new(value), key);
                }
                value
            }
            _ => self.refuse(expr, "a column is expected", ""),
        }
    }

    fn column_ref(&mut self, ident: &Ident) -> Node {
        let at = ident.span.start;
        if ident.quote_style.is_none() && super::functions::is_unstable(&ident.value.to_lowercase()) {
            return self.refuse_at(at, unstable(&ident.value), "write the value itself");
        }
        if self.kind == Kind::Aggregate && !self.within_aggregate {
            let message = format!("column `{}` stands outside of an aggregate", ident.value);
            self.refuse_at(at, message, "a check is about the whole table: count_if(...), min(...), max(...)");
        }
        Node::Column(ColumnRef { name: ident.value.clone(), line: narrow(at.line), column: narrow(at.column) })
    }

    fn value(&mut self, expr: &Expr, value: &Value) -> Node {
        match value {
            Value::Null => Node::Null,
            Value::Boolean(truth) => Node::Boolean(*truth),
            Value::Number(number, false) => Node::Number(number.clone()),
            Value::SingleQuotedString(text) => Node::Text(text.clone()),
            _ => self.refuse(
                expr,
                "this kind of literal is not allowed",
                "write numbers as digits and texts in single quotes",
            ),
        }
    }

    fn typed(&mut self, expr: &Expr, data_type: &SqlType, value: &Value) -> Node {
        let (to, Value::SingleQuotedString(text)) = (self.data_type(expr, data_type), value) else {
            return self.refuse(expr, "a text in single quotes is expected after the type", "");
        };
        Node::Cast { value: Box::new(Node::Text(text.clone())), to, lenient: false }
    }

    fn unary(&mut self, expr: &Expr, op: UnaryOperator, operand: &Expr) -> Node {
        match op {
            UnaryOperator::Not | UnaryOperator::BangNot => {
                Node::Not(Box::new(self.shaped(operand, Shape::Boolean, "NOT")))
            }
            UnaryOperator::Minus => Node::Negate(Box::new(self.shaped(operand, Shape::Number, "`-`"))),
            UnaryOperator::Plus => self.shaped(operand, Shape::Number, "`+`"),
            _ => self.refuse(expr, format!("the operator `{op}` is not allowed"), ""),
        }
    }

    fn binary(&mut self, expr: &Expr, left: &Expr, op: &BinaryOperator, right: &Expr) -> Node {
        let operator = match op {
            BinaryOperator::Or => Operator::Or,
            BinaryOperator::And => Operator::And,
            BinaryOperator::Eq => Operator::Equal,
            BinaryOperator::NotEq => Operator::NotEqual,
            BinaryOperator::Lt => Operator::Less,
            BinaryOperator::LtEq => Operator::LessOrEqual,
            BinaryOperator::Gt => Operator::Greater,
            BinaryOperator::GtEq => Operator::GreaterOrEqual,
            // Hive's equality in which null equals null.
            BinaryOperator::Spaceship => Operator::NotDistinct,
            BinaryOperator::StringConcat => Operator::Concat,
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            BinaryOperator::Multiply => Operator::Times,
            BinaryOperator::Divide => Operator::Divide,
            BinaryOperator::Modulo => Operator::Modulo,
            _ => return self.refuse(expr, format!("the operator `{op}` is not allowed"), ""),
        };
        self.pair(left, operator, right)
    }

    fn pair(&mut self, left: &Expr, operator: Operator, right: &Expr) -> Node {
        let (left, right) = if operator.is_logical() {
            let place = operator.sql();
            (self.shaped(left, Shape::Boolean, place), self.shaped(right, Shape::Boolean, place))
        } else {
            (self.expr(left), self.expr(right))
        };
        Node::Binary(Box::new(left), operator, Box::new(right))
    }

    /// sqlparser takes everything that follows for the right side, other readers do not: what stands there must not
    /// depend on that.
    fn distinct(&mut self, left: &Expr, operator: Operator, right: &Expr) -> Node {
        let tight = match right {
            Expr::BinaryOp { op, .. } => matches!(
                op,
                BinaryOperator::Plus
                    | BinaryOperator::Minus
                    | BinaryOperator::Multiply
                    | BinaryOperator::Divide
                    | BinaryOperator::Modulo
                    | BinaryOperator::StringConcat
            ),
            Expr::UnaryOp { op, .. } => matches!(op, UnaryOperator::Minus | UnaryOperator::Plus),
            Expr::Nested(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => {
                true
            }
            Expr::Value(_) | Expr::TypedString(_) | Expr::Function(_) | Expr::Cast { .. } | Expr::Case { .. } => true,
            Expr::Extract { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. } => true,
            _ => false,
        };
        if tight {
            return self.pair(left, operator, right);
        }
        let message = format!("what follows {} is read in different ways", operator.sql());
        self.refuse(right, message, "put brackets around it: (a is distinct from b) and c")
    }

    fn is(&mut self, value: &Expr, what: Test, negated: bool) -> Node {
        let value = if what == Test::Null { self.expr(value) } else { self.shaped(value, Shape::Boolean, "IS") };
        Node::Is { value: Box::new(value), what, negated }
    }

    fn like(&mut self, value: &Expr, pattern: &Expr, any_case: bool, negated: bool) -> Node {
        let value = Box::new(self.shaped(value, Shape::Text, "LIKE"));
        let pattern = Box::new(self.shaped(pattern, Shape::Text, "LIKE"));
        Node::Like { value, pattern, any_case, negated }
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        branches: &[sqlparser::ast::CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Node {
        let searched = operand.is_none();
        let operand = operand.map(|operand| Box::new(self.expr(operand)));
        let mut translated = Vec::with_capacity(branches.len());
        for branch in branches {
            let when = match searched {
                true => self.shaped(&branch.condition, Shape::Boolean, "WHEN"),
                false => self.expr(&branch.condition),
            };
            translated.push((when, self.expr(&branch.result)));
        }
        Node::Case { operand, branches: translated, otherwise: otherwise.map(|value| Box::new(self.expr(value))) }
    }

    fn cast(&mut self, expr: &Expr, value: &Expr, data_type: &SqlType, lenient: bool) -> Node {
        let value = Box::new(self.expr(value));
        Node::Cast { value, to: self.data_type(expr, data_type), lenient }
    }

    /// The type of a cast: of ours, without parts, and with the same meaning in the engine's SQL.
    fn data_type(&mut self, expr: &Expr, data_type: &SqlType) -> DataType {
        let plain = |zone: &TimezoneInfo| matches!(zone, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone);
        let known = match data_type {
            SqlType::Varchar(None) | SqlType::Text | SqlType::String(None) => Some(DataType::String),
            // Microseconds, as columns have them: nanoseconds end in 2262.
            SqlType::Timestamp(None | Some(6), zone) if plain(zone) => Some(DataType::Timestamp),
            other => other.to_string().parse().ok(),
        };
        match known {
            Some(
                known @ (DataType::Boolean
                | DataType::TinyInt
                | DataType::SmallInt
                | DataType::Int
                | DataType::BigInt
                | DataType::Float
                | DataType::Double
                | DataType::Decimal { .. }
                | DataType::String
                | DataType::Date
                | DataType::Timestamp),
            ) => known,
            _ => {
                let hint =
                    "boolean, tinyint, smallint, int, bigint, float, double, decimal(p,s), string, date, timestamp";
                self.refuse(expr, format!("nothing can be cast to {data_type} here"), hint);
                DataType::String
            }
        }
    }
}

/// What is said of functions whose value changes.
pub(super) fn unstable(name: &str) -> String {
    format!("`{}` has another value at each run, and a batch may run twice", name.to_lowercase())
}

/// Fields of structs are in lower case in Hive; quoted ones are taken as they are.
fn field_name(ident: &Ident) -> String {
    if ident.quote_style.is_none() { ident.value.to_lowercase() } else { ident.value.clone() }
}
