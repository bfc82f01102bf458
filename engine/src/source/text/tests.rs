//! Tests of whole lines against the arrays that they become.

use std::fs::File;
use std::io::Write;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal128Type, Int32Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::files::Opened;

fn columns(types: &[&str]) -> Vec<SourceColumn> {
    let column = |(index, text): (usize, &&str)| SourceColumn {
        name: format!("c{index}"),
        data_type: text.parse().unwrap(),
        partition: false,
    };
    types.iter().enumerate().map(column).collect()
}

fn reader(text: &[u8], types: &[&str], format: &TextFormat) -> TextReader {
    TextReader::new(
        Box::new(io::Cursor::new(text.to_vec())),
        &columns(types),
        Record::Delimited(format.clone()),
        format.skip_header_lines,
    )
}

fn read(text: &str, types: &[&str], format: &TextFormat) -> (RecordBatch, Vec<Unparsable>) {
    let mut reader = reader(text.as_bytes(), types, format);
    let batch = reader.next_batch(1000).unwrap().unwrap();
    assert!(reader.next_batch(1000).unwrap().is_none());
    let tallies = reader.unparsable().to_vec();
    (batch, tallies)
}

/// Every value as text, columns first.
fn shown(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("null");
    let column = |array: &ArrayRef| {
        let formatter = ArrayFormatter::try_new(array, &options).unwrap();
        (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
    };
    batch.columns().iter().map(column).collect()
}

fn csv() -> TextFormat {
    TextFormat { separators: vec![b',', b';', b':', 4, 5, 6, 7, 8], escape: Some(b'\\'), ..TextFormat::default() }
}

#[test]
fn nulls_empty_strings_missing_and_extra_fields_are_told_apart() {
    let (batch, tallies) = read("1,a,2\n\\N,\\N\n3,\n,x,1,extra\n\nx,\\\\N,-1\n", &["int", "string", "bigint"], &csv());
    let expected: [&[&str]; 3] = [
        &["1", "null", "3", "null", "null", "null"],
        &["a", "null", "", "x", "null", "\\N"],
        &["2", "null", "null", "1", "null", "-1"],
    ];
    assert_eq!(shown(&batch), expected);
    assert_eq!(tallies[0], Unparsable { nulled: 1, shortened: 0 });
    assert_eq!(batch.column(1).null_count(), 2);
}

#[test]
fn every_simple_type_is_read() {
    let types = [
        "boolean",
        "tinyint",
        "smallint",
        "float",
        "double",
        "decimal(6,2)",
        "char(4)",
        "varchar(3)",
        "binary",
        "date",
        "timestamp",
    ];
    let text = "TRUE,-128,32767,1.5,-0.0,12.345,ab,äöüß,YWI=,1969-12-31,1970-01-01 00:00:00.000001\nyes,128,40000,x,NaN,12345.6,abcde,abc,ä,1969-02-30,now\n";
    let (batch, tallies) = read(text, &types, &csv());
    let values = shown(&batch);
    let first: Vec<&str> = values.iter().map(|column| column[0].as_str()).collect();
    assert_eq!(
        first,
        [
            "true",
            "-128",
            "32767",
            "1.5",
            "-0.0",
            "12.35",
            "ab  ",
            "äöü",
            "6162",
            "1969-12-31",
            "1970-01-01T00:00:00.000001"
        ]
    );
    let second: Vec<&str> = values.iter().map(|column| column[1].as_str()).collect();
    assert_eq!(second, ["null", "null", "null", "null", "NaN", "null", "abcd", "abc", "c3a4", "null", "null"]);
    let nulled: Vec<u64> = tallies.iter().map(|tally| tally.nulled).collect();
    assert_eq!(nulled, [1, 1, 1, 1, 0, 1, 0, 0, 0, 1, 1]);
    let shortened: Vec<u64> = tallies.iter().map(|tally| tally.shortened).collect();
    assert_eq!(shortened, [0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0]);
    assert_eq!(batch.column(5).as_primitive::<Decimal128Type>().precision(), 6);
}

#[test]
fn nested_values_use_the_deeper_separators() {
    let types = ["array<int>", "map<string,bigint>", "struct<x:int,y:array<string>>", "array<map<string,int>>"];
    let text = "1\u{2}\\N\u{2}3\u{1}k\u{3}1\u{2}l\u{3}\\N\u{2}k\u{3}9\u{1}7\u{2}a\u{3}b\u{1}p\u{4}1\u{3}q\u{4}2\u{2}\n\\N\u{1}\\N\u{1}\\N\u{1}\\N\n\u{1}\u{1}\u{1}\n";
    let (batch, tallies) = read(text, &types, &TextFormat::default());
    let values = shown(&batch);
    assert_eq!(values[0], ["[1, null, 3]", "null", "[]"]);
    assert_eq!(values[1], ["{k: 1, l: null}", "null", "{}"]);
    assert_eq!(values[2], ["{x: 7, y: [a, b]}", "null", "{x: null, y: null}"]);
    assert_eq!(values[3], ["[{p: 1, q: 2}, {}]", "null", "[]"]);
    assert_eq!(tallies[1].nulled, 1, "the second k");
    assert_eq!(batch.column(0).as_list::<i32>().values().as_primitive::<Int32Type>().null_count(), 1);
}

#[test]
fn batches_are_bounded_and_headers_skipped() {
    let format = TextFormat { skip_header_lines: 1, ..csv() };
    let mut reader = reader(b"i\n1\n2\n3\n", &["int"], &format);
    let rows: Vec<usize> = std::iter::from_fn(|| reader.next_batch(2).unwrap()).map(|batch| batch.num_rows()).collect();
    assert_eq!(rows, [2, 1]);
}

#[test]
fn the_last_column_may_take_the_rest() {
    let format = TextFormat { last_column_takes_rest: true, ..csv() };
    let (batch, _) = read("1,a,b\n", &["int", "string"], &format);
    assert_eq!(shown(&batch)[1], ["a,b"]);
}

#[test]
fn strings_that_are_not_utf8_are_refused_with_their_place() {
    let mut reader = reader(b"1,a\n2,\xff\n", &["int", "string"], &csv());
    let error = reader.next_batch(10).unwrap_err();
    assert_eq!(error.to_string(), "column \"c1\" of line 2 is not UTF-8");
}

#[test]
fn packed_text_is_unpacked_by_its_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part-0");
    let mut encoder = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
    encoder.write_all(b"1\n2\n").unwrap();
    encoder.finish().unwrap();
    let mut reader = TextReader::new(
        open(&Opened::local(File::open(&path).unwrap()).unwrap(), "part-0").unwrap(),
        &columns(&["int"]),
        Record::Delimited(csv()),
        0,
    );
    assert_eq!(reader.next_batch(10).unwrap().unwrap().num_rows(), 2);
}
