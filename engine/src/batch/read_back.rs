//! Reads staged data files back: what readers will find, decoded by code that has not written it.
//!
//! In: staged files. Out: sums, nulls and extremes as found; where they differ from what must be, the first column that
//! does. Not here: reading through a table's metadata (`iceberg::read`), the judgement (`protocol::evidence::judge`).

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use skein_protocol::data_plane::{Failure, StagedFile};
use skein_protocol::evidence::{Difference, RowSum};
use skein_protocol::plan::Plan;
use skein_protocol::problem::{Code, Problem};

use super::duplicates::distinct;
use super::extremes::Columns;
use super::layout::Layout;
use super::rows::{Passage, add, refused};
use super::work::{Counters, Work};
use super::write::Expected;
use crate::checksum::RowHasher;
use crate::failure::internal;
use crate::iceberg::schema::writer_schema;

/// What was found in the files.
pub(super) struct Found {
    pub(super) lossless: RowSum,
    pub(super) rows: RowSum,
    pub(super) columns: Columns,
    /// Rows that differ from all others of their partition in the source's columns, where that was asked.
    pub(super) distinct: Option<u64>,
}

/// Decodes all files. `telling_apart`: counts how many rows are different, too.
pub(super) fn read_back(
    work: &Work<'_>,
    files: &[StagedFile],
    layout: &Layout,
    summed: bool,
    telling_apart: bool,
) -> Result<Found, Failure> {
    let plan = work.plan();
    let schema = writer_schema(&plan.target);
    let hasher = |columns: &[usize]| RowHasher::new(&schema, columns).map_err(|error| refused(work, error));
    let mut lossless = hasher(&layout.lossless_target)?;
    let mut target = hasher(&layout.target)?;
    let mut found = Found {
        lossless: RowSum::default(),
        rows: RowSum::default(),
        columns: Columns::new(plan.target.columns.len(), plan.checks.min_max),
        distinct: telling_apart.then_some(0),
    };
    let mut hashes = Vec::new();
    // Equal rows have equal partitions: what is told apart is held for one partition at a time.
    let mut ordered: Vec<&StagedFile> = files.iter().collect();
    ordered.sort_by_cached_key(|file| serde_json::Value::Array(file.partition.clone()).to_string());
    let mut told_apart: Vec<u128> = Vec::new();
    for (at, file) in ordered.iter().enumerate() {
        for batch in Reading::of(work, file)? {
            let batch = batch?;
            let rows = batch.num_rows();
            found.columns.add(batch.columns()).map_err(|error| internal("looking at columns", error.to_string()))?;
            if !summed {
                found.lossless.rows += rows as u64;
                found.rows.rows += rows as u64;
                continue;
            }
            lossless.hash(&batch, &mut hashes).map_err(|error| refused(work, error))?;
            add(&mut found.lossless, &hashes, rows);
            if telling_apart {
                told_apart.extend_from_slice(&hashes);
            }
            if layout.all_target_is_lossless() {
                add(&mut found.rows, &hashes, rows);
            } else {
                target.add(&batch, &mut found.rows).map_err(|error| refused(work, error))?;
            }
        }
        if ordered.get(at + 1).is_none_or(|next| next.partition != file.partition) {
            found.distinct = found.distinct.map(|sum| sum + distinct(&mut told_apart));
            told_apart.clear();
        }
    }
    Counters::add(&work.counters.rows_read_back, found.rows.rows);
    Ok(found)
}

/// Counts the rows by the files' footers, for plans that want no more.
pub(super) fn count(work: &Work<'_>, files: &[StagedFile], expected: &Expected) -> Result<Found, Failure> {
    let mut sum = RowSum::default();
    for file in files {
        let rows = Reading::of(work, file)?.footer_rows;
        sum.rows += u64::try_from(rows)
            .map_err(|_| changed(work.plan(), &file.location, "its footer counts less than no rows"))?;
    }
    // Nothing else was asked for, so nothing else is looked at.
    Ok(Found {
        lossless: sum,
        rows: sum,
        columns: Columns { extremes: Vec::new(), ..expected.columns.clone() },
        distinct: None,
    })
}

/// The first column in which the files differ from what must be in them, by a second reading of source and files.
pub(super) fn first_difference(
    work: &Work<'_>,
    files: &[StagedFile],
    layout: &Layout,
) -> Result<Option<Difference>, Failure> {
    let plan = work.plan();
    let schema = writer_schema(&plan.target);
    let mut hasher = RowHasher::new(&schema, &layout.target).map_err(|error| refused(work, error))?;
    let mut expected = vec![RowSum::default(); layout.target.len()];
    let mut found = expected.clone();
    // The same passage again: it keeps the same rows.
    Passage::new(work, false)?
        .run(|kept| hasher.add_each(kept.target, &mut expected).map_err(|error| refused(work, error)))?;
    for file in files {
        for batch in Reading::of(work, file)? {
            hasher.add_each(&batch?, &mut found).map_err(|error| refused(work, error))?;
        }
    }
    let column = expected.iter().zip(&found).position(|(expected, found)| expected != found);
    let text = |sum: &RowSum| format!("{} rows with sum {}", sum.rows, sum.sum);
    Ok(Some(match column {
        Some(at) => Difference {
            batch: Some(work.request.batch),
            column: Some(plan.target.columns[at].name.clone()),
            compared: "the column's values, transformed against read back".to_owned(),
            expected: text(&expected[at]),
            found: text(&found[at]),
        },
        None => Difference {
            batch: Some(work.request.batch),
            column: None,
            compared:
                "rows, transformed against read back: each column has the right values, but not in the right rows"
                    .to_owned(),
            expected: "the same rows".to_owned(),
            found: "other rows".to_owned(),
        },
    }))
}

/// A staged file that is read.
struct Reading<'a> {
    work: &'a Work<'a>,
    place: &'a str,
    reader: ParquetRecordBatchReader,
    footer_rows: i64,
}

impl<'a> Reading<'a> {
    fn of(work: &'a Work<'a>, file: &'a StagedFile) -> Result<Self, Failure> {
        let plan = work.plan();
        let place = file.location.as_str();
        let unreadable = |why: String| changed(plan, place, &why);
        let opened = work.files.open(place).map_err(|error| unreadable(error.to_string()))?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(opened, options)
            .map_err(|error| unreadable(error.to_string()))?;
        let names = builder.schema().fields().iter().map(|field| field.name());
        if !names.eq(plan.target.columns.iter().map(|column| &column.name)) {
            return Err(unreadable("it has other columns".to_owned()));
        }
        let footer_rows = builder.metadata().file_metadata().num_rows();
        let reader = builder.with_batch_size(work.batch_rows).build().map_err(|error| unreadable(error.to_string()))?;
        Ok(Self { work, place, reader, footer_rows })
    }
}

impl Iterator for Reading<'_> {
    type Item = Result<RecordBatch, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(stopped) = self.work.cancel.check() {
            return Some(Err(stopped));
        }
        let batch = self.reader.next()?;
        Some(batch.map_err(|error| changed(self.work.plan(), self.place, &error.to_string())))
    }
}

/// A staged file is not what was written. Another attempt writes new files.
pub(super) fn changed(plan: &Plan, place: &str, why: &str) -> Failure {
    let next = "The batch is tried again with new files; if it goes on, check the disk below the target's warehouse";
    Failure::transient(
        Problem::new(Code::StagedFileChanged, format!("{place} cannot be read back"), why, next)
            .of(&plan.source.dataset),
    )
}
