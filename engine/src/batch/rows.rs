//! One passage of a batch's rows: read, summed, filtered, freed of duplicates, transformed.
//!
//! In: the batch's inputs. Out: the kept rows, before and after the transform, batch after batch; the sums over the source's
//! columns. Holds: which rows are kept. Not here: what becomes of them (`write`), other columns' sums.
//!
//! A passage can be made twice (a difference is looked up in a second one) and keeps the same rows each time.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter_record_batch, not};
use skein_protocol::data_plane::Failure;
use skein_protocol::evidence::{Removed, RowSum, RuleCheck, SparkSum};
use skein_protocol::plan::{BatchInput, Rule};
use skein_protocol::problem::Problem;
use skein_protocol::types::DataType;

use super::duplicates::Duplicates;
use super::losers::Losers;
use super::work::{Counters, Work};
use crate::checksum::{ChecksumError, RowComparer, RowHasher, SparkHasher};
use crate::failure::internal;
use crate::source::{InputReader, read_input};
use crate::transform::{Transform, TransformError};

/// Where a record batch lies in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Position in the plan's list of files.
    pub(super) file: u32,
    /// The first row's number in the whole file.
    pub(super) row: u64,
}

/// The record batches of a batch's inputs, those of one partition together.
pub(super) struct Sources<'a> {
    work: &'a Work<'a>,
    inputs: std::vec::IntoIter<BatchInput>,
    reader: Option<(InputReader, Place)>,
    /// Rows that the footers promise; absent once a file has none.
    footer_rows: Option<u64>,
    notes: Vec<RuleCheck>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(work: &'a Work<'a>) -> Result<Self, Failure> {
        let files = &work.plan().source.files;
        let partition = |input: &BatchInput| files.get(input.file as usize).map(|file| file.partition.as_slice());
        let mut inputs = work.batch()?.inputs.clone();
        inputs.sort_by(|one, other| {
            partition(one)
                .cmp(&partition(other))
                .then(one.file.cmp(&other.file))
                .then(one.row_groups.cmp(&other.row_groups))
        });
        Ok(Self { work, inputs: inputs.into_iter(), reader: None, footer_rows: Some(0), notes: Vec::new() })
    }

    /// The next record batch that has rows.
    pub(super) fn next(&mut self) -> Result<Option<(RecordBatch, Place)>, Failure> {
        loop {
            self.work.cancel.check()?;
            let Some((reader, place)) = &mut self.reader else {
                let Some(input) = self.inputs.next() else { return Ok(None) };
                self.open(input)?;
                continue;
            };
            match reader.next().transpose()? {
                None => self.close(),
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => {
                    let here = *place;
                    place.row += batch.num_rows() as u64;
                    Counters::add(&self.work.counters.rows_read, batch.num_rows() as u64);
                    return Ok(Some((batch, here)));
                }
            }
        }
    }

    fn open(&mut self, input: BatchInput) -> Result<(), Failure> {
        let plan = self.work.plan();
        if let Some(file) = plan.source.files.get(input.file as usize) {
            self.work.telling.reading(0, &file.path);
        }
        let reader = read_input(self.work.files, plan, &input, self.work.batch_rows)?;
        self.footer_rows = self.footer_rows.zip(reader.footer_rows()).map(|(sum, rows)| sum + rows);
        let file = plan
            .source
            .files
            .get(input.file as usize)
            .ok_or_else(|| internal("reading a batch", "the plan has no such file"))?;
        let (mut row, mut bytes) = (0, file.bytes);
        if let Some((first, count)) = input.row_groups {
            let rows = |groups: &[u64]| groups.iter().sum::<u64>();
            let (first, end) = (first as usize, first as usize + count as usize);
            let groups = file
                .row_groups
                .get(..end)
                .ok_or_else(|| internal("reading a batch", "a file has fewer row groups than planned"))?;
            row = rows(&groups[..first]);
            let share =
                u128::from(bytes) * u128::from(rows(&groups[first..])) / u128::from(rows(&file.row_groups).max(1));
            bytes = u64::try_from(share).unwrap_or(bytes);
        }
        Counters::add(&self.work.counters.bytes_read, bytes);
        self.reader = Some((reader, Place { file: input.file, row }));
        Ok(())
    }

    fn close(&mut self) {
        let Some((reader, place)) = self.reader.take() else { return };
        let path = self.work.plan().source.files.get(place.file as usize).map_or("", |file| file.path.as_str());
        for (column, count) in reader.unparsable() {
            self.notes.push(RuleCheck {
                rule: "reading".to_owned(),
                checked: format!(
                    "{path}, column {column}: Hive shows {} values as null and {} cut, and so they were read",
                    count.nulled, count.shortened
                ),
                holds: true,
                found: String::new(),
            });
        }
    }
}

/// Rows that are kept, from one record batch.
pub(super) struct Kept<'a> {
    /// The source's columns.
    pub(super) source: &'a RecordBatch,
    /// `row128` of each, if the passage sums.
    pub(super) hashes: &'a [u128],
    /// The target's columns.
    pub(super) target: &'a RecordBatch,
}

/// How rows that repeat others are found.
enum Removal {
    Nothing,
    Here(Box<Duplicates>),
    Before(Losers),
}

/// The passage, and what it has seen.
pub(super) struct Passage<'a> {
    work: &'a Work<'a>,
    transform: Transform,
    removal: Removal,
    summed: bool,
    hasher: RowHasher,
    spark: Option<(SparkHasher, SparkSum)>,
    source: RowSum,
    kept: RowSum,
    /// For each of the plan's rules.
    removed: Vec<RowSum>,
    filter_check: FilterCheck,
    partition: Option<u32>,
    hashes: Vec<u128>,
}

/// What a passage has seen, all rows gone by.
pub(super) struct Passed {
    pub(super) footer_rows: Option<u64>,
    pub(super) source: RowSum,
    pub(super) removed: Vec<Removed>,
    pub(super) kept: RowSum,
    pub(super) spark: Option<SparkSum>,
    pub(super) checks: Vec<RuleCheck>,
}

#[derive(Default)]
struct FilterCheck {
    kept_failing: u64,
    removed_passing: u64,
}

impl<'a> Passage<'a> {
    /// A passage that computes sums, or counts only.
    pub(super) fn new(work: &'a Work<'a>, summed: bool) -> Result<Self, Failure> {
        let plan = work.plan();
        let transform = Transform::new(plan).map_err(|error| error.into_failure(plan, None))?;
        let schema = transform.source_schema().clone();
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let hasher = RowHasher::new(&schema, &all).map_err(|error| refused(work, error))?;
        let spark = if plan.checks.spark64 {
            let padded = |column: &usize| matches!(plan.source.columns[*column].data_type, DataType::Char { .. });
            let padded: Vec<usize> = all.iter().copied().filter(padded).collect();
            let spark = SparkHasher::new(&schema, &all).map_err(|error| refused(work, error))?;
            Some((spark.with_char_columns(&padded), SparkSum::default()))
        } else {
            None
        };
        let comparer = RowComparer::new(&schema, &all).map_err(|error| refused(work, error))?;
        let removal = removal(work, comparer)?;
        Ok(Self {
            work,
            transform,
            removal,
            summed,
            hasher,
            spark,
            source: RowSum::default(),
            kept: RowSum::default(),
            removed: vec![RowSum::default(); plan.rules.len()],
            filter_check: FilterCheck::default(),
            partition: None,
            hashes: Vec::new(),
        })
    }

    /// Lets all rows pass; `take` gets the kept ones.
    pub(super) fn run(mut self, mut take: impl FnMut(&Kept<'_>) -> Result<(), Failure>) -> Result<Passed, Failure> {
        let mut sources = Sources::new(self.work)?;
        while let Some((batch, place)) = sources.next()? {
            self.begin(place);
            self.pass(&batch, place, &mut take)?;
        }
        Ok(self.passed(sources))
    }

    /// Tells the search for duplicates when a partition begins.
    fn begin(&mut self, place: Place) {
        let files = &self.work.plan().source.files;
        let partition = |file: u32| files.get(file as usize).map(|file| &file.partition);
        let Removal::Here(duplicates) = &mut self.removal else { return };
        if self.partition.is_none_or(|before| partition(before) != partition(place.file)) {
            let here = self.work.request.plan.batch(self.work.request.batch).map_or(&[][..], |batch| &batch.inputs);
            let here = here.iter().filter(|input| partition(input.file) == partition(place.file));
            duplicates.begin_partition(here.filter_map(|input| files.get(input.file as usize)?.rows).sum());
        }
        self.partition = Some(place.file);
    }

    fn pass(
        &mut self,
        batch: &RecordBatch,
        place: Place,
        take: &mut impl FnMut(&Kept<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let rows = batch.num_rows();
        if self.summed || matches!(self.removal, Removal::Here(_)) {
            self.hasher.hash(batch, &mut self.hashes).map_err(|error| refused(self.work, error))?;
        }
        add(&mut self.source, &self.hashes, rows);
        if let Some((hasher, sum)) = &mut self.spark {
            hasher.add(batch, sum).map_err(|error| refused(self.work, error))?;
        }
        let mut keep = self.filter(batch, place)?;
        self.remove(place, rows, &mut keep)?;
        let compacted;
        let kept = match &keep {
            None => batch,
            Some(keep) => {
                let mask = BooleanArray::new(keep.clone(), None);
                compacted = filter_record_batch(batch, &mask)
                    .map_err(|error| internal("leaving rows out", error.to_string()))?;
                if !self.hashes.is_empty() {
                    let mut kept = keep.iter();
                    self.hashes.retain(|_| kept.next().unwrap_or(false));
                }
                &compacted
            }
        };
        add(&mut self.kept, &self.hashes, kept.num_rows());
        if let Removal::Here(duplicates) = &mut self.removal {
            duplicates.end_batch(batch, kept)?;
        }
        self.check_kept(kept, place)?;
        if kept.num_rows() == 0 {
            return Ok(());
        }
        let target = self.transform.apply(kept).map_err(|error| placed(self.work, error, place, keep.as_ref()))?;
        take(&Kept { source: kept, hashes: &self.hashes, target: &target })
    }

    /// Which rows the filter keeps; nothing if it keeps all. Looks at those that it removes once more.
    fn filter(&mut self, batch: &RecordBatch, place: Place) -> Result<Option<BooleanBuffer>, Failure> {
        let Some((_, filter)) = self.transform.filter() else { return Ok(None) };
        let mask = filter.mask(batch).map_err(|error| placed(self.work, error, place, None))?;
        if mask.true_count() == mask.len() {
            return Ok(None);
        }
        let others = not(&mask).and_then(|others| filter_record_batch(batch, &others));
        let others = others.map_err(|error| internal("filtering rows", error.to_string()))?;
        let again = filter.mask(&others).map_err(|error| placed(self.work, error, place, None))?;
        self.filter_check.removed_passing += again.true_count() as u64;
        let keep = mask.values().clone();
        let rule = self.work.plan().rules.iter().position(|rule| matches!(rule.rule, Rule::Filter { .. }));
        let removed = rule
            .and_then(|rule| self.removed.get_mut(rule))
            .ok_or_else(|| internal("filtering rows", "the plan has no filter"))?;
        removed.rows += others.num_rows() as u64;
        for (hash, keep) in self.hashes.iter().zip(keep.iter()) {
            removed.sum.0 = removed.sum.0.wrapping_add(if keep { 0 } else { *hash });
        }
        Ok(Some(keep))
    }

    /// Takes rows that repeat others, or were found to lose, out of `keep`.
    fn remove(&mut self, place: Place, rows: usize, keep: &mut Option<BooleanBuffer>) -> Result<(), Failure> {
        let stays = |keep: &Option<BooleanBuffer>, row: usize| keep.as_ref().is_none_or(|keep| keep.value(row));
        let mut gone = Vec::new();
        match &mut self.removal {
            Removal::Nothing => return Ok(()),
            Removal::Here(duplicates) => {
                let rule =
                    self.work.plan().rules.iter().position(|rule| rule.id == duplicates.rule).unwrap_or(usize::MAX);
                for (row, hash) in self.hashes.iter().enumerate() {
                    if stays(keep, row) && !duplicates.is_first(row, *hash) {
                        gone.push((row, rule));
                    }
                }
            }
            Removal::Before(losers) => {
                for loser in losers.of(place.file, place.row, place.row + rows as u64) {
                    let row = usize::try_from(loser.row() - place.row).expect("less than the rows of a record batch");
                    if !stays(keep, row) {
                        return Err(internal("leaving rows out", "a row that the filter removes was identified"));
                    }
                    gone.push((row, loser.rule()));
                }
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        for (row, rule) in &gone {
            let removed = self
                .removed
                .get_mut(*rule)
                .ok_or_else(|| internal("leaving rows out", "no rule removes these rows"))?;
            removed.rows += 1;
            removed.sum.0 = removed.sum.0.wrapping_add(self.hashes.get(*row).copied().unwrap_or(0));
        }
        let mut next = gone.iter().map(|(row, _)| *row).peekable();
        *keep = Some(BooleanBuffer::collect_bool(rows, |row| next.next_if_eq(&row).is_none() && stays(keep, row)));
        Ok(())
    }

    /// Asks the filter again, of the rows that are written.
    fn check_kept(&mut self, kept: &RecordBatch, place: Place) -> Result<(), Failure> {
        if let Some((_, filter)) = self.transform.filter() {
            let again = filter.mask(kept).map_err(|error| placed(self.work, error, place, None))?;
            self.filter_check.kept_failing += (again.len() - again.true_count()) as u64;
        }
        Ok(())
    }

    fn passed(mut self, sources: Sources<'_>) -> Passed {
        let rules = &self.work.plan().rules;
        let mut checks = Vec::new();
        if let Some((rule, _)) = self.transform.filter() {
            let FilterCheck { kept_failing, removed_passing } = self.filter_check;
            checks.push(RuleCheck {
                rule: rule.to_owned(),
                checked: "no row that is kept fails it, and no row that is removed passes it".to_owned(),
                holds: kept_failing == 0 && removed_passing == 0,
                found: format!("{kept_failing} kept rows fail, {removed_passing} removed rows pass"),
            });
        }
        if let Removal::Here(duplicates) = &mut self.removal {
            duplicates.end_partition();
            checks.extend(duplicates.checks());
        }
        checks.extend(sources.notes);
        let removed = rules.iter().zip(self.removed).map(|(rule, rows)| Removed { rule: rule.id.clone(), rows });
        Passed {
            footer_rows: sources.footer_rows,
            source: self.source,
            removed: removed.collect(),
            kept: self.kept,
            spark: self.spark.map(|(_, sum)| sum),
            checks,
        }
    }
}

/// How the plan's duplicates are found in this batch.
fn removal(work: &Work<'_>, comparer: RowComparer) -> Result<Removal, Failure> {
    let plan = work.plan();
    if work.request.batch.stage.0 > 0 {
        return Losers::read(work).map(Removal::Before);
    }
    let mut removal = Removal::Nothing;
    for rule in &plan.rules {
        match (&rule.rule, &removal) {
            (Rule::Filter { .. }, _) => {}
            (Rule::DropExactDuplicates, Removal::Nothing) => {
                removal = Removal::Here(Box::new(Duplicates::new(work, &rule.id, comparer.clone())))
            }
            // A second time there is nothing to be found.
            (Rule::DropExactDuplicates, _) => {}
            (Rule::KeepOne { .. }, _) => {
                return Err(internal(
                    "preparing a batch",
                    "rows of one key are resolved in stages of their own, which the plan lacks",
                ));
            }
        }
    }
    Ok(removal)
}

/// Adds hashed rows to `sum`; without hashes, only their number.
pub(super) fn add(sum: &mut RowSum, hashes: &[u128], rows: usize) {
    sum.rows += rows as u64;
    sum.sum.0 = hashes.iter().fold(sum.sum.0, |sum, hash| sum.wrapping_add(*hash));
}

/// The positions of the rows that `mask` keeps.
pub(super) fn masked(mask: &BooleanBuffer) -> impl Iterator<Item = usize> {
    mask.set_indices()
}

/// The failure of a row that cannot be transformed, with its file and number. `keep` says which rows of the record batch
/// at `place` the transform was given.
pub(super) fn placed(work: &Work<'_>, error: TransformError, place: Place, keep: Option<&BooleanBuffer>) -> Failure {
    let row = error.row().map(|row| match keep {
        None => row,
        Some(keep) => keep.set_indices().nth(row).unwrap_or(row),
    });
    let path = work.plan().source.files.get(place.file as usize).map_or("", |file| file.path.as_str());
    let text = match row {
        Some(row) => format!("row {} of {path}", place.row + row as u64 + 1),
        None => format!("in {path}, rows from {}", place.row + 1),
    };
    error.into_failure(work.plan(), Some(&text))
}

/// The failure of a checksum that cannot be computed.
pub(super) fn refused(work: &Work<'_>, error: ChecksumError) -> Failure {
    Failure::permanent(Problem::from(error).of(&work.plan().source.dataset))
}
