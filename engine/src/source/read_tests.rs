//! Tests of reading planned files, damaged and changed ones included.

use std::fs::{self, File};
use std::io::Write;

use arrow::array::{ArrayRef, AsArray, Int32Array, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Int32Type, Schema, TimestampMicrosecondType};
use parquet::arrow::ArrowWriter;
use parquet::data_type::{Int96, Int96Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use skein_protocol::ids::{ConnectionName, Generation, MigrationId, PolicyName};
use skein_protocol::inspection::{AvroFormat, DescribedBy, JsonLinesFormat, OpenCsvFormat, TextFormat};
use skein_protocol::plan::{PLAN_FORMAT, PlanSource, PlanTarget, PlannedChecks, Strategy, StrategyKind};
use tempfile::TempDir;

use super::super::fingerprint::Identity;
use super::*;

/// Files of this machine.
pub(crate) fn disk() -> Files {
    Files::new(Arc::default())
}

/// A plan over the files of `folder`, with partition columns `dt` (string) and `n` (int).
fn plan(folder: &TempDir, columns: &[(&str, &str)], format: SourceFormat, names: &[&str]) -> Plan {
    let column = |partition| {
        move |(name, text): &(&str, &str)| SourceColumn {
            name: (*name).to_owned(),
            data_type: text.parse().unwrap(),
            partition,
        }
    };
    let file = |name: &&str| {
        let identity = Identity::at(&folder.path().join(name)).unwrap();
        SourceFile {
            path: (*name).to_owned(),
            bytes: identity.bytes,
            modified_nanos: identity.modified_nanos,
            version: identity.version,
            partition: vec![Some("01".to_owned()), None],
            rows: None,
            row_groups: Vec::new(),
        }
    };
    plan_of(PlanSource {
        connection: ConnectionName::default(),
        dataset: TableName::new("d", "t"),
        location: folder.path().display().to_string(),
        format,
        described_by: DescribedBy::Description,
        columns: columns
            .iter()
            .map(column(false))
            .chain([("dt", "string"), ("n", "int")].iter().map(column(true)))
            .collect(),
        files: names.iter().map(file).collect(),
    })
}

/// A plan that copies `source`.
pub(crate) fn plan_of(source: PlanSource) -> Plan {
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
            columns: Vec::new(),
            partitioning: Vec::new(),
            sort: Vec::new(),
            zstd_level: 3,
            file_bytes: 1,
            properties: Default::default(),
        },
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

/// A file with columns `S` and `i`, of 100 rows in row groups of 40.
fn parquet_file(folder: &TempDir, name: &str) {
    let schema =
        Arc::new(Schema::new(vec![Field::new("S", ArrowType::Utf8, true), Field::new("i", ArrowType::Int32, true)]));
    let strings = StringArray::from_iter((0..100).map(|row| (row % 7 != 0).then(|| format!("name {row}"))));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![Arc::new(strings), Arc::new(Int32Array::from_iter_values(0..100))],
    )
    .unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(40)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(folder.path().join(name)).unwrap(), schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Writes `text` into the file `f` of `folder`.
fn written(folder: &TempDir, text: &str) {
    fs::write(folder.path().join("f"), text).unwrap();
}

fn whole() -> BatchInput {
    BatchInput { file: 0, row_groups: None }
}

const COLUMNS: [(&str, &str); 3] = [("i", "bigint"), ("s", "string"), ("later", "array<int>")];

#[test]
fn parquet_is_read_in_the_plans_order_with_its_partition_columns() {
    let folder = tempfile::tempdir().unwrap();
    parquet_file(&folder, "f");
    let plan = plan(&folder, &COLUMNS, SourceFormat::Parquet, &["f"]);
    let reader = read_input(&disk(), &plan, &whole(), 64).unwrap();
    assert_eq!(reader.footer_rows(), Some(100));
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [64, 36]);
    for batch in &batches {
        assert_eq!(batch.schema(), schema);
        assert_eq!(batch.column(3).as_string::<i32>().value(0), "01");
        assert_eq!((batch.column(2).null_count(), batch.column(4).null_count()), (batch.num_rows(), batch.num_rows()));
        assert_eq!(batch.column(4).data_type(), &ArrowType::Int32);
    }
    assert_eq!(batches[1].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0), 64);
    assert_eq!(batches[0].column(1).null_count() + batches[1].column(1).null_count(), 15);
}

#[test]
fn row_groups_are_read_as_planned() {
    let folder = tempfile::tempdir().unwrap();
    parquet_file(&folder, "f");
    let plan = plan(&folder, &[("i", "int")], SourceFormat::Parquet, &["f"]);
    let reader = read_input(&disk(), &plan, &BatchInput { file: 0, row_groups: Some((1, 2)) }, 1_000).unwrap();
    assert_eq!(reader.footer_rows(), Some(60));
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 60);
    assert_eq!(batches[0].column(0).as_primitive::<Int32Type>().value(0), 40);
    assert_eq!(
        read_input(&disk(), &plan, &BatchInput { file: 0, row_groups: Some((2, 2)) }, 10).err().unwrap().code(),
        Code::FileDamaged
    );
}

#[test]
fn a_changed_file_is_refused_before_and_after_reading() {
    let folder = tempfile::tempdir().unwrap();
    parquet_file(&folder, "f");
    let path = folder.path().join("f");
    let plan = plan(&folder, &COLUMNS, SourceFormat::Parquet, &["f"]);
    let mut reader = read_input(&disk(), &plan, &whole(), 1_000).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().num_rows(), 100);
    // The same bytes and the same time of modification, in another file.
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    fs::copy(&path, folder.path().join("g")).unwrap();
    File::options().write(true).open(folder.path().join("g")).unwrap().set_modified(modified).unwrap();
    fs::rename(folder.path().join("g"), &path).unwrap();
    let failure = reader.next().unwrap().unwrap_err();
    assert_eq!(failure.code(), Code::SourceChanged);
    assert!(failure.problem.why.contains("another file"), "{failure}");
    assert!(reader.next().is_none());
    assert_eq!(read_input(&disk(), &plan, &whole(), 10).err().unwrap().code(), Code::SourceChanged);
    fs::remove_file(&path).unwrap();
    assert_eq!(read_input(&disk(), &plan, &whole(), 10).err().unwrap().code(), Code::SourceChanged);
}

#[test]
fn damaged_parquet_is_refused_with_its_code_wherever_it_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    parquet_file(&folder, "good");
    let good = fs::read(folder.path().join("good")).unwrap();
    let mut refused = 0;
    for at in (0..good.len()).step_by(3) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        fs::write(folder.path().join("f"), bytes).unwrap();
        let plan = plan(&folder, &COLUMNS, SourceFormat::Parquet, &["f"]);
        let outcome =
            read_input(&disk(), &plan, &whole(), 1_000).and_then(|reader| reader.collect::<Result<Vec<_>, _>>());
        if let Err(failure) = outcome {
            refused += 1;
            let expected = [Code::FileDamaged, Code::SchemaConflict, Code::ValueInvalid];
            assert!(expected.contains(&failure.code()), "byte {at}: {failure}");
        }
    }
    assert!(refused > 20, "only {refused} damages were noticed");
    for length in [0, 3, 8, good.len() / 2, good.len() - 1] {
        fs::write(folder.path().join("f"), &good[..length]).unwrap();
        let plan = plan(&folder, &COLUMNS, SourceFormat::Parquet, &["f"]);
        assert_eq!(read_input(&disk(), &plan, &whole(), 10).err().unwrap().code(), Code::FileDamaged, "{length} bytes");
    }
}

#[test]
fn int96_holds_all_years_and_keeps_julian_labels() {
    const DAY: i64 = 86_400_000_000;
    // Julian day numbers of what Hive calls 0001-01-01, 9999-12-31, 1970-01-01 and 1458-05-07.
    let days = [1_721_424_u32, 5_373_484, 2_440_588, 2_253_719];
    let folder = tempfile::tempdir().unwrap();
    let message = parquet::schema::parser::parse_message_type("message hive_schema { required int96 ts; }").unwrap();
    let file = File::create(folder.path().join("f")).unwrap();
    let hive = WriterProperties::builder().set_created_by("parquet-mr version 1.8.1".to_owned()).build();
    let mut writer = SerializedFileWriter::new(file, Arc::new(message), Arc::new(hive)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<Int96> = days.iter().map(|day| Int96::from(vec![1_500, 0, *day])).collect();
    column.typed::<Int96Type>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let plan = plan(&folder, &[("ts", "timestamp")], SourceFormat::Parquet, &["f"]);
    let batch = read_input(&disk(), &plan, &whole(), 10).unwrap().next().unwrap().unwrap();
    let read: Vec<i64> = batch.column(0).as_primitive::<TimestampMicrosecondType>().values().to_vec();
    assert_eq!(read, [-719_162, 2_932_896, 0, -186_878].map(|day| day * DAY + 1));
}

#[test]
fn a_column_of_another_type_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    parquet_file(&folder, "f");
    let plan = plan(&folder, &[("s", "int")], SourceFormat::Parquet, &["f"]);
    assert_eq!(read_input(&disk(), &plan, &whole(), 10).err().unwrap().code(), Code::SchemaConflict);
}

#[test]
fn text_is_read_and_its_oddities_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = File::create(folder.path().join("f")).unwrap();
    file.write_all(b"1,a\nx,b\n3,\\N\n").unwrap();
    drop(file);
    let format = TextFormat { separators: vec![b','], ..TextFormat::default() };
    let plan = plan(&folder, &[("i", "int"), ("s", "string")], SourceFormat::Text(format), &["f"]);
    let mut reader = read_input(&disk(), &plan, &whole(), DEFAULT_BATCH_ROWS).unwrap();
    assert_eq!(reader.footer_rows(), None);
    let batch = reader.next().unwrap().unwrap();
    assert!(reader.next().is_none());
    assert_eq!((batch.num_rows(), batch.column(0).null_count(), batch.column(1).null_count()), (3, 1, 1));
    assert_eq!(reader.unparsable(), [("i".to_owned(), Unparsable { nulled: 1, shortened: 0 })]);
}

#[test]
fn a_cut_gzip_file_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"1\n2\n").unwrap();
    let packed = encoder.finish().unwrap();
    fs::write(folder.path().join("f"), &packed[..packed.len() - 6]).unwrap();
    let plan = plan(&folder, &[("i", "int")], SourceFormat::Text(TextFormat::default()), &["f"]);
    let failure = read_input(&disk(), &plan, &whole(), 10).unwrap().find_map(Result::err).unwrap();
    assert_eq!(failure.code(), Code::FileDamaged);
}

/// An ORC file with a column of numbers called `first` and one of texts called `second`, in stripes of 40 rows or so.
fn orc_file(folder: &TempDir, first: &str, second: &str) {
    let schema = Arc::new(Schema::new(vec![
        Field::new(first, ArrowType::Int32, true),
        Field::new(second, ArrowType::Utf8, true),
    ]));
    let file = File::create(folder.path().join("f")).unwrap();
    let builder = orc_rust::ArrowWriterBuilder::new(file, Arc::clone(&schema)).with_stripe_byte_size(1);
    let mut writer = builder.try_build().unwrap();
    for start in [0, 40] {
        let texts = StringArray::from_iter((start..start + 40).map(|row| (row % 3 != 0).then(|| format!("t{row}"))));
        let columns: [ArrayRef; 2] = [Arc::new(Int32Array::from_iter_values(start..start + 40)), Arc::new(texts)];
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns.to_vec()).unwrap()).unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn orc_is_read_by_names_or_where_its_writer_knew_none_by_position() {
    for (first, second) in [("I", "s"), ("_col0", "_col1")] {
        let folder = tempfile::tempdir().unwrap();
        orc_file(&folder, first, second);
        let columns = [("i", "bigint"), ("S", "varchar(2)"), ("later", "timestamp")];
        let plan = plan(&folder, &columns, SourceFormat::Orc, &["f"]);
        let mut reader = read_input(&disk(), &plan, &whole(), 30).unwrap();
        assert_eq!(reader.footer_rows(), Some(80));
        let batches: Vec<RecordBatch> = reader.by_ref().map(Result::unwrap).collect();
        let all = arrow::compute::concat_batches(&reader.schema(), &batches).unwrap();
        assert_eq!(all.column(0).as_primitive::<arrow::datatypes::Int64Type>().value(79), 79, "{first}");
        assert_eq!(
            (all.column(1).as_string::<i32>().value(1), all.column(1).as_string::<i32>().value(10)),
            ("t1", "t1")
        );
        assert_eq!((all.column(1).null_count(), all.column(2).null_count()), (27, 80));
        let shortened = Unparsable { nulled: 0, shortened: 47 };
        assert_eq!(reader.unparsable(), [("S".to_owned(), shortened)]);
        let stripes = BatchInput { file: 0, row_groups: Some((1, 1)) };
        let second: Vec<RecordBatch> = read_input(&disk(), &plan, &stripes, 100).unwrap().map(Result::unwrap).collect();
        assert_eq!(second[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0), 40);
        let beyond = BatchInput { file: 0, row_groups: Some((1, 9)) };
        let failure = read_input(&disk(), &plan, &beyond, 100).err().unwrap();
        assert_eq!(failure.problem.code, Code::FileDamaged);
    }
}

#[test]
fn avro_files_without_a_column_have_its_default_or_null() {
    let schema = Arc::new(Schema::new(vec![Field::new("I", ArrowType::Int32, false)]));
    for codec in ["null", "deflate", "snappy", "zstandard", "bzip2"] {
        use arrow_avro::compression::CompressionCodec as Codec;
        let folder = tempfile::tempdir().unwrap();
        let packed = match codec {
            "deflate" => Some(Codec::Deflate),
            "snappy" => Some(Codec::Snappy),
            "zstandard" => Some(Codec::ZStandard),
            "bzip2" => Some(Codec::Bzip2),
            _ => None,
        };
        let file = File::create(folder.path().join("f")).unwrap();
        let builder = arrow_avro::writer::WriterBuilder::new(Schema::clone(&schema)).with_compression(packed);
        let mut writer = builder.build::<_, arrow_avro::writer::format::AvroOcfFormat>(file).unwrap();
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..500));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![numbers]).unwrap();
        (0..3).for_each(|_| writer.write(&batch).unwrap());
        writer.finish().unwrap();
        let format = AvroFormat { defaults: [("later".to_owned(), "x, y".to_owned())].into() };
        let columns = [("i", "double"), ("later", "string"), ("other", "array<int>")];
        let plan = plan(&folder, &columns, SourceFormat::Avro(format), &["f"]);
        let reader = read_input(&disk(), &plan, &whole(), 64).unwrap();
        assert_eq!(reader.footer_rows(), Some(1_500), "{codec}");
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1_500);
        assert_eq!(batches[0].column(0).as_primitive::<arrow::datatypes::Float64Type>().value(7), 7.0);
        assert_eq!(batches[1].column(1).as_string::<i32>().value(0), "x, y");
        assert_eq!(batches[0].column(2).null_count(), 64);
    }
}

#[test]
fn json_lines_are_read_by_keys_and_what_does_not_fit_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let columns = [("i", "int"), ("m", "decimal(38,10)"), ("s", "string"), ("l", "array<struct<x:int,at:timestamp>>")];
    let lines = "{\"I\": 7, \"m\": 1234567890123456789012345678.1234567890, \"s\": \"\\u00e9\", \"L\": [{\"X\": 1, \"at\": \"2024-01-01 10:00:00.5\"}, null]}\n{\"i\": null, \"extra\": {}}\n";
    written(&folder, lines);
    let json = || SourceFormat::JsonLines(JsonLinesFormat::default());
    let first = plan(&folder, &columns, json(), &["f"]);
    let batch = read_input(&disk(), &first, &whole(), 10).unwrap().next().unwrap().unwrap();
    assert_eq!((batch.num_rows(), batch.column(0).null_count(), batch.column(3).null_count()), (2, 1, 1));
    let decimals = batch.column(1).as_primitive::<arrow::datatypes::Decimal128Type>();
    assert_eq!(decimals.value_as_string(0), "1234567890123456789012345678.1234567890");
    assert_eq!(batch.column(2).as_string::<i32>().value(0), "é");
    let items = batch.column(3).as_list::<i32>().value(0);
    assert_eq!((items.len(), items.null_count()), (2, 1));
    for wrong in ["{\"i\": \"7\"}", "{\"i\": 1.5}", "{\"i\": 99999999999}", "{\"s\": 1}", "{\"l\": 1}", "[]", "", "{"] {
        written(&folder, &format!("{{}}\n{wrong}\n"));
        let plan = plan(&folder, &columns, json(), &["f"]);
        let failure = read_input(&disk(), &plan, &whole(), 10).unwrap().next().unwrap().unwrap_err();
        assert_eq!(failure.problem.code, Code::ValueInvalid, "{wrong}");
        assert!(failure.problem.why.contains("line 2"), "{}", failure.problem.why);
    }
}

#[test]
fn opencsv_gives_strings_and_missing_fields_as_null() {
    let folder = tempfile::tempdir().unwrap();
    written(&folder, "h\n\"a \"\"q\"\"\",\"1,5\",x\n,\n\n");
    let format = OpenCsvFormat { skip_header_lines: 1, ..OpenCsvFormat::default() };
    let columns = [("a", "string"), ("b", "string"), ("c", "string")];
    let plan = plan(&folder, &columns, SourceFormat::OpenCsv(format), &["f"]);
    let batch = read_input(&disk(), &plan, &whole(), 10).unwrap().next().unwrap().unwrap();
    let texts = |column: usize| {
        batch.column(column).as_string::<i32>().iter().map(|t| t.map(str::to_owned)).collect::<Vec<_>>()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(texts(0), [some("a \"q\""), some(""), None]);
    assert_eq!(texts(1), [some("1,5"), some(""), None]);
    assert_eq!(texts(2), [some("x"), None, None]);
}
