//! Tests of columns that differ from their description.

use arrow::array::{BinaryArray, Decimal128Array, Float32Array, Int32Array, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{Field, Int32Type};

use super::super::calendar::days_from_civil;
use super::*;

const PROLEPTIC: WriterCalendar =
    WriterCalendar { julian_dates: false, julian_timestamps: false, julian_int96: false, int96_zone: None };

fn convert(array: ArrayRef, to: &str, calendar: &WriterCalendar, int96: bool) -> Result<ArrayRef, String> {
    let to: DataType = to.parse().unwrap();
    let adapter = Adapter::plan(array.data_type(), &to, &RowsContext { calendar, int96 })?;
    let converted = adapter.apply(&array, &mut 0).map_err(|error| error.to_string())?;
    assert_eq!(converted.data_type(), &arrow_type(&to));
    Ok(converted)
}

fn plain(array: impl Array + 'static, to: &str) -> Result<ArrayRef, String> {
    convert(Arc::new(array), to, &PROLEPTIC, false)
}

#[test]
fn wider_types_keep_every_value() {
    assert_eq!(plain(Int32Array::from(vec![Some(-1), None]), "bigint").unwrap().len(), 2);
    assert_eq!(
        plain(Float32Array::from(vec![0.1]), "double")
            .unwrap()
            .as_primitive::<arrow::datatypes::Float64Type>()
            .value(0),
        f64::from(0.1_f32)
    );
    let decimals = || Decimal128Array::from(vec![1_234]).with_precision_and_scale(9, 2).unwrap();
    let value = |to: &str| plain(decimals(), to).unwrap().as_primitive::<arrow::datatypes::Decimal128Type>().value(0);
    assert_eq!((value("decimal(18,2)"), value("decimal(18,4)")), (1_234, 123_400));
    assert_eq!(plain(BinaryArray::from_vec(vec![b"ab"]), "string").unwrap().as_string::<i32>().value(0), "ab");
    assert!(plain(BinaryArray::from_vec(vec![b"\xff"]), "string").is_err());
    assert_eq!(plain(StringArray::from(vec!["ab"]), "binary").unwrap().as_binary::<i32>().value(0), b"ab");
}

#[test]
fn what_could_lose_values_is_refused_before_reading() {
    let decimals = Decimal128Array::from(vec![1]).with_precision_and_scale(18, 4).unwrap();
    for to in ["decimal(18,2)", "decimal(10,4)", "double", "string"] {
        assert!(plain(decimals.clone(), to).unwrap_err().contains("without loss"), "{to}");
    }
    assert!(plain(StringArray::from(vec!["1"]), "int").is_err());
    assert!(plain(arrow::array::Int64Array::from(vec![1]), "int").is_err());
    assert!(plain(Int32Array::from(vec![1]), "float").is_err());
}

#[test]
fn unmarked_small_integers_are_checked_one_by_one() {
    assert!(plain(Int32Array::from(vec![127]), "tinyint").is_ok());
    assert!(plain(Int32Array::from(vec![128]), "tinyint").is_err());
    assert!(plain(Int32Array::from(vec![-32_768]), "smallint").is_ok());
}

#[test]
fn char_is_padded_and_varchar_cut_as_hive_shows_them() {
    let text = || Arc::new(StringArray::from(vec![Some("c9"), None, Some("äbcdef"), Some("abcd")])) as ArrayRef;
    let strings = |to: &str| {
        let mut shortened = 0;
        let adapter =
            Adapter::plan(&ArrowType::Utf8, &to.parse().unwrap(), &RowsContext { calendar: &PROLEPTIC, int96: false })
                .unwrap();
        let array = adapter.apply(&text(), &mut shortened).unwrap();
        (array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>(), shortened)
    };
    let owned = |texts: [Option<&str>; 4]| texts.map(|text| text.map(str::to_owned)).to_vec();
    assert_eq!(strings("char(4)"), (owned([Some("c9  "), None, Some("äbcd"), Some("abcd")]), 1));
    assert_eq!(strings("varchar(5)"), (owned([Some("c9"), None, Some("äbcde"), Some("abcd")]), 1));
}

#[test]
fn columns_that_need_nothing_are_passed_on_without_a_copy() {
    let strings: ArrayRef = Arc::new(StringArray::from(vec!["c9", "d1"]));
    for to in ["string", "char(2)", "varchar(9)"] {
        let same = convert(Arc::clone(&strings), to, &PROLEPTIC, false).unwrap();
        assert_eq!(same.as_string::<i32>().values().as_ptr(), strings.as_string::<i32>().values().as_ptr(), "{to}");
    }
}

#[test]
fn julian_days_keep_their_labels_only_where_the_writer_was_julian() {
    let julian = WriterCalendar { julian_dates: true, julian_timestamps: true, julian_int96: true, int96_zone: None };
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![Some(-171_595), None, Some(0)]));
    let read = |calendar| {
        convert(Arc::clone(&dates), "date", calendar, false)
            .unwrap()
            .as_primitive::<arrow::datatypes::Date32Type>()
            .value(0)
    };
    assert_eq!(read(&julian), days_from_civil(1500, 3, 1));
    assert_eq!(read(&PROLEPTIC), -171_595);
    let day = 86_400_000_000;
    let stamps: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![-171_595 * day + 7]));
    let only_int96 = WriterCalendar { julian_int96: true, ..PROLEPTIC };
    let read = |calendar, int96| {
        convert(Arc::clone(&stamps), "timestamp", calendar, int96)
            .unwrap()
            .as_primitive::<TimestampMicrosecondType>()
            .value(0)
    };
    assert_eq!(read(&only_int96, true), i64::from(days_from_civil(1500, 3, 1)) * day + 7);
    assert_eq!(read(&only_int96, false), -171_595 * day + 7);
}

#[test]
fn timestamps_of_any_unit_and_zone_become_microseconds_of_a_wall_clock() {
    let value = |array: ArrayRef, calendar: &WriterCalendar, int96| {
        convert(array, "timestamp", calendar, int96)
            .map(|array| array.as_primitive::<TimestampMicrosecondType>().value(0))
    };
    let nanos = |value| Arc::new(TimestampNanosecondArray::from(vec![value])) as ArrayRef;
    assert_eq!(value(nanos(1_999), &PROLEPTIC, false), Ok(1));
    assert_eq!(value(nanos(-1), &PROLEPTIC, false), Ok(-1));
    let millis =
        |value| Arc::new(arrow::array::TimestampMillisecondArray::from(vec![value]).with_timezone("UTC")) as ArrayRef;
    assert_eq!(value(millis(-5), &PROLEPTIC, false), Ok(-5_000));
    assert!(value(millis(i64::MAX), &PROLEPTIC, false).is_err());
    let zoned = WriterCalendar { int96_zone: Some("America/New_York".to_owned()), ..PROLEPTIC };
    let micros = Arc::new(TimestampMicrosecondArray::from(vec![1_700_000_000_000_000])) as ArrayRef;
    assert_eq!(value(Arc::clone(&micros), &zoned, true), Ok(1_700_000_000_000_000 - 5 * 3_600_000_000));
    assert_eq!(value(micros, &zoned, false), Ok(1_700_000_000_000_000));
}

#[test]
fn nested_fields_are_found_by_name_and_missing_ones_are_null() {
    let fields = Fields::from(vec![Field::new("Y", ArrowType::Utf8, true), Field::new("x", ArrowType::Int32, false)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec!["a"])), Arc::new(Int32Array::from(vec![1]))];
    let structs: ArrayRef = Arc::new(StructArray::new(fields, columns, None));
    let read = convert(structs, "struct<x:bigint,y:string,z:date>", &PROLEPTIC, false).unwrap();
    let read = read.as_struct();
    assert_eq!(read.column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0), 1);
    assert_eq!(read.column(1).as_string::<i32>().value(0), "a");
    assert_eq!(read.column(2).null_count(), 1);
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let read = plain(list, "array<bigint>").unwrap();
    assert_eq!((read.len(), read.null_count()), (2, 1));
}
