//! `CREATE EXTERNAL TABLE source STORED AS HIVE`: a source as a table, read by the engine's own readers.
//!
//! In: the statement's location and options. Out: a table of the source's columns and two more: `_file`, the position of
//! the file among all by path, and `_row`, the row's number in it. These break ties as the plan says.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider, TableProviderFactory};
use datafusion::common::plan_datafusion_err;
use datafusion::error::Result;
use datafusion::logical_expr::CreateExternalTable;
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::{Generation, MigrationId, PolicyName, TableName};
use skein_protocol::inspection::{
    AvroFormat, DescribedBy, JsonLinesFormat, OpenCsvFormat, SourceColumn, SourceFormat, TextFormat,
};
use skein_protocol::plan::{
    BatchInput, PLAN_FORMAT, Plan, PlanSource, PlanTarget, PlannedChecks, Strategy, StrategyKind,
};

use super::columns;
use super::stream::{self, Batches};
use crate::failure::internal;
use crate::files::Files;
use crate::source::{list_at, read_input, table_at};
use crate::types::source_schema;

/// Rows of a record batch.
const BATCH_ROWS: usize = 8 * 1024;
/// The columns that every source has beside its own.
const FILE: &str = "_file";
const ROW: &str = "_row";

/// Makes tables of sources.
#[derive(Debug)]
pub(super) struct HiveTables;

#[async_trait]
impl TableProviderFactory for HiveTables {
    async fn create(&self, _: &dyn Session, statement: &CreateExternalTable) -> Result<Arc<dyn TableProvider>> {
        let options = Options(&statement.options);
        let source = source(&statement.location, &options)
            .map_err(|why| plan_datafusion_err!("a source in Hive's layout: {why}"))?;
        let own = source_schema(&source.columns);
        let numbers = [FILE, ROW].map(|name| Arc::new(Field::new(name, ArrowType::Int64, false)));
        let schema: SchemaRef = Arc::new(Schema::new(own.fields().iter().cloned().chain(numbers).collect::<Vec<_>>()));
        let plan = Arc::new(plan_of(source));
        let of_batches = Arc::clone(&schema);
        let open = Arc::new(move || -> Result<Batches, Failure> {
            let (plan, schema) = (Arc::clone(&plan), Arc::clone(&of_batches));
            let files = 0..u32::try_from(plan.source.files.len())
                .map_err(|error| internal("reading a source", error.to_string()))?;
            Ok(Box::new(files.flat_map(move |file| numbered(&plan, file, &schema))))
        });
        Ok(Arc::new(stream::table(&schema, open)?))
    }
}

/// The batches of one file with the file's and the rows' numbers.
fn numbered(plan: &Plan, file: u32, schema: &SchemaRef) -> Batches {
    let reader = match read_input(&Files::new(Arc::default()), plan, &BatchInput { file, row_groups: None }, BATCH_ROWS)
    {
        Ok(reader) => reader,
        Err(failure) => return Box::new(std::iter::once(Err(failure))),
    };
    let schema = Arc::clone(schema);
    let mut next = 0_i64;
    Box::new(reader.map(move |batch| {
        let batch = batch?;
        let rows = i64::try_from(batch.num_rows()).map_err(|error| internal("numbering rows", error.to_string()))?;
        let files = Int64Array::from_value(i64::from(file), batch.num_rows());
        let numbers = Int64Array::from_iter_values(next..next + rows);
        next += rows;
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns.push(Arc::new(files));
        columns.push(Arc::new(numbers));
        RecordBatch::try_new(Arc::clone(&schema), columns)
            .map_err(|error| internal("numbering rows", error.to_string()))
    }))
}

/// The statement's options; DataFusion puts `format.` before their names.
struct Options<'a>(&'a HashMap<String, String>);

impl Options<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&format!("format.{name}")).or_else(|| self.0.get(name)).map(String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let text = self.get(name).filter(|text| !text.is_empty());
        text.map(|text| text.trim().parse().map_err(|_| format!("{name} is {text:?}"))).transpose()
    }
}

fn source(location: &str, options: &Options<'_>) -> Result<PlanSource, String> {
    let list = |name: &str, partition: bool| -> Result<Vec<SourceColumn>, String> {
        let columns = columns::parse(options.get(name).unwrap_or(""))?;
        Ok(columns.into_iter().map(|(name, data_type)| SourceColumn { name, data_type, partition }).collect())
    };
    if options.get("format") == Some("iceberg") {
        return of_iceberg(options, &list("columns", false)?);
    }
    let mut columns = list("columns", false)?;
    columns.extend(list("partition_columns", true)?);
    let format = match options.get("format") {
        Some("parquet") | None => SourceFormat::Parquet,
        Some("orc") => SourceFormat::Orc,
        Some("avro") => SourceFormat::Avro(AvroFormat { defaults: defaults(options)? }),
        Some("text") => SourceFormat::Text(text_format(options)?),
        Some("opencsv") => {
            let usual = OpenCsvFormat::default();
            SourceFormat::OpenCsv(OpenCsvFormat {
                separator: options.number("separator")?.unwrap_or(usual.separator),
                quote: options.number("quote")?.unwrap_or(usual.quote),
                escape: options.number("escape")?.unwrap_or(usual.escape),
                skip_header_lines: options.number("skip_header_lines")?.unwrap_or(0),
            })
        }
        Some("json") => {
            let skip_header_lines = options.number("skip_header_lines")?.unwrap_or(0);
            SourceFormat::JsonLines(JsonLinesFormat { skip_header_lines })
        }
        Some(other) => return Err(format!("there is no format {other:?}")),
    };
    let path = Path::new(location);
    let dataset = TableName::new("source", path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default());
    let files = list_at(&dataset, path, &columns).map_err(|failure| failure.to_string())?;
    let location = location.to_owned();
    Ok(PlanSource {
        connection: "script".into(),
        dataset,
        location,
        format,
        described_by: DescribedBy::Description,
        columns,
        files,
    })
}

/// A table of Iceberg by its metadata file, which must have the statement's columns.
fn of_iceberg(options: &Options<'_>, named: &[SourceColumn]) -> Result<PlanSource, String> {
    let metadata = options.get("metadata").ok_or("format iceberg needs the option metadata")?;
    let dataset = TableName::new("source", "iceberg");
    let (format, columns, files, location) = table_at(&dataset, metadata).map_err(|failure| failure.to_string())?;
    if columns != named {
        return Err(format!("the columns of {metadata} are not those of the statement"));
    }
    Ok(PlanSource {
        connection: "script".into(),
        dataset,
        location,
        format: SourceFormat::Iceberg(format),
        described_by: DescribedBy::Description,
        columns,
        files,
    })
}

fn defaults(options: &Options<'_>) -> Result<BTreeMap<String, String>, String> {
    let text = options.get("defaults").filter(|text| !text.is_empty()).unwrap_or("{}");
    serde_json::from_str(text).map_err(|error| format!("defaults are {text:?}: {error}"))
}

fn text_format(options: &Options<'_>) -> Result<TextFormat, String> {
    let usual = TextFormat::default();
    let separators = match options.get("separators") {
        None => usual.separators,
        Some(codes) => {
            let codes =
                codes.split(',').map(|code| code.trim().parse::<u8>().map_err(|_| format!("separators are {codes:?}")));
            codes.collect::<Result<_, _>>()?
        }
    };
    Ok(TextFormat {
        separators,
        escape: options.number("escape")?,
        null_text: options.get("null_text").map_or(usual.null_text, str::to_owned),
        skip_header_lines: options.number("skip_header_lines")?.unwrap_or(0),
        last_column_takes_rest: options.number("last_column_takes_rest")?.unwrap_or(false),
    })
}

/// A plan that is good for nothing but reading `source`.
fn plan_of(source: PlanSource) -> Plan {
    let policy = PolicyName::from("script");
    let target = PlanTarget {
        connection: source.connection.clone(),
        name: source.dataset.clone(),
        location: String::new(),
        format_version: 2,
        columns: Vec::new(),
        partitioning: Vec::new(),
        sort: Vec::new(),
        zstd_level: 1,
        file_bytes: 0,
        properties: Default::default(),
    };
    let checks = PlannedChecks {
        batch_count: false,
        batch_checksum: false,
        final_count: false,
        final_checksum: false,
        nulls: false,
        min_max: false,
        spark64: false,
        sql: Vec::new(),
        removed_rows_percent: None,
        filtered_rows_percent: None,
    };
    Plan {
        format: PLAN_FORMAT,
        migration: MigrationId::derive(&policy, Generation(0), &source.dataset),
        policy,
        generation: Generation(0),
        source,
        target,
        strategy: Strategy { kind: StrategyKind::Copy, reason: String::new() },
        rules: Vec::new(),
        stages: Vec::new(),
        checks,
        notes: Vec::new(),
        script: String::new(),
        undo: String::new(),
    }
}
