//! `row128` of a whole file equals what the independent implementation computed from the same file.

use serde_json::Value;
use skein_protocol::evidence::RowSum;

use super::{all, json, parquet};
use crate::checksum::RowHasher;

fn assert_sum(found: RowSum, expected: &Value, of: &str) {
    assert_eq!(found.rows, expected["rows"].as_u64().unwrap(), "{of}");
    assert_eq!(found.sum.to_string(), expected["sum"].as_str().unwrap(), "{of}");
}

#[test]
fn every_type_of_the_sample_has_the_sum_that_the_independent_implementation_gives_it() {
    let (sample, golden) = (parquet("spark64/sample.parquet"), json("row128/golden.json"));
    let mut hasher = RowHasher::new(sample.schema_ref(), &all(&sample)).unwrap();
    let mut sum = RowSum::default();
    hasher.add(&sample, &mut sum).unwrap();
    assert_sum(sum, &golden["sample"]["all"], "all columns");

    let mut sums = vec![RowSum::default(); sample.num_columns()];
    hasher.add_each(&sample, &mut sums).unwrap();
    for (field, sum) in sample.schema_ref().fields().iter().zip(sums) {
        assert_sum(sum, &golden["sample"]["columns"][field.name()], field.name());
    }
}

#[test]
fn batches_add_up_to_their_table() {
    let sample = parquet("spark64/sample.parquet");
    let mut hasher = RowHasher::new(sample.schema_ref(), &all(&sample)).unwrap();
    let (mut whole, mut parts) = (RowSum::default(), RowSum::default());
    hasher.add(&sample, &mut whole).unwrap();
    for from in (0..sample.num_rows()).step_by(50) {
        let mut part = RowSum::default();
        hasher.add(&sample.slice(from, 50.min(sample.num_rows() - from)), &mut part).unwrap();
        parts.merge(&part);
    }
    assert_eq!(parts, whole);
}
