//! Parts of a policy that cannot both be meant.
//!
//! In: a typed policy. Out: findings with their place in the document. Names that are empty stand in for broken ones and
//! are passed over. Not here: what only a dataset's own columns can tell (`planner`).

use super::clean::{CleanRule, KeepOne};
use super::document::{Policy, Strategy};
use super::error::{Path, PolicyCode};
use super::rules::CharRule;
use super::target::{PartitionBy, Partitioning};
use crate::expr::Expression;
use crate::plan::Transform;

/// Something that cannot be meant.
pub(super) struct Finding {
    pub(super) path: Path,
    pub(super) code: PolicyCode,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Finds all contradictions in `policy`.
pub(super) fn find(policy: &Policy) -> Vec<Finding> {
    let mut finder = Finder { policy, findings: Vec::new() };
    finder.selection();
    finder.columns_named_twice();
    finder.rules_against_rules();
    finder.new_names();
    finder.partitioning();
    finder.cleaning();
    finder.expressions();
    finder.checks();
    finder.strategy();
    finder.findings
}

struct Finder<'p> {
    policy: &'p Policy,
    findings: Vec<Finding>,
}

/// Column names are equal when they differ in case only.
fn same(a: &str, b: &str) -> bool {
    !a.is_empty() && a.to_lowercase() == b.to_lowercase()
}

impl Finder<'_> {
    fn say(&mut self, path: Path, message: impl Into<String>, hint: Option<&str>) {
        let (message, hint) = (message.into(), hint.map(str::to_owned));
        self.findings.push(Finding { path, code: PolicyCode::PolicyContradiction, message, hint });
    }

    fn selection(&mut self) {
        let source = &self.policy.spec.source;
        let readable = !source.include.iter().chain(&source.exclude).any(super::selection::Glob::is_blank);
        let covered = |include| source.exclude.iter().any(|exclude: &super::selection::Glob| exclude.covers(include));
        if !source.include.is_empty() && source.include.iter().all(covered) {
            self.say(Path::of("spec.source.exclude"), "everything that `include` selects is excluded", None);
        }
        let one = matches!(source.include.as_slice(), [glob] if glob.is_exact());
        if readable && !source.include.is_empty() && !one && !self.policy.spec.target.name.has_table() {
            let message = "several datasets can be selected, and all would get one name: `{table}` is missing";
            self.say(Path::of("spec.target.name"), message, Some("for example \"{database}.{table}\""));
        }
    }

    /// A list of rules of one kind that names a column twice.
    fn twice(&mut self, list: &str, field: &str, names: &[&str], message: &str) {
        for (index, name) in names.iter().enumerate() {
            if names[..index].iter().any(|earlier| same(earlier, name)) {
                let mut path = Path::of(list).item(index);
                if !field.is_empty() {
                    path = path.key(field);
                }
                self.say(path, format!("column `{name}` {message}"), None);
            }
        }
    }

    fn columns_named_twice(&mut self) {
        let schema = &self.policy.spec.schema;
        let names: Vec<&str> = schema.add.iter().map(|rule| rule.name.as_str()).collect();
        self.twice("spec.schema.add", "name", &names, "is added twice");
        let names: Vec<&str> = schema.rename.iter().map(|rule| rule.from.as_str()).collect();
        self.twice("spec.schema.rename", "from", &names, "is renamed twice");
        let names: Vec<&str> = schema.rename.iter().map(|rule| rule.to.as_str()).collect();
        self.twice("spec.schema.rename", "to", &names, "is the new name of two columns");
        let names: Vec<&str> = schema.cast.iter().map(|rule| rule.column.as_str()).collect();
        self.twice("spec.schema.cast", "column", &names, "is cast twice");
        let names: Vec<&str> = schema.drop.iter().map(|rule| rule.column.as_str()).collect();
        self.twice("spec.schema.drop", "", &names, "is dropped twice");
    }

    fn rules_against_rules(&mut self) {
        let schema = &self.policy.spec.schema;
        let dropped = |name: &str| schema.drop.iter().any(|rule| same(&rule.column, name));
        let added = |name: &str| schema.add.iter().any(|rule| same(&rule.name, name));
        for (index, rule) in schema.add.iter().enumerate() {
            if dropped(&rule.name) {
                let path = Path::of("spec.schema.add").item(index).key("name");
                self.say(path, format!("column `{}` is added and dropped", rule.name), None);
            }
        }
        for (index, rule) in schema.rename.iter().enumerate() {
            let path = Path::of("spec.schema.rename").item(index).key("from");
            if dropped(&rule.from) {
                self.say(path, format!("column `{}` is renamed and dropped", rule.from), None);
            } else if added(&rule.from) {
                let hint = Some("rules name the source's columns; give the added column its name at once");
                self.say(path, format!("column `{}` is added and renamed", rule.from), hint);
            }
        }
        for (index, rule) in schema.cast.iter().enumerate() {
            let path = Path::of("spec.schema.cast").item(index).key("column");
            if dropped(&rule.column) {
                self.say(path, format!("column `{}` is cast and dropped", rule.column), None);
            } else if added(&rule.column) {
                let hint = Some("rules name the source's columns; give the added column its type at once");
                self.say(path, format!("column `{}` is added and cast", rule.column), hint);
            } else if let Some(rename) = schema.rename.iter().find(|rename| same(&rename.to, &rule.column)) {
                // Fine if the source has a column of that name as well, which then must go away.
                let replaced = schema.rename.iter().any(|other| same(&other.from, &rule.column));
                if !replaced {
                    let message = format!("`{}` is a new name, and rules name the source's columns", rule.column);
                    let hint = format!("name it `{}`", rename.from);
                    self.say(path, message, Some(&hint));
                }
            }
        }
    }

    fn new_names(&mut self) {
        let schema = &self.policy.spec.schema;
        for (index, rule) in schema.rename.iter().enumerate() {
            let path = Path::of("spec.schema.rename").item(index).key("to");
            if !rule.from.is_empty() && rule.from == rule.to {
                self.say(path, format!("column `{}` is renamed to itself", rule.from), None);
            } else if schema.add.iter().any(|add| same(&add.name, &rule.to)) {
                self.say(path, format!("column `{}` is added, and another column gets its name", rule.to), None);
            }
        }
    }

    /// Why the target has no column `name`, whatever the source has.
    fn gone(&self, name: &str) -> Option<(String, Option<String>)> {
        let schema = &self.policy.spec.schema;
        let made = schema.add.iter().any(|rule| same(&rule.name, name)) || schema.rename.iter().any(|rule| same(&rule.to, name));
        if made {
            return None;
        }
        if schema.drop.iter().any(|rule| same(&rule.column, name)) {
            return Some((format!("column `{name}` is dropped"), None));
        }
        let renamed = schema.rename.iter().find(|rule| same(&rule.from, name))?;
        let hint = (!renamed.to.is_empty()).then(|| format!("name it `{}`", renamed.to));
        Some((format!("column `{name}` is renamed, and this is about the target"), hint))
    }

    fn partitioning(&mut self) {
        let Partitioning::Fields(fields) = &self.policy.spec.target.partitioning else { return };
        let list = Path::of("spec.target.partitioning");
        for (index, field) in fields.iter().enumerate() {
            let path = list.item(index);
            if let Some((message, hint)) = self.gone(&field.column) {
                self.say(path.key("column"), message, hint.as_deref());
            }
            let earlier = &fields[..index];
            if field.column.is_empty() {
                continue;
            }
            if let Some(other) = earlier.iter().find(|other| redundant(other, field)) {
                let message = format!("column `{}` is partitioned by {} already", field.column, other.transform);
                self.say(path.key("column"), message, None);
            } else if earlier.iter().any(|other| same(&other.field_name(), &field.field_name())) {
                let message = format!("two partition fields are named `{}`", field.field_name());
                let key = if field.name.is_some() { "name" } else { "column" };
                self.say(path.key(key), message, Some("give each a `name` of its own"));
            }
        }
    }

    fn cleaning(&mut self) {
        let rules = &self.policy.spec.clean;
        let list = Path::of("spec.clean");
        for (index, rule) in rules.iter().enumerate() {
            match rule {
                CleanRule::DropDuplicates(kind) => {
                    if rules[..index].contains(&CleanRule::DropDuplicates(*kind)) {
                        let path = list.item(index).key("dropDuplicates");
                        self.say(path, "exact duplicates are dropped already; a second time finds none", None);
                    }
                }
                CleanRule::KeepOne(keep) => self.keep_one(&list.item(index).key("keepOne"), keep, &rules[..index]),
            }
        }
    }

    fn keep_one(&mut self, path: &Path, keep: &KeepOne, earlier: &[CleanRule]) {
        let key = |name: &str| keep.key.iter().any(|column| same(column, name));
        for (index, column) in keep.key.iter().enumerate() {
            // Twice in the same spelling is a duplicate, which the list has reported.
            let before = &keep.key[..index];
            if !before.contains(column) && before.iter().any(|other| same(other, column)) {
                self.say(path.key("key").item(index), format!("column `{column}` stands in the key twice"), None);
            }
            self.not_added(path.key("key").item(index), column);
        }
        for (index, order) in keep.order_by.iter().enumerate() {
            let place = path.key("orderBy").item(index).key("column");
            if keep.order_by[..index].iter().any(|other| same(&other.column, &order.column)) {
                self.say(place, format!("column `{}` stands in the order twice", order.column), None);
            } else if key(&order.column) {
                let message = format!("column `{}` is part of the key, so it puts nothing in order", order.column);
                self.say(place, message, None);
            } else {
                self.not_added(place, &order.column);
            }
        }
        let covers = |other: &KeepOne| !other.key.is_empty() && other.key.iter().all(|column| key(column));
        if earlier.iter().any(|rule| matches!(rule, CleanRule::KeepOne(other) if covers(other))) {
            let message = "an earlier rule keeps one row of each such key already; this one finds nothing to remove";
            self.say(path.key("key"), message, None);
        }
    }

    /// Rules over rows see the source's columns.
    fn not_added(&mut self, path: Path, name: &str) {
        let schema = &self.policy.spec.schema;
        let skipping = |rule: &&super::rules::AddColumn| rule.if_exists == super::rules::IfExists::Refuse;
        if schema.add.iter().filter(skipping).any(|rule| same(&rule.name, name)) {
            let message = format!("column `{name}` is added by this policy; rows are filtered and cleaned before");
            self.say(path, message, None);
        }
    }

    fn expressions(&mut self) {
        let Some(filter) = &self.policy.spec.filter else { return };
        for column in names(filter) {
            self.not_added(Path::of("spec.filter"), &column);
        }
    }

    fn checks(&mut self) {
        let checks = &self.policy.spec.validate.checks;
        for (index, check) in checks.iter().enumerate() {
            let path = Path::of("spec.validate.checks").item(index);
            for column in names(&check.sql) {
                if let Some((message, hint)) = self.gone(&column) {
                    self.say(path.key("sql"), message, hint.as_deref());
                }
            }
            if checks[..index].iter().enumerate().any(|(other, earlier)| earlier.label(other) == check.label(index)) {
                self.say(path.key("name"), format!("two checks are named `{}`", check.label(index)), None);
            }
        }
    }

    fn strategy(&mut self) {
        let spec = &self.policy.spec;
        if spec.strategy != Strategy::Copy {
            return;
        }
        let transforming = [
            ("filter", spec.filter.is_some()),
            ("clean", !spec.clean.is_empty()),
            ("schema.add", !spec.schema.add.is_empty()),
            ("schema.rename", !spec.schema.rename.is_empty()),
            ("schema.drop", !spec.schema.drop.is_empty()),
            ("schema.cast", !spec.schema.cast.is_empty()),
            ("schema.types.char", spec.schema.types.char == CharRule::Trim),
        ];
        let against: Vec<String> =
            transforming.iter().filter(|(_, used)| *used).map(|(name, _)| format!("`{name}`")).collect();
        if !against.is_empty() {
            let message = format!("`copy` leaves rows and values as they are, and {} would change them", against.join(", "));
            self.say(Path::of("spec.strategy"), message, Some("leave the strategy out, or take the rules out"));
        }
    }
}

fn names(expression: &Expression) -> Vec<String> {
    expression.columns().into_iter().map(|column| column.name.clone()).collect()
}

/// Iceberg refuses the same transform of a column twice, and two transforms of one time.
fn redundant(a: &PartitionBy, b: &PartitionBy) -> bool {
    let time = |transform| matches!(transform, Transform::Year | Transform::Month | Transform::Day | Transform::Hour);
    same(&a.column, &b.column) && (a.transform == b.transform || (time(a.transform) && time(b.transform)))
}
