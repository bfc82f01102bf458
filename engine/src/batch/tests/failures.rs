use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use skein_protocol::data_plane::{Class, StagedFile};
use skein_protocol::evidence::judge;
use skein_protocol::ids::{BatchId, BatchNo, StageNo};
use skein_protocol::problem::Code;

use crate::batch::fixture::{FIRST, Warehouse, request, rows_of, staged, table};
use crate::batch::{Cancel, run_batch, write};
use crate::iceberg::schema::writer_schema;

fn rows() -> RecordBatch {
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200));
    let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..200).map(|n| format!("text {n}"))));
    table(vec![("n", n), ("text", text)])
}

/// Puts other rows into a staged file.
fn rewrite(plan: &skein_protocol::plan::Plan, file: &StagedFile, rows: &RecordBatch) {
    let schema = writer_schema(&plan.target);
    let mut writer =
        ArrowWriter::try_new(fs::File::create(&file.location).unwrap(), Arc::clone(&schema), None).unwrap();
    writer.write(&RecordBatch::try_new(schema, rows.columns().to_vec()).unwrap()).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_staged_file_with_another_value_is_a_difference_with_the_columns_name() {
    let warehouse = Warehouse::new();
    warehouse.add("part-0", &rows());
    for rules in ["", "  schema: { add: [{ name: extra, type: int }] }", "  clean: [{ dropDuplicates: exact }]"] {
        let plan = Arc::new(warehouse.plan(rules));
        let request = request(&plan, FIRST, &Arc::default());
        let evidence = warehouse.with(&request, |work| {
            let (files, passed, expected) = write::write_files(work).unwrap();
            let written = rows_of(&files).unwrap();
            let mut columns = written.columns().to_vec();
            columns[1] = Arc::new(StringArray::from_iter_values(
                (0..200).map(|n| if n == 150 { "tampered".to_owned() } else { format!("text {n}") }),
            ));
            rewrite(&plan, &files[0], &RecordBatch::try_new(written.schema(), columns).unwrap());
            write::prove(work, &files, passed, expected).unwrap()
        });
        let difference = judge::batch(&plan, FIRST, &evidence).unwrap();
        assert_eq!(difference.column.as_deref(), Some("text"), "{difference}");
        assert_eq!(evidence.first_difference.unwrap().column.as_deref(), Some("text"));
    }
}

#[test]
fn values_that_changed_rows_differ_though_each_column_has_them_all() {
    let warehouse = Warehouse::new();
    warehouse.add("part-0", &rows());
    let plan = Arc::new(warehouse.plan(""));
    let request = request(&plan, FIRST, &Arc::default());
    let evidence = warehouse.with(&request, |work| {
        let (files, passed, expected) = write::write_files(work).unwrap();
        let written = rows_of(&files).unwrap();
        let mut columns = written.columns().to_vec();
        columns[0] = Arc::new(Int64Array::from_iter_values((0..200).rev()));
        rewrite(&plan, &files[0], &RecordBatch::try_new(written.schema(), columns).unwrap());
        write::prove(work, &files, passed, expected).unwrap()
    });
    assert!(judge::batch(&plan, FIRST, &evidence).is_some());
    let difference = evidence.first_difference.unwrap();
    assert_eq!(difference.column, None);
    assert!(difference.compared.contains("not in the right rows"), "{difference}");
}

#[test]
fn a_staged_file_that_cannot_be_decoded_is_a_failure_that_is_tried_again() {
    let warehouse = Warehouse::new();
    warehouse.add("part-0", &rows());
    let plan = Arc::new(warehouse.plan(""));
    let request = request(&plan, FIRST, &Arc::default());
    let failure = warehouse.with(&request, |work| {
        let (files, passed, expected) = write::write_files(work).unwrap();
        let bytes = fs::read(&files[0].location).unwrap();
        fs::write(&files[0].location, &bytes[..bytes.len() / 2]).unwrap();
        write::prove(work, &files, passed, expected).unwrap_err()
    });
    assert_eq!((failure.code(), failure.class), (Code::StagedFileChanged, Class::Transient));
}

#[test]
fn work_that_nobody_waits_for_stops_and_leaves_no_file() {
    let warehouse = Warehouse::new();
    warehouse.add("part-0", &rows());
    let plan = Arc::new(warehouse.plan(""));
    let request = request(&plan, FIRST, &Arc::default());
    let cancel = Cancel::default();
    drop(cancel.on_drop());
    let failure = warehouse.with_cancel(&request, &cancel, run_batch).unwrap_err();
    assert_eq!(failure.code(), Code::Interrupted);
    let left = warehouse.folder.path().join("lake");
    assert!(!left.exists() || files_below(&left) == 0);
}

fn files_below(folder: &std::path::Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

#[test]
fn a_name_is_never_written_twice() {
    let warehouse = Warehouse::new();
    warehouse.add("part-0", &rows());
    let plan = Arc::new(warehouse.plan(""));
    let request = request(&plan, FIRST, &Arc::default());
    let cancel = Cancel::default();
    warehouse.with_cancel(&request, &cancel, run_batch).unwrap();
    let failure = warehouse.with_cancel(&request, &cancel, run_batch).unwrap_err();
    assert_eq!(failure.code(), Code::Io, "{failure}");
}

#[test]
fn memory_for_less_than_one_row_is_refused() {
    let warehouse = Warehouse::new();
    warehouse.add("part-0", &rows());
    let plan = Arc::new(staged(warehouse.plan("  clean: [{ keepOne: { key: [n], orderBy: [{ column: text }] } }]"), 1));
    let prior = Arc::new(warehouse.batch(&plan, FIRST, &Arc::default()).unwrap().files);
    let mut request = request(&plan, BatchId { stage: StageNo(1), batch: BatchNo(0) }, &prior);
    request.memory_bytes = 100;
    let failure = warehouse.with_cancel(&request, &Cancel::default(), run_batch).unwrap_err();
    assert_eq!((failure.code(), failure.class), (Code::MemoryExceeded, Class::Permanent));
}

#[test]
fn scratch_with_fewer_rows_than_recorded_is_noticed() {
    let warehouse = Warehouse::new();
    warehouse.add("part-0", &rows());
    let plan = Arc::new(staged(warehouse.plan("  clean: [{ dropDuplicates: exact }]"), 1));
    let mut files = warehouse.batch(&plan, FIRST, &Arc::default()).unwrap().files;
    files[0].rows += 1;
    let request = request(&plan, BatchId { stage: StageNo(1), batch: BatchNo(0) }, &Arc::new(files));
    let failure = warehouse.with_cancel(&request, &Cancel::default(), run_batch).unwrap_err();
    assert_eq!(failure.code(), Code::StagedFileChanged);
}
