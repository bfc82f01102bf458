use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use skein_protocol::data_plane::StagedTable;
use skein_protocol::plan::{Plan, PlanTarget};

use super::scan::Scan;
use super::*;
use crate::files::Files;
use crate::iceberg::fixture;
use crate::iceberg::stage::stage;

struct Staged {
    _folder: tempfile::TempDir,
    plan: Arc<Plan>,
    table: StagedTable,
    files: Vec<StagedFile>,
    rows: RecordBatch,
}

/// A table of `rows` rows in two batches.
fn staged(target: PlanTarget, rows: i64) -> Staged {
    let folder = tempfile::tempdir().unwrap();
    let plan = Arc::new(fixture::plan(target, folder.path()));
    let files = Files::new(Arc::default());
    let batches = [fixture::rows(&plan, 0, rows / 3), fixture::rows(&plan, rows / 3, rows - rows / 3)];
    let staged: Vec<StagedFile> = batches
        .iter()
        .enumerate()
        .flat_map(|(number, batch)| fixture::write(&files, &plan, number as u32, batch))
        .collect();
    let table = stage(&files, &fixture::stage_request(&plan, staged.clone())).unwrap();
    let rows = concat_batches(&batches[0].schema(), &batches).unwrap();
    Staged { _folder: folder, plan, table, files: staged, rows }
}

impl Staged {
    fn request(&self) -> ReadRequest {
        ReadRequest {
            plan: self.plan.clone(),
            table: self.table.clone(),
            files: Arc::new(self.files.clone()),
            memory_bytes: 1 << 30,
        }
    }

    fn scan(&self) -> RecordBatch {
        let scan = Scan::open(&fixture::files(), &self.table.metadata_location, None).unwrap();
        let schema = scan.schema();
        let batches: Vec<RecordBatch> = scan.collect::<Result<_, _>>().unwrap();
        concat_batches(&schema, &batches).unwrap()
    }
}

fn partitioned() -> PlanTarget {
    let mut target = fixture::all_types();
    target.partitioning = vec![
        fixture::field("d9", "identity", "d9"),
        fixture::field("ts", "day", "ts_day"),
        fixture::field("s", "truncate[2]", "s_trunc"),
        fixture::field("d38", "bucket[2]", "d38_bucket"),
        fixture::field("tz", "hour", "tz_hour"),
    ];
    target
}

#[test]
fn a_table_of_all_types_is_read_back_as_it_was_written() {
    let staged = staged(fixture::all_types(), 200);
    let reading = read_staged(&fixture::files(), &staged.request()).unwrap();
    assert_eq!(reading.file_differences, [""; 0]);
    assert_eq!((reading.files, reading.files_compared, reading.manifest_rows, reading.summary_rows), (2, 2, 200, 200));
    assert_eq!((reading.metadata_hash, reading.partition_read), (staged.table.metadata_hash, None));
    let found = staged.scan();
    assert_eq!(found.num_rows(), 200);
    for (one, other) in staged.rows.columns().iter().zip(found.columns()) {
        // The labels of nested fields are none of the values.
        assert_eq!(arrow::compute::cast(one, other.data_type()).unwrap().to_data(), other.to_data());
    }
}

#[test]
fn a_partitioned_table_is_read_back_and_through_a_filter() {
    let staged = staged(partitioned(), 60);
    let reading = read_staged(&fixture::files(), &staged.request()).unwrap();
    assert_eq!(reading.file_differences, [""; 0]);
    assert_eq!(reading.manifest_rows, 60);
    let check = reading.partition_read.unwrap();
    assert!(check.holds, "{check:?}");
    assert!(check.checked.contains("ts_day = "), "{}", check.checked);
}

#[test]
fn an_empty_table_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Arc::new(fixture::plan(partitioned(), folder.path()));
    let files = Files::new(Arc::default());
    let table = stage(&files, &fixture::stage_request(&plan, vec![])).unwrap();
    let staged = Staged { _folder: folder, rows: fixture::rows(&plan, 0, 0), plan, table, files: vec![] };
    let reading = read_staged(&fixture::files(), &staged.request()).unwrap();
    assert_eq!((reading.files, reading.manifest_rows, reading.summary_rows), (0, 0, 0));
    assert_eq!((reading.file_differences, reading.partition_read), (vec![], None));
    assert_eq!(staged.scan().num_rows(), 0);
}

#[test]
fn iceberg_rust_scans_what_was_staged() {
    let staged = staged(partitioned(), 40);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let rows = runtime.block_on(async {
        let bytes = fs::read(&staged.table.metadata_location).unwrap();
        let metadata: TableMetadata = serde_json::from_slice(&bytes).unwrap();
        let table = iceberg::table::Table::builder()
            .file_io(iceberg::io::FileIO::new_with_fs())
            .metadata(metadata)
            .metadata_location(staged.table.metadata_location.clone())
            .identifier(iceberg::TableIdent::from_strs(["db", "t"]).unwrap())
            .runtime(iceberg::Runtime::current())
            .readonly(true)
            .build()
            .unwrap();
        let stream = table.scan().select(["i", "s", "d38"]).build().unwrap().to_arrow().await.unwrap();
        let batches: Vec<RecordBatch> = futures::TryStreamExt::try_collect(stream).await.unwrap();
        batches.iter().map(RecordBatch::num_rows).sum::<usize>()
    });
    assert_eq!(rows, 40);
}

#[test]
fn a_flipped_byte_in_a_staged_file_is_found() {
    let staged = staged(fixture::target(&[("a", "bigint")]), 100);
    let file = fs::OpenOptions::new().write(true).read(true).open(&staged.files[1].location).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 30).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 30).unwrap();
    let reading = read_staged(&fixture::files(), &staged.request()).unwrap();
    assert_eq!(reading.file_differences.len(), 1, "{:?}", reading.file_differences);
    assert!(reading.file_differences[0].starts_with(&staged.files[1].location));
    file.set_len(staged.files[1].bytes - 1).unwrap();
    let mut request = staged.request();
    let mut plan = Plan::clone(&staged.plan);
    plan.checks.final_checksum = false;
    request.plan = Arc::new(plan);
    let reading = read_staged(&fixture::files(), &request).unwrap();
    assert!(reading.file_differences[0].contains("bytes"), "{:?}", reading.file_differences);
}

#[test]
fn files_that_ledger_and_manifests_do_not_both_have_are_named() {
    let mut staged = staged(fixture::target(&[("a", "bigint")]), 100);
    let mut lost = staged.files.remove(0);
    let reading = read_staged(&fixture::files(), &staged.request()).unwrap();
    assert_eq!(reading.file_differences.len(), 1);
    assert!(reading.file_differences[0].contains("the ledger does not"));
    lost.rows += 1;
    staged.files.push(lost);
    staged.files.push(StagedFile { location: "/nowhere/x.parquet".to_owned(), ..staged.files[0].clone() });
    let reading = read_staged(&fixture::files(), &staged.request()).unwrap();
    assert_eq!(reading.file_differences.len(), 2, "{:?}", reading.file_differences);
    assert!(reading.file_differences[1].contains("the manifests do not"));
}

#[test]
fn rows_in_the_wrong_partition_fail_the_partition_read() {
    let mut target = fixture::target(&[("a", "bigint"), ("s", "string")]);
    target.partitioning = vec![fixture::field("s", "identity", "s")];
    let folder = tempfile::tempdir().unwrap();
    let plan = Arc::new(fixture::plan(target, folder.path()));
    let files = Files::new(Arc::default());
    let mut staged = fixture::write(&files, &plan, 0, &fixture::rows(&plan, 0, 3));
    let partition = staged[0].partition.clone();
    staged[1].partition = partition;
    let table = stage(&files, &fixture::stage_request(&plan, staged.clone())).unwrap();
    let rows = fixture::rows(&plan, 0, 0);
    let staged = Staged { _folder: folder, plan, table, files: staged[..2].to_vec(), rows };
    let check = read_staged(&fixture::files(), &staged.request()).unwrap().partition_read.unwrap();
    assert!(!check.holds);
    assert_eq!(check.found, "2 rows, of which 1 belong to other partitions");
}

#[test]
fn missing_metadata_is_a_failure_with_its_code() {
    let staged = staged(fixture::target(&[("a", "bigint")]), 10);
    fs::remove_file(&staged.table.metadata_location).unwrap();
    assert_eq!(read_staged(&fixture::files(), &staged.request()).unwrap_err().code(), Code::StagedFileChanged);
}

#[test]
fn columns_can_be_chosen_in_any_order() {
    let staged = staged(fixture::target(&[("a", "bigint"), ("b", "string"), ("c", "int")]), 10);
    let scan = Scan::open(&fixture::files(), &staged.table.metadata_location, Some(&["c", "a"])).unwrap();
    let names: Vec<String> = scan.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["c", "a"]);
    let batches: Vec<RecordBatch> = scan.collect::<Result<_, _>>().unwrap();
    assert_eq!(batches[0].column(0).data_type(), &arrow::datatypes::DataType::Int32);
    let none = Scan::open(&fixture::files(), &staged.table.metadata_location, Some(&[])).unwrap();
    assert_eq!(none.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 10);
}
