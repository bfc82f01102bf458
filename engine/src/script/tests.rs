use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use skein_protocol::plan::SqlCheck;

use super::{check_sql, run_script};
use crate::batch::fixture::{Warehouse, hashes, rows_of, table};

const MEMORY: usize = 64 << 20;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Rows in two partitions, with duplicates, keys that recur, nulls and padded texts.
fn warehouse() -> Warehouse {
    let warehouse = Warehouse::new();
    for (file, partition) in [("a", "1"), ("b", "1"), ("a", "2")] {
        let from = if file == "b" { 20 } else { 0 };
        let n: ArrayRef = Arc::new(Int64Array::from_iter((from..from + 40).map(|n| (n % 9 > 0).then_some(n % 13))));
        let at: ArrayRef =
            Arc::new(Int64Array::from_iter((from..from + 40).map(|n| (n % 7 > 0).then_some(n * 31 % 5))));
        let text: ArrayRef = Arc::new(StringArray::from_iter_values((from..from + 40).map(|n| format!("{}", n % 4))));
        warehouse.add(&format!("p={partition}/{file}"), &table(vec![("n", n), ("at", at), ("text", text)]));
    }
    warehouse
}

#[test]
fn the_script_of_every_kind_of_rule_gives_the_rows_of_the_run() {
    let warehouse = warehouse();
    for rules in [
        "",
        "  filter: \"n > 2 and (at is null or at < 4)\"",
        "  clean: [{ dropDuplicates: exact }]",
        "  clean: [{ keepOne: { key: [n], orderBy: [{ column: at, direction: desc, nulls: first }] } }]",
        "  clean: [{ dropDuplicates: exact }, { keepOne: { key: [n, p], orderBy: [{ column: at }, { column: text, direction: desc }] } }]",
        "  filter: \"length(text) = 1\"\n  clean: [{ keepOne: { key: [text], orderBy: [] } }]",
        "  schema:\n    add: [{ name: note, type: string, default: \"it's\" }, { name: day, type: date, default: 2024-02-29 }, { name: at2, type: timestamp, default: \"2024-01-31T12:00:00\" }, { name: nothing, type: float }]\n    rename: [{ from: n, to: \"a \\\"name\\\"\" }]\n    drop: [at]\n    cast: [{ column: text, type: \"decimal(10,2)\" }]",
        "  schema: { cast: [{ column: text, type: int }, { column: n, type: double }, { column: at, type: string }] }",
    ] {
        let plan = warehouse.plan(rules);
        let script = plan.script.clone();
        let outcome =
            runtime().block_on(run_script(&script, MEMORY)).unwrap_or_else(|failure| panic!("{failure}\n{script}"));
        let ran = rows_of(&warehouse.run(plan).files).unwrap();
        let target = concat_batches(&outcome.schema, &outcome.target).unwrap();
        assert_eq!(target.num_columns(), ran.num_columns(), "{script}");
        assert_eq!(hashes(&target), hashes(&ran), "{rules}\n{script}");
        assert_eq!(outcome.checks.len(), 2);
        assert_eq!(outcome.checks[1][0].column(1).as_primitive::<Int64Type>().value(0), target.num_rows() as i64);
    }
}

#[test]
fn a_script_reads_delimited_text_by_its_options() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("day=01")).unwrap();
    std::fs::write(folder.path().join("day=01/part"), "a|1\n\\N|2\nb\\|c|\n").unwrap();
    let script = format!(
        "CREATE EXTERNAL TABLE source STORED AS HIVE LOCATION '{}' OPTIONS ('columns' '\"t\" string, \"n\" int', 'partition_columns' '\"day\" string', \
         'format' 'text', 'separators' '124,2,3', 'escape' '92', 'null_text' '\\N');\nCREATE TABLE target AS SELECT \"t\", \"n\", \"day\", \"_row\" FROM source;",
        folder.path().display()
    );
    let outcome = runtime().block_on(run_script(&script, MEMORY)).unwrap();
    let rows = concat_batches(&outcome.schema, &outcome.target).unwrap();
    assert_eq!(rows.column(0).as_string::<i32>(), &StringArray::from(vec![Some("a"), None, Some("b|c")]));
    assert_eq!(rows.column(2).as_string::<i32>().value(0), "01");
    assert_eq!(rows.column(3).as_primitive::<Int64Type>().values(), &[0, 1, 2]);
}

#[test]
fn a_script_that_fails_says_in_which_statement() {
    let failure = runtime()
        .block_on(run_script("CREATE TABLE target AS SELECT 1 AS a; SELECT b FROM target;", MEMORY))
        .unwrap_err();
    assert!(failure.problem.what.contains("SELECT b FROM target"), "{failure}");
    let failure = runtime().block_on(run_script("SELECT 1", MEMORY)).unwrap_err();
    assert!(failure.problem.what.contains("table that the script makes"), "{failure}");
}

#[test]
fn checks_are_evaluated_over_all_rows_and_say_what_they_found() {
    let n: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None]));
    let rows: RecordBatch = table(vec![("n", n)]);
    let schema = rows.schema();
    let open = Arc::new(move || Ok(Box::new(vec![Ok(rows.slice(0, 2)), Ok(rows.slice(2, 1))].into_iter()) as Box<_>));
    let checks = |texts: &[&str]| -> Vec<(bool, String)> {
        let checks: Vec<SqlCheck> =
            texts.iter().map(|sql| SqlCheck { name: "check".to_owned(), sql: (*sql).to_owned() }).collect();
        let verdicts = runtime().block_on(check_sql(&checks, &schema, open.clone(), MEMORY)).unwrap();
        verdicts.into_iter().map(|verdict| (verdict.holds, verdict.found)).collect()
    };
    let found = checks(&[
        "count(*) = 3",
        "count(CASE WHEN \"n\" IS NULL THEN 1 END) = 0",
        "sum(\"n\") = 3 AND max(\"n\") < 3",
        "min(NULL) > 1",
    ]);
    assert_eq!(found.iter().map(|(holds, _)| *holds).collect::<Vec<_>>(), [true, false, true, false]);
    assert_eq!((found[1].1.as_str(), found[3].1.as_str()), ("false", "null"));
    let mixed = checks(&["count(*) = 3", "sum(\"m\") = 1", "count(*)"]);
    assert_eq!(mixed.iter().map(|(holds, _)| *holds).collect::<Vec<_>>(), [true, false, false]);
    assert!(mixed[1].1.contains('m') && mixed[2].1.contains("neither true nor false"), "{mixed:?}");
    assert!(checks(&[]).is_empty());
}
