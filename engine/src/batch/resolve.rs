//! The resolving stage: of the rows of one range of keys, finds those that lose.
//!
//! In: identities of one range, from all files. Out: one scratch file of losing rows, if there are any. Holds: what "the
//! first" means. Not here: leaving rows out (`rows`).
//!
//! Whole rows are taken for equal if their `row128` is: here no row is at hand to compare values with. Among 10^9 rows
//! that no adversary made, two different ones share a hash with a chance of about 10^-21.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::datatypes::{SchemaRef, UInt32Type, UInt64Type};
use skein_protocol::data_plane::{BatchResult, Failure, StagedFile, StagedKind};
use skein_protocol::evidence::{BatchEvidence, RuleCheck};

use super::duplicates::distinct;
use super::identity::Question;
use super::scratch::{self, ScratchWriter};
use super::work::Work;
use crate::failure::internal;

mod heavy;

/// Memory that an identity takes here beside its order, bytes: two hashes, file, row, where its order ends, its position, the
/// check's copies, the losing row.
const IDENTITY_BYTES: usize = 16 + 16 + 4 + 8 + 8 + 4 + 2 * 16 + 24;
/// Most parts of a range that are looked at one after the other. Whatever does not fit then has few keys with many rows.
pub(super) const MOST_PARTS: u32 = 1 << 12;

/// Runs a resolving batch.
pub(super) fn resolve(work: &Work<'_>) -> Result<BatchResult, Failure> {
    let question = Question::of(work.plan())?;
    let range = work.batch()?.range.ok_or_else(|| internal("resolving a range", "the batch has no range"))?;
    let of_range = |file: &&StagedFile| file.kind == StagedKind::Identities { range };
    let files: Vec<&StagedFile> = work.request.prior.iter().filter(of_range).collect();
    let (schema, rows) = (question.schema(), files.iter().map(|file| file.rows).sum::<u64>());
    let range = Range { work, question, files, schema };
    let mut outcome = Outcome { keys: Keys::default(), losers: LoserFile::default() };
    let mut parts = Part::all_of(rows, work.memory());
    while let Some(part) = parts.pop() {
        work.cancel.check()?;
        match range.gather(part)? {
            Some(identities) => {
                let sorted = identities.sorted();
                let mut losing = Losing::default();
                outcome.keys.add(&identities.judge(&range.question, &sorted, &mut losing));
                outcome.losers.write(work, losing)?;
            }
            None if part.of < MOST_PARTS => parts.extend(part.halves()),
            None => heavy::resolve(&range, part, &mut outcome)?,
        }
    }
    let check = outcome.keys.check(work, &range.question);
    let file = outcome.losers.finish(work, work.batch()?.range.unwrap_or_default())?;
    Ok(BatchResult {
        files: file.into_iter().collect(),
        evidence: BatchEvidence { rules: vec![check], ..BatchEvidence::default() },
    })
}

/// The identities of a range, and what is asked about them.
pub(super) struct Range<'a> {
    pub(super) work: &'a Work<'a>,
    pub(super) question: Question<'a>,
    files: Vec<&'a StagedFile>,
    schema: SchemaRef,
}

/// What became of a range so far.
pub(super) struct Outcome {
    pub(super) keys: Keys,
    pub(super) losers: LoserFile,
}

/// The keys of a range whose hashes end alike: a range that does not fit into memory is looked at part by part, and each part
/// costs one more reading of the range's files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Number of the parts, a power of two.
    pub(super) of: u32,
    number: u32,
}

impl Part {
    /// The parts of a range of `rows` rows, if their orders take little memory.
    fn all_of(rows: u64, memory: usize) -> Vec<Self> {
        let needed = usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(IDENTITY_BYTES).div_ceil(memory.max(1));
        let of = u32::try_from(needed).unwrap_or(MOST_PARTS).clamp(1, MOST_PARTS).next_power_of_two();
        (0..of).rev().map(|number| Self { of, number }).collect()
    }

    fn halves(self) -> [Self; 2] {
        let of = self.of * 2;
        [Self { of, number: self.number + self.of }, Self { of, number: self.number }]
    }

    /// Whether a key belongs to it. Ranges are cut by the hashes' other half.
    pub(super) fn has(self, key: u128) -> bool {
        key as u32 & (self.of - 1) == self.number
    }
}

/// One identity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) key: u128,
    pub(super) order: &'a [u8],
    pub(super) row128: u128,
    pub(super) file: u32,
    pub(super) row: u64,
}

impl Range<'_> {
    /// All identities of a part; nothing if they do not fit into memory.
    fn gather(&self, part: Part) -> Result<Option<Gathered>, Failure> {
        let (mut identities, mut fits) = (Gathered::default(), true);
        for file in &self.files {
            if !fits {
                break;
            }
            self.scan(file, part, |identity| {
                if fits {
                    identities.add(identity);
                    fits = identities.bytes() <= self.work.memory() && identities.file.len() < u32::MAX as usize;
                }
                Ok(())
            })?;
        }
        Ok(fits.then_some(identities))
    }

    /// Shows the identities of a part, file by file.
    pub(super) fn each(
        &self,
        part: Part,
        mut take: impl FnMut(Identity<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.files.iter().try_for_each(|file| self.scan(file, part, &mut take))
    }

    fn scan(
        &self,
        file: &StagedFile,
        part: Part,
        mut take: impl FnMut(Identity<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        scratch::read(self.work, file, &self.schema, |batch| {
            let row128: &FixedSizeBinaryArray = batch.column(0).as_fixed_size_binary();
            let files = batch.column(1).as_primitive::<UInt32Type>().values();
            let rows = batch.column(2).as_primitive::<UInt64Type>().values();
            let keyed = (batch.num_columns() > 3)
                .then(|| (batch.column(3).as_fixed_size_binary(), batch.column(4).as_binary::<i32>()));
            for at in 0..batch.num_rows() {
                let hash = hash_at(row128, at);
                let (key, order) =
                    keyed.map_or((hash, &[][..]), |(keys, orders)| (hash_at(keys, at), orders.value(at)));
                if part.has(key) {
                    take(Identity { key, order, row128: hash, file: files[at], row: rows[at] })?;
                }
            }
            Ok(())
        })
    }
}

fn hash_at(column: &FixedSizeBinaryArray, at: usize) -> u128 {
    u128::from_be_bytes(column.value(at).try_into().expect("the schema says sixteen bytes"))
}

/// All identities of a part.
#[derive(Default)]
struct Gathered {
    row128: Vec<u128>,
    file: Vec<u32>,
    row: Vec<u64>,
    key: Vec<u128>,
    orders: Vec<u8>,
    order_ends: Vec<usize>,
}

impl Gathered {
    fn add(&mut self, identity: Identity<'_>) {
        self.row128.push(identity.row128);
        self.file.push(identity.file);
        self.row.push(identity.row);
        self.key.push(identity.key);
        self.orders.extend_from_slice(identity.order);
        self.order_ends.push(self.orders.len());
    }

    fn bytes(&self) -> usize {
        self.file.len() * IDENTITY_BYTES + self.orders.len()
    }

    fn order(&self, at: u32) -> &[u8] {
        let at = at as usize;
        let from = if at == 0 { 0 } else { self.order_ends[at - 1] };
        &self.orders[from..self.order_ends[at]]
    }

    /// Positions in the order of keys, then of the rule, then of `row128`, file and row.
    fn sorted(&self) -> Vec<u32> {
        let mut sorted: Vec<u32> = (0..self.file.len() as u32).collect();
        sorted.sort_unstable_by(|one, other| {
            let place = |at: u32| (self.row128[at as usize], self.file[at as usize], self.row[at as usize]);
            let by_key = self.key[*one as usize].cmp(&self.key[*other as usize]);
            by_key.then_with(|| self.order(*one).cmp(self.order(*other))).then_with(|| place(*one).cmp(&place(*other)))
        });
        sorted
    }

    /// Finds the losing rows.
    fn judge(&self, question: &Question<'_>, sorted: &[u32], losing: &mut Losing) -> Keys {
        let mut winners = Vec::new();
        let mut before: Option<usize> = None;
        for at in sorted.iter().map(|at| *at as usize) {
            let same_key = before.is_some_and(|before| self.key[before] == self.key[at]);
            // Rows that are equal have the same order, so they stand side by side.
            let same_row = before.is_some_and(|before| self.row128[before] == self.row128[at]);
            let reason = match (question.keyed, question.exact) {
                (_, Some(exact)) if same_key && same_row && question.exact_first() => Some(exact),
                (Some(keyed), _) if same_key => Some(keyed),
                _ => None,
            };
            match reason {
                Some(rule) => losing.push(self.file[at], self.row[at], rule),
                None => winners.push(self.key[at]),
            }
            before = Some(at);
        }
        let mut keys = self.key.clone();
        Keys {
            rows: self.file.len(),
            keys: distinct(&mut keys),
            winning_keys: distinct(&mut winners),
            winners: winners.len(),
            losers: losing.row.len(),
        }
    }
}

/// What the rule's own check compares.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) rows: usize,
    /// Different keys of all rows, counted by sorting them alone.
    pub(super) keys: u64,
    /// Different keys of the rows that win.
    pub(super) winning_keys: u64,
    pub(super) winners: usize,
    pub(super) losers: usize,
}

impl Keys {
    /// Adds those of another part, which has other keys.
    pub(super) fn add(&mut self, part: &Self) {
        self.rows += part.rows;
        self.keys += part.keys;
        self.winning_keys += part.winning_keys;
        self.winners += part.winners;
        self.losers += part.losers;
    }

    fn check(&self, work: &Work<'_>, question: &Question<'_>) -> RuleCheck {
        let rule = question.keyed.or(question.exact).and_then(|position| work.plan().rules.get(position));
        let holds = self.keys == self.winning_keys
            && self.keys == self.winners as u64
            && self.winners + self.losers == self.rows;
        RuleCheck {
            rule: rule.map_or_else(String::new, |rule| rule.id.clone()),
            checked: format!(
                "each of {} keys among {} rows has one row that is kept: none twice, none missing",
                self.keys, self.rows
            ),
            holds,
            found: format!("{} rows with {} keys are kept, {} are not", self.winners, self.winning_keys, self.losers),
        }
    }
}

/// Losing rows with the number of the rule.
#[derive(Default)]
pub(super) struct Losing {
    file: Vec<u32>,
    row: Vec<u64>,
    rule: Vec<u32>,
}

impl Losing {
    pub(super) fn push(&mut self, file: u32, row: u64, rule: usize) {
        self.file.push(file);
        self.row.push(row);
        self.rule.push(u32::try_from(rule).expect("a plan has few rules"));
    }

    pub(super) fn len(&self) -> usize {
        self.file.len()
    }
}

/// The file of losing rows, if there are any.
#[derive(Default)]
pub(super) struct LoserFile(Option<ScratchWriter>);

impl LoserFile {
    /// Writes some of them, in the order of files and rows.
    pub(super) fn write(&mut self, work: &Work<'_>, losing: Losing) -> Result<(), Failure> {
        if losing.file.is_empty() {
            return Ok(());
        }
        let mut sorted: Vec<u32> = (0..losing.file.len() as u32).collect();
        sorted.sort_unstable_by_key(|at| (losing.file[*at as usize], losing.row[*at as usize]));
        let schema = scratch::losers_schema();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(sorted.iter().map(|at| losing.file[*at as usize]))),
            Arc::new(UInt64Array::from_iter_values(sorted.iter().map(|at| losing.row[*at as usize]))),
            Arc::new(UInt32Array::from_iter_values(sorted.iter().map(|at| losing.rule[*at as usize]))),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)
            .map_err(|error| internal("writing losing rows", error.to_string()))?;
        let writer = match &mut self.0 {
            Some(writer) => writer,
            none => none.insert(ScratchWriter::new(work, 0, &schema)?),
        };
        writer.write(&batch)
    }

    fn finish(self, work: &Work<'_>, range: u32) -> Result<Option<StagedFile>, Failure> {
        self.0.map(|writer| writer.finish(work, StagedKind::Losers { range })).transpose()
    }
}
