//! `spark64` equals what Spark 3.5.9 computed (`tests/data/spark64/generate.py`), row by row and in sum.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, StringArray};
use arrow::datatypes::Int64Type;
use serde_json::Value;
use skein_protocol::evidence::SparkSum;
use skein_protocol::types::DataType;

use super::look_alikes::{bigint, binary, boolean, date, decimal, double, grid, int, list, structure, text, timestamp};
use super::{all, batch, data, json, parquet, row128, spark64};
use crate::checksum::{SparkHasher, spark_query};

/// The sample's columns as a Hive metastore would describe them.
const COLUMNS: &[(&str, &str)] = &[
    ("rid", "int"),
    ("i", "int"),
    ("b", "bigint"),
    ("d", "double"),
    ("m", "decimal(18,4)"),
    ("s", "string"),
    ("dd", "date"),
    ("ts", "timestamp"),
    ("arr", "array<int>"),
    ("mp", "map<string,bigint>"),
    ("st", "struct<x:int,y:string>"),
    ("bo", "boolean"),
    ("ti", "tinyint"),
    ("si", "smallint"),
    ("f", "float"),
    ("bin", "binary"),
    ("dt", "string"),
    ("nothing", "int"),
    ("m5", "decimal(5,2)"),
    ("m18", "decimal(18,0)"),
    ("m19", "decimal(19,2)"),
    ("m38", "decimal(38,10)"),
    ("old_date", "date"),
    ("old_ts", "timestamp"),
    ("texts", "array<string>"),
    ("doubles", "array<double>"),
    ("grid", "array<array<int>>"),
    ("by_int", "map<int,string>"),
    ("by_double", "map<double,boolean>"),
    ("by_decimal", "map<decimal(20,2),date>"),
    ("by_binary", "map<binary,timestamp>"),
    ("by_struct", "map<struct<p:int,q:string>,tinyint>"),
    ("maps", "array<map<string,int>>"),
    ("inner_map", "struct<a:int,m:map<string,array<int>>>"),
    ("map_of_maps", "map<string,map<int,int>>"),
    ("deep", "struct<p:struct<q:string,r:timestamp>,w:decimal(38,0)>"),
    ("odd `name", "int"),
];

fn assert_sum(found: SparkSum, expected: &Value, of: &str) {
    assert_eq!(found.rows.to_string(), expected["rows"].as_str().unwrap(), "{of}");
    assert_eq!(found.sum.to_string(), expected["sum"].as_str().unwrap(), "{of}");
}

#[test]
fn spark_s_documented_example_has_its_documented_hash() {
    let rows = batch(vec![text("Spark"), list(Arc::new(Int32Array::from(vec![123]))), int(2)]);
    assert_eq!(spark64(&rows), [5_602_566_077_635_097_486]);
}

#[test]
fn every_value_of_every_type_has_spark_s_hash() {
    let (sample, expected) = (parquet("spark64/sample.parquet"), parquet("spark64/expected.parquet"));
    assert_eq!(sample["rid"].as_ref(), expected["rid"].as_ref());
    let names: Vec<&str> = sample.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, COLUMNS.iter().map(|column| column.0).collect::<Vec<_>>());
    for name in &names[1..] {
        let hashes = spark64(&batch(vec![sample[*name].clone()]));
        assert_eq!(hashes, expected[*name].as_primitive::<Int64Type>().values().to_vec(), "{name}");
    }
    let hashes = spark64(&sample);
    assert_eq!(hashes, expected["all columns"].as_primitive::<Int64Type>().values().to_vec());
}

#[test]
fn sums_equal_those_that_spark_s_sql_gives() {
    let (sample, sums) = (parquet("spark64/sample.parquet"), json("spark64/sums.json"));
    let sum_over = |columns: &[usize]| {
        let mut sum = SparkSum::default();
        SparkHasher::new(sample.schema_ref(), columns).unwrap().add(&sample, &mut sum).unwrap();
        sum
    };
    for (name, expected) in sums["columns"].as_object().unwrap() {
        assert_sum(sum_over(&[sample.schema_ref().index_of(name).unwrap()]), expected, name);
    }
    assert_sum(sum_over(&all(&sample)), &sums["all"], "all columns");
    // What Spark printed for the very text that the next test compares.
    assert_sum(sum_over(&all(&sample)), &sums["query"], "the query");
    assert_sum(SparkSum::default(), &sums["query_of_no_rows"], "the query over no rows");
}

#[test]
fn the_query_for_outsiders_is_the_one_that_spark_ran() {
    let types: Vec<DataType> = COLUMNS.iter().map(|column| column.1.parse().unwrap()).collect();
    let query = spark_query("music", "every_type", COLUMNS.iter().map(|column| column.0).zip(&types)).unwrap();
    assert_eq!(query, std::fs::read_to_string(data("spark64/query.sql")).unwrap().trim_end());
    assert_eq!(spark_query("music", "nothing", []), None);
}

#[test]
fn char_columns_are_hashed_and_queried_without_the_spaces_at_their_end() {
    let padded: ArrayRef = Arc::new(StringArray::from(vec![Some("ab    "), None, Some("    "), Some(" a b")]));
    let plain: ArrayRef = Arc::new(StringArray::from(vec![Some("ab"), None, Some(""), Some(" a b")]));
    let hashes = |column: &ArrayRef| {
        let rows = batch(vec![int_rows(), column.clone()]);
        let mut hashes = Vec::new();
        let hasher = SparkHasher::new(rows.schema_ref(), &[0, 1]).unwrap();
        hasher.with_char_columns(&[1]).hash(&rows, &mut hashes).unwrap();
        hashes
    };
    assert_eq!(hashes(&padded), hashes(&plain));
    assert_eq!(hashes(&padded), spark64(&batch(vec![int_rows(), plain])));
    assert_ne!(hashes(&padded), spark64(&batch(vec![int_rows(), padded])));
    let query = spark_query("d", "t", [("c", &DataType::Char { length: 6 })]).unwrap();
    assert!(query.contains("xxhash64(\n    rtrim(`c`)\n"), "{query}");
}

fn int_rows() -> ArrayRef {
    Arc::new(Int32Array::from(vec![1, 2, 3, 4]))
}

#[test]
fn what_spark64_cannot_see_is_as_the_page_says() {
    let same = |one: Vec<ArrayRef>, two: Vec<ArrayRef>| {
        assert_ne!(row128(&batch(one.clone())), row128(&batch(two.clone())));
        assert_eq!(spark64(&batch(one)), spark64(&batch(two)));
    };
    let ints = |items: &[Option<i32>]| list(Arc::new(Int32Array::from(items.to_vec())));
    let null_in_struct = structure(true, vec![int(None)]);
    same(vec![int(1), int(None)], vec![int(None), int(1)]);
    same(vec![ints(&[])], vec![int(None)]);
    same(vec![ints(&[None])], vec![ints(&[])]);
    same(vec![null_in_struct], vec![structure(false, vec![int(7)])]);
    same(vec![grid(&[Some(&[1]), Some(&[2])])], vec![grid(&[Some(&[1, 2])])]);
    same(vec![ints(&[Some(1), Some(2)])], vec![int(1), int(2)]);
    same(vec![double(0.0)], vec![double(-0.0)]);
    same(vec![boolean(true)], vec![int(1)]);
    same(vec![date(5)], vec![int(5)]);
    same(vec![timestamp(5)], vec![bigint(5)]);
    same(vec![decimal(18, 2, 100)], vec![bigint(100)]);
    same(vec![decimal(38, 0, 100)], vec![decimal(38, 2, 100)]);
    same(vec![text("1234")], vec![int(i32::from_le_bytes(*b"1234"))]);
    same(vec![text("abc")], vec![binary(b"abc")]);

    let different = |one: ArrayRef, two: ArrayRef| assert_ne!(spark64(&batch(vec![one])), spark64(&batch(vec![two])));
    different(int(5), bigint(5));
    different(decimal(18, 0, 5), decimal(19, 0, 5));
    assert_ne!(spark64(&batch(vec![text("ab"), text("c")])), spark64(&batch(vec![text("a"), text("bc")])));
}
