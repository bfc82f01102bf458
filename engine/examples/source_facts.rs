//! Prints what the source reads of each table of a warehouse, as JSON.
#![allow(clippy::unwrap_used, reason = "nobody calls this but people and tests: a panic says where")]

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType as A, Decimal128Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value, json};
use skein_engine::source::{HiveSource, read_input};
use skein_protocol::connection::HiveFiles;
use skein_protocol::ids::*;
use skein_protocol::inspection::*;
use skein_protocol::plan::*;

fn plan_of(source: PlanSource) -> Plan {
    let dataset = source.dataset.clone();
    Plan {
        format: PLAN_FORMAT,
        migration: MigrationId::derive(&PolicyName::default(), Generation(1), &dataset),
        policy: PolicyName::default(),
        generation: Generation(1),
        source,
        target: PlanTarget {
            connection: ConnectionName::default(),
            name: dataset,
            location: String::new(),
            format_version: 2,
            columns: vec![],
            partitioning: vec![],
            zstd_level: 3,
            file_bytes: 1,
        },
        strategy: Strategy { kind: StrategyKind::Copy, reason: String::new() },
        rules: vec![],
        stages: vec![],
        checks: PlannedChecks {
            batch_count: true,
            batch_checksum: true,
            final_count: true,
            final_checksum: true,
            nulls: true,
            min_max: true,
            spark64: false,
            sql: vec![],
            removed_rows_percent: None,
            filtered_rows_percent: None,
        },
        notes: vec![],
        script: String::new(),
        undo: String::new(),
    }
}

fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let source = HiveSource::new(
        "legacy".into(),
        HiveFiles {
            warehouse: format!("{dir}/warehouse"),
            description: Some(format!("{dir}/metastore.json")),
            allowed_roots: vec![],
        },
    );
    let mut all = Map::new();
    let mut rows_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in source.select().unwrap() {
        let i = source.inspect(&name, TargetState { location: String::new(), occupied_by: None }).unwrap();
        if !i.problems.is_empty() {
            all.insert(
                name.table.clone(),
                json!({"problems": i.problems.iter().map(|p| p.to_string()).collect::<Vec<_>>()}),
            );
            continue;
        }
        let plan = plan_of(PlanSource {
            connection: i.connection,
            dataset: i.dataset,
            location: i.location,
            format: i.format.unwrap(),
            described_by: i.described_by,
            columns: i.columns.clone(),
            files: i.files.clone(),
        });
        let listed = source.list_files(&plan).unwrap();
        assert_eq!(listed.len(), i.files.len());
        if std::env::var("ONLY_READ").is_ok() {
            let t = std::time::Instant::now();
            let (mut rows, mut bytes) = (0, 0);
            for (n, f) in i.files.iter().enumerate() {
                bytes += f.bytes;
                for b in read_input(&plan, &BatchInput { file: n as u32, row_groups: None }, 8192).unwrap() {
                    rows += b.unwrap().num_rows();
                }
            }
            println!("{name}: {rows} rows {bytes} bytes {:?}", t.elapsed());
            continue;
        }
        let schema = skein_engine::types::source_schema(&i.columns);
        let mut batches = vec![];
        let mut by_partition: BTreeMap<String, usize> = BTreeMap::new();
        let mut odd = vec![];
        for (n, f) in i.files.iter().enumerate() {
            let mut r = read_input(&plan, &BatchInput { file: n as u32, row_groups: None }, 100).unwrap();
            let mut rows = 0;
            for b in r.by_ref() {
                let b = b.unwrap();
                rows += b.num_rows();
                batches.push(b);
            }
            if let Some(expected) = r.footer_rows() {
                assert_eq!(expected as usize, rows);
            }
            odd.extend(r.unparsable().into_iter().map(|(c, u)| format!("{c}: {u:?}")));
            *by_partition.entry(format!("{:?}", f.partition)).or_default() += rows;
        }
        let batch: RecordBatch = concat_batches(&schema, &batches).unwrap();
        let options =
            FormatOptions::default().with_null("\u{0}null").with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"));
        let (mut nulls, mut sums, mut mins, mut maxs) = (Map::new(), Map::new(), Map::new(), Map::new());
        let mut rows = vec![String::new(); batch.num_rows()];
        let mut order: Vec<usize> = (0..schema.fields().len()).collect();
        order.sort_by_key(|c| schema.field(*c).name().clone());
        for c in order {
            let (f, a) = (schema.field(c), batch.column(c));
            nulls.insert(f.name().clone(), json!(a.null_count()));
            let fmt = ArrayFormatter::try_new(a, &options).unwrap();
            for (r, row) in rows.iter_mut().enumerate() {
                row.push_str(&fmt.value(r).to_string());
                row.push('\u{1}');
            }
            let text = |idx: Option<usize>| idx.map_or(Value::Null, |r| json!(fmt.value(r).to_string()));
            if !a.data_type().is_nested()
                && !matches!(a.data_type(), A::Binary | A::Boolean)
                && a.null_count() < a.len()
            {
                let sorted = arrow::compute::sort_to_indices(
                    a,
                    Some(arrow::compute::SortOptions { descending: false, nulls_first: false }),
                    None,
                )
                .unwrap();
                mins.insert(f.name().clone(), text(Some(sorted.value(0) as usize)));
                maxs.insert(f.name().clone(), text(Some(sorted.value(a.len() - a.null_count() - 1) as usize)));
            }
            if matches!(a.data_type(), A::Int8 | A::Int16 | A::Int32 | A::Int64 | A::Decimal128(..)) {
                let d = cast(a, &A::Decimal128(38, 4)).unwrap();
                let s: i128 = d.as_primitive::<Decimal128Type>().iter().flatten().sum();
                sums.insert(f.name().clone(), json!(format!("{}.{:04}", s / 10000, s % 10000)));
            }
        }
        let distinct = rows.iter().collect::<HashSet<_>>().len();
        rows.sort();
        rows_of.insert(name.table.clone(), rows);
        let columns: Map<String, Value> =
            i.columns.iter().map(|c| (c.name.clone(), json!(c.data_type.to_string()))).collect();
        all.insert(name.table, json!({"rows": batch.num_rows(), "distinct_rows": distinct, "columns": columns, "nulls": nulls, "sums": sums, "min": mins, "max": maxs, "by_partition": by_partition, "notes": i.notes, "odd": odd}));
    }
    if let (Some(t), Some(p)) = (rows_of.get("plays_text"), rows_of.get("plays_parquet")) {
        for (a, b) in t.iter().zip(p).filter(|(a, b)| a != b).take(3) {
            eprintln!("DIFFERENT\n{a}\n{b}");
        }
        eprintln!("plays_text rows = plays_parquet rows: {}", t == p);
    }
    println!("{}", serde_json::to_string_pretty(&all).unwrap());
}
