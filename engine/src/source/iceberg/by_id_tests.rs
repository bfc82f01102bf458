use std::sync::Arc;

use parquet::schema::parser::parse_message_type;
use parquet::schema::types::SchemaDescriptor;

use super::*;

fn file(message: &str) -> FileSchema {
    let message = parse_message_type(&format!("message m {{ {message} }}")).unwrap();
    FileSchema::of(&SchemaDescriptor::new(Arc::new(message))).unwrap()
}

fn column(name: &str, data_type: &str) -> SourceColumn {
    SourceColumn { name: name.to_owned(), data_type: data_type.parse().unwrap(), partition: false }
}

fn field(id: i32, parts: Vec<IcebergField>) -> IcebergField {
    IcebergField { id, parts, ..IcebergField::default() }
}

fn named(id: i32, names: &[&str], parts: Vec<IcebergField>) -> IcebergField {
    IcebergField { names: names.iter().map(|name| (*name).to_owned()).collect(), ..field(id, parts) }
}

fn names(fields: &Fields) -> Vec<String> {
    fields.iter().map(|field| field.name().replace('\0', "-")).collect()
}

#[test]
fn fields_are_found_by_their_ids_at_every_depth_whatever_they_are_called() {
    let columns = [column("a", "bigint"), column("b", "int"), column("s", "struct<new:int,x:array<struct<y:int>>>")];
    let fields = [
        field(2, vec![]),
        field(9, vec![]),
        field(3, vec![field(8, vec![]), field(4, vec![field(5, vec![field(6, vec![])])])]),
    ];
    let file = file(
        "optional int32 b = 2; optional int32 a = 1;
         optional group old = 3 {
           optional int32 new = 7;
           optional group l (LIST) = 4 { repeated group list { optional group element = 5 { optional int32 z = 6; } } }
         }",
    );
    let matched = matched(&columns, &fields, &file).unwrap();
    assert_eq!(names(&matched.schema.fields), ["a", "-1", "s"]);
    let ArrowType::Struct(inner) = matched.schema.fields[2].data_type() else { panic!("a struct") };
    assert_eq!(names(inner), ["-0", "x"]);
    let ArrowType::List(element) = inner[1].data_type() else { panic!("a list") };
    let ArrowType::Struct(innermost) = element.data_type() else { panic!("a struct") };
    assert_eq!(names(innermost), ["y"]);
    assert_eq!(matched.missing, [8, 9]);
}

#[test]
fn a_file_without_ids_is_read_by_the_name_mapping_and_by_nothing_else() {
    let columns = [column("a", "int"), column("m", "map<string,struct<x:int>>")];
    let message = "optional int32 was_a; optional int32 a;
        optional group m (MAP) {
          repeated group key_value { required binary k (UTF8); optional group v { optional int32 was_x; } }
        }";
    let mapped = [
        named(1, &["was_a"], vec![]),
        named(2, &["m"], vec![named(3, &["key"], vec![]), named(4, &["value"], vec![named(5, &["was_x"], vec![])])]),
    ];
    let found = matched(&columns, &mapped, &file(message)).unwrap();
    assert_eq!((names(&found.schema.fields), found.missing), (vec!["a".into(), "-1".into(), "m".into()], vec![]));
    let bare = [field(1, vec![]), field(2, vec![field(3, vec![]), field(4, vec![field(5, vec![])])])];
    let why = matched(&columns, &bare, &file(message)).unwrap_err();
    assert!(why.contains("no field ids"), "{why}");
}

#[test]
fn files_whose_ids_tell_too_little_or_too_much_are_refused() {
    let list = (column("l", "array<int>"), field(1, vec![field(2, vec![])]));
    let plain = (column("a", "int"), field(1, vec![]));
    for ((column, field), message, said) in [
        (&plain, "optional int32 a = 1; optional int32 b;", "has no id"),
        (&plain, "optional int32 a = 1; optional int32 b = 1;", "both number 1"),
        (&list, "optional group l (LIST) = 1 { repeated group list { optional int32 element = 7; } }", "number 7"),
        (&list, "optional group l (LIST) = 1 { repeated group list { optional int32 element; } }", "has no id"),
    ] {
        let why = matched(std::slice::from_ref(column), std::slice::from_ref(field), &file(message)).unwrap_err();
        assert!(why.contains(said), "{why}");
    }
}

#[test]
fn instants_and_times_without_a_zone_are_never_taken_for_each_other() {
    let fields = [field(1, vec![])];
    for (data_type, message, reads) in [
        ("timestamptz", "optional int64 t (TIMESTAMP(MICROS,true)) = 1;", true),
        ("timestamptz", "optional int64 t (TIMESTAMP(MILLIS,true)) = 1;", true),
        ("timestamptz", "optional int96 t = 1;", true),
        ("timestamptz", "optional int64 t (TIMESTAMP(MICROS,false)) = 1;", false),
        ("timestamp", "optional int64 t (TIMESTAMP(MICROS,false)) = 1;", true),
        ("timestamp", "optional int64 t (TIMESTAMP(MICROS,true)) = 1;", false),
        ("timestamp", "optional int64 t (TIMESTAMP(NANOS,false)) = 1;", false),
        ("timestamp", "optional int96 t = 1;", false),
    ] {
        let found = matched(&[column("t", data_type)], &fields, &file(message));
        assert_eq!(found.is_ok(), reads, "{data_type} {message}: {found:?}");
    }
}

#[test]
fn a_partitions_value_comes_before_a_default_even_if_it_is_null() {
    let columns = [column("a", "int"), column("b", "int"), column("c", "int")];
    let with = |id| IcebergField { initial_default: Some("7".to_owned()), ..field(id, vec![]) };
    let of_file = [("b".to_owned(), None), ("c".to_owned(), Some("9".to_owned()))];
    let format = IcebergFormat {
        fields: vec![with(1), with(2), with(3)],
        partition_values: [("f".to_owned(), of_file.into())].into(),
        ..IcebergFormat::default()
    };
    let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!(values(&format, &columns, "f"), [text("a", "7"), text("c", "9")].into());
    assert_eq!(values(&format, &columns, "g"), [text("a", "7"), text("b", "7"), text("c", "7")].into());
}
