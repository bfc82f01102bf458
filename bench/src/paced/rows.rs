//! Rows of the paced warehouse: numbers, as lines of small files, with the sums that prove them.
//!
//! In:    rows.
//! Out:   the bytes of a staged file; count and sum.
//! Holds: what is written can be read again; the sum says which rows, not in which order.
//! Not here: files (`shared`), which rows there are (`script`).

use std::fmt::Write;

use skein_protocol::evidence::{BatchEvidence, ColumnEvidence, RowSum, SparkSum, Sum128};
use skein_protocol::hash::Hash256;
use skein_protocol::plan::Plan;

/// A number, and where it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) value: u64,
    pub(crate) file: u32,
    pub(crate) place: u32,
}

/// Rows as the lines of a file.
pub(crate) fn lines(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        writeln!(text, "{} {} {}", row.value, row.file, row.place).expect("writing into a String cannot fail");
    }
    text
}

/// The rows of a file; nothing, if it is not one of ours.
pub(crate) fn parse(text: &str) -> Option<Vec<Row>> {
    let row = |line: &str| {
        let mut words = line.split(' ');
        let row = Row {
            value: words.next()?.parse().ok()?,
            file: words.next()?.parse().ok()?,
            place: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(row)
    };
    text.lines().map(row).collect()
}

/// Count and sum of rows by their numbers.
pub(crate) fn sum(rows: &[Row]) -> RowSum {
    let mut sum = RowSum::default();
    rows.iter().for_each(|row| sum.add(half(&Hash256::of(&row.value.to_le_bytes()))));
    sum
}

/// What tells one content from another.
pub(crate) fn content(bytes: &[u8]) -> Sum128 {
    Sum128(half(&Hash256::of(bytes)))
}

fn half(hash: &Hash256) -> u128 {
    let (half, _) = hash.0.split_first_chunk::<16>().expect("a hash has 32 bytes");
    u128::from_le_bytes(*half)
}

/// The evidence of a batch that read `read` and found `found` in what it had written.
pub(crate) fn evidence(plan: &Plan, read: &[Row], found: &[Row]) -> BatchEvidence {
    let (source, found) = (sum(read), sum(found));
    BatchEvidence {
        footer_rows: Some(source.rows),
        source,
        removed: Vec::new(),
        kept: source,
        lossless_source: source,
        lossless_target: found,
        expected: source,
        found,
        columns: plan.target.columns.iter().map(|column| no_nulls(&column.name)).collect(),
        spark: plan.checks.spark64.then(|| spark(read)),
        rules: Vec::new(),
        first_difference: None,
        summed: true,
    }
}

fn no_nulls(column: &str) -> ColumnEvidence {
    ColumnEvidence {
        column: column.to_owned(),
        nulls_expected: 0,
        nulls_found: 0,
        min_expected: None,
        min_found: None,
        max_expected: None,
        max_found: None,
    }
}

/// A stand-in: nobody recomputes the sum of a paced warehouse elsewhere.
fn spark(rows: &[Row]) -> SparkSum {
    let mut spark = SparkSum::default();
    rows.iter().for_each(|row| spark.add(row.value.cast_signed()));
    spark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_again() {
        let rows = [Row { value: u64::MAX, file: 0, place: 7 }, Row { value: 1, file: 3, place: 0 }];
        assert_eq!(parse(&lines(&rows)).unwrap(), rows);
        assert_eq!(parse("1 2\n"), None);
        assert_eq!(parse("1 2 3 4\n"), None);
    }

    #[test]
    fn sums_tell_rows_apart_and_not_their_order() {
        let (one, two) = (Row { value: 1, file: 0, place: 0 }, Row { value: 2, file: 0, place: 1 });
        assert_eq!(sum(&[one, two]), sum(&[two, one]));
        assert_ne!(sum(&[one, two]), sum(&[one, one]));
        assert_ne!(content(lines(&[one]).as_bytes()), content(lines(&[two]).as_bytes()));
    }
}
