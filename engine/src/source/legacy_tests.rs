//! Tables that Hive's and Spark's own writers made: each format's reader against what Spark counted, and against the
//! same rows in Parquet.
//!
//! The fixture is `tests/data/legacy` of the repository; `generate.py` there says how it was made.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::Value;
use skein_protocol::connection::HiveFiles;
use skein_protocol::ids::{ConnectionName, TableName};
use skein_protocol::inspection::{Inspection, TargetState};
use skein_protocol::plan::{BatchInput, Plan, PlanSource};
use skein_protocol::problem::Code;

use super::read::tests::{disk, plan_of};
use super::{HiveSource, read_input};

const DATABASE: &str = "radio";
/// Changes of one file that are tried.
const MUTATIONS: usize = 300;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/legacy")
}

fn inspect(root: &Path, table: &str) -> Inspection {
    let text = |path: &str| root.join(path).display().to_string();
    let config =
        HiveFiles { warehouse: text("warehouse"), description: Some(text("metastore.json")), ..HiveFiles::at("") };
    let target = TargetState { location: String::new(), occupied_by: None };
    HiveSource::new(ConnectionName::from("legacy"), config, disk())
        .inspect(&TableName::new(DATABASE, table), target)
        .unwrap()
}

fn plan(seen: Inspection) -> Plan {
    assert!(seen.problems.is_empty(), "{:?}", seen.problems);
    plan_of(PlanSource {
        connection: seen.connection,
        dataset: seen.dataset,
        location: seen.location,
        format: seen.format.unwrap(),
        described_by: seen.described_by,
        columns: seen.columns,
        files: seen.files,
    })
}

fn batches(plan: &Plan) -> Vec<RecordBatch> {
    let files = 0..u32::try_from(plan.source.files.len()).unwrap();
    files
        .flat_map(|file| {
            let reader = read_input(&disk(), plan, &BatchInput { file, row_groups: None }, 50).unwrap();
            let promised = reader.footer_rows();
            let all: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
            let rows: usize = all.iter().map(RecordBatch::num_rows).sum();
            assert_eq!(promised.unwrap_or(rows as u64), rows as u64);
            all
        })
        .collect()
}

/// The text of a map with its entries sorted: writers keep them in any order.
fn sorted(value: String) -> String {
    let Some(inner) = value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else { return value };
    let mut entries: Vec<&str> = inner.split(", ").collect();
    entries.sort_unstable();
    format!("{{{}}}", entries.join(", "))
}

/// Each row's values as text, by the columns' names; all rows sorted.
fn rows(batches: &[RecordBatch]) -> Vec<BTreeMap<String, String>> {
    let options = FormatOptions::default().with_null("null");
    let mut all = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        let columns: Vec<(&String, ArrayFormatter<'_>)> = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| (field.name(), ArrayFormatter::try_new(array, &options).unwrap()))
            .collect();
        for row in 0..batch.num_rows() {
            let value = |(name, values): &(&String, ArrayFormatter<'_>)| {
                ((*name).clone(), sorted(values.value(row).to_string()))
            };
            all.push(columns.iter().map(value).collect());
        }
    }
    all.sort();
    all
}

/// The same rows with some columns only.
fn only(rows: &[BTreeMap<String, String>], names: &BTreeMap<String, String>) -> Vec<BTreeMap<String, String>> {
    let of_row = |row: &BTreeMap<String, String>| {
        row.iter()
            .filter(|(name, _)| names.contains_key(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let mut rows: Vec<_> = rows.iter().map(of_row).collect();
    rows.sort();
    rows
}

#[test]
fn every_format_gives_the_rows_and_nulls_that_spark_counted() {
    let facts: Value = serde_json::from_slice(&std::fs::read(fixture().join("facts.json")).unwrap()).unwrap();
    for table in
        ["airings", "airings_orc", "airings_avro", "airings_json", "airings_opencsv", "airings_bz2", "later_orc"]
    {
        let batches = batches(&plan(inspect(&fixture(), table)));
        let facts = &facts[table];
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(Some(rows as u64), facts["rows"].as_u64(), "{table}");
        for (index, field) in batches[0].schema().fields().iter().enumerate() {
            let nulls: usize = batches.iter().map(|batch| batch.column(index).null_count()).sum();
            assert_eq!(Some(nulls as u64), facts["nulls"][field.name()].as_u64(), "{table}.{}", field.name());
        }
    }
}

#[test]
fn orc_avro_json_and_packed_text_give_the_rows_that_parquet_gives() {
    let parquet = rows(&batches(&plan(inspect(&fixture(), "airings"))));
    for table in ["airings_orc", "airings_json", "airings_bz2", "airings_avro"] {
        let mut read = rows(&batches(&plan(inspect(&fixture(), table))));
        let mut expected = only(&parquet, &read[0]);
        if table == "airings_avro" {
            // Hive's timestamps in Avro end with the millisecond.
            for row in expected.iter_mut().chain(&mut read) {
                let at = row.get_mut("aired_at").unwrap();
                at.truncate("1969-12-31T23:59:59.999".len());
                *at = at.trim_end_matches(".000").to_owned();
            }
            (expected, read) = (only(&expected, &parquet[0]), only(&read, &parquet[0]));
        }
        if table == "airings_bz2" {
            // Text without escapes cannot tell the string \N from a null, for no reader.
            expected.iter_mut().filter(|row| row["jingle"] == "\\N").for_each(|row| {
                row.insert("jingle".to_owned(), "null".to_owned());
            });
            expected.sort();
        }
        assert_eq!(read.len(), expected.len(), "{table}");
        for (row, expected) in read.iter().zip(&expected) {
            assert_eq!(row, expected, "{table}");
        }
    }
}

#[test]
fn formats_without_a_reader_are_refused_by_name() {
    for (table, name) in [("airings_rc", "RCFile"), ("airings_seq", "SequenceFile")] {
        let problems = inspect(&fixture(), table).problems;
        assert!(problems.iter().any(|p| p.code == Code::FormatUnsupported && p.what.contains(name)), "{problems:?}");
    }
}

/// Pseudo-random numbers that are the same in every run.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

#[test]
fn changed_bytes_fail_with_a_code_or_are_read_and_never_panic() {
    for table in ["airings_orc", "airings_avro", "airings"] {
        let plan = plan(inspect(&fixture(), table));
        let path = Path::new(&plan.source.location).join(&plan.source.files[0].path);
        let whole = std::fs::read(path).unwrap();
        let (mut state, mut refused) = (7, 0);
        for _ in 0..MUTATIONS {
            let folder = tempfile::tempdir().unwrap();
            let mut bytes = whole.clone();
            if next(&mut state).is_multiple_of(10) {
                bytes.truncate(next(&mut state) % whole.len());
            }
            for _ in 0..=next(&mut state) % 3 {
                let at = next(&mut state) % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(next(&mut state) % 256).unwrap();
                }
            }
            let mut plan = plan.clone();
            std::fs::write(folder.path().join("f"), &bytes).unwrap();
            plan.source.location = folder.path().display().to_string();
            let identity = super::fingerprint::Identity::at(&folder.path().join("f")).unwrap();
            let file = &mut plan.source.files[0];
            file.path = "f".to_owned();
            (file.bytes, file.modified_nanos, file.version) =
                (identity.bytes, identity.modified_nanos, identity.version);
            let read = std::panic::catch_unwind(AssertUnwindSafe(|| {
                let reader = read_input(&disk(), &plan, &BatchInput { file: 0, row_groups: None }, 1_000)?;
                reader.collect::<Result<Vec<_>, _>>()
            }));
            let read = read.unwrap_or_else(|_| panic!("{table}: a panic came through"));
            if let Err(failure) = read {
                refused += 1;
                let codes = [Code::FileDamaged, Code::FormatUnsupported, Code::SchemaConflict, Code::ValueInvalid];
                assert!(codes.contains(&failure.problem.code), "{table}: {failure}");
            }
        }
        assert!(refused > MUTATIONS / 4, "{table}: only {refused} of {MUTATIONS} were noticed");
    }
}
