use std::path::PathBuf;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType as ArrowType, Field, Fields, Float64Type, Int64Type, Schema};
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFileBuilder, DataFileFormat, FormatVersion, ManifestListWriter, ManifestWriterBuilder, Struct,
};
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use serde_json::{Value, json};
use skein_protocol::connection::IcebergTarget;
use skein_protocol::data_plane::{RegisterRequest, ReplaceRequest, StagedFile, StagedKind};
use skein_protocol::ids::{Generation, MigrationId};
use skein_protocol::plan::{BatchInput, PlanTarget, Planned};
use skein_protocol::{planner, policy};

use super::super::read_input;
use super::*;
use crate::batch::fixture::hashes;
use crate::iceberg::{catalog, fixture, stage};
use crate::io_runtime::IoRuntime;

/// A catalog with its folder, and one table `db.t` in it.
struct Site {
    folder: tempfile::TempDir,
    files: Files,
    catalog: Arc<dyn Catalog>,
    source: IcebergSource,
}

fn name() -> TableName {
    TableName::new("db", "t")
}

/// A column of a data file: its id, name and values.
type Written<'a> = (i32, &'a str, ArrayRef);

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = |name: &str| folder.path().join(name).display().to_string();
        let config = IcebergTarget::sqlite(text("catalog.db"), text("lake"));
        let files = fixture::files();
        let catalog = catalog::of(&config, &files, &Arc::new(IoRuntime::default())).unwrap();
        let source = IcebergSource::new("lake".into(), &config, Arc::clone(&catalog), files.clone());
        Self { folder, files, catalog, source }
    }

    /// Makes the table: its present columns, and files with their partitions.
    fn table(&self, target: PlanTarget, files: Vec<(Vec<Written<'_>>, Vec<Value>)>) -> String {
        let plan = Arc::new(fixture::plan(target, &self.folder.path().join("lake")));
        let staged = files.into_iter().enumerate().map(|(number, (columns, partition))| {
            let path = PathBuf::from(&plan.target.location).join(format!("data/{number}.parquet"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let batch = batch(columns);
            let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let location = path.display().to_string();
            let (bytes, content) = self.files.hash(&location).unwrap();
            let rows = batch.num_rows() as u64;
            StagedFile { location, kind: StagedKind::Data, rows, bytes, content, partition }
        });
        let request = fixture::stage_request(&plan, staged.collect());
        let location = stage::stage(&self.files, &request).unwrap().metadata_location;
        self.point(&location);
        location
    }

    /// The table's name points at this metadata file now.
    fn point(&self, location: &str) {
        let (connection, name) = (ConnectionName::from("lake"), name());
        match self.catalog.load(&name).unwrap() {
            Some(table) => {
                let (expected, replacement) = (table.metadata_location, Some(location.to_owned()));
                self.catalog.replace(&ReplaceRequest { connection, name, expected, replacement }).unwrap();
            }
            None => {
                let (metadata_location, replacing) = (location.to_owned(), None);
                self.catalog.register(&RegisterRequest { connection, name, metadata_location, replacing }).unwrap();
            }
        }
    }

    /// The table with other metadata.
    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let before = self.catalog.load(&name()).unwrap().unwrap().metadata_location;
        let mut metadata = serde_json::from_slice(&std::fs::read(&before).unwrap()).unwrap();
        change(&mut metadata);
        let number = std::fs::read_dir(PathBuf::from(&before).parent().unwrap()).unwrap().count();
        let after = PathBuf::from(&before).with_file_name(format!("{number:05}-edited.metadata.json"));
        std::fs::write(&after, metadata.to_string()).unwrap();
        self.point(&after.display().to_string());
    }

    fn inspect(&self) -> Inspection {
        let target = TargetState { location: "/nowhere/db/u".to_owned(), occupied_by: None };
        self.source.inspect(&name(), target).unwrap()
    }

    fn plan(&self) -> Plan {
        self.plan_with("")
    }

    fn plan_with(&self, rules: &str) -> Plan {
        let text = format!(
            "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: p, owner: me }}\nspec:\n  source: {{ connection: lake, include: [\"db.*\"] }}\n  target: {{ connection: other }}\n{rules}"
        );
        let policy = policy::parse(&text).unwrap();
        let migration = MigrationId::derive(&policy.metadata.name, Generation(1), &name());
        match planner::plan(&policy, migration, Generation(1), &name(), &self.inspect()) {
            Planned::Ready(plan) => *plan,
            Planned::Refused(refusal) => panic!("{refusal:#?}"),
        }
    }

    /// All rows, file by file.
    fn rows(&self) -> RecordBatch {
        let plan = self.plan();
        let files = 0..u32::try_from(plan.source.files.len()).unwrap();
        let batches: Vec<RecordBatch> = files
            .flat_map(|file| read_input(&self.files, &plan, &BatchInput { file, row_groups: None }, 100).unwrap())
            .map(|batch| batch.unwrap())
            .collect();
        concat_batches(&batches[0].schema(), &batches).unwrap()
    }

    /// The one problem that the table has, with its code.
    #[track_caller]
    fn refused(&self, code: Code, said: &str) {
        let inspection = self.inspect();
        let [problem] = inspection.problems.as_slice() else { panic!("{:#?}", inspection.problems) };
        assert_eq!(problem.code, code, "{problem}");
        assert!(problem.to_string().contains(said), "{problem}");
    }
}

fn marked(field: Field, id: i32) -> Field {
    field.with_metadata([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())].into())
}

/// Id 0: without one.
fn batch(columns: Vec<Written<'_>>) -> RecordBatch {
    let field = |(id, name, array): &Written<'_>| {
        let field = Field::new(*name, array.data_type().clone(), true);
        if *id == 0 { field } else { marked(field, *id) }
    };
    let fields: Fields = columns.iter().map(field).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, _, array)| array).collect())
        .unwrap()
}

fn ints(values: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

fn longs(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn simple(site: &Site) {
    site.table(
        fixture::target(&[("n", "bigint"), ("t", "string")]),
        vec![(vec![(1, "n", longs([1, 2])), (2, "t", texts(&["a", "b"]))], vec![])],
    );
}

#[test]
fn columns_are_read_by_their_ids_promoted_and_null_where_a_file_has_none() {
    let site = Site::new();
    // The second file was written before: other names, another order, narrower types, a column that is gone.
    let x = |id, values: ArrayRef| -> ArrayRef {
        let fields = Fields::from(vec![marked(Field::new("old", values.data_type().clone(), true), id)]);
        Arc::new(StructArray::new(fields, vec![values], None))
    };
    let instants = TimestampMicrosecondArray::from(vec![1, -1]).with_timezone("UTC");
    site.table(
        fixture::target(&[
            ("n", "bigint"),
            ("d", "double"),
            ("s", "struct<added:string,x:bigint>"),
            ("t", "string"),
            ("at", "timestamptz"),
        ]),
        vec![
            (vec![(1, "n", longs([1, 2])), (4, "t", texts(&["a", "b"])), (5, "at", Arc::new(instants))], vec![]),
            (
                vec![
                    (99, "t", texts(&["gone", "gone"])),
                    (3, "was_s", x(7, ints([5, 6]))),
                    (2, "was_d", Arc::new(Float32Array::from(vec![0.5, -0.0]))),
                    (1, "was_n", ints([-3, 4])),
                ],
                vec![],
            ),
        ],
    );
    let rows = site.rows();
    let column = |name: &str| rows.column_by_name(name).unwrap();
    assert_eq!(column("n").as_primitive::<Int64Type>().values().as_ref(), [1, 2, -3, 4]);
    let doubles = column("d").as_primitive::<Float64Type>();
    assert_eq!(
        (doubles.null_count(), doubles.value(2).to_bits(), doubles.value(3).to_bits()),
        (2, 0.5_f64.to_bits(), (-0.0_f64).to_bits())
    );
    assert_eq!(column("t").as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), Some("b"), None, None]);
    let parts = column("s").as_struct();
    assert_eq!(parts.null_count(), 2);
    assert_eq!(parts.column(0).null_count(), 4);
    assert_eq!(parts.column(1).as_primitive::<Int64Type>().values()[2..], [5, 6]);
    assert_eq!(
        column("at").data_type(),
        &ArrowType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("+00:00".into()))
    );
    assert_eq!((column("at").null_count(), site.plan().source_rows()), (2, Some(4)));
    let notes = site.inspect().notes.join("\n");
    assert!(notes.contains("\"s.added\" is missing in 1 of 2 files and is null"), "{notes}");
}

#[test]
fn a_column_that_a_file_lacks_has_its_partitions_value() {
    let site = Site::new();
    let mut target = fixture::target(&[("n", "bigint"), ("k", "string"), ("day", "date")]);
    target.partitioning = vec![fixture::field("k", "identity", "k"), fixture::field("day", "identity", "day")];
    let file = |values: [i64; 2]| vec![(1, "n", longs(values))];
    site.table(
        target,
        vec![
            (file([1, 2]), vec![json!("x/y"), json!("1969-12-31")]),
            (file([3, 4]), vec![json!(null), json!("1970-01-02")]),
        ],
    );
    let rows = site.rows();
    let texts: Vec<Option<&str>> = rows.column(1).as_string::<i32>().iter().collect();
    assert_eq!(texts, [Some("x/y"), Some("x/y"), None, None]);
    let days = rows.column(2).as_primitive::<arrow::datatypes::Date32Type>();
    assert_eq!(days.values().as_ref(), [-1, -1, 1, 1]);
    let plan = site.plan();
    let kept: Vec<(&str, String)> =
        plan.target.partitioning.iter().map(|field| (field.name.as_str(), field.transform.to_string())).collect();
    assert_eq!(kept, [("k", "identity".to_owned()), ("day", "identity".to_owned())]);
    // Duplicates may lie in files of two specs, so no plan takes a partition for a border between them.
    assert!(plan.source.files.iter().all(|file| file.partition.is_empty()));
}

#[test]
fn a_file_is_bound_to_its_snapshot_and_another_one_is_a_changed_source() {
    let site = Site::new();
    simple(&site);
    let plan = site.plan();
    let listed = site.source.list_files(&plan).unwrap();
    assert_eq!(machine::source::changes(&plan, &listed), None);
    // What says nothing of the rows may change.
    site.edit(|metadata| metadata["properties"]["comment"] = json!("new"));
    assert_eq!(site.source.list_files(&plan).unwrap().len(), 1);
    assert_eq!(site.inspect().documentation.comment.as_deref(), Some("new"));
    site.edit(|metadata| metadata["schemas"][0]["fields"][1]["name"] = json!("renamed"));
    assert_eq!(site.source.list_files(&plan).unwrap_err().code(), Code::SourceChanged);
    site.edit(|metadata| metadata["schemas"][0]["fields"][1]["name"] = json!("t"));
    assert_eq!(site.source.list_files(&plan).unwrap().len(), 1);
    // Another snapshot with the same files.
    site.edit(|metadata| {
        metadata["snapshots"][0]["snapshot-id"] = json!(77);
        metadata["current-snapshot-id"] = json!(77);
        metadata["refs"]["main"]["snapshot-id"] = json!(77);
        metadata["snapshot-log"] = json!([]);
    });
    assert_eq!(site.source.list_files(&plan).unwrap_err().code(), Code::SourceChanged);
}

#[test]
fn a_default_stands_where_files_lack_a_column_and_one_without_a_text_is_refused() {
    let site = Site::new();
    let columns = [("n", "bigint"), ("t", "string"), ("f", "double")];
    let mut target = fixture::target(&columns);
    target.format_version = 3;
    let old = vec![(1, "n", longs([1]))];
    site.table(target, vec![(old, vec![]), (vec![(1, "n", longs([2])), (2, "t", texts(&["own"]))], vec![])]);
    site.edit(|metadata| metadata["schemas"][0]["fields"][1]["initial-default"] = json!("usual"));
    let rows = site.rows();
    assert_eq!(rows.column(1).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["usual", "own"]);
    site.edit(|metadata| metadata["schemas"][0]["fields"][2]["initial-default"] = json!(1.5));
    let problems = site.inspect().problems;
    assert!(problems.iter().all(|problem| problem.code == Code::TypeUnsupported), "{problems:#?}");
    assert_eq!(problems.len(), 2);
}

#[test]
fn files_without_ids_are_read_by_the_tables_name_mapping_and_refused_without_one() {
    let site = Site::new();
    let file = vec![(0, "old_n", longs([1, 2])), (0, "t", texts(&["a", "b"]))];
    site.table(fixture::target(&[("n", "bigint"), ("t", "string")]), vec![(file, vec![])]);
    site.refused(Code::SchemaConflict, "no field ids");
    site.edit(|metadata| {
        let mapping = json!([{"field-id": 1, "names": ["n", "old_n"]}, {"field-id": 2, "names": ["t"]}]);
        metadata["properties"]["schema.name-mapping.default"] = json!(mapping.to_string());
    });
    assert_eq!(site.rows().column(0).as_primitive::<Int64Type>().values().as_ref(), [1, 2]);
    site.edit(|metadata| metadata["properties"]["schema.name-mapping.default"] = json!("[{"));
    site.refused(Code::DescriptionInvalid, "name mapping");
}

#[test]
fn a_packed_metadata_file_is_read_and_a_damaged_one_is_refused() {
    let site = Site::new();
    simple(&site);
    let plain = PathBuf::from(site.catalog.load(&name()).unwrap().unwrap().metadata_location);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, &std::fs::read(&plain).unwrap()).unwrap();
    let packed = packed.finish().unwrap();
    let whole = plain.with_file_name("00001-packed.gz.metadata.json");
    std::fs::write(&whole, &packed).unwrap();
    site.point(&whole.display().to_string());
    assert_eq!(site.rows().num_rows(), 2);
    let half = plain.with_file_name("00002-half.gz.metadata.json");
    std::fs::write(&half, &packed[..packed.len() / 2]).unwrap();
    site.point(&half.display().to_string());
    site.refused(Code::FileDamaged, "00002-half");
}

#[test]
fn types_that_skein_has_not_are_refused_by_name() {
    for unknown in ["uuid", "time", "timestamp_ns", "timestamptz_ns", "variant", "geometry(srid:4326)", "unknown"] {
        let site = Site::new();
        simple(&site);
        site.edit(|metadata| metadata["schemas"][0]["fields"][1]["type"] = json!(unknown));
        site.refused(Code::TypeUnsupported, unknown);
        let nested = json!({"type": "list", "element-id": 9, "element-required": false, "element": unknown});
        site.edit(|metadata| metadata["schemas"][0]["fields"][1]["type"] = nested);
        site.refused(Code::TypeUnsupported, "t.element");
    }
}

#[test]
fn what_cannot_be_read_safely_is_refused_with_its_code() {
    let refused = |code: Code, said: &str, change: fn(&mut Value)| {
        let site = Site::new();
        simple(&site);
        site.edit(change);
        site.refused(code, said);
    };
    refused(Code::FormatUnsupported, "it is 4", |metadata| metadata["format-version"] = json!(4));
    refused(Code::LayoutUnsupported, "encrypted", |metadata| {
        metadata["properties"]["encryption.key-id"] = json!("k");
    });
    refused(Code::LocationForbidden, "/etc", |metadata| metadata["location"] = json!("/etc"));
    refused(Code::LocationForbidden, "hdfs", |metadata| metadata["location"] = json!("hdfs://n/t"));
    refused(Code::SourceUnreadable, "gone.avro", |metadata| {
        let list = metadata["snapshots"][0]["manifest-list"].as_str().unwrap().to_owned();
        let gone = PathBuf::from(list).with_file_name("gone.avro");
        metadata["snapshots"][0]["manifest-list"] = json!(gone.display().to_string());
    });
    refused(Code::FileDamaged, "cannot be read as metadata", |metadata| metadata["last-column-id"] = json!("x"));
    refused(Code::ColumnAmbiguous, "\"n\" and \"N\"", |metadata| {
        metadata["schemas"][0]["fields"][1]["name"] = json!("N");
    });
    refused(Code::SchemaConflict, "without loss", |metadata| {
        metadata["schemas"][0]["fields"][1]["type"] = json!("boolean");
    });
}

#[test]
fn files_must_be_those_that_the_manifests_list() {
    let site = Site::new();
    simple(&site);
    let plan = site.plan();
    let file = PathBuf::from(&plan.source.location).join(&plan.source.files[0].path);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.insert(4, 0);
    std::fs::write(&file, bytes).unwrap();
    let problems = site.inspect().problems;
    assert!(problems.iter().any(|problem| problem.to_string().contains("the manifest says")), "{problems:#?}");
    std::fs::remove_file(&file).unwrap();
    site.refused(Code::SourceUnreadable, "0.parquet");
    let listed = site.source.list_files(&plan).unwrap();
    let change = machine::source::changes(&plan, &listed).unwrap();
    assert!(change.to_string().contains("removed: data/0.parquet"), "{change}");
}

/// Adds a manifest to the table's snapshot, written by iceberg-rust: one file that has this content and format.
fn add_manifest(site: &Site, content: DataContentType, format: DataFileFormat) {
    let location = site.catalog.load(&name()).unwrap().unwrap().metadata_location;
    let metadata: iceberg::spec::TableMetadata = serde_json::from_slice(&std::fs::read(location).unwrap()).unwrap();
    let snapshot = metadata.current_snapshot().unwrap();
    let io = FileIO::new_with_fs();
    let at = |name: &str| format!("{}/metadata/{name}", metadata.location());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let spec = metadata.default_partition_spec().as_ref().clone();
    let schema = Arc::clone(metadata.current_schema());
    let output = io.new_output(at("added-m0.avro")).unwrap();
    let builder = ManifestWriterBuilder::new(output, Some(snapshot.snapshot_id()), schema, spec);
    let mut writer =
        if content == DataContentType::Data { builder.build_v2_data() } else { builder.build_v2_deletes() };
    let file = DataFileBuilder::default()
        .content(content)
        .file_path(format!("{}/data/other", metadata.location()))
        .file_format(format)
        .partition(Struct::empty())
        .record_count(1)
        .file_size_in_bytes(1)
        .partition_spec_id(0)
        .build()
        .unwrap();
    writer.add_file(file, snapshot.sequence_number()).unwrap();
    let manifest = runtime.block_on(writer.write_manifest_file()).unwrap();
    let old = std::fs::read(snapshot.manifest_list()).unwrap();
    let old = iceberg::spec::ManifestList::parse_with_version(&old, FormatVersion::V2).unwrap();
    let output = runtime.block_on(io.new_output(at("added-list.avro")).unwrap().writer()).unwrap();
    let mut list = ManifestListWriter::v2(output, snapshot.snapshot_id(), None, snapshot.sequence_number());
    list.add_manifests(old.consume_entries().into_iter().chain([manifest])).unwrap();
    runtime.block_on(list.close()).unwrap();
    site.edit(|metadata| metadata["snapshots"][0]["manifest-list"] = json!(at("added-list.avro")));
}

#[test]
fn deleted_rows_and_files_that_are_no_parquet_are_refused() {
    for (content, format, code, said) in [
        (DataContentType::PositionDeletes, DataFileFormat::Parquet, Code::LayoutUnsupported, "rewrite_data_files"),
        (DataContentType::EqualityDeletes, DataFileFormat::Avro, Code::LayoutUnsupported, "delete files"),
        (DataContentType::Data, DataFileFormat::Orc, Code::FormatUnsupported, "orc"),
        (DataContentType::Data, DataFileFormat::Avro, Code::FormatUnsupported, "avro"),
    ] {
        let site = Site::new();
        simple(&site);
        add_manifest(&site, content, format);
        site.refused(code, said);
    }
}

#[test]
fn a_table_is_listed_once_and_a_missing_one_is_not_found() {
    let site = Site::new();
    assert_eq!(site.source.select().unwrap(), []);
    simple(&site);
    assert_eq!(site.source.select().unwrap(), [name()]);
    let plan = site.plan();
    site.edit(|metadata| metadata["properties"]["skein.tombstone"] = json!("true"));
    for missing in [name(), TableName::new("db", "none")] {
        let target = TargetState { location: String::new(), occupied_by: None };
        assert_eq!(site.source.inspect(&missing, target).unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(site.source.list_files(&plan).unwrap_err().code(), Code::SourceChanged);
}

#[test]
fn a_plans_script_reads_the_table_through_its_metadata_file() {
    let site = Site::new();
    let mut target = fixture::target(&[("n", "bigint"), ("k", "string"), ("at", "timestamptz")]);
    target.partitioning = vec![fixture::field("k", "identity", "k")];
    let at = |from: i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(from..from + 3).with_timezone("UTC"))
    };
    let file = |from: i64| vec![(3, "then", at(from)), (1, "was_n", ints([1, 2, 2]))];
    site.table(target, vec![(file(-2), vec![json!("it's")]), (file(5), vec![json!(null)])]);
    // What lies in the folder and is in no manifest is not read.
    std::fs::write(site.folder.path().join("lake/db/t/data/orphan.parquet"), "no Parquet").unwrap();
    let run = |rules: &str| {
        let script = site.plan_with(rules).script;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ran = runtime.block_on(crate::script::run_script(&script, 64 << 20));
        let ran = ran.unwrap_or_else(|failure| panic!("{failure}\n{script}"));
        concat_batches(&ran.schema, &ran.target).unwrap()
    };
    assert_eq!(hashes(&run("")), hashes(&site.rows()));
    assert_eq!(run("  filter: \"at >= timestamp '1970-01-01 00:00:00' and k is null\"\n").num_rows(), 3);
    let wall_clock = run("  schema: { cast: [{ column: at, type: timestamp }] }\n");
    assert_eq!(hashes(&wall_clock), hashes(&site.rows()), "an instant and its wall clock in UTC are hashed alike");
}
