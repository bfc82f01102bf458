//! Planning: a policy and what was found of one dataset become an immutable plan, or a refusal with every problem.
//!
//! In: [`Policy`], [`Inspection`]. Out: [`Planned`]. Pure: the same input gives the same plan, byte for byte.
//! Not here: inspecting (the engine), estimates of time (`machine::outcome`), approval.

mod columns;
mod conversion;
mod rules;
pub mod script;
mod stages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::ids::{Generation, MigrationId, TableName};
use crate::inspection::{DescribedBy, Documentation, Inspection};
use crate::plan::{
    Conversion, Origin, PLAN_FORMAT, Plan, PlanSource, PlanTarget, Planned, PlannedChecks, Refusal, SqlCheck, Strategy,
    StrategyKind,
};
use crate::policy::{self, BatchComparison, FinalComparison, IfMissing, Policy};
use crate::problem::{Code, Problem};

use columns::Columns;

/// Iceberg's format version of target tables, unless the policy says another: version 2 is what every reader knows.
const FORMAT_VERSION: u8 = 2;
/// zstd's level in data files, unless the policy says another: the level of most writers, near the knee of its curve.
const ZSTD_LEVEL: u8 = 3;
/// Size at which a data file is closed, unless the policy says another, bytes: Iceberg's usual target.
const FILE_BYTES: u64 = 512 << 20;
/// Longest name of a namespace or table: file systems allow 255 bytes in a folder's name.
const MOST_NAME_BYTES: usize = 200;

/// The datasets of `all` that a policy selects, sorted.
#[must_use]
pub fn selected(policy: &Policy, all: &[TableName]) -> Vec<TableName> {
    let mut chosen: Vec<TableName> =
        all.iter().filter(|dataset| policy.spec.source.selects(dataset)).cloned().collect();
    chosen.sort();
    chosen.dedup();
    chosen
}

/// The target's name for `dataset`.
///
/// # Errors
/// `TARGET_NAME_INVALID` when the template makes a name that catalogs or file systems do not take.
pub fn target_name(policy: &Policy, dataset: &TableName) -> Result<TableName, Problem> {
    let name = policy.spec.target.name.render(dataset);
    for part in [&name.database, &name.table] {
        let plain = part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if part.is_empty() || part.len() > MOST_NAME_BYTES || !plain {
            return Err(Problem::new(
                Code::TargetNameInvalid,
                format!("target {name}"),
                format!("{part:?} is no name: letters, digits, `_` and `-`, at most {MOST_NAME_BYTES} bytes"),
                "change the naming template in the policy",
            )
            .of(dataset));
        }
    }
    Ok(name)
}

/// Plans one dataset.
#[must_use]
pub fn plan(
    policy: &Policy,
    migration: MigrationId,
    generation: Generation,
    target: &TableName,
    inspection: &Inspection,
) -> Planned {
    let dataset = &inspection.dataset;
    let columns = Columns::of(policy, inspection);
    let rules = rules::rules(policy, inspection);
    let checks = checks(policy, &columns);
    let mut problems = inspection.problems.clone();
    if let Some(metadata) = &inspection.target.occupied_by {
        problems.push(Problem::new(
            Code::TargetExists,
            format!("target {target}"),
            format!("a table stands there already, with metadata {metadata}"),
            "choose another naming template, or move or drop that table",
        ));
    }
    // Without readable columns every rule would complain; the first cause is enough.
    if !inspection.columns.is_empty() {
        problems.extend(columns.problems.iter().chain(&rules.problems).chain(&checks.1).cloned());
    }
    let mut notes = inspection.notes.clone();
    if inspection.described_by == DescribedBy::Footers && problems.is_empty() {
        notes.push(
            "nothing describes the table: columns come from the files' footers, partition columns are strings"
                .to_owned(),
        );
    }
    notes.extend(columns.notes.iter().chain(&rules.notes).cloned());
    let (stages, staged_note) = stages::stages(&inspection.files, &rules.rules);
    notes.extend(staged_note);
    let strategy = strategy(policy, &columns, !rules.rules.is_empty());
    let (Some(format), true, Ok(strategy)) = (&inspection.format, problems.is_empty(), &strategy) else {
        problems.extend(strategy.err());
        if problems.is_empty() {
            problems.push(Problem::new(
                Code::FormatUnsupported,
                "the table's format",
                "it is not known",
                "describe the table",
            ));
        }
        let problems = problems.into_iter().map(|problem| problem.of(dataset)).collect();
        return Planned::Refused(Refusal { dataset: dataset.clone(), target: Some(target.clone()), problems, notes });
    };
    let mut plan = Plan {
        format: PLAN_FORMAT,
        migration,
        policy: policy.metadata.name.clone(),
        generation,
        source: PlanSource {
            connection: inspection.connection.clone(),
            dataset: dataset.clone(),
            location: inspection.location.clone(),
            format: format.clone(),
            described_by: inspection.described_by.clone(),
            columns: inspection.columns.clone(),
            files: inspection.files.clone(),
        },
        target: PlanTarget {
            connection: policy.spec.target.connection.clone(),
            name: target.clone(),
            location: inspection.target.location.clone(),
            format_version: policy.spec.target.format_version.unwrap_or(FORMAT_VERSION),
            columns: columns.target,
            partitioning: columns.partitioning,
            sort: columns.sort,
            zstd_level: policy.spec.target.zstd_level.unwrap_or(ZSTD_LEVEL),
            file_bytes: policy.spec.target.file_size.map_or(FILE_BYTES, policy::FileSize::bytes),
            properties: properties(&inspection.documentation, &policy.spec.target.table_properties),
        },
        strategy: strategy.clone(),
        rules: rules.rules,
        stages,
        checks: checks.0,
        notes,
        script: String::new(),
        undo: format!(
            "skein rollback {dataset} withdraws {target} if it is still what was published; the source is never touched"
        ),
    };
    plan.script = script::render(&plan);
    Planned::Ready(Box::new(plan))
}

/// What the source says of itself, under the names by which Spark and Trino show it; what the policy says goes before.
fn properties(documentation: &Documentation, given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let owner = documentation.owner.iter().map(|owner| ("owner".to_owned(), owner.clone()));
    let comment = documentation.comment.iter().map(|comment| ("comment".to_owned(), comment.clone()));
    owner.chain(comment).chain(given.clone()).collect()
}

fn strategy(policy: &Policy, columns: &Columns, has_rules: bool) -> Result<Strategy, Problem> {
    let mut reasons = Vec::new();
    if has_rules {
        reasons.push("rules remove rows".to_owned());
    }
    let count = |wanted: fn(&Conversion) -> bool| columns.target.iter().filter(|c| wanted(&c.conversion)).count();
    for (number, what) in [
        (count(|c| matches!(c, Conversion::Add)), "added"),
        (count(|c| matches!(c, Conversion::Cast { .. } | Conversion::TrimPadding)), "changed"),
    ] {
        if number > 0 {
            reasons.push(format!("{number} columns are {what}"));
        }
    }
    let renamed = columns.target.iter().any(|c| matches!(&c.origin, Origin::Source { column } if *column != c.name));
    if renamed {
        reasons.push("columns are renamed".to_owned());
    }
    let copies = reasons.is_empty();
    match policy.spec.strategy {
        policy::Strategy::Copy if !copies => Err(Problem::new(
            Code::RuleInapplicable,
            "strategy copy",
            reasons.join(", "),
            "remove these rules or choose the strategy auto",
        )),
        policy::Strategy::Transform if copies => {
            Ok(Strategy { kind: StrategyKind::Transform, reason: "the policy asks for it".to_owned() })
        }
        _ if copies => Ok(Strategy {
            kind: StrategyKind::Copy,
            reason: "no rule changes or removes anything; rows go as they are into new files".to_owned(),
        }),
        _ => Ok(Strategy { kind: StrategyKind::Transform, reason: reasons.join(", ") }),
    }
}

fn checks(policy: &Policy, columns: &Columns) -> (PlannedChecks, Vec<Problem>) {
    let validate = &policy.spec.validate;
    let names: Vec<&str> = columns.target.iter().map(|column| column.name.as_str()).collect();
    let (mut sql, mut problems) = (Vec::new(), Vec::new());
    for (index, check) in validate.checks.iter().enumerate() {
        let name = check.label(index);
        match check.sql.render(crate::expr::resolver(&names)) {
            Ok(rendered) => sql.push(SqlCheck { name, sql: rendered }),
            Err(_) if check.if_missing == IfMissing::Skip => {}
            Err(unknown) => problems.push(Problem::new(
                Code::ColumnMissing,
                format!("check {name}"),
                unknown.to_string(),
                "correct the check, or let it skip such datasets (ifMissing: skip)",
            )),
        }
    }
    let batch = |wanted| validate.each_batch.contains(&wanted);
    let end = |wanted| validate.at_end.contains(&wanted);
    let planned = PlannedChecks {
        batch_count: batch(BatchComparison::Count),
        batch_checksum: batch(BatchComparison::Checksum),
        final_count: end(FinalComparison::Count),
        final_checksum: end(FinalComparison::Checksum),
        nulls: end(FinalComparison::Nulls),
        min_max: end(FinalComparison::MinMax),
        spark64: end(FinalComparison::Spark64),
        sql,
        removed_rows_percent: validate.tolerances.removed_rows_percent.map(policy::Percent::value),
        filtered_rows_percent: validate.tolerances.filtered_rows_percent.map(policy::Percent::value),
    };
    (planned, problems)
}
