use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int8Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use skein_protocol::plan::{OrderBy, Plan};

use crate::batch::fixture::{Warehouse, table};
use crate::batch::order::OrderEncoder;

fn codes(plan: &Plan, rows: &RecordBatch, order: &[(&str, bool, bool)]) -> Vec<Vec<u8>> {
    let order: Vec<OrderBy> = order
        .iter()
        .map(|(column, descending, nulls_first)| OrderBy {
            column: (*column).to_owned(),
            descending: *descending,
            nulls_first: *nulls_first,
        })
        .collect();
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    OrderEncoder::new(plan, &order).unwrap().encode(rows, &mut bytes, &mut ends).unwrap();
    let mut from = 0;
    ends.into_iter().map(|end| bytes[std::mem::replace(&mut from, end)..end].to_vec()).collect()
}

#[test]
fn codes_have_the_order_of_values() {
    // Each column ascends, with a null at its end.
    let rows = table(vec![
        (
            "yes",
            Arc::new(BooleanArray::from(vec![
                Some(false),
                Some(false),
                Some(true),
                Some(true),
                Some(true),
                Some(true),
                None,
            ])),
        ),
        ("tiny", Arc::new(Int8Array::from(vec![Some(-128), Some(-1), Some(0), Some(1), Some(2), Some(127), None]))),
        (
            "big",
            Arc::new(Int64Array::from(vec![
                Some(i64::MIN),
                Some(-256),
                Some(-1),
                Some(0),
                Some(255),
                Some(i64::MAX),
                None,
            ])),
        ),
        (
            "double",
            Arc::new(Float64Array::from(vec![
                Some(f64::NEG_INFINITY),
                Some(-1.5),
                Some(-0.0),
                Some(0.0),
                Some(f64::MAX),
                Some(-f64::NAN),
                None,
            ])),
        ),
        (
            "text",
            Arc::new(StringArray::from(vec![
                Some(""),
                Some("\0"),
                Some("\u{1}"),
                Some("a"),
                Some("a\0"),
                Some("ab"),
                None,
            ])),
        ),
        (
            "money",
            Arc::new(Decimal128Array::from(vec![Some(-1000), Some(-1), Some(0), Some(1), Some(256), Some(1000), None])),
        ),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(-1000),
                Some(-1),
                Some(0),
                Some(1),
                Some(256),
                Some(1000),
                None,
            ])),
        ),
    ]);
    let warehouse = Warehouse::new();
    warehouse.add("part-0", &rows);
    let plan = warehouse.plan("");
    for field in rows.schema().fields() {
        let name = field.name().as_str();
        let up = codes(&plan, &rows, &[(name, false, false)]);
        assert!(up.is_sorted(), "{name}");
        let down = codes(&plan, &rows, &[(name, true, true)]);
        assert!(down.iter().rev().is_sorted(), "{name}");
        assert_eq!(
            up.windows(2).filter(|pair| pair[0] == pair[1]).count(),
            if name == "yes" { 4 } else { 0 },
            "{name}"
        );
        let nulls_first = codes(&plan, &rows, &[(name, false, true)]);
        assert!(nulls_first.iter().all(|code| nulls_first[6] <= *code), "{name}");
        let nulls_last = codes(&plan, &rows, &[(name, true, false)]);
        assert!(nulls_last.iter().all(|code| nulls_last[6] >= *code), "{name}");
    }
}

#[test]
fn later_columns_decide_among_equal_ones_only() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "ab", "a", "b"]));
    let n: ArrayRef = Arc::new(Int64Array::from(vec![2, 1, 1, 0]));
    let rows = table(vec![("text", text), ("n", n)]);
    let warehouse = Warehouse::new();
    warehouse.add("part-0", &rows);
    let codes = codes(&warehouse.plan(""), &rows, &[("text", true, false), ("n", false, false)]);
    let mut order: Vec<usize> = (0..4).collect();
    order.sort_by(|one, other| codes[*one].cmp(&codes[*other]));
    assert_eq!(order, [3, 1, 2, 0]);
    assert_eq!(codes[0].cmp(&codes[0].clone()), Ordering::Equal);
}
