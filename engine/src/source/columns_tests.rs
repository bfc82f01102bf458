//! Tests of described columns against files' footers.

use std::sync::Arc;

use parquet::schema::parser::parse_message_type;
use parquet::schema::types::SchemaDescriptor;
use skein_protocol::ids::TableName;
use skein_protocol::problem::Problem;

use super::super::calendar::WriterCalendar;
use super::*;

fn footer(fields: &str) -> Tail {
    let message = parse_message_type(&format!("message m {{ {fields} }}")).unwrap();
    let schema = FileSchema::of(&SchemaDescriptor::new(Arc::new(message))).unwrap();
    Tail::of_groups(vec![1], Arc::new(schema), WriterCalendar::of(Some("parquet-rs"), None))
}

fn described(text: &str) -> Vec<(String, DataType)> {
    let column = |text: &str| {
        let (name, data_type) = text.split_once(' ').unwrap();
        (name.to_owned(), data_type.parse().unwrap())
    };
    text.split('|').map(column).collect()
}

fn against(columns: &str, files: &[&str]) -> (Vec<Problem>, Vec<String>) {
    let footers: Vec<Tail> = files.iter().map(|fields| footer(fields)).collect();
    let paths: Vec<String> = (0..files.len()).map(|index| format!("f{index}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let mut findings = Findings::new(&TableName::new("d", "t"));
    check(SelfTold::Parquet, &described(columns), &["dt".to_owned()], &footers, &paths, &mut findings);
    findings.finish()
}

fn learnt(files: &[&str]) -> (Vec<(String, DataType)>, Vec<Problem>) {
    let footers: Vec<Tail> = files.iter().map(|fields| footer(fields)).collect();
    let paths = ["f0", "f1", "f2"];
    let mut findings = Findings::new(&TableName::new("d", "t"));
    let columns = from_tails(SelfTold::Parquet, &["dt".to_owned()], &footers, &paths[..files.len()], &mut findings);
    (columns, findings.finish().0)
}

#[test]
fn missing_and_additional_columns_are_noted() {
    let (problems, notes) = against(
        "i int|s string",
        &["optional int32 I;", "optional int32 i; optional binary S (UTF8); optional int32 x;"],
    );
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("\"s\" is missing in 1 of 2 files") && notes[0].contains("f0"));
    assert!(notes[1].contains("\"x\"") && notes[1].contains("NOT migrated"));
}

#[test]
fn types_that_lose_and_names_that_clash_are_refused() {
    let (problems, _) = against("i int", &["optional int64 i;"]);
    assert_eq!(problems[0].code, Code::SchemaConflict);
    let (problems, _) = against("i int", &["optional int32 i; optional int32 I;"]);
    assert_eq!(problems[0].code, Code::ColumnAmbiguous);
}

#[test]
fn fields_inside_of_structs_are_compared_too() {
    let (problems, notes) =
        against("st struct<x:int,z:string>", &["optional group st { optional int32 x; optional int32 y; }"]);
    assert!(problems.is_empty(), "{problems:?}");
    assert!(notes[0].contains("\"st.z\"") && notes[1].contains("\"st.y\""), "{notes:?}");
}

#[test]
fn columns_without_a_description_are_those_of_the_footers() {
    let (columns, problems) =
        learnt(&["optional int32 i; optional int32 dt;", "optional binary s (UTF8); optional int32 I;"]);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(columns, described("i int|s string"));
    let (_, problems) = learnt(&["optional int32 i;", "optional int64 i;"]);
    assert_eq!(problems[0].code, Code::SchemaConflict);
    assert!(problems[0].what.contains("f0") && problems[0].what.contains("f1"), "{}", problems[0].what);
    let (_, problems) = learnt(&["optional int64 t (TIME(MICROS,true));"]);
    assert_eq!(problems[0].code, Code::TypeUnsupported);
}

#[test]
fn types_that_hive_has_and_iceberg_has_not_are_named() {
    let codes = |text: &str| {
        let mut findings = Findings::new(&TableName::new("d", "t"));
        let columns = typed(&[DescribedColumn { name: "c".to_owned(), type_text: text.to_owned() }], &mut findings);
        (columns.len(), findings.finish().0.first().map(|problem| problem.code))
    };
    for text in [
        "uniontype<int,string>",
        "array<uniontype<int>>",
        "interval_day_time",
        "interval day to second",
        "timestamp with local time zone",
        "map<string,void>",
    ] {
        assert_eq!(codes(text), (0, Some(Code::TypeUnsupported)), "{text}");
    }
    assert_eq!(codes("strnig"), (0, Some(Code::DescriptionInvalid)));
    for text in ["struct<interval:int,void:string>", "timestamp", "array<string>"] {
        assert_eq!(codes(text), (1, None), "{text}");
    }
}

#[test]
fn what_is_assumed_of_writers_is_said() {
    let mut old = footer("optional int96 ts; optional int32 dd (DATE);");
    old.calendar = WriterCalendar::of(Some("parquet-mr version 1.6"), None);
    let mut findings = Findings::new(&TableName::new("d", "t"));
    check(SelfTold::Parquet, &described("ts timestamp|dd date"), &[], &[old], &["f"], &mut findings);
    let notes = findings.finish().1;
    for word in ["microsecond", "UTC", "Julian"] {
        assert!(notes.iter().any(|note| note.contains(word)), "{word}: {notes:?}");
    }
}
