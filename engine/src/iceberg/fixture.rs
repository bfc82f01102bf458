//! Plans and staged files for tests: small targets of any shape, filled with values that differ from row to row.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
    Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType as ArrowType, Field};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use skein_protocol::data_plane::{StageRequest, StagedFile, StagedKind};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{
    Attempt, BatchId, BatchNo, ConnectionName, Epoch, Generation, MigrationId, PolicyName, Run, StageNo, TableName,
    TableUuid,
};
use skein_protocol::inspection::{DescribedBy, SourceFormat};
use skein_protocol::plan::{
    Conversion, OrderBy, Origin, PartitionField, Plan, PlanSource, PlanTarget, PlannedChecks, Strategy, StrategyKind,
    TargetColumn,
};

use super::names::{Handout, staged_path};
use super::partition::Partitioner;
use super::schema::writer_schema;
use crate::files::Files;

/// A target at `/nowhere` with these columns.
pub(crate) fn target(columns: &[(&str, &str)]) -> PlanTarget {
    let columns = columns.iter().map(|(name, kind)| TargetColumn {
        name: (*name).to_owned(),
        data_type: kind.parse().unwrap(),
        doc: None,
        origin: Origin::Source { column: (*name).to_owned() },
        conversion: Conversion::Same,
    });
    PlanTarget {
        connection: ConnectionName::from("lake"),
        name: TableName::new("db", "t"),
        location: "/nowhere/db/t".to_owned(),
        format_version: 2,
        columns: columns.collect(),
        partitioning: Vec::new(),
        sort: Vec::new(),
        zstd_level: 3,
        file_bytes: 1 << 27,
        properties: Default::default(),
    }
}

/// A term of a sort order.
pub(crate) fn order(column: &str, descending: bool, nulls_first: bool) -> OrderBy {
    OrderBy { column: column.to_owned(), descending, nulls_first }
}

/// A partition field.
pub(crate) fn field(column: &str, transform: &str, name: &str) -> PartitionField {
    PartitionField { column: column.to_owned(), transform: transform.parse().unwrap(), name: name.to_owned() }
}

/// A target with a column of every type.
pub(crate) fn all_types() -> PlanTarget {
    target(&[
        ("b", "boolean"),
        ("i", "int"),
        ("l", "bigint"),
        ("f", "float"),
        ("d", "double"),
        ("d9", "decimal(9,2)"),
        ("d18", "decimal(18,4)"),
        ("d38", "decimal(38,10)"),
        ("s", "string"),
        ("bin", "binary"),
        ("day", "date"),
        ("ts", "timestamp"),
        ("tz", "timestamptz"),
        ("tags", "array<string>"),
        ("counts", "map<string,bigint>"),
        ("nested", "struct<x:int,y:array<struct<z:decimal(10,2)>>>"),
    ])
}

/// A plan for `target`, which is moved below `warehouse`.
pub(crate) fn plan(mut target: PlanTarget, warehouse: &Path) -> Plan {
    target.location = warehouse.join(&target.name.database).join(&target.name.table).display().to_string();
    let (policy, generation, dataset) = (PolicyName::from("p"), Generation(1), TableName::new("old", "t"));
    Plan {
        format: 1,
        migration: MigrationId::derive(&policy, generation, &dataset),
        policy,
        generation,
        source: PlanSource {
            connection: ConnectionName::from("legacy"),
            dataset,
            location: "/nowhere/old".to_owned(),
            format: SourceFormat::Parquet,
            described_by: DescribedBy::Footers,
            columns: Vec::new(),
            files: Vec::new(),
        },
        target,
        strategy: Strategy { kind: StrategyKind::Copy, reason: String::new() },
        rules: Vec::new(),
        stages: Vec::new(),
        checks: PlannedChecks {
            batch_count: true,
            batch_checksum: true,
            final_count: true,
            final_checksum: true,
            nulls: true,
            min_max: true,
            spark64: false,
            sql: Vec::new(),
            removed_rows_percent: None,
            filtered_rows_percent: None,
        },
        notes: Vec::new(),
        script: String::new(),
        undo: String::new(),
    }
}

/// `rows` rows for the plan's target, from the `seed`-th on; every fifth value is null.
pub(crate) fn rows(plan: &Plan, seed: i64, rows: i64) -> RecordBatch {
    let schema = writer_schema(&plan.target);
    let numbers: Vec<Option<i64>> = (seed..seed + rows).map(|n| (n % 5 != 3).then_some(n)).collect();
    let columns = schema.fields().iter().map(|field| column(field, &numbers)).collect();
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

fn column(field: &Field, numbers: &[Option<i64>]) -> ArrayRef {
    let values = || numbers.iter().copied();
    let wide = || values().map(|n| n.map(|n| i128::from(n) * 1_000_000_007 - 5_000_000));
    let text = |n: i64| format!("{} is a text of more than sixteen letters", n * 7 % 13);
    match field.data_type() {
        ArrowType::Boolean => Arc::new(values().map(|n| n.map(|n| n % 2 == 0)).collect::<BooleanArray>()),
        ArrowType::Int32 => Arc::new(values().map(|n| n.map(|n| (n - 10) as i32)).collect::<Int32Array>()),
        ArrowType::Int64 => Arc::new(values().map(|n| n.map(|n| n * 1_000_000_007 - 10)).collect::<Int64Array>()),
        ArrowType::Float32 => Arc::new(values().map(|n| n.map(|n| n as f32 / 8.0)).collect::<Float32Array>()),
        ArrowType::Float64 => Arc::new(
            values()
                .map(|n| n.map(|n| if n % 7 == 6 { f64::NAN } else { -(n as f64) / 3.0 }))
                .collect::<Float64Array>(),
        ),
        ArrowType::Decimal128(precision, scale) => {
            let limit = 10_i128.pow(u32::from(*precision));
            let array = wide().map(|n| n.map(|n| n % limit)).collect::<Decimal128Array>();
            Arc::new(array.with_precision_and_scale(*precision, *scale).unwrap())
        }
        ArrowType::Utf8 => Arc::new(values().map(|n| n.map(text)).collect::<StringArray>()),
        ArrowType::Binary => Arc::new(values().map(|n| n.map(|n| vec![n as u8; 20])).collect::<BinaryArray>()),
        ArrowType::Date32 => Arc::new(values().map(|n| n.map(|n| (n * 17 - 40) as i32)).collect::<Date32Array>()),
        ArrowType::Timestamp(_, zone) => {
            let array =
                values().map(|n| n.map(|n| n * 43_200_000_000 - 86_400_500_000)).collect::<TimestampMicrosecondArray>();
            Arc::new(array.with_timezone_opt(zone.clone()))
        }
        ArrowType::List(element) => {
            let lengths = numbers.iter().map(|n| n.map_or(0, |n| (n % 3) as usize));
            let offsets = OffsetBuffer::from_lengths(lengths);
            let within: Vec<Option<i64>> =
                (0..i64::from(*offsets.last().unwrap())).map(|n| (n % 4 != 1).then_some(n)).collect();
            Arc::new(ListArray::new(element.clone(), offsets, column(element, &within), nulls(numbers)))
        }
        ArrowType::Map(entries, _) => {
            let offsets = OffsetBuffer::from_lengths(numbers.iter().map(|n| n.map_or(0, |n| (n % 3) as usize)));
            let keys: Vec<Option<i64>> = (0..i64::from(*offsets.last().unwrap())).map(Some).collect();
            let ArrowType::Struct(parts) = entries.data_type() else { panic!("a map's entries") };
            let columns = parts.iter().map(|part| column(part, &keys)).collect();
            Arc::new(MapArray::new(
                entries.clone(),
                offsets,
                StructArray::new(parts.clone(), columns, None),
                nulls(numbers),
                false,
            ))
        }
        ArrowType::Struct(parts) => {
            let columns = parts.iter().map(|part| column(part, numbers)).collect();
            Arc::new(StructArray::new(parts.clone(), columns, nulls(numbers)))
        }
        other => panic!("no values of {other}"),
    }
}

fn nulls(numbers: &[Option<i64>]) -> Option<NullBuffer> {
    Some(numbers.iter().map(Option::is_some).collect())
}

/// Files of this machine.
pub(crate) fn files() -> Files {
    Files::new(std::sync::Arc::default())
}

/// Writes `batch` as staged files, one for each partition, as the batch writer does.
pub(crate) fn write(files: &Files, plan: &Plan, batch_no: u32, batch: &RecordBatch) -> Vec<StagedFile> {
    let batch_id = BatchId { stage: StageNo(0), batch: BatchNo(batch_no) };
    let handout = Handout { epoch: Epoch(1), batch: batch_id, attempt: Attempt(1) };
    let parts = match Partitioner::of(&plan.target).unwrap() {
        None => vec![(Vec::new(), batch.clone())],
        Some(partitioner) => {
            let split = partitioner.split(batch).unwrap();
            split.into_iter().map(|part| (part.partition, take_record_batch(batch, &part.rows).unwrap())).collect()
        }
    };
    let written = parts.into_iter().enumerate().map(|(number, (partition, rows))| {
        let path = staged_path(&plan.target.location, plan.migration, Run(1), handout, number as u32).unwrap();
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap()));
        let writer = files.create_new(&path).unwrap();
        let properties = properties.set_max_row_group_row_count(Some(64)).build();
        let mut writer = ArrowWriter::try_new(writer, rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        let (bytes, content) = writer.into_inner().unwrap().finish().unwrap();
        let rows = rows.num_rows() as u64;
        StagedFile { location: path, kind: StagedKind::Data, rows, bytes, content, partition }
    });
    written.collect()
}

/// A request to stage these files.
pub(crate) fn stage_request(plan: &Arc<Plan>, files: Vec<StagedFile>) -> StageRequest {
    StageRequest {
        plan: plan.clone(),
        run: Run(1),
        epoch: Epoch(1),
        attempt: Attempt(1),
        files: Arc::new(files),
        uuid: TableUuid::derive(plan.migration, Run(1), &Hash256::of(b"plan")),
        at_millis: 1_700_000_000_000,
        summary: [("skein.migration".to_owned(), plan.migration.to_string())].into(),
    }
}
