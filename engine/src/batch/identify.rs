//! The identifying stage: reads source files and writes who each row is, by range of its key's hash.
//!
//! In: source files. Out: scratch files of identities, one for each range that has any. Not here: which rows lose (`resolve`).
//! Rows that the filter removes have no identity: they never get as far.

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use skein_protocol::data_plane::{BatchResult, Failure, StagedFile, StagedKind};
use skein_protocol::evidence::{BatchEvidence, RuleCheck};

use super::identity::{Identities, Question, range_of};
use super::order::OrderEncoder;
use super::rows::{Place, Sources, masked, placed};
use super::scratch::ScratchWriter;
use super::work::Work;
use crate::checksum::RowHasher;
use crate::failure::internal;
use crate::transform::Transform;

/// Part of a batch's memory that waiting identities may take before they are written.
const WAITING_SHARE: usize = 4;

/// Runs an identifying batch.
pub(super) fn identify(work: &Work<'_>, ranges: u32) -> Result<BatchResult, Failure> {
    let transform = Transform::new(work.plan()).map_err(|error| error.into_failure(work.plan(), None))?;
    let mut identifier = Identifier::new(work, ranges)?;
    let mut kept = 0;
    let mut sources = Sources::new(work)?;
    while let Some((batch, place)) = sources.next()? {
        let (batch, rows) = match transform.filter() {
            None => (batch, None),
            Some((_, filter)) => {
                let mask = filter.mask(&batch).map_err(|error| placed(work, error, place, None))?;
                let kept = filter_record_batch(&batch, &mask)
                    .map_err(|error| internal("filtering rows", error.to_string()))?;
                (kept, Some(mask))
            }
        };
        kept += batch.num_rows() as u64;
        match rows {
            None => identifier.add(&batch, place, 0..batch.num_rows())?,
            Some(mask) => identifier.add(&batch, place, masked(mask.values()))?,
        }
    }
    let (files, identified) = identifier.finish()?;
    let check = RuleCheck {
        rule: "identify".to_owned(),
        checked: format!("each of {kept} rows that the filter keeps has one identity"),
        holds: kept == identified,
        found: format!("{identified} identities"),
    };
    Ok(BatchResult { files, evidence: BatchEvidence { rules: vec![check], ..BatchEvidence::default() } })
}

struct Identifier<'a> {
    work: &'a Work<'a>,
    question: Question<'a>,
    rows: RowHasher,
    keys: Option<(RowHasher, OrderEncoder)>,
    ranges: Vec<(Identities, Option<ScratchWriter>)>,
    waiting: usize,
    // Kept between batches for their memory.
    row_hashes: Vec<u128>,
    key_hashes: Vec<u128>,
    orders: Vec<u8>,
    order_ends: Vec<usize>,
}

impl<'a> Identifier<'a> {
    fn new(work: &'a Work<'a>, ranges: u32) -> Result<Self, Failure> {
        let plan = work.plan();
        let question = Question::of(plan)?;
        let schema = crate::types::source_schema(&plan.source.columns);
        let hasher =
            |columns: &[usize]| RowHasher::new(&schema, columns).map_err(|error| super::rows::refused(work, error));
        let all: Vec<usize> = (0..plan.source.columns.len()).collect();
        let keys = match question.key {
            None => None,
            Some(key) => {
                let position = |name: &String| plan.source.columns.iter().position(|column| column.name == *name);
                let columns: Option<Vec<usize>> = key.iter().map(position).collect();
                let columns =
                    columns.ok_or_else(|| internal("identifying rows", "a column of the key is not in the source"))?;
                Some((hasher(&columns)?, OrderEncoder::new(plan, question.order)?))
            }
        };
        Ok(Self {
            work,
            question,
            rows: hasher(&all)?,
            keys,
            ranges: (0..ranges.max(1)).map(|_| (Identities::default(), None)).collect(),
            waiting: 0,
            row_hashes: Vec::new(),
            key_hashes: Vec::new(),
            orders: Vec::new(),
            order_ends: Vec::new(),
        })
    }

    /// Adds the rows of `batch`, which are `rows` of a batch of the file that begins at `place`.
    fn add(&mut self, batch: &RecordBatch, place: Place, rows: impl Iterator<Item = usize>) -> Result<(), Failure> {
        let hashed = |error| super::rows::refused(self.work, error);
        self.rows.hash(batch, &mut self.row_hashes).map_err(hashed)?;
        if let Some((keys, order)) = &mut self.keys {
            keys.hash(batch, &mut self.key_hashes).map_err(hashed)?;
            self.orders.clear();
            self.order_ends.clear();
            order.encode(batch, &mut self.orders, &mut self.order_ends)?;
        }
        let ranges = u32::try_from(self.ranges.len()).expect("made from a u32");
        let mut order_from = 0;
        for (at, row) in rows.enumerate() {
            let row128 = self.row_hashes[at];
            let key = self.keys.is_some().then(|| {
                let from = std::mem::replace(&mut order_from, self.order_ends[at]);
                (self.key_hashes[at], &self.orders[from..order_from])
            });
            let range = range_of(key.map_or(row128, |(key, _)| key), ranges);
            self.ranges[range as usize].0.push(row128, place.file, place.row + row as u64, key);
        }
        self.waiting = self.ranges.iter().map(|(waiting, _)| waiting.bytes()).sum();
        if self.waiting > self.work.memory() / WAITING_SHARE {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let schema = self.question.schema();
        for (number, (waiting, writer)) in (0_u32..).zip(&mut self.ranges) {
            if waiting.len() == 0 {
                continue;
            }
            let writer = match writer {
                Some(writer) => writer,
                None => writer.insert(ScratchWriter::new(self.work, number, &schema)?),
            };
            let batch = waiting.take(&schema).map_err(|error| internal("writing identities", error.to_string()))?;
            writer.write(&batch)?;
        }
        self.waiting = 0;
        Ok(())
    }

    /// The files, and how many identities they have.
    fn finish(mut self) -> Result<(Vec<StagedFile>, u64), Failure> {
        self.flush()?;
        let mut files = Vec::new();
        for (range, (_, writer)) in (0_u32..).zip(self.ranges) {
            if let Some(writer) = writer {
                files.push(writer.finish(self.work, StagedKind::Identities { range })?);
            }
        }
        let identified = files.iter().map(|file| file.rows).sum();
        Ok((files, identified))
    }
}
