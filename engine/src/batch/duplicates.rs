//! Exact duplicates within a batch: the first of equal rows is kept.
//!
//! In: rows with their `row128`, in the order of files and rows. Out: which rows repeat an earlier one of their partition.
//! Holds: the set of hashes of one partition of the source, and as many of its rows as the memory allows. Not here:
//! duplicates that may lie in any batch (`identify`, `resolve`).
//!
//! A row is found by its `row128`, an XXH3-128 of an injective encoding. Whether it equals the row that was found is then
//! looked up in the rows themselves while these are in memory: the rows of a partition are held until half of the
//! batch's memory is taken. Beyond that, equal 128-bit hashes alone decide: among 10^9 rows that no adversary made, two
//! different ones share a hash with a chance of about 10^-21. How many rows were compared in which way is
//! part of the evidence. Two unequal rows with one hash, should they ever be met, stop the batch: no row is dropped for them.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{interleave_record_batch, take_record_batch};
use hashbrown::HashTable;
use skein_protocol::data_plane::Failure;
use skein_protocol::evidence::RuleCheck;

use super::work::Work;
use crate::checksum::RowComparer;
use crate::failure::internal;

/// Part of a batch's memory that held rows may take.
const HELD_SHARE: usize = 2;

/// Finds repeated rows of one partition after the other.
#[derive(Debug)]
pub(super) struct Duplicates {
    /// The rule's id.
    pub(super) rule: String,
    /// Hashes of the kept rows of the partition, in the order in which they were kept.
    hashes: Vec<u128>,
    /// Positions in `hashes`.
    places: HashTable<u32>,
    /// The kept rows from the first on, until memory is short.
    held: Vec<RecordBatch>,
    /// Position of the first row of each held batch.
    held_from: Vec<usize>,
    held_bytes: usize,
    held_most: usize,
    /// Rows of this batch that repeat one: the row, and the position of the one it repeats.
    repeated: Vec<(u32, u32)>,
    comparer: RowComparer,
    compared: u64,
    by_hash_alone: u64,
    kept: u64,
    distinct: u64,
}

impl Duplicates {
    /// Duplicates by `rule`; `comparer` is over all columns of the source.
    pub(super) fn new(work: &Work<'_>, rule: &str, comparer: RowComparer) -> Self {
        Self {
            rule: rule.to_owned(),
            hashes: Vec::new(),
            places: HashTable::new(),
            held: Vec::new(),
            held_from: Vec::new(),
            held_bytes: 0,
            held_most: work.memory() / HELD_SHARE,
            repeated: Vec::new(),
            comparer,
            compared: 0,
            by_hash_alone: 0,
            kept: 0,
            distinct: 0,
        }
    }

    /// A partition of about `rows` rows begins: rows of another one cannot equal its rows, their partition columns differ.
    pub(super) fn begin_partition(&mut self, rows: u64) {
        self.end_partition();
        // A hint: footers may lie, and memory is not taken for what is not there.
        let rows = usize::try_from(rows).unwrap_or(0).min(self.held_most / size_of::<u128>());
        self.hashes.reserve(rows);
        self.places.reserve(rows, |_| 0);
    }

    /// Counts how many different rows the partition has kept, from the list and not from the set, and forgets it.
    pub(super) fn end_partition(&mut self) {
        self.kept += self.hashes.len() as u64;
        self.distinct += distinct(&mut self.hashes);
        self.hashes.clear();
        self.places.clear();
        self.held.clear();
        self.held_from.clear();
        self.held_bytes = 0;
    }

    /// Whether the row `row` of the present batch is the first with its `hash`.
    #[inline]
    pub(super) fn is_first(&mut self, row: usize, hash: u128) -> bool {
        let hashes = &self.hashes;
        let same = |place: &u32| hashes[*place as usize] == hash;
        let entry = self.places.entry(hash as u64, same, |place| hashes[*place as usize] as u64);
        match entry {
            hashbrown::hash_table::Entry::Occupied(entry) => {
                self.repeated.push((row as u32, *entry.get()));
                false
            }
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert(
                    u32::try_from(hashes.len()).expect("a batch has fewer than 2^32 rows: the plan cuts long before"),
                );
                self.hashes.push(hash);
                true
            }
        }
    }

    /// After the rows of `batch` were looked up: `kept` are those that were first. Holds them, and compares the others
    /// with what they repeat.
    pub(super) fn end_batch(&mut self, batch: &RecordBatch, kept: &RecordBatch) -> Result<(), Failure> {
        let from = self.hashes.len() - kept.num_rows();
        let contiguous =
            self.held_from.last().map_or(0, |last| last + self.held.last().map_or(0, RecordBatch::num_rows)) == from;
        let bytes = kept.get_array_memory_size();
        if contiguous && self.held_bytes + bytes <= self.held_most {
            self.held_bytes += bytes;
            self.held_from.push(from);
            self.held.push(kept.clone());
        }
        let repeated = std::mem::take(&mut self.repeated);
        let held_rows =
            self.held_from.last().map_or(0, |last| last + self.held.last().map_or(0, RecordBatch::num_rows));
        let (here, gone): (Vec<_>, Vec<_>) =
            repeated.iter().copied().partition(|(_, place)| (*place as usize) < held_rows);
        self.by_hash_alone += gone.len() as u64;
        self.compared += here.len() as u64;
        let compared = self.compare(batch, &here);
        self.repeated = repeated;
        self.repeated.clear();
        compared
    }

    fn compare(&mut self, batch: &RecordBatch, pairs: &[(u32, u32)]) -> Result<(), Failure> {
        if pairs.is_empty() {
            return Ok(());
        }
        let broken = |why: String| internal("comparing duplicate rows", why);
        let rows: UInt32Array = pairs.iter().map(|(row, _)| *row).collect();
        let repeated = take_record_batch(batch, &rows).map_err(|error| broken(error.to_string()))?;
        let places: Vec<(usize, usize)> = pairs
            .iter()
            .map(|(_, place)| {
                let place = *place as usize;
                let held = self.held_from.partition_point(|from| *from <= place) - 1;
                (held, place - self.held_from[held])
            })
            .collect();
        let held: Vec<&RecordBatch> = self.held.iter().collect();
        let first = interleave_record_batch(&held, &places).map_err(|error| broken(error.to_string()))?;
        match self.comparer.first_unequal(&first, &repeated) {
            Ok(None) => Ok(()),
            Ok(Some(row)) => Err(broken(format!(
                "two different rows have one row128 (the second is row {} of a record batch)",
                pairs[row].0
            ))),
            Err(error) => Err(broken(error.to_string())),
        }
    }

    /// The rule's own checks, after the last partition.
    pub(super) fn checks(&self) -> [RuleCheck; 2] {
        let (kept, distinct) = (self.kept, self.distinct);
        [
            RuleCheck {
                rule: self.rule.clone(),
                checked: format!("each of {kept} kept rows is different from all others of its partition"),
                holds: kept == distinct,
                found: format!("{distinct} different rows"),
            },
            RuleCheck {
                rule: self.rule.clone(),
                checked: format!(
                    "each removed row equals a kept one ({} compared value by value, {} by row128 alone)",
                    self.compared, self.by_hash_alone
                ),
                holds: true,
                found: String::new(),
            },
        ]
    }
}

/// How many different numbers `hashes` has; sorts them.
pub(super) fn distinct(hashes: &mut [u128]) -> u64 {
    hashes.sort_unstable();
    let repeats = hashes.windows(2).filter(|pair| pair[0] == pair[1]).count();
    (hashes.len() - repeats) as u64
}
