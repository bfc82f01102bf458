//! How much of what a dataset holds.
//!
//! In:    the dataset's letter, a scale.
//! Out:   counts of tables, partitions, files and rows.
//! Holds: A scales by rows and B by tables, since a table's size is what B is about.
//! Not here: the values of the rows.

use clap::ValueEnum;
use serde::Serialize;

/// Rows of A at full size.
const A_ROWS: u64 = 10_000_000;
/// Tables of B at full size, and rows of each.
const B_TABLES: u32 = 1_500;
const B_ROWS: u64 = 10_000;
/// Titles to choose from: what makes a row of each dataset as large as it should be.
const A_TITLES: u64 = 45_000;
const B_TITLES: u64 = 4_000;
/// One row in so many is an exact copy of another one of its partition.
const ONE_DUPLICATE_IN: u64 = 50;

/// The two datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dataset {
    /// One large table.
    A,
    /// Many small tables.
    B,
}

/// What will be written.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shape {
    /// Which dataset this is a scaled form of.
    pub(crate) dataset: Dataset,
    /// Same seed, same rows.
    pub(crate) seed: u64,
    /// How many tables.
    pub(crate) tables: u32,
    /// Rows of each table, duplicates included.
    pub(crate) rows_per_table: u64,
    /// Days that each table is partitioned by.
    pub(crate) partitions: u32,
    /// Files of each partition.
    pub(crate) files_per_partition: u32,
    /// One row in so many is a copy.
    pub(crate) one_duplicate_in: u64,
    /// Different titles.
    pub(crate) titles: u64,
}

impl Shape {
    /// The dataset at a share of its full size.
    pub(crate) fn of(dataset: Dataset, scale: f64, seed: u64) -> Self {
        let share = |full: f64| (full * scale).round().max(1.0);
        let (tables, rows_per_table, partitions, files_per_partition, titles) = match dataset {
            Dataset::A => (1, share(A_ROWS as f64) as u64, 30, 2, A_TITLES),
            Dataset::B => (share(f64::from(B_TABLES)) as u32, B_ROWS, 3, 1, B_TITLES),
        };
        let one_duplicate_in = ONE_DUPLICATE_IN;
        Self { dataset, seed, tables, rows_per_table, partitions, files_per_partition, one_duplicate_in, titles }
    }

    /// The table's name inside the database.
    pub(crate) fn table_name(&self, table: u32) -> String {
        match self.dataset {
            Dataset::A => "playlists".to_owned(),
            Dataset::B => format!("playlists_{table:04}"),
        }
    }

    /// Rows of one partition: the first partitions take what does not divide evenly.
    pub(crate) fn rows_of_partition(&self, partition: u32) -> u64 {
        even_share(self.rows_per_table, self.partitions, partition)
    }

    /// The row numbers of one file of a partition.
    pub(crate) fn rows_of_file(&self, partition: u32, file: u32) -> std::ops::Range<u64> {
        let rows = self.rows_of_partition(partition);
        let start = (0..file).map(|f| even_share(rows, self.files_per_partition, f)).sum();
        start..start + even_share(rows, self.files_per_partition, file)
    }
}

fn even_share(total: u64, shares: u32, which: u32) -> u64 {
    total / u64::from(shares) + u64::from(u64::from(which) < total % u64::from(shares))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_all_partitions_hold_every_row_once() {
        let mut shape = Shape::of(Dataset::A, 0.000_123_7, 1);
        shape.files_per_partition = 3;
        let mut rows = 0;
        for partition in 0..shape.partitions {
            let mut next = 0;
            for file in 0..shape.files_per_partition {
                let range = shape.rows_of_file(partition, file);
                assert_eq!(range.start, next);
                next = range.end;
            }
            assert_eq!(next, shape.rows_of_partition(partition));
            rows += next;
        }
        assert_eq!(rows, shape.rows_per_table);
    }

    #[test]
    fn b_scales_by_tables_and_keeps_their_size() {
        let small = Shape::of(Dataset::B, 0.01, 1);
        assert_eq!((small.tables, small.rows_per_table), (15, B_ROWS));
    }
}
