//! The writing stage: every kept row into data files, every file read back.
//!
//! In: source files, and rows that lose from a stage before. Out: staged data files and the batch's evidence. Holds: which
//! sums are computed once because they are the same. Not here: the passage (`rows`), files (`sink`), reading (`read_back`).

use arrow::error::ArrowError;
use skein_protocol::data_plane::{BatchResult, Failure, StagedFile};
use skein_protocol::evidence::{BatchEvidence, ColumnEvidence, RowSum, RuleCheck};
use skein_protocol::plan::Rule;

use super::extremes::Columns;
use super::layout::Layout;
use super::read_back::{self, Found};
use super::rows::{Passage, Passed, add, refused};
use super::sink::Sink;
use super::work::Work;
use crate::checksum::RowHasher;
use crate::failure::internal;
use crate::types::source_schema;

/// What must be found: sums over the kept rows as they were given to the files.
pub(super) struct Expected {
    pub(super) lossless: RowSum,
    pub(super) rows: RowSum,
    pub(super) columns: Columns,
}

/// Runs a writing batch.
pub(super) fn write(work: &Work<'_>) -> Result<BatchResult, Failure> {
    let (files, passed, expected) = write_files(work)?;
    let evidence = prove(work, &files, passed, expected)?;
    Ok(BatchResult { files, evidence })
}

/// Whether the plan wants checksums.
fn is_summed(work: &Work<'_>) -> bool {
    work.plan().checks.batch_checksum || work.plan().checks.final_checksum
}

/// The first half: reads and writes.
pub(super) fn write_files(work: &Work<'_>) -> Result<(Vec<StagedFile>, Passed, Expected), Failure> {
    let plan = work.plan();
    let summed = is_summed(work);
    let layout = Layout::of(plan);
    let mut sink = Sink::new(work)?;
    let mut expecting = Expecting::new(work, &layout, summed)?;
    let passage = Passage::new(work, summed)?;
    let passed = passage.run(|kept| {
        expecting.add(work, kept)?;
        sink.write(kept.target)
    })?;
    Ok((sink.finish()?, passed, expecting.expected))
}

/// The second half: reads back and compares.
pub(super) fn prove(
    work: &Work<'_>,
    files: &[StagedFile],
    passed: Passed,
    expected: Expected,
) -> Result<BatchEvidence, Failure> {
    let plan = work.plan();
    let summed = is_summed(work);
    let layout = Layout::of(plan);
    let exact = plan.rules.iter().find(|rule| rule.rule == Rule::DropExactDuplicates);
    // Over several batches, equal rows may be in different ones: the resolving stage has the check then.
    let exact = exact.filter(|_| work.request.batch.stage.0 == 0 && summed && layout.target_tells_source_apart());
    let found = if summed || plan.checks.nulls || plan.checks.min_max {
        read_back::read_back(work, files, &layout, summed, exact.is_some())?
    } else {
        read_back::count(work, files, &expected)?
    };
    let mut rules = passed.checks;
    if let (Some(rule), Some(distinct)) = (exact, found.distinct) {
        rules.push(RuleCheck {
            rule: rule.id.clone(),
            checked: format!(
                "each of {} rows in the files is different from all others of its partition",
                found.rows.rows
            ),
            holds: distinct == found.rows.rows,
            found: format!("{distinct} different rows"),
        });
    }
    let differs = summed && (expected.rows != found.rows || expected.lossless != found.lossless);
    let first_difference = if differs { read_back::first_difference(work, files, &layout)? } else { None };
    Ok(BatchEvidence {
        footer_rows: passed.footer_rows,
        source: passed.source,
        removed: passed.removed,
        kept: passed.kept,
        lossless_source: expected.lossless,
        lossless_target: found.lossless,
        expected: expected.rows,
        found: found.rows,
        columns: columns(work, &expected, &found).map_err(|error| internal("comparing columns", error.to_string()))?,
        spark: passed.spark,
        rules,
        first_difference,
        summed,
    })
}

/// Computes what must be found, and nothing twice.
struct Expecting {
    summed: bool,
    all_source_is_lossless: bool,
    all_target_is_lossless: bool,
    lossless: RowHasher,
    target: RowHasher,
    expected: Expected,
}

impl Expecting {
    fn new(work: &Work<'_>, layout: &Layout, summed: bool) -> Result<Self, Failure> {
        let plan = work.plan();
        let source = source_schema(&plan.source.columns);
        let target = crate::iceberg::schema::writer_schema(&plan.target);
        let refused = |error| refused(work, error);
        Ok(Self {
            summed,
            all_source_is_lossless: layout.all_source_is_lossless(),
            all_target_is_lossless: layout.all_target_is_lossless(),
            lossless: RowHasher::new(&source, &layout.lossless_source).map_err(refused)?,
            target: RowHasher::new(&target, &layout.target).map_err(refused)?,
            expected: Expected {
                lossless: RowSum::default(),
                rows: RowSum::default(),
                columns: Columns::new(plan.target.columns.len(), plan.checks.min_max),
            },
        })
    }

    fn add(&mut self, work: &Work<'_>, kept: &super::rows::Kept<'_>) -> Result<(), Failure> {
        let expected = &mut self.expected;
        let rows = kept.target.num_rows();
        let columns = expected.columns.add(kept.target.columns());
        columns.map_err(|error| internal("looking at columns", error.to_string()))?;
        if !self.summed {
            expected.lossless.rows += rows as u64;
            expected.rows.rows += rows as u64;
            return Ok(());
        }
        let before = expected.lossless.sum.0;
        if self.all_source_is_lossless {
            // The passage has hashed these rows already, over the same columns.
            add(&mut expected.lossless, kept.hashes, rows);
        } else {
            self.lossless.add(kept.source, &mut expected.lossless).map_err(|error| refused(work, error))?;
        }
        if self.all_target_is_lossless {
            // Conversions that lose nothing keep a row's hash: what must be found is known before them.
            expected.rows.rows += rows as u64;
            expected.rows.sum.0 = expected.rows.sum.0.wrapping_add(expected.lossless.sum.0.wrapping_sub(before));
        } else {
            self.target.add(kept.target, &mut expected.rows).map_err(|error| refused(work, error))?;
        }
        Ok(())
    }
}

fn columns(work: &Work<'_>, expected: &Expected, found: &Found) -> Result<Vec<ColumnEvidence>, ArrowError> {
    let extremes =
        |columns: &Columns, at: usize| columns.extremes.get(at).map_or(Ok((None, None)), |extremes| extremes.texts());
    let columns = work.plan().target.columns.iter().enumerate().map(|(at, column)| {
        let (min_expected, max_expected) = extremes(&expected.columns, at)?;
        let (min_found, max_found) = extremes(&found.columns, at)?;
        Ok(ColumnEvidence {
            column: column.name.clone(),
            nulls_expected: expected.columns.nulls[at],
            nulls_found: found.columns.nulls[at],
            min_expected,
            min_found,
            max_expected,
            max_found,
        })
    });
    columns.collect()
}
