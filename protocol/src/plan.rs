//! The plan: one dataset's immutable document of what will be done, named by its content hash.
//!
//! In: nothing (plain types; `planner` makes plans, `script` renders them). Holds: [`Plan`].
//! Not here: estimates of time, names of nodes: they would change the hash.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hash::Hash256;
use crate::ids::{BatchId, ConnectionName, Generation, MigrationId, PolicyName, StageNo, TableName};
use crate::inspection::{DescribedBy, SourceColumn, SourceFile, SourceFormat};
use crate::problem::Problem;
use crate::types::DataType;

/// Version of the plan's document form.
pub const PLAN_FORMAT: u32 = 1;

/// A plan that can be executed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`PLAN_FORMAT`] of this document.
    pub format: u32,
    /// The migration.
    pub migration: MigrationId,
    /// Its policy.
    pub policy: PolicyName,
    /// The policy's generation.
    pub generation: Generation,
    /// What is read.
    pub source: PlanSource,
    /// What is written.
    pub target: PlanTarget,
    /// How, and why so.
    pub strategy: Strategy,
    /// Rules that remove rows, in the order in which they work.
    pub rules: Vec<PlannedRule>,
    /// The work, stage after stage; batches of one stage run beside each other.
    pub stages: Vec<Stage>,
    /// What is compared.
    pub checks: PlannedChecks,
    /// Every loss, widening and assumption, as sentences.
    pub notes: Vec<String>,
    /// The whole migration as SQL.
    pub script: String,
    /// How it is undone.
    pub undo: String,
}

/// The source as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanSource {
    /// Connection.
    pub connection: ConnectionName,
    /// Table.
    pub dataset: TableName,
    /// Absolute location of its folder.
    pub location: String,
    /// Encoding of its files.
    pub format: SourceFormat,
    /// Where its columns were learnt from.
    pub described_by: DescribedBy,
    /// Columns, partition columns last.
    pub columns: Vec<SourceColumn>,
    /// The fingerprint: every file, sorted by path.
    pub files: Vec<SourceFile>,
}

/// The target as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanTarget {
    /// Connection.
    pub connection: ConnectionName,
    /// Table.
    pub name: TableName,
    /// Absolute location of the table.
    pub location: String,
    /// Iceberg format version.
    pub format_version: u8,
    /// Columns in order; the field id of a top-level column is its position plus one.
    pub columns: Vec<TargetColumn>,
    /// Partition fields.
    pub partitioning: Vec<PartitionField>,
    /// The order of rows within each data file, by columns of the target; empty for the order in which they come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sort: Vec<OrderBy>,
    /// Parquet compression level of zstd.
    pub zstd_level: u8,
    /// A data file is closed when it has about this size, bytes.
    pub file_bytes: u64,
    /// Properties of the table beside those that every table gets: the source's owner and comment, the policy's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

/// One column of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetColumn {
    /// Its name.
    pub name: String,
    /// Its type: one that Iceberg has.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// Its documentation.
    pub doc: Option<String>,
    /// Where its values come from.
    pub origin: Origin,
    /// What happens to them on the way.
    pub conversion: Conversion,
}

/// Where a target column's values come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Origin {
    /// A column of the source.
    Source {
        /// Its name in the source.
        column: String,
    },
    /// The same value in each row.
    Constant {
        /// The value as text (as a cast from string would read it); absent for null.
        value: Option<String>,
    },
}

/// What happens to a column's values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Conversion {
    /// Nothing: the same type, or one that holds the same values in the same form.
    Same,
    /// A wider type: every value keeps its meaning and its `row128`.
    Widen,
    /// A cast that loses nothing that this data has, or fails: values that do not fit stop the batch. Its `row128` changes.
    Cast {
        /// What may be lost or refused.
        why: String,
    },
    /// char values without their padding.
    TrimPadding,
    /// The column is new.
    Add,
}

impl Conversion {
    /// True when the value's `row128` is the same before and after, so that source and target can be compared directly.
    #[must_use]
    pub fn keeps_sum(&self) -> bool {
        matches!(self, Self::Same | Self::Widen)
    }
}

/// An Iceberg partition field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartitionField {
    /// The target column.
    pub column: String,
    /// Its transform.
    pub transform: Transform,
    /// The field's name.
    pub name: String,
}

/// Iceberg's partition transforms; text form as in Iceberg (`bucket[16]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transform {
    /// The value itself.
    Identity,
    /// Years since 1970.
    Year,
    /// Months since 1970-01.
    Month,
    /// Days since 1970-01-01.
    Day,
    /// Hours since 1970-01-01 00:00.
    Hour,
    /// Hash modulo the number.
    Bucket(u32),
    /// Truncated to the width.
    Truncate(u32),
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Year => f.write_str("year"),
            Self::Month => f.write_str("month"),
            Self::Day => f.write_str("day"),
            Self::Hour => f.write_str("hour"),
            Self::Bucket(n) => write!(f, "bucket[{n}]"),
            Self::Truncate(w) => write!(f, "truncate[{w}]"),
        }
    }
}

/// A text that is no transform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no transform: identity, year, month, day, hour, bucket[N] or truncate[W]")]
pub struct NotATransform(String);

impl FromStr for Transform {
    type Err = NotATransform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let argument = |prefix: &str| -> Option<u32> {
            let number = text.strip_prefix(prefix)?.strip_suffix(']')?.parse().ok()?;
            (number > 0 && number <= i32::MAX as u32).then_some(number)
        };
        Ok(match text {
            "identity" => Self::Identity,
            "year" => Self::Year,
            "month" => Self::Month,
            "day" => Self::Day,
            "hour" => Self::Hour,
            _ => match (argument("bucket["), argument("truncate[")) {
                (Some(n), _) => Self::Bucket(n),
                (_, Some(w)) => Self::Truncate(w),
                _ => return Err(NotATransform(text.to_owned())),
            },
        })
    }
}

impl Serialize for Transform {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Transform {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Transform {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Transform".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(identity|year|month|day|hour|bucket\\[[1-9][0-9]*\\]|truncate\\[[1-9][0-9]*\\])$"
        })
    }
}

/// The way in which the data is moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// Which.
    pub kind: StrategyKind,
    /// Why this one.
    pub reason: String,
}

/// The ways in which data can be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StrategyKind {
    /// Every row as it is, in new files.
    Copy,
    /// Rows are filtered, cleaned or changed on the way.
    Transform,
}

impl StrategyKind {
    /// The kind as people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Transform => "transform",
        }
    }
}

/// A rule that removes rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedRule {
    /// Its name in reports: `filter`, `clean[0]`.
    pub id: String,
    /// What it does.
    pub rule: Rule,
}

/// What a rule that removes rows does. Columns are the source's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Rule {
    /// Keeps the rows for which the expression is true.
    Filter {
        /// SQL over the source's columns, names quoted.
        sql: String,
    },
    /// Keeps one of rows that are equal in all columns of the source, partition columns included.
    DropExactDuplicates,
    /// Keeps the first row of each key. Ties break by `row128`, then file and row number. A null is a key like others.
    KeepOne {
        /// Columns of the key.
        key: Vec<String>,
        /// The order; the first row is kept.
        order: Vec<OrderBy>,
    },
}

/// One term of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderBy {
    /// The column: the source's in a rule, the target's in its sort order.
    pub column: String,
    /// Greatest first.
    pub descending: bool,
    /// Nulls before all others.
    pub nulls_first: bool,
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// What its batches do.
    pub kind: StageKind,
    /// Its batches.
    pub batches: Vec<Batch>,
}

/// What the batches of a stage do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum StageKind {
    /// Reads source files and writes staged data files. Rules are applied within the batch; rows that an
    /// earlier stage found to lose are left out.
    Write,
    /// Reads source files and writes each row's identity (key, order, row128, file, row) into files by range of the key's hash.
    Identify {
        /// Number of ranges.
        ranges: u32,
    },
    /// Reads the identities of one range and writes which rows lose.
    Resolve,
}

/// The unit of work and of validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// What is read (empty for `Resolve`).
    pub inputs: Vec<BatchInput>,
    /// The range of the key's hash (for `Resolve`).
    pub range: Option<u32>,
    /// Rows by the footers, where they tell.
    pub rows: Option<u64>,
    /// Bytes of the inputs.
    pub bytes: u64,
}

/// A source file, or some of its row groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchInput {
    /// Position in the source's list of files.
    pub file: u32,
    /// First row group and number of row groups; absent for the whole file.
    pub row_groups: Option<(u32, u32)>,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedChecks {
    /// Compare counts after each batch.
    pub batch_count: bool,
    /// Compare checksums after each batch (read-back).
    pub batch_checksum: bool,
    /// Compare counts of the whole table.
    pub final_count: bool,
    /// Compare checksums of the whole table, and the staged files' content with what was recorded.
    pub final_checksum: bool,
    /// Compare null counts.
    pub nulls: bool,
    /// Compare least and greatest values.
    pub min_max: bool,
    /// Compute `spark64` over the source, for outsiders.
    pub spark64: bool,
    /// SQL expressions that must be true of the target.
    pub sql: Vec<SqlCheck>,
    /// Most rows that cleaning rules may remove, percent.
    pub removed_rows_percent: Option<f64>,
    /// Most rows that the filter may remove, percent.
    pub filtered_rows_percent: Option<f64>,
}

/// An SQL expression that must be true of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SqlCheck {
    /// Its name in reports.
    pub name: String,
    /// One aggregate boolean expression over the target's columns, names quoted.
    pub sql: String,
}

/// A dataset that cannot be migrated as the policy says, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The dataset.
    pub dataset: TableName,
    /// The target that it would have had.
    pub target: Option<TableName>,
    /// Why; never empty.
    pub problems: Vec<Problem>,
    /// What else was seen.
    pub notes: Vec<String>,
}

/// The outcome of planning one dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Planned {
    /// It can be done.
    Ready(Box<Plan>),
    /// It cannot.
    Refused(Refusal),
}

impl Plan {
    /// The plan's content hash: SHA-256 over its canonical JSON.
    #[must_use]
    pub fn hash(&self) -> Hash256 {
        Hash256::of_document(self).expect("a plan has text keys only, so it always has a JSON form")
    }

    /// The batch named `id`.
    #[must_use]
    pub fn batch(&self, id: BatchId) -> Option<&Batch> {
        self.stages.get(id.stage.0 as usize)?.batches.get(id.batch.0 as usize)
    }

    /// The stage named `stage`.
    #[must_use]
    pub fn stage(&self, stage: StageNo) -> Option<&Stage> {
        self.stages.get(stage.0 as usize)
    }

    /// Rows by the footers; absent when a file has none.
    #[must_use]
    pub fn source_rows(&self) -> Option<u64> {
        self.source.files.iter().map(|file| file.rows).sum()
    }

    /// Bytes of all source files.
    #[must_use]
    pub fn source_bytes(&self) -> u64 {
        self.source.files.iter().map(|file| file.bytes).sum()
    }

    /// The source's columns whose values are compared directly with the target's: `(source column, target column)` in the
    /// target's order.
    #[must_use]
    pub fn lossless_columns(&self) -> Vec<(&str, &str)> {
        let kept = self.target.columns.iter().filter(|column| column.conversion.keeps_sum());
        kept.filter_map(|column| match &column.origin {
            Origin::Source { column: source } => Some((source.as_str(), column.name.as_str())),
            Origin::Constant { .. } => None,
        })
        .collect()
    }
}
