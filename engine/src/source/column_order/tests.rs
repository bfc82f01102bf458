//! Tests of orders that are found, and of those that are refused.

use std::path::Path;

use skein_protocol::connection::HiveFiles;
use skein_protocol::ids::TableName;
use skein_protocol::inspection::TextFormat;

use super::super::description;
use super::super::location::Roots;
use super::super::places::Places;
use super::*;

fn columns(text: &str) -> Vec<(String, DataType)> {
    let column = |text: &str| {
        let (name, data_type) = text.split_once(' ').unwrap();
        (name.to_owned(), data_type.parse().unwrap())
    };
    text.split('|').map(column).collect()
}

fn sample(columns: &[(String, DataType)], text: &str) -> Sample {
    sample_in(columns, text, &TextFormat { separators: vec![b','], ..TextFormat::default() })
}

fn sample_in(columns: &[(String, DataType)], text: &str, format: &TextFormat) -> Sample {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    std::fs::write(&path, text).unwrap();
    Sample::take(&Places::local(), &[&path], columns, &Cut::Delimited(format)).unwrap()
}

fn names<'a>(columns: &'a [(String, DataType)], found: &Found) -> Vec<&'a str> {
    found.order.iter().map(|column| columns[*column].0.as_str()).collect()
}

fn hint(order: &[usize]) -> Hint {
    Hint { order: order.to_vec(), origin: "d.other".to_owned() }
}

#[test]
fn types_that_allow_one_order_only_decide_alone() {
    let columns = columns("a date|b boolean|i int|s string");
    let found = choose(&columns, &sample(&columns, "name,true,1969-12-25,1\n\\N,FALSE,\\N,7\n"), &[]).unwrap();
    assert_eq!(names(&columns, &found), ["s", "b", "a", "i"]);
    let unreadable = choose(&columns, &sample(&columns, "name,maybe,1969-12-25,1\n"), &[]);
    assert!(unreadable.unwrap_err().contains("under no order"));
}

#[test]
fn a_hint_decides_between_orders_that_fit_and_is_held_against_the_data() {
    let columns = columns("b bigint|i int|s string");
    let sample = sample(&columns, "1,20,x\n2,30,y\n");
    assert!(choose(&columns, &sample, &[]).unwrap_err().contains("several orders"));
    let found = choose(&columns, &sample, &[hint(&[1, 0, 2])]).unwrap();
    assert_eq!(names(&columns, &found), ["i", "b", "s"]);
    assert!(found.note.contains("i, b, s") && found.note.contains("d.other"), "{}", found.note);
    assert!(choose(&columns, &sample, &[hint(&[2, 0, 1])]).is_err(), "x is no integer");
    assert!(choose(&columns, &sample, &[hint(&[1, 0, 2]), hint(&[0, 1, 2])]).is_err(), "hints that differ");
}

#[test]
fn hives_writing_decides_if_there_are_rows_enough() {
    let columns = columns("d double|f float|m decimal(10,4)");
    let line = "3.0300,0.42857142857142855,3.0\n";
    assert!(choose(&columns, &sample(&columns, line), &[]).is_err());
    let found = choose(&columns, &sample(&columns, &line.repeat(30)), &[]).unwrap();
    assert_eq!(names(&columns, &found), ["m", "d", "f"]);
    let against = choose(&columns, &sample(&columns, &line.repeat(30)), &[hint(&[0, 1, 2])]);
    assert!(against.unwrap_err().contains("look like"));
}

#[test]
fn columns_that_nothing_tells_apart_are_refused() {
    for (types, text) in [
        ("a int|b int", "1,2\n"),
        ("a string|b string", "x,y\n"),
        ("a int|s string", "1,2\n"),
        ("a int|b date", "\\N,\\N\n"),
    ] {
        let columns = columns(types);
        assert!(choose(&columns, &sample(&columns, &text.repeat(50)), &[]).is_err(), "{types}");
    }
    let columns = columns("a int|s string");
    assert!(choose(&columns, &sample(&columns, "1,x,2\n"), &[]).unwrap_err().contains("up to 3 fields"));
    assert!(choose(&columns, &sample(&columns, ""), &[]).is_ok(), "without rows nothing can be misread");
}

#[test]
fn a_header_line_is_a_hint() {
    let columns = columns("a int|b int");
    let format = TextFormat { separators: vec![b','], skip_header_lines: 1, ..TextFormat::default() };
    let sample = sample_in(&columns, "B, A\n1,2\n", &format);
    let empty = description::Description::default();
    let roots = Roots::of(&HiveFiles::at("/".to_owned()), &Places::local());
    let hints = hints(&TableName::new("d", "t"), &columns, &sample, &empty, Path::new("/"), &roots);
    assert_eq!(names(&columns, &choose(&columns, &sample, &hints).unwrap()), ["b", "a"]);
}

#[test]
fn tables_with_the_same_columns_in_a_known_order_are_hints() {
    let columns = columns("a int|b int");
    let sample = sample(&columns, "1,2\n");
    let roots = Roots::of(&HiveFiles::at("/".to_owned()), &Places::local());
    let hints_of = |tables: &str| {
        let description =
            description::parse(format!(r#"{{"database": "d", "tables": {{{tables}}}}}"#).as_bytes()).unwrap();
        let hints = hints(&TableName::new("d", "t"), &columns, &sample, &description, Path::new("/"), &roots);
        hints.into_iter().map(|hint| hint.order).collect::<Vec<_>>()
    };
    let reversed = r#""u": {"columns": {"b": "int", "a": "int"}}"#;
    assert_eq!(hints_of(reversed), [[1, 0]]);
    assert_eq!(
        hints_of(&format!(
            r#"{reversed}, "v": {{"columns": [{{"name": "A", "type": "int"}}, {{"name": "x", "type": "int"}}, {{"name": "b", "type": "int"}}]}}"#
        )),
        [[1, 0]]
    );
    assert!(hints_of(r#""u": {"columns": {"b": "bigint", "a": "int"}}"#).is_empty(), "other types");
    assert!(hints_of(r#""e.u": {"columns": {"b": "int", "a": "int"}}"#).is_empty(), "another database");
    assert!(hints_of(r#""u": {"columns": {"a": "int", "b": "int"}}"#).is_empty(), "sorted, too");
}
