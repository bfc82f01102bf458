use std::collections::BTreeMap;

use iceberg::spec::{Datum, FormatVersion, Manifest, ManifestList, SortDirection};

use super::*;
use crate::iceberg::fixture;

fn entry(partition: Vec<Option<PrimitiveLiteral>>) -> Entry {
    let statistics = FileStatistics {
        rows: 7,
        column_sizes: BTreeMap::from([(1, 100), (2, 200)]),
        value_counts: BTreeMap::from([(1, 7), (2, 7)]),
        null_counts: BTreeMap::from([(1, 0), (2, 3)]),
        lower: BTreeMap::from([(1, 3_i32.to_le_bytes().to_vec()), (2, b"ab".to_vec())]),
        upper: BTreeMap::from([(1, 9_i32.to_le_bytes().to_vec())]),
        split_offsets: vec![4, 4_000],
    };
    Entry { location: "/w/t/data/x.parquet".to_owned(), bytes: 5_000, partition, statistics }
}

/// Partition fields of every type, and one value of each.
fn every_partition() -> (TableShape, Vec<Option<PrimitiveLiteral>>) {
    use PrimitiveLiteral as L;
    let mut target = fixture::all_types();
    target.columns.truncate(13);
    let names: Vec<String> = target.columns.iter().map(|column| column.name.clone()).collect();
    target.partitioning = names.iter().map(|name| fixture::field(name, "identity", name)).collect();
    target.partitioning.push(fixture::field("d38", "truncate[10]", "d38_t"));
    let values = vec![
        L::Boolean(true),
        L::Int(-1),
        L::Long(i64::MIN),
        L::Float(1.5.into()),
        L::Double((-0.0).into()),
        L::Int128(-129),
        L::Int128(10_i128.pow(17)),
        L::Int128(-(10_i128.pow(37))),
        L::String("größe".to_owned()),
        L::Binary(vec![0, 255]),
        L::Int(-40),
        L::Long(-1),
        L::Long(1),
        L::Int128(-20),
    ];
    (TableShape::of(&target).unwrap(), values.into_iter().map(Some).collect())
}

#[test]
fn iceberg_rust_reads_every_field_of_a_manifest() {
    let target = fixture::target(&[("a", "int"), ("b", "string")]);
    let shape = TableShape::of(&target).unwrap();
    let bytes = manifest(&shape, &[entry(vec![])], 42, [7; 16]).unwrap();
    let parsed = Manifest::parse_avro(&bytes).unwrap();
    assert_eq!(parsed.metadata().schema(), &shape.schema);
    let found = &parsed.entries()[0];
    assert_eq!((found.snapshot_id(), found.sequence_number(), found.is_alive()), (Some(42), None, true));
    let file = found.data_file();
    assert_eq!((file.file_path(), file.record_count(), file.file_size_in_bytes()), ("/w/t/data/x.parquet", 7, 5_000));
    assert_eq!((file.column_sizes()[&2], file.value_counts()[&1], file.null_value_counts()[&2]), (200, 7, 3));
    assert_eq!((&file.lower_bounds()[&1], &file.lower_bounds()[&2]), (&Datum::int(3), &Datum::string("ab")));
    assert_eq!((&file.upper_bounds()[&1], file.upper_bounds().len()), (&Datum::int(9), 1));
    assert_eq!(file.split_offsets(), Some([4, 4_000].as_slice()));
}

#[test]
fn partition_values_of_every_type_are_read_as_they_were_written() {
    let (shape, values) = every_partition();
    let nulls = vec![None; values.len()];
    let of = |partition: &Vec<_>| Entry { statistics: FileStatistics::default(), ..entry(partition.clone()) };
    let bytes = manifest(&shape, &[of(&values), of(&nulls)], 42, [7; 16]).unwrap();
    let parsed = Manifest::parse_avro(&bytes).unwrap();
    for (entry, expected) in parsed.entries().iter().zip([values, nulls]) {
        let found: Vec<_> = entry
            .data_file()
            .partition()
            .iter()
            .map(|value| value.and_then(iceberg::spec::Literal::as_primitive_literal))
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_manifest_list_is_read_with_its_ranges() {
    let (shape, values) = every_partition();
    let mut less = values.clone();
    less[1] = Some(PrimitiveLiteral::Int(-5));
    less[3] = Some(PrimitiveLiteral::Float(f32::NAN.into()));
    less[8] = None;
    let partitions = summaries(&shape, &[entry(values), entry(less)]).unwrap();
    let listed = Listed { location: "/w/m0.avro".to_owned(), bytes: 100, files: 2, rows: 14, partitions };
    let bytes = manifest_list(&shape, &[listed.clone(), listed], 42, 1, [7; 16]);
    let parsed = ManifestList::parse_with_version(&bytes, FormatVersion::V2).unwrap();
    assert_eq!(parsed.entries().len(), 2);
    let found = &parsed.entries()[0];
    assert_eq!(
        (found.manifest_path.as_str(), found.manifest_length, found.added_snapshot_id, found.sequence_number),
        ("/w/m0.avro", 100, 42, 1)
    );
    assert_eq!(
        (found.added_files_count, found.added_rows_count, found.existing_rows_count),
        (Some(2), Some(14), Some(0))
    );
    let ranges = found.partitions.as_ref().unwrap();
    assert_eq!(ranges[1].lower_bound.as_ref().unwrap().as_slice(), (-5_i32).to_le_bytes());
    assert_eq!(ranges[1].upper_bound.as_ref().unwrap().as_slice(), (-1_i32).to_le_bytes());
    assert_eq!(
        (ranges[3].contains_nan, ranges[3].upper_bound.as_ref().unwrap().as_slice()),
        (Some(true), 1.5_f32.to_le_bytes().as_slice())
    );
    assert!(ranges[8].contains_null && !ranges[1].contains_null);
    assert_eq!(ranges[5].lower_bound.as_ref().unwrap().as_slice(), [0xff, 0x7f]);
}

#[test]
fn an_empty_manifest_list_is_a_file_of_its_own() {
    let shape = TableShape::of(&fixture::target(&[("a", "int")])).unwrap();
    let bytes = manifest_list(&shape, &[], 42, 1, [7; 16]);
    assert!(ManifestList::parse_with_version(&bytes, FormatVersion::V2).unwrap().entries().is_empty());
}

#[test]
fn in_format_version_3_rows_are_numbered_manifest_after_manifest() {
    let mut target = fixture::target(&[("a", "int"), ("b", "string")]);
    target.format_version = 3;
    let shape = TableShape::of(&target).unwrap();
    let bytes = manifest(&shape, &[entry(vec![])], 42, [7; 16]).unwrap();
    let parsed = Manifest::parse_avro(&bytes).unwrap();
    assert_eq!(*parsed.metadata().format_version(), FormatVersion::V3);
    let file = parsed.entries()[0].data_file();
    assert_eq!((file.record_count(), file.split_offsets()), (7, Some([4, 4_000].as_slice())));
    // The number of its first row follows from the manifest's.
    assert_eq!(file.first_row_id(), None);
    let of = |location: &str, rows| Listed {
        location: location.to_owned(),
        bytes: 100,
        files: 1,
        rows,
        partitions: Vec::new(),
    };
    let bytes =
        manifest_list(&shape, &[of("/w/m0.avro", 14), of("/w/m1.avro", 3), of("/w/m2.avro", 1)], 42, 1, [7; 16]);
    let list = ManifestList::parse_with_version(&bytes, FormatVersion::V3).unwrap();
    let first: Vec<_> = list.entries().iter().map(|manifest| manifest.first_row_id).collect();
    assert_eq!(first, [Some(0), Some(14), Some(17)]);
}

#[test]
fn files_of_a_sorted_table_name_its_sort_order() {
    let mut target = fixture::target(&[("a", "int"), ("b", "string")]);
    target.sort = vec![fixture::order("b", true, false)];
    let shape = TableShape::of(&target).unwrap();
    let parsed = Manifest::parse_avro(&manifest(&shape, &[entry(vec![])], 42, [7; 16]).unwrap()).unwrap();
    assert_eq!(parsed.entries()[0].data_file().sort_order_id(), Some(1));
    assert_eq!((shape.sort.fields[0].source_id, shape.sort.fields[0].direction), (2, SortDirection::Descending));
}
