//! From the source's columns to the target's: drops, renames, casts, additions, partition fields.
//!
//! In: the policy and an inspection. Out: columns, partition fields, notes, problems. Names are compared as Hive
//! does, ignoring case.

use crate::inspection::{Inspection, SourceColumn};
use crate::plan::{Conversion, OrderBy, Origin, PartitionField, TargetColumn, Transform};
use crate::policy::{self, IfExists, IfMissing, PartitionBy, Partitioning, PartitioningMode, Policy};
use crate::problem::{Code, Problem};
use crate::types::DataType;

use super::conversion;

/// The mapping of one dataset's columns, and what was found on the way.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) target: Vec<TargetColumn>,
    pub(super) partitioning: Vec<PartitionField>,
    pub(super) sort: Vec<OrderBy>,
    pub(super) notes: Vec<String>,
    pub(super) problems: Vec<Problem>,
}

pub(super) fn same_name(one: &str, two: &str) -> bool {
    // Most names are ASCII, and every pair of a wide table is compared.
    let ascii = one.is_ascii() && two.is_ascii();
    if ascii { one.eq_ignore_ascii_case(two) } else { one.to_lowercase() == two.to_lowercase() }
}

pub(super) fn find<'a>(columns: &'a [SourceColumn], name: &str) -> Option<&'a SourceColumn> {
    columns.iter().find(|column| same_name(&column.name, name))
}

impl Columns {
    /// Maps the columns of one dataset.
    pub(super) fn of(policy: &Policy, inspection: &Inspection) -> Self {
        let mut columns = Self::default();
        columns.check_names(policy, inspection);
        for source in &inspection.columns {
            columns.carry_over(policy, source, inspection.documentation.columns.get(&source.name));
        }
        columns.add(policy, inspection);
        columns.check_unique();
        columns.partition(policy, inspection);
        columns.sort_by(&policy.spec.target.sort_by);
        columns
    }

    /// Every rule names a column that is there, or may be skipped.
    fn check_names(&mut self, policy: &Policy, inspection: &Inspection) {
        let schema = &policy.spec.schema;
        let named = schema.rename.iter().map(|rule| ("rename", &rule.from, rule.if_missing));
        let named = named.chain(schema.drop.iter().map(|rule| ("drop", &rule.column, rule.if_missing)));
        let named = named.chain(schema.cast.iter().map(|rule| ("cast", &rule.column, rule.if_missing)));
        for (rule, column, if_missing) in named {
            if find(&inspection.columns, column).is_some() {
                continue;
            }
            match if_missing {
                IfMissing::Skip => {
                    self.notes.push(format!("the rule {rule} of {column} does nothing: there is no such column"))
                }
                IfMissing::Refuse => self.problems.push(missing(rule, column)),
            }
        }
    }

    fn carry_over(&mut self, policy: &Policy, source: &SourceColumn, doc: Option<&String>) {
        let schema = &policy.spec.schema;
        if schema.drop.iter().any(|rule| same_name(&rule.column, &source.name)) {
            self.notes.push(format!("column {} is dropped: its values are not in the target", source.name));
            return;
        }
        let renamed = schema.rename.iter().find(|rule| same_name(&rule.from, &source.name));
        let name = renamed.map_or_else(|| source.name.clone(), |rule| rule.to.clone());
        if renamed.is_some() {
            self.notes.push(format!("column {} is renamed to {name}", source.name));
        }
        let cast = schema.cast.iter().find(|rule| same_name(&rule.column, &source.name));
        let (data_type, conversion) = match cast {
            Some(rule) => match conversion::cast(&source.data_type, &rule.data_type) {
                Ok(conversion) => {
                    let what = format!("column {name}: {} is cast to {}", source.data_type, rule.data_type);
                    self.notes.push(match &conversion {
                        Conversion::Cast { why } => format!("{what}; {why}"),
                        _ => format!("{what}; nothing is lost"),
                    });
                    (rule.data_type.clone(), conversion)
                }
                Err(why) => {
                    let next = "change the cast in the policy, or leave the dataset out";
                    self.problems.push(Problem::new(
                        Code::RuleInapplicable,
                        format!("cast of {}", source.name),
                        why,
                        next,
                    ));
                    return;
                }
            },
            None => {
                let (conversion, note) = conversion::natural_conversion(&source.data_type, &schema.types);
                self.notes.extend(note.map(|note| format!("column {name}: {note}")));
                (conversion::natural(&source.data_type, &schema.types), conversion)
            }
        };
        let origin = Origin::Source { column: source.name.clone() };
        self.target.push(TargetColumn { name, data_type, doc: doc.cloned(), origin, conversion });
    }

    fn add(&mut self, policy: &Policy, inspection: &Inspection) {
        for rule in &policy.spec.schema.add {
            if let Some(existing) = find(&inspection.columns, &rule.name) {
                match rule.if_exists {
                    IfExists::Skip => {
                        self.notes.push(format!("column {} is not added: the source has it", existing.name));
                    }
                    IfExists::Refuse => self.problems.push(Problem::new(
                        Code::ColumnExists,
                        format!("added column {}", rule.name),
                        "the source has a column of that name",
                        "rename one of the two, or let the rule skip such datasets (ifExists: skip)",
                    )),
                }
                continue;
            }
            let value = rule.default.text().map(str::to_owned);
            let shown = value.as_deref().map_or_else(|| "null".to_owned(), |text| format!("{text:?}"));
            self.notes.push(format!("column {} {} is added with the value {shown}", rule.name, rule.data_type));
            self.target.push(TargetColumn {
                name: rule.name.clone(),
                data_type: rule.data_type.clone(),
                doc: rule.doc.clone(),
                origin: Origin::Constant { value },
                conversion: Conversion::Add,
            });
        }
    }

    fn check_unique(&mut self) {
        for (position, column) in self.target.iter().enumerate() {
            if self.target[..position].iter().any(|earlier| same_name(&earlier.name, &column.name)) {
                let next = "rename or drop one of the two";
                let why = "two columns of the target would have this name (case is ignored)";
                self.problems.push(Problem::new(Code::ColumnExists, format!("column {}", column.name), why, next));
            }
        }
        if self.target.is_empty() && self.problems.is_empty() {
            let why = "no column is left";
            self.problems.push(Problem::new(Code::RuleInapplicable, "drop", why, "drop fewer columns"));
        }
    }

    fn partition(&mut self, policy: &Policy, inspection: &Inspection) {
        match &policy.spec.target.partitioning {
            Partitioning::Mode(PartitioningMode::Keep) => self.keep_partitions(inspection),
            Partitioning::Mode(PartitioningMode::None) => {
                if inspection.columns.iter().any(|column| column.partition) {
                    self.notes.push("the source's partition columns become ordinary columns".to_owned());
                }
                if !inspection.partitioning.is_empty() {
                    self.notes.push("the source is partitioned, the target is not".to_owned());
                }
            }
            Partitioning::Fields(fields) => {
                for field in fields {
                    self.partition_by(field);
                }
            }
        }
    }

    fn keep_partitions(&mut self, inspection: &Inspection) {
        for source in inspection.columns.iter().filter(|column| column.partition) {
            let carried = self
                .target
                .iter()
                .find(|column| matches!(&column.origin, Origin::Source { column } if *column == source.name));
            let Some(column) = carried else {
                self.notes.push(format!("the target is not partitioned by {}, which is dropped", source.name));
                continue;
            };
            let name = column.name.clone();
            self.partitioning.push(PartitionField { column: name.clone(), transform: Transform::Identity, name });
        }
        for field in &inspection.partitioning {
            self.keep_field(field, inspection);
        }
    }

    /// Keeps a partition field that the source has over one of its columns.
    fn keep_field(&mut self, field: &PartitionField, inspection: &Inspection) {
        if !inspection.columns.iter().any(|column| column.name == field.column) {
            self.problems.push(Problem::new(
                Code::RuleInapplicable,
                format!("partition field {}", field.name),
                format!("it is over {}, which is no column but a part of one", field.column),
                "say by what the target is partitioned, or partitioning: none",
            ));
            return;
        }
        let carried = self
            .target
            .iter()
            .find(|column| matches!(&column.origin, Origin::Source { column } if *column == field.column));
        let Some(column) = carried else {
            self.notes.push(format!(
                "the target is not partitioned by {} of {}, which is dropped",
                field.transform, field.column
            ));
            return;
        };
        // A field that has its column's name goes on having it.
        let name = if field.name == field.column { column.name.clone() } else { field.name.clone() };
        let column = column.name.clone();
        self.partition_by(&PartitionBy { column, transform: field.transform, name: Some(name) });
    }

    fn partition_by(&mut self, field: &PartitionBy) {
        let Some(column) = self.target.iter().find(|column| same_name(&column.name, &field.column)) else {
            self.problems.push(missing("partitioning", &field.column));
            return;
        };
        if !applies(field.transform, &column.data_type) {
            self.problems.push(Problem::new(
                Code::RuleInapplicable,
                format!("partitioning by {} of {}", field.transform, column.name),
                format!("Iceberg has no such transform of {}", column.data_type),
                "choose another transform or column",
            ));
            return;
        }
        let name = field.field_name();
        let clash = self.target.iter().any(|other| same_name(&other.name, &name));
        if clash && field.transform != Transform::Identity {
            let why = "a column has the partition field's name";
            let next = "give the field another name in the policy";
            self.problems.push(Problem::new(Code::ColumnExists, format!("partition field {name}"), why, next));
            return;
        }
        let column = column.name.clone();
        self.partitioning.push(PartitionField { column, transform: field.transform, name });
    }

    fn sort_by(&mut self, terms: &[policy::OrderBy]) {
        for order in terms {
            let Some(column) = self.target.iter().find(|column| same_name(&column.name, &order.column)) else {
                self.problems.push(missing("sort order", &order.column));
                continue;
            };
            if column.data_type.is_primitive() {
                self.sort.push(term(order, &column.name));
            } else {
                self.problems.push(Problem::new(
                    Code::RuleInapplicable,
                    format!("sort order by {}", column.name),
                    "lists, maps and structs have no order",
                    "sort by a plain column",
                ));
            }
        }
    }
}

/// A term of an order, with its column's name as it is.
pub(super) fn term(order: &policy::OrderBy, column: &str) -> OrderBy {
    OrderBy {
        column: column.to_owned(),
        descending: order.direction == policy::Direction::Desc,
        nulls_first: order.nulls == policy::Nulls::First,
    }
}

fn missing(rule: &str, column: &str) -> Problem {
    Problem::new(
        Code::ColumnMissing,
        format!("{rule} of {column}"),
        "the dataset has no such column",
        "correct the name, leave the dataset out, or let the rule skip such datasets (ifMissing: skip)",
    )
}

/// Iceberg's table of transforms and source types (table specification, "Partition transforms").
fn applies(transform: Transform, data_type: &DataType) -> bool {
    use DataType as T;
    match transform {
        Transform::Identity => data_type.is_primitive(),
        Transform::Year | Transform::Month | Transform::Day => {
            matches!(data_type, T::Date | T::Timestamp | T::TimestampTz)
        }
        Transform::Hour => matches!(data_type, T::Timestamp | T::TimestampTz),
        Transform::Bucket(_) => matches!(
            data_type,
            T::Int | T::BigInt | T::Decimal { .. } | T::Date | T::Timestamp | T::TimestampTz | T::String | T::Binary
        ),
        Transform::Truncate(_) => {
            matches!(data_type, T::Int | T::BigInt | T::Decimal { .. } | T::String | T::Binary)
        }
    }
}
