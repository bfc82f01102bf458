//! What an inspection finds: the source table as it is, and what stands under the target's name.
//!
//! In: nothing (plain types). Out: [`Inspection`], the input of `planner`. Not here: how it is found (the engine).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hash::Hash256;
use crate::ids::{ConnectionName, TableName};
use crate::plan::PartitionField;
use crate::problem::Problem;
use crate::types::DataType;

/// The name of the folder that stands for a null partition value in Hive's layout.
pub const HIVE_NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// How the source's data files are encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum SourceFormat {
    /// Parquet.
    Parquet,
    /// ORC.
    Orc,
    /// Avro's object container files.
    Avro(AvroFormat),
    /// Delimited text as Hive's LazySimpleSerDe reads it.
    Text(TextFormat),
    /// Quoted text as Hive's OpenCSVSerde reads it: all columns are strings.
    OpenCsv(OpenCsvFormat),
    /// One JSON object a line, as Hive's JsonSerDe reads it.
    JsonLines(JsonLinesFormat),
    /// Parquet files of an Iceberg table, whose columns are found by field ids.
    Iceberg(IcebergFormat),
}

impl SourceFormat {
    /// Its name, in the generated script and in sentences.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Orc => "orc",
            Self::Avro(_) => "avro",
            Self::Text(_) => "text",
            Self::OpenCsv(_) => "opencsv",
            Self::JsonLines(_) => "json",
            Self::Iceberg(_) => "iceberg",
        }
    }
}

/// What a table's own schema adds to Avro files, which have theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AvroFormat {
    /// Columns' values in files that lack them, as text, by the column's name; null for columns that are not here.
    pub defaults: BTreeMap<String, String>,
}

/// What an Iceberg table's metadata adds to its Parquet files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IcebergFormat {
    /// Location of the metadata file that the table was seen through.
    pub metadata: String,
    /// The columns' fields, in the columns' order.
    pub fields: Vec<IcebergField>,
    /// Values that files' partitions have for columns that the files themselves lack: by the file's path, then by the column's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partition_values: BTreeMap<String, BTreeMap<String, Option<String>>>,
}

/// A column of an Iceberg table or a part of one: how it is found in files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IcebergField {
    /// Its id.
    pub id: i32,
    /// Fields of a struct in the type's order; a list's element; a map's key and value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<IcebergField>,
    /// Its names in files that have no ids, by the table's name mapping.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Its value in files that lack it, as text; null without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_default: Option<String>,
}

/// The properties of OpenCSVSerde.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenCsvFormat {
    /// Stands between fields.
    pub separator: u8,
    /// Stands around fields.
    pub quote: u8,
    /// Makes a quote or itself plain within quotes.
    pub escape: u8,
    /// Lines to skip at the start of each file.
    pub skip_header_lines: u32,
}

impl Default for OpenCsvFormat {
    fn default() -> Self {
        Self { separator: b',', quote: b'"', escape: b'\\', skip_header_lines: 0 }
    }
}

/// The properties of JsonSerDe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JsonLinesFormat {
    /// Lines to skip at the start of each file.
    pub skip_header_lines: u32,
}

/// The properties of LazySimpleSerDe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TextFormat {
    /// Separators by nesting level: fields, collection items, map keys, then deeper levels.
    pub separators: Vec<u8>,
    /// The escape character, if any.
    pub escape: Option<u8>,
    /// The text that stands for null.
    pub null_text: String,
    /// Lines to skip at the start of each file.
    pub skip_header_lines: u32,
    /// Whether the last column takes the rest of the line.
    pub last_column_takes_rest: bool,
}

impl Default for TextFormat {
    fn default() -> Self {
        Self {
            separators: vec![1, 2, 3, 4, 5, 6, 7, 8],
            escape: None,
            null_text: "\\N".to_owned(),
            skip_header_lines: 0,
            last_column_takes_rest: false,
        }
    }
}

/// Where the source's columns were learnt from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DescribedBy {
    /// The connection's table description file.
    Description,
    /// The data files' footers; partition columns are strings then.
    Footers,
    /// A metastore.
    Metastore {
        /// Hash of what it said of the table's columns, format, location and partitions: part of the fingerprint.
        said: Hash256,
    },
    /// The metadata of an Iceberg table.
    Iceberg {
        /// Id of the snapshot whose rows are read; none of a table that never had rows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        snapshot: Option<String>,
        /// Hash of the table's uuid, columns and partition spec: part of the fingerprint, as the snapshot is.
        said: Hash256,
    },
}

/// One column of the source, partition columns after the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceColumn {
    /// Its name as described.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// True where the value comes from folder names.
    pub partition: bool,
}

/// What people wrote about a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Documentation {
    /// To whom it belongs.
    pub owner: Option<String>,
    /// What it is.
    pub comment: Option<String>,
    /// What its columns are, by their names as described.
    pub columns: BTreeMap<String, String>,
}

impl Documentation {
    /// Whether nobody wrote anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One data file of the source, with what tells whether it was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceFile {
    /// Path relative to the table's location, as it is on disk (not decoded); absolute where a partition lies elsewhere.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Time of last modification, nanoseconds since 1970.
    pub modified_nanos: u64,
    /// What else identifies this very file: on a local disk its inode and time of last change.
    pub version: String,
    /// Values of the partition columns, decoded once, in the columns' order; `null` for Hive's null folder.
    pub partition: Vec<Option<String>>,
    /// Rows by the file's footer; absent where the format has none.
    pub rows: Option<u64>,
    /// Rows of each row group, where the format has them.
    pub row_groups: Vec<u64>,
}

/// What stands under the target's name at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetState {
    /// Where the table will lie.
    pub location: String,
    /// The metadata location of a table that stands there already and is no tombstone of ours.
    pub occupied_by: Option<String>,
}

/// All that planning needs to know of one dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The source table.
    pub dataset: TableName,
    /// Its connection.
    pub connection: ConnectionName,
    /// Absolute location of the table's folder.
    pub location: String,
    /// Where the columns were learnt from.
    pub described_by: DescribedBy,
    /// The files' encoding; absent if a problem prevents knowing it.
    pub format: Option<SourceFormat>,
    /// Columns, partition columns last.
    pub columns: Vec<SourceColumn>,
    /// Data files, sorted by path.
    pub files: Vec<SourceFile>,
    /// Partition fields that the source has over its columns, where its partitions are no columns of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitioning: Vec<PartitionField>,
    /// What people wrote about it.
    #[serde(default, skip_serializing_if = "Documentation::is_empty")]
    pub documentation: Documentation,
    /// What prevents a migration.
    pub problems: Vec<Problem>,
    /// What people should know: assumptions, oddities that do no harm.
    pub notes: Vec<String>,
    /// The target's state.
    pub target: TargetState,
}
