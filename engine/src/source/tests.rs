//! Tests of whole tables: a small warehouse is written, selected, inspected and listed.

use std::fs::{self, File};

use ::parquet::arrow::ArrowWriter;
use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use skein_protocol::inspection::SourceFormat;
use skein_protocol::plan::PlanSource;
use tempfile::TempDir;

use super::read::tests::disk;
use super::*;

struct Warehouse {
    folder: TempDir,
    described: bool,
}

impl Warehouse {
    fn new(description: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("w")).unwrap();
        if let Some(tables) = description {
            fs::write(
                folder.path().join("metastore.json"),
                format!(r#"{{"database": "music", "tables": {{{tables}}}}}"#),
            )
            .unwrap();
        }
        Self { folder, described: description.is_some() }
    }

    fn path(&self, relative: &str) -> PathBuf {
        let path = self.folder.path().join("w/music.db").join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn parquet(&self, relative: &str, rows: i32) {
        let strings = StringArray::from_iter_values((0..rows).map(|row| format!("name {row}")));
        let columns: Vec<(&str, ArrayRef)> =
            vec![("i", Arc::new(Int32Array::from_iter_values(0..rows))), ("s", Arc::new(strings))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer =
            ArrowWriter::try_new(File::create(self.path(relative)).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    fn text(&self, relative: &str, text: &str) {
        fs::write(self.path(relative), text).unwrap();
    }

    fn source(&self) -> HiveSource {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let description = self.described.then(|| path("metastore.json"));
        HiveSource::new(
            ConnectionName::from("legacy"),
            HiveFiles { warehouse: path("w"), description, ..HiveFiles::at("") },
            disk(),
        )
    }

    fn inspect(&self, table: &str) -> Inspection {
        let target = TargetState { location: "/lake".to_owned(), occupied_by: None };
        self.source().inspect(&TableName::new("music", table), target).unwrap()
    }
}

fn codes(inspection: &Inspection) -> Vec<Code> {
    inspection.problems.iter().map(|problem| problem.code).collect()
}

fn columns(inspection: &Inspection) -> Vec<String> {
    inspection
        .columns
        .iter()
        .map(|column| {
            format!("{} {}{}", column.name, column.data_type, if column.partition { " partition" } else { "" })
        })
        .collect()
}

const PARQUET: &str = r#""serde": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe""#;
const TEXT: &str = r#""serde": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", "storage": "[field.delim=,]""#;

#[test]
fn a_described_parquet_table_is_inspected() {
    let warehouse = Warehouse::new(Some(&format!(
        r#""plays": {{{PARQUET}, "type": "MANAGED", "columns": {{"i": "int", "s": "string"}}, "partition_columns": {{"dt": "date"}}, "partitions": ["dt=2024-01-01", "dt=2024-01-02"], "location": "w/music.db/plays", "buckets": "4"}}"#
    )));
    warehouse.parquet("plays/dt=2024-01-02/part-0", 3);
    warehouse.parquet("plays/dt=2024-01-01/part-0", 5);
    warehouse.parquet("plays/dt=2024-01-03/part-0", 7);
    warehouse.text("plays/dt=2024-01-01/_SUCCESS", "");
    warehouse.text("plays/dt=2024-01-01/.part-0.crc", "crc");
    let inspection = warehouse.inspect("plays");
    assert_eq!(codes(&inspection), []);
    assert_eq!(columns(&inspection), ["i int", "s string", "dt date partition"]);
    assert_eq!(inspection.format, Some(SourceFormat::Parquet));
    assert_eq!(inspection.described_by, DescribedBy::Description);
    let files: Vec<(&str, Option<u64>)> = inspection.files.iter().map(|file| (file.path.as_str(), file.rows)).collect();
    assert_eq!(files, [("dt=2024-01-01/part-0", Some(5)), ("dt=2024-01-02/part-0", Some(3))]);
    assert_eq!(inspection.files[0].partition, [Some("2024-01-01".to_owned())]);
    assert!(inspection.notes.iter().any(|note| note.contains("dt=2024-01-03")), "{:?}", inspection.notes);
    assert!(inspection.notes.iter().any(|note| note.contains("bucket")));
}

#[test]
fn without_a_description_footers_and_folders_tell() {
    let warehouse = Warehouse::new(None);
    warehouse.parquet("Plays/DT=01/f", 2);
    warehouse.parquet("Plays/dt=__HIVE_DEFAULT_PARTITION__/f", 1);
    warehouse.text("notes/f", "just text");
    warehouse.text("old/f", "SEQ and so on");
    fs::create_dir_all(warehouse.path("empty/x").parent().unwrap()).unwrap();
    let names: Vec<String> = warehouse.source().select().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["music.empty", "music.notes", "music.old", "music.plays"]);
    let inspection = warehouse.inspect("plays");
    assert_eq!(codes(&inspection), []);
    assert_eq!(columns(&inspection), ["i int", "s string", "dt string partition"]);
    assert_eq!(inspection.described_by, DescribedBy::Footers);
    assert!(inspection.notes.iter().any(|note| note.contains("footers")));
    assert_eq!(codes(&warehouse.inspect("notes")), [Code::NoSchema]);
    assert_eq!(codes(&warehouse.inspect("old")), [Code::FormatUnsupported]);
    assert_eq!(codes(&warehouse.inspect("empty")), [Code::NoSchema]);
    assert_eq!(codes(&warehouse.inspect("none")), [Code::SourceUnreadable]);
}

#[test]
fn what_cannot_be_migrated_is_refused_by_name() {
    let rc = r#""input_format": "org.apache.hadoop.hive.ql.io.RCFileInputFormat", "columns": {"i": "int"}"#;
    let warehouse = Warehouse::new(Some(&format!(
        r#""v": {{"type": "VIEW", "columns": {{"i": "int"}}, "sql": "SELECT 1"}}, "o": {{{rc}}},
           "acid": {{{PARQUET}, "columns": {{"i": "int"}}, "properties": {{"transactional": "true"}}}},
           "away": {{{PARQUET}, "columns": {{"i": "int"}}, "location": "/etc"}},
           "union": {{{PARQUET}, "columns": {{"u": "uniontype<int,string>"}}, "location": "w/music.db"}},
           "twice": {{{PARQUET}, "columns": {{"A": "int", "a": "int"}}, "location": "w/music.db/twice"}},
           "gone": {{{PARQUET}, "columns": {{"i": "int"}}, "partition_columns": {{"dt": "string"}}, "partitions": ["dt=1"], "location": "w/music.db/gone"}}"#
    )));
    fs::create_dir_all(warehouse.path("twice/x").parent().unwrap()).unwrap();
    let expected = [
        ("v", Code::NotATable),
        ("o", Code::FormatUnsupported),
        ("acid", Code::LayoutUnsupported),
        ("away", Code::LocationForbidden),
        ("union", Code::TypeUnsupported),
        ("twice", Code::ColumnAmbiguous),
        ("gone", Code::SourceUnreadable),
    ];
    for (table, code) in expected {
        let inspection = warehouse.inspect(table);
        assert_eq!(codes(&inspection), [code], "{table}");
        assert_eq!(inspection.problems[0].dataset.as_deref(), Some(format!("music.{table}").as_str()));
    }
    assert!(warehouse.inspect("o").problems[0].what.contains("RCFile"));
}

#[test]
fn damaged_and_foreign_files_are_named() {
    let warehouse = Warehouse::new(Some(&format!(r#""t": {{{PARQUET}, "columns": {{"i": "int", "s": "string"}}}}"#)));
    warehouse.parquet("t/a", 3);
    let good = fs::read(warehouse.path("t/a")).unwrap();
    fs::write(warehouse.path("t/b"), &good[..good.len() - 9]).unwrap();
    warehouse.text("t/c", "");
    warehouse.text("t/d", "ORC");
    let inspection = warehouse.inspect("t");
    assert_eq!(codes(&inspection), [Code::FileDamaged, Code::FormatUnsupported]);
    assert!(inspection.problems[0].what.contains("\"b\""), "{}", inspection.problems[0].what);
    assert!(inspection.notes.iter().any(|note| note.contains("without a byte")));
}

#[test]
fn a_described_table_without_files_or_folder_is_empty() {
    let warehouse =
        Warehouse::new(Some(&format!(r#""t": {{{PARQUET}, "columns": {{"i": "int"}}, "location": "w/music.db/t"}}"#)));
    let _ = warehouse.path("x");
    let inspection = warehouse.inspect("t");
    assert_eq!((codes(&inspection), inspection.files.len()), (vec![], 0));
    assert!(inspection.notes.iter().any(|note| note.contains("does not exist")));
    fs::create_dir(warehouse.path("t")).unwrap();
    assert!(warehouse.inspect("t").notes.is_empty());
    assert_eq!(columns(&warehouse.inspect("t")), ["i int"]);
}

#[test]
fn text_tables_find_the_order_of_their_columns_or_are_refused() {
    let warehouse = Warehouse::new(Some(&format!(
        r#""csv": {{{TEXT}, "columns": {{"b": "bigint", "i": "int", "s": "string"}}}},
           "listed": {{{TEXT}, "columns": [{{"name": "s", "type": "string"}}, {{"name": "i", "type": "int"}}]}},
           "alone": {{{TEXT}, "columns": {{"x": "int", "y": "int"}}}},
           "packed": {{{TEXT}, "columns": [{{"name": "s", "type": "string"}}]}},
           "plays": {{{PARQUET}, "columns": {{"b": "bigint", "i": "int", "s": "string"}}, "location": "w/music.db/plays"}}"#
    )));
    warehouse.text("csv/f", "1,1000,x\n2,2000,y\n");
    warehouse.text("listed/f", "x,1\n");
    warehouse.text("alone/f", "1,2\n");
    warehouse.text("packed/f", "PK\u{3}\u{4}");
    assert_eq!(codes(&warehouse.inspect("csv")), [Code::DescriptionInvalid]);
    let message = "message hive_schema { optional int32 i; optional int64 b; optional binary s (UTF8); }";
    let schema = Arc::new(::parquet::schema::parser::parse_message_type(message).unwrap());
    let file = File::create(warehouse.path("plays/f")).unwrap();
    ::parquet::file::writer::SerializedFileWriter::new(file, schema, Arc::default()).unwrap().close().unwrap();
    let inspection = warehouse.inspect("csv");
    assert_eq!(codes(&inspection), []);
    assert_eq!(columns(&inspection), ["i int", "b bigint", "s string"]);
    assert!(inspection.notes[0].contains("music.plays"), "{:?}", inspection.notes);
    assert_eq!(inspection.files[0].rows, None);
    assert_eq!(columns(&warehouse.inspect("listed")), ["s string", "i int"]);
    assert_eq!(codes(&warehouse.inspect("alone")), [Code::DescriptionInvalid]);
    assert_eq!(codes(&warehouse.inspect("packed")), [Code::FormatUnsupported]);
}

#[test]
fn partition_columns_with_sorted_names_take_the_order_of_the_folders() {
    let table = |more: &str| {
        format!(
            r#""t": {{{PARQUET}, "columns": {{"i": "int"}}, "partition_columns": {{"a": "int", "b": "string"}}{more}}}"#
        )
    };
    for more in ["", r#", "partitions": ["b=x/a=1"]"#] {
        let warehouse = Warehouse::new(Some(&table(more)));
        warehouse.parquet("t/b=x/a=1/f", 1);
        let inspection = warehouse.inspect("t");
        assert_eq!(codes(&inspection), [], "{:?}", inspection.problems);
        assert_eq!(columns(&inspection), ["i int", "b string partition", "a int partition"]);
    }
}

#[test]
fn listing_again_gives_the_fingerprint_and_shows_every_change() {
    let warehouse = Warehouse::new(Some(&format!(
        r#""t": {{{PARQUET}, "columns": {{"i": "int", "s": "string"}}, "partition_columns": {{"dt": "string"}}, "partitions": ["dt=1"]}}"#
    )));
    warehouse.parquet("t/dt=1/a", 3);
    warehouse.parquet("t/dt=2/hidden", 3);
    let inspection = warehouse.inspect("t");
    let plan = read::tests::plan_of(PlanSource {
        connection: inspection.connection,
        dataset: inspection.dataset,
        location: inspection.location,
        format: inspection.format.unwrap(),
        described_by: inspection.described_by,
        columns: inspection.columns,
        files: inspection.files,
    });
    let source = warehouse.source();
    let fingerprint = |files: &[SourceFile]| -> Vec<_> {
        files
            .iter()
            .map(|file| {
                (file.path.clone(), file.bytes, file.modified_nanos, file.version.clone(), file.partition.clone())
            })
            .collect()
    };
    let planned = fingerprint(&plan.source.files);
    assert_eq!(fingerprint(&source.list_files(&plan).unwrap()), planned);
    fs::rename(warehouse.path("t/dt=1/a"), warehouse.path("t/dt=1/b")).unwrap();
    assert_ne!(fingerprint(&source.list_files(&plan).unwrap()), planned);
    fs::remove_dir_all(warehouse.path("t")).unwrap();
    assert_eq!(source.list_files(&plan).unwrap_err().code(), Code::SourceChanged);
    fs::write(warehouse.folder.path().join("metastore.json"), r#"{"tables": {}}"#).unwrap();
    assert_eq!(source.list_files(&plan).unwrap_err().code(), Code::SourceChanged);
}

#[test]
fn a_changed_description_is_read_again() {
    let warehouse = Warehouse::new(Some(r#""t": {}"#));
    let source = warehouse.source();
    assert_eq!(source.select().unwrap().len(), 1);
    fs::write(warehouse.folder.path().join("metastore.json"), r#"{"tables": {"t": {}, "u": {}}}"#).unwrap();
    assert_eq!(source.select().unwrap().len(), 2);
    fs::write(warehouse.folder.path().join("metastore.json"), "{").unwrap();
    assert_eq!(source.select().unwrap_err().code(), Code::DescriptionInvalid);
}

#[test]
fn many_footers_keep_the_order_of_their_files() {
    let warehouse = Warehouse::new(None);
    for file in 0..70 {
        warehouse.parquet(&format!("t/f{file:02}"), file + 1);
    }
    let rows: Vec<Option<u64>> = warehouse.inspect("t").files.iter().map(|file| file.rows).collect();
    assert_eq!(rows, (1..=70).map(Some).collect::<Vec<_>>());
}
