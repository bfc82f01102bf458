use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int32Builder, Int64Array, ListArray, MapBuilder, RecordBatch, StringArray,
    StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
use skein_protocol::problem::Code;

use crate::batch::fixture::{Warehouse, hashes, rows_of, table};

fn every_type() -> RecordBatch {
    let decimal = |values: Vec<Option<i128>>, precision, scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for (keys, valid) in [(vec!["b", "a"], true), (vec![], true), (vec![], false)] {
        for key in &keys {
            map.keys().append_value(key);
            map.values().append_value(i32::try_from(key.len()).unwrap());
        }
        map.append(valid).unwrap();
    }
    let parts: Vec<(Arc<Field>, ArrayRef)> = vec![
        (Arc::new(Field::new("x", DataType::Int32, true)), Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))),
        (
            Arc::new(Field::new("y", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![None, Some("two"), Some("three")])),
        ),
    ];
    table(vec![
        ("yes", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("tiny", Arc::new(Int8Array::from(vec![Some(-128), Some(127), None]))),
        ("small", Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), None]))),
        ("plain", Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), None]))),
        ("big", Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None]))),
        ("single", Arc::new(Float32Array::from(vec![Some(-0.0), Some(f32::NAN), None]))),
        ("double", Arc::new(Float64Array::from(vec![Some(f64::INFINITY), Some(0.0), None]))),
        ("money", decimal(vec![Some(-12_345), Some(99_999), None], 5, 2)),
        ("long_money", decimal(vec![Some(-1), Some(10_i128.pow(18) - 1), None], 18, 9)),
        ("huge", decimal(vec![Some(1 - 10_i128.pow(38)), Some(10_i128.pow(38) - 1), None], 38, 10)),
        ("text", Arc::new(StringArray::from(vec![Some(""), Some("größe \u{0}\u{10FFFF}"), None]))),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&[0_u8, 255][..]), Some(&[]), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(-719_162), Some(19_723), None]))),
        ("moment", Arc::new(TimestampMicrosecondArray::from(vec![Some(-62_135_596_800_000_000), Some(1), None]))),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
                Some(vec![Some(1), None]),
                Some(vec![]),
                None,
            ])),
        ),
        ("map", Arc::new(map.finish())),
        ("parts", Arc::new(StructArray::from(parts))),
    ])
}

#[test]
fn every_type_arrives_as_it_was() {
    let warehouse = Warehouse::new();
    let rows = every_type();
    warehouse.add("part-0", &rows);
    let ran = warehouse.run(warehouse.plan("  validate: { final: [count, checksum, nulls, minmax, spark64] }"));
    let found = rows_of(&ran.files).unwrap();
    assert_eq!(hashes(&found), hashes(&rows));
    assert_eq!(found.schema().field(1).data_type(), &DataType::Int32);
    let evidence = &ran.results[0].evidence;
    assert_eq!((evidence.source, evidence.kept), (evidence.found, evidence.expected));
    assert_eq!((evidence.footer_rows, evidence.source.rows), (Some(3), 3));
    assert_eq!(evidence.lossless_source, evidence.lossless_target);
    assert!(evidence.spark.is_some_and(|spark| spark.rows == 3));
    let column = |name: &str| evidence.columns.iter().find(|column| column.column == name).unwrap();
    let text = |name: &str| (column(name).min_found.clone().unwrap(), column(name).max_found.clone().unwrap());
    assert_eq!(text("tiny"), ("-128".to_owned(), "127".to_owned()));
    assert_eq!(text("money"), ("-123.45".to_owned(), "999.99".to_owned()));
    assert_eq!(text("single").1, "NaN");
    assert_eq!(text("day").0, "0001-01-01");
    assert_eq!((column("text").nulls_expected, column("map").nulls_found), (1, 1));
    assert_eq!(column("parts").min_found, None);
}

#[test]
fn columns_are_renamed_dropped_added_and_cast() {
    let warehouse = Warehouse::new();
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..40));
    let texts: ArrayRef = Arc::new(StringArray::from_iter((0..40).map(|n| (n % 7 > 0).then(|| format!("{}", n * 10)))));
    warehouse.add("part-0", &table(vec![("id", Arc::clone(&ids)), ("n", texts), ("gone", Arc::clone(&ids))]));
    let rules = "  schema:\n    add: [{ name: note, type: string, default: \"new\" }, { name: none, type: date }, { name: price, type: \"decimal(6,2)\", default: 1.50 }]\n    rename: [{ from: id, to: key }]\n    drop: [gone]\n    cast: [{ column: n, type: int }]";
    let ran = warehouse.run(warehouse.plan(rules));
    let found = rows_of(&ran.files).unwrap();
    let names: Vec<String> = found.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["key", "n", "note", "none", "price"]);
    assert_eq!(found.column(0).as_primitive::<Int32Type>(), ids.as_primitive::<Int32Type>());
    let numbers = Int32Array::from_iter((0..40).map(|n| (n % 7 > 0).then_some(n * 10)));
    assert_eq!(found.column(1).as_primitive::<Int32Type>(), &numbers);
    assert_eq!(found.column(2).as_string::<i32>(), &StringArray::from(vec!["new"; 40]));
    assert_eq!((found.column(3).null_count(), found.column(4).null_count()), (40, 0));
    let evidence = &ran.results[0].evidence;
    assert_ne!(evidence.source.sum, evidence.lossless_source.sum);
    assert_eq!(evidence.columns[1].nulls_found, 6);
}

#[test]
fn a_value_that_cannot_be_cast_is_named_with_its_column_file_and_row() {
    for (values, to, shown) in [
        (vec!["1", "x1", "2"], "int", "\"x1\""),
        (vec!["1.50", "1.234", "2"], "decimal(6,2)", "\"1.234\""),
        (vec!["2024-01-01", "2024-01-02 10:00:00", ""], "date", "\"2024-01-02 10:00:00\""),
        (
            vec!["2024-01-01 00:00:00.1234560", "2024-01-01 00:00:00.1234567", ""],
            "timestamp",
            "\"2024-01-01 00:00:00.1234567\"",
        ),
        (vec!["1e300", "1e999", "1"], "double", "\"1e999\""),
    ] {
        let warehouse = Warehouse::new();
        let mut texts = vec![values[0]; 20];
        texts.push(values[1]);
        warehouse.add("part-0", &table(vec![("n", Arc::new(StringArray::from(texts)))]));
        let plan = Arc::new(warehouse.plan(&format!("  schema: {{ cast: [{{ column: n, type: \"{to}\" }}] }}")));
        let failure = warehouse.try_run(&plan).err().unwrap();
        assert_eq!(failure.code(), Code::CastFailed, "{failure}");
        let why = &failure.problem.why;
        assert!(why.contains("column n") && why.contains(shown) && why.contains("row 21 of part-0"), "{why}");
    }
}

#[test]
fn rows_are_numbered_as_in_the_file_even_if_the_filter_removes_some() {
    let warehouse = Warehouse::new();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..50));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..50).map(|n| if n == 37 { "bad".to_owned() } else { n.to_string() }),
    ));
    warehouse.add_with_groups("part-0", &table(vec![("id", ids), ("n", texts)]), 10);
    let plan = warehouse.plan("  schema: { cast: [{ column: n, type: int }] }\n  filter: \"id % 2 = 1\"");
    let failure = warehouse.try_run(&Arc::new(plan)).err().unwrap();
    assert!(failure.problem.why.contains("row 38 of part-0"), "{failure}");
}

#[test]
fn an_empty_table_and_files_without_rows_make_no_file() {
    let warehouse = Warehouse::new();
    let none = table(vec![("id", Arc::new(Int64Array::from(Vec::<i64>::new())))]);
    warehouse.add("a", &none).add("b", &none);
    for rules in ["", "  clean: [{ dropDuplicates: exact }]", "  clean: [{ keepOne: { key: [id], orderBy: [] } }]"] {
        let ran = warehouse.run(warehouse.plan(rules));
        assert!(ran.files.is_empty(), "{rules}");
        assert_eq!(ran.results[0].evidence.source.rows, 0);
        assert_eq!(ran.results[0].evidence.columns.len(), 1);
    }
}

#[test]
fn a_file_is_closed_at_its_size_and_the_next_begins() {
    let warehouse = Warehouse::new();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..5000).map(|n: i64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed())),
    ));
    let rows = table(vec![("id", ids)]);
    warehouse.add("part-0", &rows);
    let mut plan = warehouse.plan("");
    plan.target.file_bytes = 4096;
    let ran = warehouse.run(plan);
    assert!(ran.files.len() > 5, "{} files", ran.files.len());
    assert!(ran.files.iter().all(|file| file.bytes < 6000), "{:?}", ran.files);
    assert_eq!(hashes(&rows_of(&ran.files).unwrap()), hashes(&rows));
}

#[test]
fn counts_alone_are_enough_for_plans_that_want_no_more() {
    let warehouse = Warehouse::new();
    warehouse.add("part-0", &every_type());
    let ran = warehouse.run(warehouse.plan("  validate: { eachBatch: [count], final: [count] }"));
    let evidence = &ran.results[0].evidence;
    assert!(!evidence.summed);
    assert_eq!((evidence.source.rows, evidence.found.rows, evidence.found.sum.0), (3, 3, 0));
}

#[test]
fn rows_are_sorted_within_each_file_and_partition_whatever_fits_in_memory() {
    let mut warehouse = Warehouse::new();
    let mut next = 1_u64;
    let mut random = move || {
        next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        i64::try_from(next >> 40).unwrap()
    };
    let numbers: Vec<Option<i64>> = (0..6_000).map(|_| Some(random() % 50).filter(|number| *number > 2)).collect();
    let names: Vec<String> = (0..6_000).map(|_| format!("n{}", random() % 900)).collect();
    let sides: Vec<String> = (0..6_000).map(|_| format!("s{}", random() % 3)).collect();
    let rows = table(vec![
        ("number", Arc::new(Int64Array::from(numbers)) as ArrayRef),
        ("name", Arc::new(StringArray::from(names))),
        ("side", Arc::new(StringArray::from(sides))),
    ]);
    warehouse.add("part-0", &rows);
    let rules = "#target, sortBy: [{ column: number, direction: desc }, { column: NAME }]";
    for (partitioning, memory, files) in [
        ("", 64 << 20, 1..=1),
        ("", 512 << 10, 2..=100),
        (", partitioning: [{ column: side }]", 64 << 20, 3..=3),
        (", partitioning: [{ column: side }]", 512 << 10, 4..=300),
    ] {
        warehouse.memory_bytes = memory;
        let ran = warehouse.run(warehouse.plan(&format!("{rules}{partitioning}")));
        assert!(files.contains(&ran.files.len()), "{} files with {memory} bytes", ran.files.len());
        assert_eq!(hashes(&rows_of(&ran.files).unwrap()), hashes(&rows));
        for file in &ran.files {
            let found = rows_of(std::slice::from_ref(file)).unwrap();
            let (numbers, names) = (found.column(0).as_primitive::<Int64Type>(), found.column(1).as_string::<i32>());
            let keys: Vec<_> = (0..found.num_rows())
                // Nulls stand last, so they are less than all where the greatest is first.
                .map(|row| (std::cmp::Reverse(numbers.is_valid(row).then(|| numbers.value(row))), names.value(row)))
                .collect();
            assert!(keys.is_sorted(), "{keys:?}");
        }
    }
}
