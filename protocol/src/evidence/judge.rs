//! Judges evidence: the counts, the two equations, the rules' own checks. The verdict is the first difference.
//!
//! *Rows*: source as read = kept + removed by each rule, over the source's columns.
//! *Values*: transformed kept rows = rows read back, over the target's columns; and where a column's conversion loses
//! nothing, source = read back directly.

use super::{BatchEvidence, ColumnEvidence, Difference, Removed, RowSum, RuleCheck, TableEvidence};
use crate::data_plane::TableReading;
use crate::defects::{self, Defect};
use crate::ids::BatchId;
use crate::plan::{Plan, PlannedChecks, StageKind};
use crate::problem::{Code, Problem};

/// The first difference in a batch's evidence, if there is one.
#[must_use]
pub fn batch(plan: &Plan, id: BatchId, evidence: &BatchEvidence) -> Option<Difference> {
    let checks = &plan.checks;
    let stage = plan.stage(id.stage).map(|stage| stage.kind);
    let at = |difference: Difference| Difference { batch: Some(id), ..difference };
    if let Some(rule) = evidence.rules.iter().find(|rule| !rule.holds) {
        return Some(at(broken(rule)));
    }
    if stage != Some(StageKind::Write) {
        return None;
    }
    if let (true, Some(rows)) = (checks.batch_count, evidence.footer_rows)
        && rows != evidence.source.rows
    {
        return Some(at(count(
            "rows that the source's footers promise, against rows read",
            rows,
            evidence.source.rows,
        )));
    }
    sums(checks.batch_count, checks.batch_checksum && evidence.summed, &Sums::of_batch(evidence))
        .or_else(|| evidence.first_difference.clone())
        .or_else(|| columns(checks, &evidence.columns))
        .map(|difference| {
            // The engine's second reading knows the column.
            let column = difference.column.clone();
            let known = evidence.first_difference.as_ref().and_then(|first| first.column.clone());
            at(Difference { column: column.or(known), ..difference })
        })
}

/// Adds all batches up and joins what reading the staged table found.
#[must_use]
pub fn table(location: &str, batches: &[BatchEvidence], reading: TableReading) -> TableEvidence {
    let mut evidence = TableEvidence {
        metadata_location: location.to_owned(),
        metadata_hash: reading.metadata_hash,
        files: reading.files,
        manifest_rows: reading.manifest_rows,
        summary_rows: reading.summary_rows,
        files_compared: reading.files_compared,
        file_differences: reading.file_differences,
        partition_read: reading.partition_read,
        checks: reading.checks,
        ..TableEvidence::default()
    };
    for batch in batches {
        evidence.source.merge(&batch.source);
        evidence.kept.merge(&batch.kept);
        evidence.expected.merge(&batch.expected);
        evidence.found.merge(&batch.found);
        merge_removed(&mut evidence.removed, &batch.removed);
        merge_columns(&mut evidence.columns, &batch.columns);
        if let Some(spark) = &batch.spark {
            evidence.spark.get_or_insert_default().merge(spark);
        }
    }
    evidence
}

/// The first difference in a table's evidence, if there is one.
#[must_use]
pub fn whole(plan: &Plan, evidence: &TableEvidence) -> Option<Difference> {
    let checks = &plan.checks;
    if let Some(sentence) = evidence.file_differences.first() {
        return Some(difference("staged files against the ledger's record", "equal", sentence));
    }
    if checks.final_count {
        for (what, found) in [
            ("rows kept, against the manifests' record counts", evidence.manifest_rows),
            ("rows kept, against the snapshot's total", evidence.summary_rows),
        ] {
            if found != evidence.kept.rows {
                return Some(count(what, evidence.kept.rows, found));
            }
        }
        if let Some(promised) = plan.source_rows()
            && promised != evidence.source.rows
        {
            return Some(count("rows by the source's footers, against rows read", promised, evidence.source.rows));
        }
    }
    let summed = checks.final_checksum && checks.batch_checksum;
    sums(checks.final_count, summed, &Sums::of_table(evidence))
        .or_else(|| columns(checks, &evidence.columns))
        .or_else(|| evidence.partition_read.iter().chain(&evidence.checks).find(|check| !check.holds).map(broken))
        .or_else(|| tolerances(checks, evidence))
}

/// The problem that people get for a difference.
#[must_use]
pub fn problem(difference: &Difference, plan: &Plan) -> Problem {
    let (code, next) = if difference.compared.starts_with("tolerance") {
        (Code::ToleranceExceeded, "look at the report; correct the rules or the tolerance in the policy, then retry")
    } else if difference.compared.starts_with("check") {
        (Code::CheckFailed, "look at the report; correct the data, the rules or the check, then retry")
    } else {
        (Code::Difference, "nothing is visible and the source is untouched; look at the report, then retry")
    };
    Problem::new(code, "validation", difference.to_string(), next).of(&plan.source.dataset)
}

struct Sums<'a> {
    source: &'a RowSum,
    removed: &'a [Removed],
    kept: &'a RowSum,
    expected: &'a RowSum,
    found: &'a RowSum,
    lossless: Option<(&'a RowSum, &'a RowSum)>,
}

impl<'a> Sums<'a> {
    fn of_batch(evidence: &'a BatchEvidence) -> Self {
        Self {
            source: &evidence.source,
            removed: &evidence.removed,
            kept: &evidence.kept,
            expected: &evidence.expected,
            found: &evidence.found,
            lossless: Some((&evidence.lossless_source, &evidence.lossless_target)),
        }
    }

    fn of_table(evidence: &'a TableEvidence) -> Self {
        Self {
            source: &evidence.source,
            removed: &evidence.removed,
            kept: &evidence.kept,
            expected: &evidence.expected,
            found: &evidence.found,
            lossless: None,
        }
    }
}

fn sums(counted: bool, summed: bool, sums: &Sums<'_>) -> Option<Difference> {
    let mut accounted = *sums.kept;
    for removed in sums.removed {
        accounted.merge(&removed.rows);
    }
    if counted {
        for (what, must, is) in [
            ("rows read, against rows kept and removed", sums.source.rows, accounted.rows),
            ("rows kept, against rows transformed", sums.kept.rows, sums.expected.rows),
            ("rows transformed, against rows read back", sums.expected.rows, sums.found.rows),
        ] {
            if must != is {
                return Some(count(what, must, is));
            }
        }
    }
    if summed && !defects::is(Defect::CountsOnly) {
        let lossless = sums
            .lossless
            .map(|(source, target)| ("row128 of unchanged columns, source against read-back", source, target));
        let equations = [
            Some(("row128 of rows read, against rows kept and removed", sums.source, &accounted)),
            lossless,
            Some(("row128 of transformed rows, against rows read back", sums.expected, sums.found)),
        ];
        for (what, must, is) in equations.into_iter().flatten() {
            if must != is {
                return Some(difference(what, &must.sum.to_string(), &is.sum.to_string()));
            }
        }
    }
    None
}

fn columns(checks: &PlannedChecks, columns: &[ColumnEvidence]) -> Option<Difference> {
    for column in columns {
        let pairs = [
            (checks.nulls, "nulls", Some(column.nulls_expected.to_string()), Some(column.nulls_found.to_string())),
            (checks.min_max, "least value", column.min_expected.clone(), column.min_found.clone()),
            (checks.min_max, "greatest value", column.max_expected.clone(), column.max_found.clone()),
        ];
        for (asked, what, expected, found) in pairs {
            let asked = asked && !(what == "nulls" && defects::is(Defect::LostNullCounts));
            if asked && expected != found {
                let text = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
                let mut differs = difference(what, &text(expected), &text(found));
                differs.column = Some(column.column.clone());
                return Some(differs);
            }
        }
    }
    None
}

fn tolerances(checks: &PlannedChecks, evidence: &TableEvidence) -> Option<Difference> {
    let rows = |wanted: fn(&str) -> bool| -> u64 {
        evidence.removed.iter().filter(|removed| wanted(&removed.rule)).map(|removed| removed.rows.rows).sum()
    };
    let filtered = rows(|rule| rule == "filter");
    let cleaned = rows(|rule| rule != "filter");
    for (what, most, removed) in [
        ("tolerance: percent of rows that the filter removes", checks.filtered_rows_percent, filtered),
        ("tolerance: percent of rows that cleaning removes", checks.removed_rows_percent, cleaned),
    ] {
        let Some(most) = most else { continue };
        #[allow(clippy::cast_precision_loss, reason = "a share is compared with a limit that people write")]
        let share = if evidence.source.rows == 0 { 0.0 } else { removed as f64 * 100.0 / evidence.source.rows as f64 };
        if share > most {
            return Some(difference(what, &format!("at most {most} %"), &format!("{share:.3} % ({removed} rows)")));
        }
    }
    None
}

fn merge_removed(all: &mut Vec<Removed>, batch: &[Removed]) {
    for removed in batch {
        match all.iter_mut().find(|one| one.rule == removed.rule) {
            Some(one) => one.rows.merge(&removed.rows),
            None => all.push(removed.clone()),
        }
    }
}

/// Adds null counts up. Least and greatest values are texts here and have no common order: they are compared batch by
/// batch, and the table's are left out.
fn merge_columns(all: &mut Vec<ColumnEvidence>, batch: &[ColumnEvidence]) {
    for column in batch {
        match all.iter_mut().find(|one| one.column == column.column) {
            Some(one) => {
                one.nulls_expected += column.nulls_expected;
                one.nulls_found += column.nulls_found;
            }
            None => all.push(ColumnEvidence {
                min_expected: None,
                min_found: None,
                max_expected: None,
                max_found: None,
                ..column.clone()
            }),
        }
    }
}

fn broken(rule: &RuleCheck) -> Difference {
    difference(&format!("check {}: {}", rule.rule, rule.checked), "it holds", &rule.found)
}

fn count(what: &str, expected: u64, found: u64) -> Difference {
    difference(what, &expected.to_string(), &found.to_string())
}

fn difference(compared: &str, expected: &str, found: &str) -> Difference {
    Difference {
        batch: None,
        column: None,
        compared: compared.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}
