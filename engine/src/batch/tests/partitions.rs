use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use skein_protocol::data_plane::StagedFile;

use crate::batch::fixture::{FIRST, MEMORY, Random, Warehouse, hashes, request, rows_of, table};
use crate::batch::run_batch;
use crate::iceberg::partition::Partitioner;

fn rows(count: i64, seed: u64) -> RecordBatch {
    let mut random = Random(seed);
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
    let day: ArrayRef =
        Arc::new(Date32Array::from_iter((0..count).map(|_| random.maybe(20, |random| random.below(400) as i32 - 100))));
    let name: ArrayRef = Arc::new(StringArray::from_iter(
        (0..count).map(|_| random.maybe(15, |random| format!("name {}", random.below(60)))),
    ));
    table(vec![("id", id), ("day", day), ("name", name)])
}

/// Each file has rows of the one partition that it claims.
fn assert_partitioned(warehouse: &Warehouse, plan: &skein_protocol::plan::Plan, files: &[StagedFile]) {
    let partitioner = Partitioner::of(&plan.target).unwrap().unwrap();
    for file in files {
        let found = rows_of(std::slice::from_ref(file)).unwrap();
        assert_eq!(found.num_rows() as u64, file.rows);
        assert!(
            partitioner.of_rows(&found).unwrap().iter().all(|partition| *partition == file.partition),
            "{:?}",
            file.partition
        );
    }
    assert!(warehouse.folder.path().exists());
}

#[test]
fn partitions_of_the_source_become_those_of_the_target_one_file_each() {
    let warehouse = Warehouse::new();
    let rows = rows(90, 1);
    for (at, path) in
        ["country=01/n=1/a", "country=01/n=1/b", "country=S%2FP/n=1/a", "country=__HIVE_DEFAULT_PARTITION__/n=2/a"]
            .iter()
            .enumerate()
    {
        warehouse.add(path, &rows.slice(at * 20, 20));
    }
    let plan = warehouse.plan("");
    let ran = warehouse.run(plan.clone());
    assert_partitioned(&warehouse, &plan, &ran.files);
    let mut partitions: Vec<String> =
        ran.files.iter().map(|file| serde_json::to_string(&file.partition).unwrap()).collect();
    partitions.sort();
    assert_eq!(partitions, [r#"["01","1"]"#, r#"["S/P","1"]"#, r#"[null,"2"]"#]);
}

#[test]
fn rows_of_more_partitions_than_files_may_be_open_are_written_partition_by_partition() {
    let warehouse = Warehouse::new();
    let rows = rows(3000, 2);
    warehouse.add("part-0", &rows);
    for (fields, least) in [
        ("{ column: name }", 60),
        ("{ column: day, transform: month }, { column: id, transform: \"bucket[4]\" }", 50),
        ("{ column: name, transform: \"truncate[6]\" }", 10),
    ] {
        let plan = warehouse.plan(&format!("#target, partitioning: [{fields}]\n"));
        let ran = warehouse.run(plan.clone());
        assert_partitioned(&warehouse, &plan, &ran.files);
        assert_eq!(hashes(&rows_of(&ran.files).unwrap()), hashes(&rows));
        let mut files: BTreeMap<String, usize> = BTreeMap::new();
        for file in &ran.files {
            *files.entry(serde_json::to_string(&file.partition).unwrap()).or_default() += 1;
        }
        assert!(files.len() >= least, "{} partitions by {fields}", files.len());
        assert!(files.values().all(|files| *files == 1), "{files:?}");
    }
}

#[test]
fn little_memory_makes_more_files_and_loses_no_row() {
    let warehouse = Warehouse::new();
    let rows = rows(4000, 3);
    warehouse.add("part-0", &rows);
    let plan = Arc::new(warehouse.plan("#target, partitioning: [{ column: name }]\n"));
    let mut request = request(&plan, FIRST, &Arc::default());
    let of = |result: &skein_protocol::data_plane::BatchResult| (result.files.len(), result.evidence.found);
    let usual = warehouse.with(&request, run_batch).unwrap();
    assert_eq!(request.memory_bytes, MEMORY);
    request.memory_bytes = 100_000;
    let little = warehouse.with(&request, run_batch).unwrap();
    assert_eq!(of(&usual).1, of(&little).1);
    assert!(of(&little).0 > of(&usual).0, "{} and {} files", of(&little).0, of(&usual).0);
    assert_partitioned(&warehouse, &plan, &little.files);
}
