use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use skein_protocol::problem::Code;

use crate::batch::fixture::{Warehouse, hashes, rows_of, staged, table};

/// Rows with their number as `id`, so that it is seen which ones were kept.
fn numbered(n: &[i32], text: &[Option<&str>]) -> RecordBatch {
    table(vec![("n", Arc::new(Int32Array::from(n.to_vec()))), ("text", Arc::new(StringArray::from(text.to_vec())))])
}

fn ids(found: &RecordBatch, column: &str) -> Vec<i64> {
    let mut ids = found.column_by_name(column).unwrap().as_primitive::<Int64Type>().values().to_vec();
    ids.sort_unstable();
    ids
}

#[test]
fn the_filter_keeps_rows_for_which_it_is_true_and_its_sums_account_for_all() {
    let warehouse = Warehouse::new();
    let n: ArrayRef = Arc::new(Int64Array::from_iter((0..100).map(|n| (n % 10 > 0).then_some(n))));
    warehouse.add("part-0", &table(vec![("n", n)]));
    let ran = warehouse.run(warehouse.plan("  filter: \"n % 3 = 0\""));
    let expected: Vec<i64> = (0..100).filter(|n| n % 10 > 0 && n % 3 == 0).collect();
    assert_eq!(ids(&rows_of(&ran.files).unwrap(), "n"), expected);
    let evidence = &ran.results[0].evidence;
    assert_eq!(evidence.removed.len(), 1);
    assert_eq!((evidence.removed[0].rule.as_str(), evidence.removed[0].rows.rows), ("filter", 70));
    assert!(evidence.rules.iter().any(|rule| rule.rule == "filter" && rule.holds));
}

#[test]
fn an_expression_that_fails_says_on_which_row() {
    let warehouse = Warehouse::new();
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values((0..40).map(|n| 30 - n)));
    warehouse.add("part-0", &table(vec![("n", n)]));
    let failure = warehouse.try_run(&Arc::new(warehouse.plan("  filter: \"60 / n > 1\""))).err().unwrap();
    assert_eq!(failure.code(), Code::ExpressionFailed);
    assert!(failure.problem.why.contains("row 31 of part-0"), "{failure}");
}

#[test]
fn exact_duplicates_are_dropped_within_their_partition_and_across_its_files() {
    let warehouse = Warehouse::new();
    let one = numbered(&[1, 2, 1, 3], &[Some("a"), None, Some("a"), Some("")]);
    let two = numbered(&[2, 3, 1], &[None, None, Some("a")]);
    warehouse.add("day=1/a", &one).add("day=1/b", &two).add("day=2/a", &two);
    let ran = warehouse.run(warehouse.plan("  clean: [{ dropDuplicates: exact }]"));
    let evidence = &ran.results[0].evidence;
    assert_eq!((evidence.source.rows, evidence.kept.rows), (10, 7));
    assert_eq!((evidence.removed[0].rule.as_str(), evidence.removed[0].rows.rows), ("clean[0]", 3));
    let checks: Vec<&str> = evidence.rules.iter().map(|rule| rule.checked.as_str()).collect();
    assert!(
        checks.iter().any(|checked| checked.contains("3 compared value by value, 0 by row128 alone")),
        "{checks:?}"
    );
    assert!(checks.iter().any(|checked| checked.contains("each of 7 rows in the files is different")), "{checks:?}");
    let found = rows_of(&ran.files).unwrap();
    let unique = hashes(&found);
    assert!(unique.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn nan_equals_nan_and_minus_zero_is_no_zero() {
    let warehouse = Warehouse::new();
    let other_nan = f64::from_bits(0x7FF8_0000_0000_0001);
    let values: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 0.0, -0.0, other_nan, 0.0]));
    warehouse.add("part-0", &table(vec![("x", values)]));
    for plan in [
        warehouse.plan("  clean: [{ dropDuplicates: exact }]"),
        staged(warehouse.plan("  clean: [{ dropDuplicates: exact }]"), 3),
    ] {
        assert_eq!(rows_of(&warehouse.run(plan).files).unwrap().num_rows(), 3);
    }
}

#[test]
fn duplicates_are_found_in_stages_as_in_one() {
    let warehouse = Warehouse::new();
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values((0..300).map(|n| n * n % 97)));
    let m: ArrayRef = Arc::new(Int64Array::from_iter((0..300).map(|n| (n % 5 > 0).then_some(n % 3))));
    let rows = table(vec![("n", n), ("m", m)]);
    warehouse
        .add_with_groups("p=1/a", &rows, 70)
        .add_with_groups("p=1/b", &rows.slice(100, 150), 40)
        .add("p=2/a", &rows.slice(0, 50));
    let rules = "  filter: \"n > 3\"\n  clean: [{ dropDuplicates: exact }]";
    let one = warehouse.run(warehouse.plan(rules));
    let one_rows = hashes(&rows_of(&one.files).unwrap());
    let stages = warehouse.run(staged(warehouse.plan(rules), 4));
    assert_eq!(hashes(&rows_of(&stages.files).unwrap()), one_rows);
    let removed = |results: &[skein_protocol::data_plane::BatchResult]| -> (u64, u64, u128) {
        let rules = results.iter().flat_map(|result| &result.evidence.removed);
        rules.fold((0, 0, 0), |(filtered, dropped, sum), removed| match removed.rule.as_str() {
            "filter" => (filtered + removed.rows.rows, dropped, sum),
            _ => (filtered, dropped + removed.rows.rows, removed.rows.sum.0.wrapping_add(sum)),
        })
    };
    assert_eq!(removed(&one.results), removed(&stages.results));
}

#[test]
fn one_row_of_each_key_is_kept_by_the_order() {
    let warehouse = Warehouse::new();
    let key: ArrayRef =
        Arc::new(StringArray::from(vec![Some("a"), Some("a"), None, Some("b"), None, Some("a"), Some("b")]));
    let at: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), Some(9), None, Some(-1), Some(3), None, Some(-7)]));
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..7));
    warehouse.add_with_groups("part-0", &table(vec![("k", key), ("at", at), ("id", id)]), 2);
    for (order, expected) in [
        ("{ column: at, direction: desc }", [1, 3, 4]),
        ("{ column: at, direction: asc }", [0, 4, 6]),
        ("{ column: at, direction: desc, nulls: first }", [2, 3, 5]),
        ("{ column: at, nulls: first }, { column: id }", [2, 5, 6]),
        ("{ column: id, direction: desc }", [4, 5, 6]),
    ] {
        let plan = warehouse.plan(&format!("  clean: [{{ keepOne: {{ key: [k], orderBy: [{order}] }} }}]"));
        assert_eq!(plan.stages.len(), 3);
        let ran = warehouse.run(plan);
        assert_eq!(ids(&rows_of(&ran.files).unwrap(), "id"), expected, "{order}");
        let stages = warehouse
            .run(staged(warehouse.plan(&format!("  clean: [{{ keepOne: {{ key: [k], orderBy: [{order}] }} }}]")), 5));
        assert_eq!(ids(&rows_of(&stages.files).unwrap(), "id"), expected, "{order}");
        let keys: Vec<&str> = stages
            .all
            .iter()
            .flat_map(|result| &result.evidence.rules)
            .filter(|rule| rule.rule == "clean[0]")
            .map(|rule| rule.found.as_str())
            .collect();
        assert!(
            keys.iter().any(|found| found.starts_with("1 rows with 1 keys are kept")
                || found.starts_with("2 rows with 2 keys")
                || found.starts_with("3 rows")),
            "{keys:?}"
        );
    }
}

#[test]
fn ties_break_by_row128_and_then_by_file_and_row() {
    let warehouse = Warehouse::new();
    let rows = |names: &[&str]| {
        let key: ArrayRef = Arc::new(Int32Array::from(vec![1; names.len()]));
        table(vec![("k", key), ("name", Arc::new(StringArray::from(names.to_vec())))])
    };
    let (one, two) = (rows(&["c", "a", "b", "b"]), rows(&["b", "a", "d"]));
    warehouse.add("f1", &one).add("f2", &two);
    let all = concat_batches(&one.schema(), [&one, &two]).unwrap();
    let ran = warehouse.run(warehouse.plan("  clean: [{ keepOne: { key: [k], orderBy: [] } }]"));
    let found = rows_of(&ran.files).unwrap();
    assert_eq!(found.num_rows(), 1);
    assert_eq!(hashes(&found)[0], hashes(&all)[0]);
}

#[test]
fn duplicates_dropped_before_a_key_are_accounted_to_their_rule() {
    let warehouse = Warehouse::new();
    let key: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 1, 2, 2, 3]));
    let at: ArrayRef = Arc::new(Int64Array::from(vec![7, 7, 8, 4, 4, 5]));
    warehouse.add("part-0", &table(vec![("k", key), ("at", at)]));
    let keep = "{ keepOne: { key: [k], orderBy: [{ column: at, direction: desc }] } }";
    let removed = |rules: &str| -> Vec<(String, u64)> {
        let ran = warehouse.run(warehouse.plan(rules));
        assert_eq!(ids(&rows_of(&ran.files).unwrap(), "at"), [4, 5, 8]);
        ran.results[0].evidence.removed.iter().map(|removed| (removed.rule.clone(), removed.rows.rows)).collect()
    };
    let both = removed(&format!("  clean: [{{ dropDuplicates: exact }}, {keep}]"));
    assert_eq!(both, [("clean[0]".to_owned(), 2), ("clean[1]".to_owned(), 1)]);
    let after = removed(&format!("  clean: [{keep}, {{ dropDuplicates: exact }}]"));
    assert_eq!(after, [("clean[0]".to_owned(), 3), ("clean[1]".to_owned(), 0)]);
}
