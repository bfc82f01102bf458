//! The policy's rules that remove rows, for one dataset: columns resolved, expressions rendered.

use crate::expr::{Expression, resolver};
use crate::inspection::Inspection;
use crate::plan::{PlannedRule, Rule};
use crate::policy::{CleanRule, IfMissing, KeepOne, Policy};
use crate::problem::{Code, Problem};

use super::columns::{find, term};

/// Planned rules, and what was found on the way.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) rules: Vec<PlannedRule>,
    pub(super) notes: Vec<String>,
    pub(super) problems: Vec<Problem>,
}

pub(super) fn rules(policy: &Policy, inspection: &Inspection) -> Rules {
    let mut rules = Rules::default();
    if let Some(filter) = &policy.spec.filter {
        rules.filter(filter, inspection);
    }
    for (index, rule) in policy.spec.clean.iter().enumerate() {
        let id = format!("clean[{index}]");
        match rule {
            CleanRule::DropDuplicates(_) => rules.rules.push(PlannedRule { id, rule: Rule::DropExactDuplicates }),
            CleanRule::KeepOne(keep) => rules.keep_one(id, keep, inspection),
        }
    }
    let keyed = rules.rules.iter().filter(|rule| matches!(rule.rule, Rule::KeepOne { .. })).count();
    if keyed > 1 {
        rules.problems.push(Problem::new(
            Code::RuleInapplicable,
            "clean",
            "only one keepOne rule can work on a dataset",
            "move the second into a policy of its own, over the first one's target",
        ));
    }
    rules
}

impl Rules {
    fn filter(&mut self, filter: &Expression, inspection: &Inspection) {
        let names: Vec<&str> = inspection.columns.iter().map(|column| column.name.as_str()).collect();
        match filter.render(resolver(&names)) {
            Ok(sql) => {
                self.notes.push(format!("rows are left out unless {sql}"));
                self.rules.push(PlannedRule { id: "filter".to_owned(), rule: Rule::Filter { sql } });
            }
            Err(unknown) => self.problems.push(Problem::new(
                Code::ColumnMissing,
                "filter",
                unknown.to_string(),
                "correct the filter, or leave the dataset out",
            )),
        }
    }

    fn keep_one(&mut self, id: String, keep: &KeepOne, inspection: &Inspection) {
        let named = keep.key.iter().chain(keep.order_by.iter().map(|order| &order.column));
        let missing: Vec<&String> = named.filter(|name| find(&inspection.columns, name).is_none()).collect();
        if !missing.is_empty() {
            let list = missing.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
            match keep.if_missing {
                IfMissing::Skip => self.notes.push(format!("the rule {id} does nothing: there is no column {list}")),
                IfMissing::Refuse => self.problems.push(Problem::new(
                    Code::ColumnMissing,
                    id,
                    format!("the dataset has no column {list}"),
                    "correct the rule, or let it skip such datasets (ifMissing: skip)",
                )),
            }
            return;
        }
        let exact =
            |name: &String| find(&inspection.columns, name).map_or_else(String::new, |column| column.name.clone());
        for order in &keep.order_by {
            let column = find(&inspection.columns, &order.column);
            if column.is_some_and(|column| !column.data_type.is_primitive()) {
                self.problems.push(Problem::new(
                    Code::RuleInapplicable,
                    format!("{id}: order by {}", order.column),
                    "lists, maps and structs have no order",
                    "order by a plain column",
                ));
            }
        }
        let key = keep.key.iter().map(exact).collect();
        let order = keep.order_by.iter().map(|order| term(order, &exact(&order.column))).collect();
        self.rules.push(PlannedRule { id, rule: Rule::KeepOne { key, order } });
    }
}
