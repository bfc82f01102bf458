use std::fs;
use std::path::Path;
use std::sync::Arc;

use iceberg::spec::{FormatVersion, PrimitiveType, TableMetadata};
use skein_protocol::data_plane::Class;

use super::*;
use crate::iceberg::fixture;
use crate::iceberg::read::Contents;
use crate::iceberg::schema::writer_schema;

fn folder_bytes(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap()))
        .collect();
    found.sort();
    found
}

#[test]
fn the_same_request_writes_the_same_bytes_under_the_same_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut target = fixture::all_types();
    target.partitioning = vec![fixture::field("s", "truncate[1]", "s_trunc")];
    let plan = Arc::new(fixture::plan(target, folder.path()));
    let files = Files::new(Arc::default());
    let staged = fixture::write(&files, &plan, 0, &fixture::rows(&plan, 0, 50));
    let request = fixture::stage_request(&plan, staged);
    let table = stage(&files, &request).unwrap();
    let metadata = Path::new(&table.metadata_location).parent().unwrap();
    let first = folder_bytes(metadata);
    assert_eq!(first.len(), 3);
    assert_eq!(stage(&files, &request).unwrap(), table, "a call that is made again finds its own files");
    fs::remove_dir_all(metadata).unwrap();
    assert_eq!(stage(&Files::new(Arc::default()), &request).unwrap(), table);
    assert_eq!(folder_bytes(metadata), first);
    let other = StageRequest { attempt: request.attempt.next(), ..request };
    assert_ne!(stage(&files, &other).unwrap().metadata_location, table.metadata_location);
}

#[test]
fn the_metadata_has_what_the_plan_and_the_caller_say() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Arc::new(fixture::plan(fixture::target(&[("a", "int"), ("m", "map<string,int>")]), folder.path()));
    let files = Files::new(Arc::default());
    let staged = fixture::write(&files, &plan, 0, &fixture::rows(&plan, 0, 50));
    let request = fixture::stage_request(&plan, staged);
    let table = stage(&files, &request).unwrap();
    let bytes = fs::read(&table.metadata_location).unwrap();
    assert_eq!(Hash256::of(&bytes), table.metadata_hash);
    let metadata: TableMetadata = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(metadata.uuid(), request.uuid.0);
    assert_eq!(
        (metadata.last_column_id(), metadata.last_updated_ms(), metadata.last_sequence_number()),
        (4, 1_700_000_000_000, 1)
    );
    assert_eq!(metadata.properties()["write.parquet.compression-codec"], "zstd");
    let summary = &metadata.current_snapshot().unwrap().summary().additional_properties;
    assert_eq!((summary["added-records"].as_str(), summary["total-records"].as_str()), ("50", "50"));
    assert_eq!(summary["skein.migration"], plan.migration.to_string());
    assert_eq!((table.files, table.rows), (1, 50));
}

#[test]
fn a_sorted_table_of_format_version_3_is_read_back_as_planned() {
    let folder = tempfile::tempdir().unwrap();
    let mut target = fixture::target(&[("a", "int"), ("s", "string")]);
    target.format_version = 3;
    target.sort = vec![fixture::order("s", true, false), fixture::order("a", false, true)];
    let plan = Arc::new(fixture::plan(target, folder.path()));
    let files = Files::new(Arc::default());
    let staged = fixture::write(&files, &plan, 0, &fixture::rows(&plan, 0, 50));
    let table = stage(&files, &fixture::stage_request(&plan, staged)).unwrap();
    let metadata: TableMetadata = serde_json::from_slice(&fs::read(&table.metadata_location).unwrap()).unwrap();
    assert_eq!((metadata.format_version(), metadata.next_row_id()), (FormatVersion::V3, 50));
    assert_eq!(metadata.current_snapshot().unwrap().row_range(), Some((0, 50)));
    assert_eq!(metadata.default_sort_order_id(), 1);
    let order = metadata.default_sort_order();
    assert_eq!(order.fields.iter().map(|field| field.source_id).collect::<Vec<_>>(), [2, 1]);
    let contents = Contents::read(&fixture::files(), &table.metadata_location).unwrap();
    assert_eq!(contents.files().map(|file| file.rows).sum::<u64>(), 50);
}

#[test]
fn bounds_enclose_every_value_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Arc::new(fixture::plan(fixture::all_types(), folder.path()));
    let files = Files::new(Arc::default());
    let rows = fixture::rows(&plan, 0, 200);
    let staged = fixture::write(&files, &plan, 0, &rows);
    let shape = TableShape::of(&plan.target).unwrap();
    let found = statistics::read(&fixture::files().open(&staged[0].location).unwrap(), &shape.schema).unwrap();
    assert_eq!(found.split_offsets.len(), 4, "one for each row group");
    let ids = writer_schema(&plan.target).fields().len();
    for (position, field) in shape.schema.as_struct().fields().iter().enumerate().take(13) {
        let kind = field.field_type.as_primitive_type().unwrap();
        let array = rows.column(position);
        assert_eq!(found.null_counts[&field.id], array.null_count() as u64, "{}", field.name);
        assert_eq!(found.value_counts[&field.id], 200);
        let bound =
            |bytes: &Vec<u8>| iceberg::spec::Datum::try_from_bytes(bytes, kind.clone()).unwrap().literal().clone();
        let (low, high) = (bound(&found.lower[&field.id]), bound(&found.upper[&field.id]));
        for row in 0..200 {
            let Some(value) = value::from_arrow(kind, array.as_ref(), row).unwrap() else { continue };
            if !value.is_nan() {
                assert!(crate::iceberg::bounds::compare(&low, &value).is_le(), "{}: {low:?} {value:?}", field.name);
                assert!(crate::iceberg::bounds::compare(&high, &value).is_ge(), "{}: {high:?} {value:?}", field.name);
            }
        }
        if *kind == PrimitiveType::String {
            assert_eq!((found.lower[&field.id].len(), found.upper[&field.id].len()), (16, 16));
        }
    }
    // Inside lists and maps there are sizes only; a struct's fields are like columns.
    let names = |name: &str| shape.schema.field_id_by_name(name).unwrap();
    assert!(
        found.column_sizes.contains_key(&names("tags.element"))
            && !found.value_counts.contains_key(&names("tags.element"))
    );
    assert!(found.lower.contains_key(&names("nested.x")) && !found.lower.contains_key(&names("nested.y.element.z")));
    assert!(found.column_sizes.len() > ids);
}

#[test]
fn many_files_are_spread_over_manifests() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..COLUMNS_PER_MANIFEST / MIN_ENTRIES).map(|number| format!("c{number}")).collect();
    let columns: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "int")).collect();
    let wide = fixture::plan(fixture::target(&columns), folder.path());
    let narrow = Arc::new(fixture::plan(fixture::target(&[("c0", "int")]), folder.path()));
    let files = Files::new(Arc::default());
    let staged: Vec<StagedFile> =
        (0..40).flat_map(|number| fixture::write(&files, &narrow, number, &fixture::rows(&narrow, 0, 2))).collect();
    let table = stage(&files, &fixture::stage_request(&Arc::new(wide), staged)).unwrap();
    let contents = Contents::read(&fixture::files(), &table.metadata_location).unwrap();
    let counts: Vec<usize> = contents.manifests.iter().map(|manifest| manifest.files.len()).collect();
    assert_eq!(counts, [16, 16, 8]);
}

#[test]
fn a_staged_file_that_is_missing_or_longer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Arc::new(fixture::plan(fixture::target(&[("a", "int")]), folder.path()));
    let files = Files::new(Arc::default());
    let staged = fixture::write(&files, &plan, 0, &fixture::rows(&plan, 0, 5));
    for spoilt in [
        StagedFile { location: "/nowhere/x.parquet".to_owned(), ..staged[0].clone() },
        StagedFile { bytes: staged[0].bytes + 1, ..staged[0].clone() },
        StagedFile { rows: 6, ..staged[0].clone() },
    ] {
        let failure = stage(&files, &fixture::stage_request(&plan, vec![spoilt])).unwrap_err();
        assert_eq!((failure.code(), failure.class), (Code::StagedFileChanged, Class::Permanent));
    }
    fs::write(&staged[0].location, "no parquet at all, but long enough to have a footer").unwrap();
    let bytes = fs::metadata(&staged[0].location).unwrap().len();
    let failure =
        stage(&files, &fixture::stage_request(&plan, vec![StagedFile { bytes, ..staged[0].clone() }])).unwrap_err();
    assert_eq!(failure.code(), Code::StagedFileChanged);
}
