//! Random small tables through all kinds of rules, against a model that knows nothing of batches, stages or files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::Int64Type;

use crate::batch::fixture::{MEMORY, Random, Warehouse, hashes, rows_of, staged, table};
use crate::checksum::RowHasher;

/// Different tables that are tried; each with all rules.
const TABLES: u64 = 12;
/// Memory for some of a table's identities: ranges are looked at in parts.
const LITTLE_MEMORY: u64 = 4_000;
/// Memory for fewer than a key's rows.
const LEAST_MEMORY: u64 = 1_000;

fn random_rows(random: &mut Random, count: usize) -> RecordBatch {
    let small = |random: &mut Random, below: u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter(
            (0..count).map(|_| random.maybe(6, |random| random.below(below).cast_signed() - 2)),
        ))
    };
    let (a, b) = (small(random, 6), small(random, 5));
    let text: ArrayRef = Arc::new(StringArray::from_iter(
        (0..count).map(|_| random.maybe(5, |random| "xyz".repeat(random.below(3) as usize))),
    ));
    table(vec![("a", a), ("b", b), ("text", text)])
}

/// The rows that are kept, by the rules' words.
struct Model {
    rows: RecordBatch,
    hashes: Vec<u128>,
    /// File and row of each.
    places: Vec<(usize, usize)>,
    kept: Vec<usize>,
}

impl Model {
    fn new(files: &[RecordBatch]) -> Self {
        let rows = concat_batches(&files[0].schema(), files).unwrap();
        let mut hashes = Vec::new();
        RowHasher::new(&rows.schema(), &[0, 1, 2, 3]).unwrap().hash(&rows, &mut hashes).unwrap();
        let places = files
            .iter()
            .enumerate()
            .flat_map(|(file, rows)| (0..rows.num_rows()).map(move |row| (file, row)))
            .collect();
        let kept = (0..rows.num_rows()).collect();
        Self { rows, hashes, places, kept }
    }

    fn number(&self, column: usize, row: usize) -> Option<i64> {
        let column = self.rows.column(column).as_primitive::<Int64Type>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn filter(&mut self) {
        let kept = self.kept.iter().copied().filter(|row| self.number(0, *row).is_some_and(|a| a > -1));
        self.kept = kept.collect();
    }

    fn drop_duplicates(&mut self) {
        let mut seen = BTreeMap::new();
        for row in &self.kept {
            let first = seen.entry(self.hashes[*row]).or_insert(*row);
            if self.places[*row] < self.places[*first] {
                *first = *row;
            }
        }
        self.kept = seen.into_values().collect();
    }

    fn keep_latest(&mut self) {
        let mut seen: BTreeMap<Option<i64>, usize> = BTreeMap::new();
        // Greatest `b` first, nulls last.
        let rank = |row: usize| {
            (self.number(1, row).is_none(), self.number(1, row).map(|b| -b), self.hashes[row], self.places[row])
        };
        for row in &self.kept {
            let best = seen.entry(self.number(0, *row)).or_insert(*row);
            if rank(*row) < rank(*best) {
                *best = *row;
            }
        }
        self.kept = seen.into_values().collect();
    }

    fn kept(&self) -> Vec<u128> {
        let kept: arrow::array::UInt32Array = self.kept.iter().map(|row| *row as u32).collect();
        hashes(&take_record_batch(&self.rows, &kept).unwrap())
    }
}

#[test]
fn random_tables_come_out_as_the_model_says() {
    const FILTER: &str = "  filter: \"a > -1\"\n";
    const DROP: &str = "{ dropDuplicates: exact }";
    const KEEP: &str = "{ keepOne: { key: [a], orderBy: [{ column: b, direction: desc }] } }";
    for seed in 0..TABLES {
        let mut random = Random(seed);
        let mut warehouse = Warehouse::new();
        let mut files = Vec::new();
        for (at, partition) in ["1", "1", "2", "3"].iter().enumerate() {
            let count = random.below(60) as usize;
            let rows = random_rows(&mut random, count);
            let group = 1 + random.below(30) as usize;
            warehouse.add_with_groups(&format!("p={partition}/f{at}"), &rows, group);
            let p: ArrayRef = Arc::new(StringArray::from(vec![*partition; count]));
            let columns = ["a", "b", "text"].into_iter().zip(rows.columns().iter().cloned());
            files.push(table(columns.chain([("p", p)]).collect()));
        }
        for filtered in [false, true] {
            for clean in [vec![], vec![DROP], vec![KEEP], vec![DROP, KEEP], vec![KEEP, DROP]] {
                let mut model = Model::new(&files);
                if filtered {
                    model.filter();
                }
                for rule in &clean {
                    if *rule == DROP { model.drop_duplicates() } else { model.keep_latest() }
                }
                let rules = format!("{}  clean: [{}]", if filtered { FILTER } else { "" }, clean.join(", "));
                let plan = warehouse.plan(&rules);
                let mut tries = vec![(plan.clone(), MEMORY)];
                if !clean.is_empty() {
                    let staged = staged(plan, 1 + random.below(5) as u32);
                    // Every part of a range is one more reading of its files: for some tables only.
                    let little = [(seed % 4 == 0, LITTLE_MEMORY), (seed == 0, LEAST_MEMORY)];
                    tries.extend(little.into_iter().filter(|(is, _)| *is).map(|(_, memory)| (staged.clone(), memory)));
                    tries.push((staged, MEMORY));
                }
                for (plan, memory) in tries {
                    let stages = plan.stages.len();
                    warehouse.memory_bytes = memory;
                    let found = rows_of(&warehouse.run(plan).files).map_or_else(Vec::new, |rows| hashes(&rows));
                    assert_eq!(found, model.kept(), "seed {seed}, {stages} stages, {memory} bytes, {rules}");
                }
            }
        }
    }
}
