//! Calls of functions and aggregates, and the special forms that SQL has for some of them.
//!
//! In: sqlparser's call forms. Out: [`Node::Call`], [`Node::Aggregate`], or [`Node::Case`] for `if`.

use sqlparser::ast::{
    CeilFloorKind, DateTimeField, DuplicateTreatment, Expr, Function as SqlFunction, FunctionArg, FunctionArgExpr,
    FunctionArguments, ObjectNamePart, Spanned, TrimWhereField, Value,
};
use sqlparser::tokenizer::Location;

use super::convert::{Converter, unstable};
use super::functions::{
    Aggregate, Function, TIME_UNITS, aggregate_named, aggregate_names, function_named, function_names, is_unstable,
};
use super::nearest::nearest;
use super::shape::Shape;
use super::tree::Node;

impl Converter {
    /// Translates the forms that are calls; refuses what is left.
    pub(super) fn call(&mut self, expr: &Expr) -> Node {
        match expr {
            Expr::Function(function) => self.function(expr, function),
            Expr::Extract { field, expr: value, .. } => {
                let unit = field.to_string().to_lowercase();
                let value = self.expr(value);
                self.unit(expr.span().start, &unit);
                self.call_named("date_part", vec![Node::Text(unit), value])
            }
            Expr::Ceil { expr: value, field } => self.whole(expr, "ceil", value, field),
            Expr::Floor { expr: value, field } => self.whole(expr, "floor", value, field),
            Expr::Substring { expr: value, substring_from, substring_for, .. } => {
                let mut arguments = vec![self.expr(value)];
                arguments.push(substring_from.as_ref().map_or(Node::Number("1".to_owned()), |from| self.expr(from)));
                arguments.extend(substring_for.as_ref().map(|length| self.expr(length)));
                self.call_named("substr", arguments)
            }
            Expr::Trim { trim_where, trim_what, expr: value, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    Some(TrimWhereField::Both) | None => "btrim",
                };
                let mut arguments = vec![self.expr(value)];
                let characters = trim_characters.iter().flatten().chain(trim_what.as_deref());
                arguments.extend(characters.map(|what| self.expr(what)).collect::<Vec<_>>());
                self.counted(expr.span().start, name, arguments)
            }
            Expr::Interval(_) => self.refuse(expr, "intervals are not allowed", "compare with a date or timestamp"),
            Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => {
                self.refuse(expr, "subqueries are not allowed", "")
            }
            _ => self.refuse(expr, format!("`{}` is not allowed", short(&expr.to_string())), ""),
        }
    }

    /// A call of a function that is known to be on the list, with a number of arguments that it takes.
    pub(super) fn call_named(&mut self, name: &str, arguments: Vec<Node>) -> Node {
        let function = function_named(name).expect("only names of the list are asked for");
        Node::Call(function, arguments)
    }

    fn counted(&mut self, at: Location, name: &str, arguments: Vec<Node>) -> Node {
        let function = function_named(name).expect("only names of the list are asked for");
        self.count_arguments(at, name, function, arguments.len());
        Node::Call(function, arguments)
    }

    fn whole(&mut self, expr: &Expr, name: &str, value: &Expr, kind: &CeilFloorKind) -> Node {
        if !matches!(kind, CeilFloorKind::DateTimeField(DateTimeField::NoDateTime)) {
            return self.refuse(expr, format!("`{name}` takes one argument"), "use round(value, digits) or date_trunc");
        }
        let value = self.shaped(value, Shape::Number, name);
        self.call_named(name, vec![value])
    }

    fn function(&mut self, expr: &Expr, call: &SqlFunction) -> Node {
        let [ObjectNamePart::Identifier(ident)] = call.name.0.as_slice() else {
            return self.refuse(
                expr,
                format!("`{}` is not on the list of functions", short(&call.name.to_string())),
                "",
            );
        };
        let at = ident.span.start;
        let name = ident.value.to_lowercase();
        if is_unstable(&name) {
            return self.refuse_at(at, unstable(&name), "write the value itself");
        }
        let aggregate = aggregate_named(&name);
        let plain = call.filter.is_none()
            && call.over.is_none()
            && call.null_treatment.is_none()
            && call.within_group.is_empty();
        if !plain || call.parameters != FunctionArguments::None || call.uses_odbc_syntax {
            let hint =
                if aggregate.is_some() { "for a part of the rows: count_if(...), or CASE in the argument" } else { "" };
            return self.refuse_at(at, "OVER, FILTER, WITHIN GROUP and the like are not allowed", hint);
        }
        let FunctionArguments::List(list) = &call.args else {
            return self.refuse_at(at, format!("`{name}` is called without brackets"), "");
        };
        if !list.clauses.is_empty() {
            return self.refuse_at(at, "clauses within a call are not allowed", "");
        }
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        if let Some(aggregate) = aggregate {
            return self
                .within_aggregate(at, |converter| converter.aggregate(at, &name, aggregate, distinct, &list.args));
        }
        if distinct {
            return self.refuse_at(at, "DISTINCT is for aggregates", "");
        }
        let mut arguments = Vec::with_capacity(list.args.len());
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => arguments.push(argument),
                _ => return self.refuse_at(at, format!("`{name}` takes plain arguments"), ""),
            }
        }
        self.scalar(at, &name, &arguments)
    }

    fn aggregate(
        &mut self,
        at: Location,
        name: &str,
        function: Aggregate,
        distinct: bool,
        args: &[FunctionArg],
    ) -> Node {
        let argument = match args {
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] if function == Aggregate::Count && !distinct => None,
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] => Some(argument),
            _ => return self.refuse_at(at, format!("`{name}` takes one argument"), "the number of rows is count(*)"),
        };
        if distinct && function != Aggregate::Count {
            return self.refuse_at(at, "DISTINCT is for count", "");
        }
        let argument = argument.map(|argument| {
            let argument = match function.takes_boolean() {
                true => self.shaped(argument, Shape::Boolean, name),
                false => self.expr(argument),
            };
            Box::new(argument)
        });
        Node::Aggregate { function, distinct, argument }
    }

    fn scalar(&mut self, at: Location, name: &str, arguments: &[&Expr]) -> Node {
        match (name, arguments) {
            ("if", [condition, then, otherwise]) => {
                let condition = self.shaped(condition, Shape::Boolean, "if");
                let then = self.expr(then);
                let otherwise = Some(Box::new(self.expr(otherwise)));
                return Node::Case { operand: None, branches: vec![(condition, then)], otherwise };
            }
            ("year" | "month" | "day" | "hour" | "minute" | "second", [value]) => {
                let value = self.expr(value);
                return self.call_named("date_part", vec![Node::Text(name.to_owned()), value]);
            }
            ("date_trunc" | "date_part", [unit, value]) => {
                let at = unit.span().start;
                let unit = match unit {
                    Expr::Value(unit) => match &unit.value {
                        Value::SingleQuotedString(unit) => unit.to_lowercase(),
                        _ => String::new(),
                    },
                    _ => String::new(),
                };
                self.unit(at, &unit);
                let value = self.expr(value);
                return self.call_named(name, vec![Node::Text(unit), value]);
            }
            _ => {}
        }
        let Some(function) = function_named(name) else {
            let known = nearest(name, function_names().chain(aggregate_names()));
            let hint = known.map(|known| format!("did you mean `{known}`?")).unwrap_or_default();
            return self.refuse_at(at, format!("`{name}` is not on the list of functions"), &hint);
        };
        let translated: Vec<Node> = arguments.iter().map(|argument| self.expr(argument)).collect();
        self.count_arguments(at, name, function, translated.len());
        Node::Call(function, translated)
    }

    fn count_arguments(&mut self, at: Location, name: &str, function: &Function, count: usize) {
        let (least, most) = (function.least, function.most);
        if count < least || count > most {
            let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
            let noun = if most == 1 { "argument" } else { "arguments" };
            self.refuse_at(at, format!("`{name}` takes {wanted} {noun}, not {count}"), "");
        }
    }

    fn unit(&mut self, at: Location, unit: &str) {
        if !TIME_UNITS.contains(&unit) {
            self.refuse_at(at, "a unit of time is expected", &format!("one of {}", TIME_UNITS.join(", ")));
        }
    }
}

/// The beginning of a text that may be long.
fn short(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if text.chars().count() > SHOWN_CHARS {
        shown.push('…');
    }
    shown
}
