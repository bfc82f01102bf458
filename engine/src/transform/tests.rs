use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType as ArrowType, Date32Type, Decimal128Type, Field, Float64Type, Int32Type};

use super::{RowFilter, cast};

fn cast_to(to: ArrowType, values: ArrayRef) -> Result<ArrayRef, String> {
    cast::cast(&Field::new("c", to, true), &values).map_err(|error| error.to_string())
}

#[test]
fn casts_round_and_cut_as_plans_announce() {
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![1.9, -1.9]));
    assert_eq!(cast_to(ArrowType::Int32, doubles).unwrap().as_primitive::<Int32Type>().values(), &[1, -1]);
    let money: ArrayRef =
        Arc::new(Decimal128Array::from(vec![12_345, -12_355]).with_precision_and_scale(10, 3).unwrap());
    assert_eq!(
        cast_to(ArrowType::Decimal128(10, 2), money).unwrap().as_primitive::<Decimal128Type>().values(),
        &[1235, -1236]
    );
    let large: ArrayRef = Arc::new(Int64Array::from(vec![(1 << 53) + 1]));
    assert_eq!(
        cast_to(ArrowType::Float64, large).unwrap().as_primitive::<Float64Type>().value(0),
        9_007_199_254_740_992.0
    );
    let days: ArrayRef = Arc::new(StringArray::from(vec![Some("1969-12-31"), None, Some("0001-01-01")]));
    assert_eq!(cast_to(ArrowType::Date32, days).unwrap().as_primitive::<Date32Type>().value(2), -719_162);
}

#[test]
fn what_does_not_fit_never_becomes_null() {
    let cases: Vec<(ArrowType, ArrayRef)> = vec![
        (ArrowType::Int32, Arc::new(Int64Array::from(vec![1, 1 << 40]))),
        (ArrowType::Int32, Arc::new(Float64Array::from(vec![1.0, f64::NAN]))),
        (ArrowType::Int32, Arc::new(StringArray::from(vec!["1", "1.0"]))),
        (ArrowType::Boolean, Arc::new(StringArray::from(vec!["true", "perhaps"]))),
        (ArrowType::Decimal128(4, 2), Arc::new(Float64Array::from(vec![1.0, 1e10]))),
        (ArrowType::Decimal128(4, 2), Arc::new(StringArray::from(vec!["1", "1.005"]))),
        (ArrowType::Decimal128(4, 2), Arc::new(StringArray::from(vec!["1", "1e-3"]))),
        (ArrowType::Decimal128(4, 2), Arc::new(StringArray::from(vec!["1", "100.00"]))),
    ];
    for (to, values) in cases {
        let refused = cast_to(to.clone(), Arc::clone(&values)).unwrap_err();
        assert!(refused.starts_with("column c: "), "{refused}");
        assert!(cast_to(to, values.slice(0, 1)).is_ok());
    }
}

#[test]
fn digits_that_say_nothing_do_no_harm() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1.50000", "2", "0.1"]));
    let cast = cast_to(ArrowType::Decimal128(4, 2), texts).unwrap();
    assert_eq!(cast.as_primitive::<Decimal128Type>().values(), &[150, 200, 10]);
}

#[test]
fn padding_is_trimmed_at_the_end_only() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(" a  "), None, Some("b"), Some("   ")]));
    let trimmed = cast::trim(&Field::new("c", ArrowType::Utf8, true), &texts).unwrap();
    assert_eq!(trimmed.as_string::<i32>(), &StringArray::from(vec![Some(" a"), None, Some("b"), Some("")]));
}

#[test]
fn filters_treat_null_as_false_and_must_be_boolean() {
    let n: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let batch = RecordBatch::try_from_iter_with_nullable([("n", n, true)]).unwrap();
    let mask = |sql: &str| RowFilter::new("filter", sql, &batch.schema()).map(|filter| filter.mask(&batch).unwrap());
    let kept = |sql: &str| -> Vec<usize> { mask(sql).unwrap().values().set_indices().collect() };
    assert_eq!(kept("\"n\" > 1"), [2]);
    assert_eq!(kept("\"n\" IS NULL OR \"n\" < 2"), [0, 1]);
    assert_eq!(kept("NULL"), [0; 0]);
    assert_eq!(kept("abs(\"n\" - 2) = 1"), [0, 2]);
    assert!(mask("\"n\" + 1").is_err());
    assert!(mask("\"m\" = 1").is_err());
    assert!(mask("\"n\" >").is_err());
}
