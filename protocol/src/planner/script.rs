//! Renders a plan as SQL: complete, readable, and true. It runs as it stands in DataFusion with Skein's source format
//! (`STORED AS HIVE`) and its functions `row128` and `hive_cast`; the engine executes the same plan as a stream.
//!
//! In: a plan without its script. Out: the text. Not here: running it (the engine).

use std::fmt::Write as _;

use crate::expr::{quote_identifier as name, quote_text as text};
use crate::inspection::SourceFormat;
use crate::plan::{Conversion, OrderBy, Origin, Plan, Rule, TargetColumn};
use crate::types::DataType;

/// The whole script of `plan`.
#[must_use]
pub fn render(plan: &Plan) -> String {
    let mut sql = String::new();
    header(&mut sql, plan);
    source(&mut sql, plan);
    target(&mut sql, plan);
    checks(&mut sql, plan);
    undo(&mut sql, plan);
    sql
}

fn line(sql: &mut String, text: impl AsRef<str>) {
    sql.push_str(text.as_ref());
    sql.push('\n');
}

fn header(sql: &mut String, plan: &Plan) {
    line(sql, format!("-- {} -> {}", comment(&plan.source.dataset), comment(&plan.target.name)));
    line(sql, format!("-- policy {}, generation {}", comment(&plan.policy), plan.generation));
    line(sql, format!("-- strategy: {:?}: {}", plan.strategy.kind, comment(&plan.strategy.reason)).to_lowercase());
    for note in &plan.notes {
        line(sql, format!("-- note: {}", comment(note)));
    }
}

/// A text that cannot end its comment.
fn comment(text: &impl std::fmt::Display) -> String {
    text.to_string().replace(['\n', '\r'], " ")
}

fn source(sql: &mut String, plan: &Plan) {
    let source = &plan.source;
    let values = match &source.format {
        SourceFormat::Iceberg(_) => "Files and columns are those of the metadata file.",
        _ => "Values of partition columns come from the names of folders.",
    };
    line(sql, format!("\n-- What is read. {values}"));
    line(sql, "CREATE EXTERNAL TABLE source");
    line(sql, "STORED AS HIVE");
    line(sql, format!("LOCATION {}", text(&source.location)));
    let list = |partition: bool| {
        let columns = source.columns.iter().filter(|column| column.partition == partition);
        columns.map(|column| format!("{} {}", name(&column.name), column.data_type)).collect::<Vec<_>>().join(", ")
    };
    let mut options = vec![("columns", list(false)), ("partition_columns", list(true))];
    options.push(("format", source.format.name().to_owned()));
    match &source.format {
        SourceFormat::Parquet | SourceFormat::Orc => {}
        // Columns, files and values that files lack are in the metadata file.
        SourceFormat::Iceberg(format) => options.push(("metadata", format.metadata.clone())),
        SourceFormat::Avro(format) => {
            let defaults = serde_json::to_string(&format.defaults).expect("texts by their names are JSON");
            options.push(("defaults", defaults));
        }
        SourceFormat::OpenCsv(format) => {
            options.push(("separator", format.separator.to_string()));
            options.push(("quote", format.quote.to_string()));
            options.push(("escape", format.escape.to_string()));
            options.push(("skip_header_lines", format.skip_header_lines.to_string()));
        }
        SourceFormat::JsonLines(format) => options.push(("skip_header_lines", format.skip_header_lines.to_string())),
        SourceFormat::Text(format) => {
            let codes = format.separators.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
            options.push(("separators", codes));
            options.push(("escape", format.escape.map(|code| code.to_string()).unwrap_or_default()));
            options.push(("null_text", format.null_text.clone()));
            options.push(("skip_header_lines", format.skip_header_lines.to_string()));
            options.push(("last_column_takes_rest", format.last_column_takes_rest.to_string()));
        }
    }
    let options: Vec<String> = options.iter().map(|(key, value)| format!("  {} {}", text(key), text(value))).collect();
    line(sql, format!("OPTIONS (\n{}\n);", options.join(",\n")));
}

fn target(sql: &mut String, plan: &Plan) {
    line(sql, "\n-- What is written. The Iceberg table:");
    for ddl in iceberg_ddl(plan).lines() {
        line(sql, format!("--   {ddl}"));
    }
    line(sql, "CREATE TABLE target AS");
    let columns: Vec<String> = plan
        .target
        .columns
        .iter()
        .map(|column| format!("  {} AS {}", value(plan, column), name(&column.name)))
        .collect();
    line(sql, format!("SELECT\n{}", columns.join(",\n")));
    line(sql, format!("FROM {} AS kept;", kept(plan)));
}

/// The rows that are kept: one sub-query for each rule, the first innermost.
fn kept(plan: &Plan) -> String {
    let all: Vec<String> = plan.source.columns.iter().map(|column| name(&column.name)).collect();
    let row = format!("row128({})", all.join(", "));
    let mut from = "source".to_owned();
    for (number, planned) in plan.rules.iter().enumerate() {
        from = match &planned.rule {
            Rule::Filter { sql } => {
                format!("(\n  -- {}\n  SELECT *, \"_file\", \"_row\" FROM {from} WHERE {sql}\n)", planned.id)
                    .replace("SELECT *, \"_file\", \"_row\"", &select_all(&all))
            }
            Rule::DropExactDuplicates => {
                let window = format!("PARTITION BY {row} ORDER BY \"_file\", \"_row\"");
                first_of(&planned.id, &all, &from, &window, number)
            }
            Rule::KeepOne { key, order } => {
                let key: Vec<String> = key.iter().map(|column| name(column)).collect();
                let mut terms: Vec<String> = order.iter().map(|order| term(&name(&order.column), order)).collect();
                terms.extend([row.clone(), "\"_file\"".to_owned(), "\"_row\"".to_owned()]);
                let window = format!("PARTITION BY row128({}) ORDER BY {}", key.join(", "), terms.join(", "));
                first_of(&planned.id, &all, &from, &window, number)
            }
        };
    }
    from
}

fn select_all(all: &[String]) -> String {
    format!("SELECT {}, \"_file\", \"_row\"", all.join(", "))
}

fn first_of(rule: &str, all: &[String], from: &str, window: &str, number: usize) -> String {
    let columns = select_all(all);
    format!(
        "(\n  -- {rule}: the first of each group is kept\n  {columns} FROM (\n    {columns},\n      ROW_NUMBER() OVER ({window} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS \"_place\"\n    FROM {from} AS rows{number}\n  ) AS places{number} WHERE \"_place\" = 1\n)"
    )
}

fn term(column: &str, order: &OrderBy) -> String {
    let direction = if order.descending { "DESC" } else { "ASC" };
    let nulls = if order.nulls_first { "FIRST" } else { "LAST" };
    format!("{column} {direction} NULLS {nulls}")
}

fn value(plan: &Plan, column: &TargetColumn) -> String {
    match &column.origin {
        Origin::Constant { value: None } => format!("hive_cast(NULL, {})", text(&column.data_type.to_string())),
        Origin::Constant { value: Some(value) } => cast(&text(value), &column.data_type),
        Origin::Source { column: from } => {
            let source = plan.source.columns.iter().find(|source| source.name == *from);
            match (&column.conversion, source) {
                (Conversion::TrimPadding, _) => format!("rtrim({}, ' ')", name(from)),
                (_, Some(source))
                    if source.data_type == column.data_type || both_text(&source.data_type, &column.data_type) =>
                {
                    name(from)
                }
                _ => cast(&name(from), &column.data_type),
            }
        }
    }
}

fn both_text(source: &DataType, target: &DataType) -> bool {
    matches!(source, DataType::Char { .. } | DataType::Varchar { .. }) && *target == DataType::String
}

fn cast(value: &str, to: &DataType) -> String {
    let sql = match to {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int => "INT".to_owned(),
        DataType::BigInt => "BIGINT".to_owned(),
        DataType::Double => "DOUBLE".to_owned(),
        DataType::Decimal { precision, scale } => format!("DECIMAL({precision}, {scale})"),
        DataType::Date => "DATE".to_owned(),
        // Types for which SQL has no exact name in DataFusion: times in microseconds, 32-bit floats, nested types.
        other => return format!("hive_cast({value}, {})", text(&other.to_string())),
    };
    format!("CAST({value} AS {sql})")
}

fn checks(sql: &mut String, plan: &Plan) {
    line(sql, "\n-- What is checked, beside the sums over every batch (docs/checksum.md).");
    line(sql, "SELECT 'rows in the source' AS \"check\", count(*) AS \"found\" FROM source;");
    line(sql, "SELECT 'rows in the target' AS \"check\", count(*) AS \"found\" FROM target;");
    for check in &plan.checks.sql {
        line(sql, format!("SELECT {} AS \"check\", ({}) AS \"holds\" FROM target;", text(&check.name), check.sql));
    }
}

fn undo(sql: &mut String, plan: &Plan) {
    line(sql, "\n-- How it is undone:");
    line(sql, format!("--   {}", comment(&plan.undo)));
}

/// The target's definition as Spark with Iceberg would write it.
fn iceberg_ddl(plan: &Plan) -> String {
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let target = &plan.target;
    let table = format!("{}.{}", quoted(&target.name.database), quoted(&target.name.table));
    let mut ddl = format!("CREATE TABLE {table} (");
    for (position, column) in target.columns.iter().enumerate() {
        let comma = if position == 0 { "" } else { "," };
        let data_type = match &column.data_type {
            DataType::Timestamp => "timestamp_ntz".to_owned(),
            DataType::TimestampTz => "timestamp".to_owned(),
            other => other.to_string(),
        };
        let _ = write!(ddl, "{comma}\n  {} {data_type}", quoted(&column.name));
        if let Some(doc) = &column.doc {
            let _ = write!(ddl, " COMMENT {}", text(&comment(doc)));
        }
    }
    ddl.push_str("\n) USING iceberg");
    if !target.partitioning.is_empty() {
        let fields: Vec<String> = target
            .partitioning
            .iter()
            .map(|field| match field.transform {
                crate::plan::Transform::Identity => quoted(&field.column),
                crate::plan::Transform::Bucket(n) => format!("bucket({n}, {})", quoted(&field.column)),
                crate::plan::Transform::Truncate(w) => format!("truncate({w}, {})", quoted(&field.column)),
                other => format!("{other}s({})", quoted(&field.column)),
            })
            .collect();
        let _ = write!(ddl, "\nPARTITIONED BY ({})", fields.join(", "));
    }
    let _ = write!(ddl, "\nLOCATION {}", text(&target.location));
    let mut properties = vec![
        ("format-version", target.format_version.to_string()),
        ("write.parquet.compression-level", target.zstd_level.to_string()),
        ("write.target-file-size-bytes", target.file_bytes.to_string()),
    ];
    properties.extend(target.properties.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let list: Vec<String> =
        properties.iter().map(|(name, value)| format!("  {} = {}", text(name), text(&comment(value)))).collect();
    let _ = write!(ddl, "\nTBLPROPERTIES (\n{}\n)", list.join(",\n"));
    if !target.sort.is_empty() {
        let terms: Vec<String> = target.sort.iter().map(|order| term(&quoted(&order.column), order)).collect();
        let _ = write!(ddl, ";\nALTER TABLE {} WRITE LOCALLY ORDERED BY {}", table, terms.join(", "));
    }
    ddl
}
