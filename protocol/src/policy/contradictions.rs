//! Parts of a policy that cannot both be meant.
//!
//! In: a typed policy. Out: findings with their place in the document. Names that are empty stand in for broken ones and
//! are passed over. Not here: what only a dataset's own columns can tell (`planner`).

use std::collections::{HashMap, HashSet};

use super::clean::{CleanRule, KeepOne};
use super::document::{Policy, Strategy};
use super::error::{Path, PolicyCode};
use super::rules::{CharRule, IfExists, SchemaRules};
use super::selection::Glob;
use super::target::{PartitionBy, Partitioning};
use crate::expr::ColumnRef;
use crate::plan::Transform;

/// Something that cannot be meant.
pub(super) struct Finding {
    pub(super) path: Path,
    /// Line and column within the text that stands there, where a part of it is meant.
    pub(super) within: Option<(u32, u32)>,
    pub(super) code: PolicyCode,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Finds all contradictions in `policy`.
pub(super) fn find(policy: &Policy) -> Vec<Finding> {
    let mut finder = Finder { policy, columns: Columns::of(&policy.spec.schema), findings: Vec::new() };
    finder.selection();
    finder.columns_named_twice();
    finder.rules_against_rules();
    finder.new_names();
    finder.partitioning();
    finder.sort_order();
    finder.cleaning();
    finder.expressions();
    finder.checks();
    finder.strategy();
    finder.order();
    finder.approval();
    finder.findings
}

/// What the rules do to columns, by their names in lower case: names that differ in case only are equal.
struct Columns<'p> {
    added: HashSet<String>,
    /// Added, and refused where the source has it.
    new: HashSet<String>,
    dropped: HashSet<String>,
    /// Old name to new name.
    renamed: HashMap<String, &'p str>,
    /// New name to old name.
    made: HashMap<String, &'p str>,
}

impl<'p> Columns<'p> {
    fn of(schema: &'p SchemaRules) -> Self {
        let new = schema.add.iter().filter(|rule| rule.if_exists == IfExists::Refuse);
        Self {
            added: schema.add.iter().map(|rule| lower(&rule.name)).collect(),
            new: new.map(|rule| lower(&rule.name)).collect(),
            dropped: schema.drop.iter().map(|rule| lower(&rule.column)).collect(),
            renamed: schema.rename.iter().map(|rule| (lower(&rule.from), rule.to.as_str())).collect(),
            made: schema.rename.iter().map(|rule| (lower(&rule.to), rule.from.as_str())).collect(),
        }
    }

    /// Why the target has no column `name`, whatever the source has.
    fn gone(&self, name: &str) -> Option<(String, Option<String>)> {
        let key = lower(name);
        if self.added.contains(&key) || self.made.contains_key(&key) {
            return None;
        }
        if self.dropped.contains(&key) {
            return Some((format!("column `{name}` is dropped"), None));
        }
        let to = self.renamed.get(&key)?;
        let hint = (!to.is_empty()).then(|| format!("name it `{to}`"));
        Some((format!("column `{name}` is renamed, and this is about the target"), hint))
    }
}

struct Finder<'p> {
    policy: &'p Policy,
    columns: Columns<'p>,
    findings: Vec<Finding>,
}

fn lower(name: &str) -> String {
    name.to_lowercase()
}

/// Positions of names that stand further up in the list already. Empty names are passed over.
fn repeated<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<usize> {
    let mut seen = HashSet::new();
    let names = names.into_iter().enumerate().filter(|(_, name)| !name.is_empty());
    names.filter(|(_, name)| !seen.insert(lower(name))).map(|(index, _)| index).collect()
}

impl Finder<'_> {
    fn say(&mut self, path: Path, message: impl Into<String>, hint: Option<&str>) {
        let (message, hint) = (message.into(), hint.map(str::to_owned));
        self.findings.push(Finding { path, within: None, code: PolicyCode::PolicyContradiction, message, hint });
    }

    /// Moves what was said since there were `before` findings to a column within an expression.
    fn point_at(&mut self, before: usize, column: &ColumnRef) {
        self.findings[before..].iter_mut().for_each(|finding| finding.within = Some((column.line, column.column)));
    }

    fn selection(&mut self) {
        let source = &self.policy.spec.source;
        if source.include.is_empty() || source.include.iter().chain(&source.exclude).any(Glob::is_blank) {
            return;
        }
        let covered = |include| source.exclude.iter().any(|exclude: &Glob| exclude.covers(include));
        if source.include.iter().all(covered) {
            self.say(Path::of("spec.source.exclude"), "everything that `include` selects is excluded", None);
        }
        let one = matches!(source.include.as_slice(), [glob] if glob.is_exact());
        if !one && !self.policy.spec.target.name.has_table() {
            let message = "several datasets can be selected, and all would get one name: `{table}` is missing";
            self.say(Path::of("spec.target.name"), message, Some("for example \"{database}.{table}\""));
        }
    }

    fn columns_named_twice(&mut self) {
        let schema = &self.policy.spec.schema;
        let add: Vec<&str> = schema.add.iter().map(|rule| rule.name.as_str()).collect();
        let from: Vec<&str> = schema.rename.iter().map(|rule| rule.from.as_str()).collect();
        let to: Vec<&str> = schema.rename.iter().map(|rule| rule.to.as_str()).collect();
        let cast: Vec<&str> = schema.cast.iter().map(|rule| rule.column.as_str()).collect();
        let drop: Vec<&str> = schema.drop.iter().map(|rule| rule.column.as_str()).collect();
        for (list, field, names, message) in [
            ("add", Some("name"), add, "is added twice"),
            ("rename", Some("from"), from, "is renamed twice"),
            ("rename", Some("to"), to, "is the new name of two columns"),
            ("cast", Some("column"), cast, "is cast twice"),
            ("drop", None, drop, "is dropped twice"),
        ] {
            for index in repeated(names.iter().copied()) {
                let item = Path::of("spec.schema").key(list).item(index);
                let path = field.map_or(item.clone(), |field| item.key(field));
                self.say(path, format!("column `{}` {message}", names[index]), None);
            }
        }
    }

    fn rules_against_rules(&mut self) {
        let schema = &self.policy.spec.schema;
        for (index, rule) in schema.add.iter().enumerate() {
            if !rule.name.is_empty() && self.columns.dropped.contains(&lower(&rule.name)) {
                let path = Path::of("spec.schema.add").item(index).key("name");
                self.say(path, format!("column `{}` is added and dropped", rule.name), None);
            }
        }
        for (index, rule) in schema.rename.iter().enumerate() {
            self.on_source_column(
                Path::of("spec.schema.rename").item(index).key("from"),
                &rule.from,
                "renamed",
                "name",
            );
        }
        for (index, rule) in schema.cast.iter().enumerate() {
            let path = Path::of("spec.schema.cast").item(index).key("column");
            let key = lower(&rule.column);
            if self.on_source_column(path.clone(), &rule.column, "cast", "type") || rule.column.is_empty() {
                continue;
            }
            if let Some(from) = self.columns.made.get(&key).copied()
                && !self.columns.renamed.contains_key(&key)
            {
                let message = format!("`{}` is a new name, and rules name the source's columns", rule.column);
                self.say(path, message, Some(&format!("name it `{from}`")));
            }
        }
    }

    /// A rule that changes a column of the source: it must be there before and after. True when something was said.
    fn on_source_column(&mut self, path: Path, name: &str, done: &str, property: &str) -> bool {
        let key = lower(name);
        if name.is_empty() {
            return false;
        }
        if self.columns.dropped.contains(&key) {
            self.say(path, format!("column `{name}` is {done} and dropped"), None);
            return true;
        }
        if self.columns.added.contains(&key) {
            let hint = format!("rules name the source's columns; give the added column its {property} at once");
            self.say(path, format!("column `{name}` is added and {done}"), Some(&hint));
            return true;
        }
        false
    }

    fn new_names(&mut self) {
        for (index, rule) in self.policy.spec.schema.rename.iter().enumerate() {
            let path = Path::of("spec.schema.rename").item(index).key("to");
            if rule.from.is_empty() || rule.to.is_empty() {
                continue;
            }
            if rule.from == rule.to {
                self.say(path, format!("column `{}` is renamed to itself", rule.from), None);
            } else if self.columns.added.contains(&lower(&rule.to)) {
                self.say(path, format!("column `{}` is added, and another column gets its name", rule.to), None);
            }
        }
    }

    fn partitioning(&mut self) {
        let Partitioning::Fields(fields) = &self.policy.spec.target.partitioning else { return };
        let list = Path::of("spec.target.partitioning");
        for (index, field) in fields.iter().enumerate().filter(|(_, field)| !field.column.is_empty()) {
            let path = list.item(index);
            if let Some((message, hint)) = self.columns.gone(&field.column) {
                self.say(path.key("column"), message, hint.as_deref());
            }
            let earlier = &fields[..index];
            if let Some(other) = earlier.iter().find(|other| redundant(other, field)) {
                let message = format!("column `{}` is partitioned by {} already", field.column, other.transform);
                self.say(path.key("column"), message, None);
            } else if earlier.iter().any(|other| lower(&other.field_name()) == lower(&field.field_name())) {
                let message = format!("two partition fields are named `{}`", field.field_name());
                let key = if field.name.is_some() { "name" } else { "column" };
                self.say(path.key(key), message, Some("give each a `name` of its own"));
            }
        }
    }

    fn sort_order(&mut self) {
        let terms = &self.policy.spec.target.sort_by;
        let twice = repeated(terms.iter().map(|term| term.column.as_str()));
        let list = Path::of("spec.target.sortBy");
        for (index, term) in terms.iter().enumerate().filter(|(_, term)| !term.column.is_empty()) {
            let path = list.item(index).key("column");
            if let Some((message, hint)) = self.columns.gone(&term.column) {
                self.say(path, message, hint.as_deref());
            } else if twice.contains(&index) {
                self.say(path, format!("rows are sorted by column `{}` already", term.column), None);
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
        let key: HashSet<String> = keep.key.iter().map(|column| lower(column)).collect();
        let twice = repeated(keep.key.iter().map(String::as_str));
        for (index, column) in keep.key.iter().enumerate() {
            let place = path.key("key").item(index);
            // In the same spelling it is a duplicate, which was reported with the list.
            if twice.contains(&index) && !keep.key[..index].contains(column) {
                self.say(place, format!("column `{column}` stands in the key twice"), None);
            } else {
                self.not_added(place, column);
            }
        }
        let twice = repeated(keep.order_by.iter().map(|order| order.column.as_str()));
        for (index, order) in keep.order_by.iter().enumerate() {
            let place = path.key("orderBy").item(index).key("column");
            if twice.contains(&index) {
                self.say(place, format!("column `{}` stands in the order twice", order.column), None);
            } else if !order.column.is_empty() && key.contains(&lower(&order.column)) {
                let message = format!("column `{}` is part of the key, so it puts nothing in order", order.column);
                self.say(place, message, None);
            } else {
                self.not_added(place, &order.column);
            }
        }
        let covers =
            |other: &KeepOne| !other.key.is_empty() && other.key.iter().all(|column| key.contains(&lower(column)));
        if earlier.iter().any(|rule| matches!(rule, CleanRule::KeepOne(other) if covers(other))) {
            let message = "an earlier rule keeps one row of each such key already; this one finds nothing to remove";
            self.say(path.key("key"), message, None);
        }
    }

    /// Rules over rows see the source's columns.
    fn not_added(&mut self, path: Path, name: &str) {
        if !name.is_empty() && self.columns.new.contains(&lower(name)) {
            let message = format!("column `{name}` is added by this policy; rows are filtered and cleaned before");
            self.say(path, message, None);
        }
    }

    fn expressions(&mut self) {
        let Some(filter) = &self.policy.spec.filter else { return };
        for column in filter.columns() {
            let before = self.findings.len();
            self.not_added(Path::of("spec.filter"), &column.name);
            self.point_at(before, column);
        }
    }

    fn checks(&mut self) {
        let checks = &self.policy.spec.validate.checks;
        let mut labels = HashSet::new();
        for (index, check) in checks.iter().enumerate() {
            let path = Path::of("spec.validate.checks").item(index);
            for column in check.sql.columns() {
                let before = self.findings.len();
                if let Some((message, hint)) = self.columns.gone(&column.name) {
                    self.say(path.key("sql"), message, hint.as_deref());
                }
                self.point_at(before, column);
            }
            if !labels.insert(check.label(index)) {
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
            let message =
                format!("`copy` leaves rows and values as they are, and {} would change them", against.join(", "));
            self.say(Path::of("spec.strategy"), message, Some("leave the strategy out, or take the rules out"));
        }
    }

    fn approval(&mut self) {
        let approval = &self.policy.spec.approval;
        if approval.required {
            return;
        }
        for (key, set) in [("count", approval.count > 1), ("notBySubmitter", approval.not_by_submitter)] {
            if set {
                let message = "nobody is asked to approve: `required` is false".to_owned();
                self.say(Path::of(&format!("spec.approval.{key}")), message, Some("leave one of them out"));
            }
        }
    }

    /// Which other policies these have, only the ledger knows: longer circles are found there.
    fn order(&mut self) {
        let name = &self.policy.metadata.name;
        let itself = self.policy.spec.run.after.iter().position(|other| other == name && !name.0.is_empty());
        if let Some(index) = itself {
            let message = format!("policy `{name}` would wait for itself");
            self.say(Path::of("spec.run.after").item(index), message, None);
        }
    }
}

/// Iceberg refuses the same transform of a column twice, and two transforms of one time.
fn redundant(a: &PartitionBy, b: &PartitionBy) -> bool {
    let time = |transform| matches!(transform, Transform::Year | Transform::Month | Transform::Day | Transform::Hour);
    lower(&a.column) == lower(&b.column) && (a.transform == b.transform || (time(a.transform) && time(b.transform)))
}
