//! The table description file: what a metastore says of its tables, as JSON.
//!
//! In: the file's bytes. Out: [`Description`]. Not here: what the words mean for files (`inspect`, `format`).
//!
//! `{"database": "music", "tables": {"plays": {"type", "columns", "partition_columns", "partitions", "serde",
//! "input_format", "storage", "properties", "location", "buckets", "sql"}}}`. Columns are a list of `{"name", "type"}`, or an
//! object of types by name. Other keys are ignored: such files are exports of other tools.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use skein_protocol::ids::TableName;
use skein_protocol::inspection::Documentation;
use skein_protocol::problem::{Code, Problem};

use super::metastore::PlacedPartition;
use super::properties::{self, Properties};

/// Largest description file, bytes: 10,000 tables of 1,000 columns are a tenth of this.
pub(super) const MAX_DESCRIPTION_BYTES: u64 = 512 << 20;

/// All tables of a description by their lower-case names.
#[derive(Debug, Default)]
pub(super) struct Description {
    /// The tables.
    pub(super) tables: BTreeMap<TableName, TableDescription>,
}

/// A column's name and the text of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DescribedColumn {
    /// Name as written.
    pub(super) name: String,
    /// Type as written.
    pub(super) type_text: String,
}

/// Columns, and whether their order means anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DescribedColumns {
    /// In the order of the file.
    pub(super) columns: Vec<DescribedColumn>,
    /// False for an object whose keys are sorted: a tool may have sorted them, so the order says nothing.
    pub(super) ordered: bool,
}

/// One described table.
#[derive(Debug, Clone, Default)]
pub(super) struct TableDescription {
    /// Kind as written: `MANAGED`, `EXTERNAL_TABLE`, `VIEW`, …
    pub(super) kind: String,
    /// Columns in the files.
    pub(super) columns: DescribedColumns,
    /// Columns in the folder names.
    pub(super) partition_columns: DescribedColumns,
    /// The partitions that exist, as the metastore writes them; absent when the description does not tell.
    pub(super) partitions: Option<Vec<String>>,
    /// The partitions with their places, where a metastore tells them.
    pub(super) placed: Option<Vec<PlacedPartition>>,
    /// The SerDe's class.
    pub(super) serde: Option<String>,
    /// The input format's class.
    pub(super) input_format: Option<String>,
    /// Properties of the SerDe and of the table.
    pub(super) properties: Properties,
    /// Location as written.
    pub(super) location: Option<String>,
    /// Number of buckets; 0 for none.
    pub(super) buckets: u64,
    /// A view's query.
    pub(super) view_text: Option<String>,
    /// What people wrote about it.
    pub(super) documentation: Documentation,
}

impl TableDescription {
    /// Whether the table is of a kind that has no files of its own.
    pub(super) fn is_view(&self) -> bool {
        let kind = self.kind.to_ascii_uppercase();
        kind.contains("VIEW") || kind.contains("INDEX")
    }
}

#[derive(Deserialize)]
struct RawDescription {
    #[serde(default)]
    database: Option<String>,
    tables: Map<String, Value>,
}

#[derive(Deserialize)]
struct RawTable {
    #[serde(default)]
    database: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    columns: Value,
    #[serde(default)]
    partition_columns: Value,
    #[serde(default)]
    partitions: Option<Vec<String>>,
    #[serde(default)]
    serde: Option<String>,
    #[serde(default)]
    input_format: Option<String>,
    #[serde(default)]
    storage: Value,
    #[serde(default)]
    properties: Value,
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    buckets: Value,
    #[serde(default)]
    sql: Option<String>,
}

/// Reads a description file's text.
pub(super) fn parse(bytes: &[u8]) -> Result<Description, Problem> {
    let raw: RawDescription =
        serde_json::from_slice(bytes).map_err(|error| invalid("The table description", &error.to_string()))?;
    let mut description = Description::default();
    for (name, value) in raw.tables {
        let what = format!("Table {name:?} of the description");
        let table: RawTable = serde_json::from_value(value).map_err(|error| invalid(&what, &error.to_string()))?;
        let (database, short) = match name.split_once('.') {
            Some((database, table)) => (Some(database.to_owned()), table),
            None => (table.database.clone().or_else(|| raw.database.clone()), name.as_str()),
        };
        let database = database.unwrap_or_else(|| "default".to_owned());
        let key = TableName::new(database.to_lowercase(), short.to_lowercase());
        let table = table_of(table).map_err(|why| invalid(&what, &why))?;
        if description.tables.insert(key.clone(), table).is_some() {
            return Err(invalid("The table description", &format!("it has {key} twice")));
        }
    }
    Ok(description)
}

/// A problem with the description file.
pub(super) fn invalid(what: &str, why: &str) -> Problem {
    Problem::new(
        Code::DescriptionInvalid,
        format!("{what} is not usable"),
        why,
        "Correct the file; docs/table-description.md shows its form",
    )
}

fn table_of(raw: RawTable) -> Result<TableDescription, String> {
    let mut properties = properties::parse(&raw.properties)?;
    // The SerDe's own properties come before those of the table.
    properties.extend(properties::parse(&raw.storage)?);
    Ok(TableDescription {
        kind: raw.kind.unwrap_or_default(),
        columns: columns(&raw.columns)?,
        partition_columns: columns(&raw.partition_columns)?,
        partitions: raw.partitions,
        placed: None,
        serde: raw.serde.filter(|text| !text.is_empty()),
        input_format: raw.input_format.filter(|text| !text.is_empty()),
        properties,
        location: raw.location.filter(|text| !text.is_empty()),
        buckets: buckets(&raw.buckets)?,
        view_text: raw.sql.filter(|text| !text.is_empty()),
        documentation: Documentation::default(),
    })
}

fn buckets(value: &Value) -> Result<u64, String> {
    match value {
        Value::Null => Ok(0),
        // Metastores write -1 for none.
        Value::Number(number) => Ok(number.as_u64().unwrap_or(0)),
        Value::String(text) => text
            .trim()
            .parse::<i64>()
            .map(|n| u64::try_from(n).unwrap_or(0))
            .map_err(|_| format!("buckets {text:?} is no number")),
        _ => Err("buckets is neither a number nor a text".to_owned()),
    }
}

fn columns(value: &Value) -> Result<DescribedColumns, String> {
    let text = |value: Option<&Value>, what: &str| match value {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(format!("{what} is missing or no text")),
    };
    match value {
        Value::Null => Ok(DescribedColumns { columns: Vec::new(), ordered: true }),
        Value::Array(list) => {
            let column = |value: &Value| {
                let name = text(value.get("name"), "a column's name")?;
                let type_text = text(value.get("type"), &format!("the type of column {name:?}"))?;
                Ok(DescribedColumn { name, type_text })
            };
            Ok(DescribedColumns { columns: list.iter().map(column).collect::<Result<_, String>>()?, ordered: true })
        }
        Value::Object(map) => {
            let column = |(name, value): (&String, &Value)| {
                Ok(DescribedColumn {
                    name: name.clone(),
                    type_text: text(Some(value), &format!("the type of column {name:?}"))?,
                })
            };
            let columns = map.iter().map(column).collect::<Result<Vec<_>, String>>()?;
            let sorted = columns.len() > 1 && columns.is_sorted_by(|a, b| a.name < b.name);
            Ok(DescribedColumns { columns, ordered: !sorted })
        }
        _ => Err("columns are a list of {\"name\", \"type\"} or an object".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> TableDescription {
        let description = parse(format!(r#"{{"database": "M", "tables": {{"T": {text}}}}}"#).as_bytes()).unwrap();
        description.tables[&TableName::new("m", "t")].clone()
    }

    fn names(columns: &DescribedColumns) -> Vec<&str> {
        columns.columns.iter().map(|column| column.name.as_str()).collect()
    }

    #[test]
    fn an_object_of_columns_has_an_order_only_if_it_is_not_sorted() {
        let sorted = table(r#"{"columns": {"a": "int", "b": "string"}}"#).columns;
        assert_eq!((names(&sorted), sorted.ordered), (vec!["a", "b"], false));
        let unsorted = table(r#"{"columns": {"b": "int", "a": "string"}}"#).columns;
        assert_eq!((names(&unsorted), unsorted.ordered), (vec!["b", "a"], true));
        let list =
            table(r#"{"columns": [{"name": "a", "type": "int"}, {"name": "b", "type": "int", "comment": "x"}]}"#)
                .columns;
        assert_eq!((names(&list), list.ordered), (vec!["a", "b"], true));
        assert!(table(r#"{"columns": {"a": "int"}}"#).columns.ordered);
    }

    #[test]
    fn names_are_lower_case_and_may_carry_their_database() {
        let text = br#"{"database": "M", "tables": {"A": {}, "Other.B": {}, "c": {"database": "X"}}}"#;
        let names: Vec<String> = parse(text).unwrap().tables.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["m.a", "other.b", "x.c"]);
    }

    #[test]
    fn buckets_are_numbers_texts_or_null() {
        for (text, buckets) in [("null", 0), ("\"4\"", 4), ("4", 4), ("-1", 0), ("\"-1\"", 0)] {
            assert_eq!(table(&format!(r#"{{"buckets": {text}}}"#)).buckets, buckets);
        }
    }

    #[test]
    fn a_damaged_description_is_refused_with_the_place() {
        for text in [
            "{",
            "[]",
            r#"{"tables": {"t": {"columns": "x"}}}"#,
            r#"{"tables": {"t": {"columns": {"a": 1}}}}"#,
            r#"{"tables": {"t": {}, "T": {}}}"#,
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().code, Code::DescriptionInvalid, "{text}");
        }
    }

    #[test]
    fn views_have_no_files() {
        assert!(table(r#"{"type": "VIRTUAL_VIEW"}"#).is_view());
        assert!(!table(r#"{"type": "EXTERNAL"}"#).is_view());
    }
}
