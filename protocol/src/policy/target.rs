//! Where the data goes, under which names, and how it is partitioned.
//!
//! Holds: [`Target`], [`NameTemplate`], [`Partitioning`]. Not here: whether a name is free (`planner`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clean::OrderBy;
use super::decode::{BadText, Decode, Decoder};
use super::error::PolicyCode;
use super::properties::Properties;
use super::quantity::FileSize;
use super::tree::{Node, Value};
use super::values::{as_text, choice};
use crate::expr::nearest::nearest;
use crate::ids::{ConnectionName, TableName};
use crate::plan::Transform;

/// Longest template; what it renders to is bounded by the catalog.
pub const MAX_TEMPLATE_CHARS: usize = 255;
/// Oldest version of Iceberg's format that is written: version 1 knows neither sequence numbers nor deletions of rows.
pub const MIN_FORMAT_VERSION: u8 = 2;
/// Newest version of Iceberg's format that is written.
pub const MAX_FORMAT_VERSION: u8 = 3;
/// Least level of zstd.
pub const MIN_ZSTD_LEVEL: u8 = 1;
/// Greatest level of zstd.
pub const MAX_ZSTD_LEVEL: u8 = 22;

/// Where the data goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// Name of a connection in the nodes' configuration.
    #[schemars(with = "String", regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub connection: ConnectionName,
    /// The target's name, made from the dataset's.
    #[serde(default)]
    pub name: NameTemplate,
    /// How target tables are partitioned.
    #[serde(default)]
    pub partitioning: Partitioning,
    /// The order of rows within each data file, and the tables' sort order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sort_by: Vec<OrderBy>,
    /// Iceberg's format version; 2 unless given, which every reader knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = MIN_FORMAT_VERSION, max = MAX_FORMAT_VERSION))]
    pub format_version: Option<u8>,
    /// Size at which data files are closed, and `write.target-file-size-bytes` of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_size: Option<FileSize>,
    /// zstd's level in data files, and `write.parquet.compression-level` of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = MIN_ZSTD_LEVEL, max = MAX_ZSTD_LEVEL))]
    pub zstd_level: Option<u8>,
    /// Properties of the tables beside those that every table gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = super::properties::MAX_PROPERTIES))]
    pub table_properties: BTreeMap<String, String>,
}

/// A template of target names: `namespace.table`, with `{database}` and `{table}` standing for the dataset's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate {
    text: String,
}

const PLACEHOLDERS: [&str; 2] = ["database", "table"];

impl NameTemplate {
    /// The target's name for `dataset`.
    #[must_use]
    pub fn render(&self, dataset: &TableName) -> TableName {
        let fill = |part: &str| {
            let mut filled = String::new();
            let mut rest = part;
            while let Some((before, after)) = rest.split_once('{') {
                filled.push_str(before);
                let (placeholder, after) = after.split_once('}').unwrap_or((after, ""));
                filled.push_str(if placeholder == "table" { &dataset.table } else { &dataset.database });
                rest = after;
            }
            filled.push_str(rest);
            filled
        };
        let (database, table) = self.text.split_once('.').unwrap_or(("", &self.text));
        TableName::new(fill(database), fill(table))
    }

    /// True when the table's own name is part of it.
    #[must_use]
    pub fn has_table(&self) -> bool {
        self.text.contains("{table}")
    }
}

impl Default for NameTemplate {
    fn default() -> Self {
        Self { text: "{database}.{table}".to_owned() }
    }
}

impl FromStr for NameTemplate {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().count() > MAX_TEMPLATE_CHARS {
            return Err(BadText::new(format!("a template has at most {MAX_TEMPLATE_CHARS} characters")));
        }
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            plain.push_str(before);
            let Some((placeholder, after)) = after.split_once('}') else {
                return Err(BadText::new("a `{` is not closed"));
            };
            if !PLACEHOLDERS.contains(&placeholder) {
                let bad = BadText::new(format!("`{{{placeholder}}}` stands for nothing"));
                let close = nearest(placeholder, PLACEHOLDERS).unwrap_or("database} or {table");
                return Err(bad.hint(format!("write {{{close}}}")));
            }
            plain.push('x');
            rest = after;
        }
        plain.push_str(rest);
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if let Some(c) = plain.chars().find(|c| !allowed(*c)) {
            return Err(BadText::new(format!("{c:?} is not allowed in a target's name: letters, digits, `_` and `-`")));
        }
        let parts: Vec<&str> = plain.split('.').collect();
        if parts.len() != 2 || parts.contains(&"") {
            let bad = BadText::new("a target's name has two parts: `namespace.table`");
            return Err(bad.hint("for example \"{database}.{table}\""));
        }
        Ok(Self { text: text.to_owned() })
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

as_text!(NameTemplate, {
    "type": "string",
    "pattern": "^([A-Za-z0-9_-]|\\{database\\}|\\{table\\})+\\.([A-Za-z0-9_-]|\\{database\\}|\\{table\\})+$",
    "description": "`namespace.table`, with {database} and {table} standing for the dataset's.",
    "examples": ["{database}.{table}", "lake.{database}_{table}"]
});

/// How target tables are partitioned: `keep`, `none`, or a list of fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Partitioning {
    /// By a rule for all datasets.
    Mode(PartitioningMode),
    /// By these fields, in this order.
    Fields(#[schemars(length(min = 1))] Vec<PartitionBy>),
}

impl Default for Partitioning {
    fn default() -> Self {
        Self::Mode(PartitioningMode::Keep)
    }
}

choice! {
    /** Partitioning by a rule for all datasets. */
    PartitioningMode {
        /** By the source's partition columns, as they are (identity). */
        Keep = "keep",
        /** Not at all; the source's partition columns become ordinary columns. */
        None = "none",
    } default Keep
}

/// One partition field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartitionBy {
    /// A column of the target (after renaming, with added columns).
    pub column: String,
    /// Iceberg's transform: identity, year, month, day, hour, `bucket[N]` or `truncate[W]`.
    #[serde(default = "identity")]
    pub transform: Transform,
    /// The field's name; by default as Iceberg names it: `column` for identity, else `column_day`, `column_bucket`, `column_trunc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

fn identity() -> Transform {
    Transform::Identity
}

impl PartitionBy {
    /// The field's name, given or by default.
    #[must_use]
    pub fn field_name(&self) -> String {
        let suffix = match self.transform {
            Transform::Identity => "",
            Transform::Year => "_year",
            Transform::Month => "_month",
            Transform::Day => "_day",
            Transform::Hour => "_hour",
            Transform::Bucket(_) => "_bucket",
            Transform::Truncate(_) => "_trunc",
        };
        self.name.clone().unwrap_or_else(|| format!("{}{suffix}", self.column))
    }
}

impl Decode for Target {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| Self {
            connection: fields.required("connection"),
            name: fields.or("name", NameTemplate::default()),
            partitioning: fields.or("partitioning", Partitioning::default()),
            sort_by: fields.or("sortBy", Vec::new()),
            format_version: fields.small("formatVersion", MIN_FORMAT_VERSION..=MAX_FORMAT_VERSION),
            file_size: fields.optional("fileSize"),
            zstd_level: fields.small("zstdLevel", MIN_ZSTD_LEVEL..=MAX_ZSTD_LEVEL),
            table_properties: fields.or("tableProperties", Properties::default()).0,
        })
    }

    fn blank() -> Self {
        Self {
            connection: ConnectionName::blank(),
            name: NameTemplate::default(),
            partitioning: Partitioning::default(),
            sort_by: Vec::new(),
            format_version: None,
            file_size: None,
            zstd_level: None,
            table_properties: BTreeMap::new(),
        }
    }
}

impl Decode for NameTemplate {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.parse(node, PolicyCode::PolicyBadTemplate, str::parse).unwrap_or_default()
    }

    fn blank() -> Self {
        Self::default()
    }
}

impl Decode for Partitioning {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        match &node.value {
            Value::List(items) => {
                if items.is_empty() {
                    let hint = Some("for no partitions: none".to_owned());
                    decoder.report(
                        node.at,
                        PolicyCode::PolicyOutOfRange,
                        "the list of partition fields is empty",
                        hint,
                    );
                }
                Self::Fields(Vec::decode(node, decoder))
            }
            Value::Scalar(_) => Self::Mode(PartitioningMode::decode(node, decoder)),
            Value::Map(_) => {
                decoder.wrong_type(node, "`keep`, `none` or a list of partition fields");
                Self::default()
            }
        }
    }

    fn blank() -> Self {
        Self::default()
    }
}

impl Decode for PartitionBy {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| Self {
            column: fields.required("column"),
            transform: fields.or("transform", Transform::Identity),
            name: fields.optional("name"),
        })
    }

    fn blank() -> Self {
        Self { column: String::new(), transform: Transform::Identity, name: None }
    }
}

impl Decode for Transform {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        let parse = |text: &str| {
            text.parse::<Self>().map_err(|not| {
                let word = text.split(['[', '(']).next().unwrap_or(text);
                let words = ["identity", "year", "month", "day", "hour", "bucket[16]", "truncate[8]"];
                let bad = BadText::new(not.to_string());
                match nearest(word, words.map(|word| word.split('[').next().unwrap_or(word))) {
                    Some(close) => match words.into_iter().find(|word| word.starts_with(close)) {
                        Some(word) => bad.hint(format!("for example {word}")),
                        None => bad,
                    },
                    None => bad,
                }
            })
        };
        decoder.parse(node, PolicyCode::PolicyBadTransform, parse).unwrap_or(Self::Identity)
    }

    fn blank() -> Self {
        Self::Identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_render_to_two_parts() {
        let dataset = TableName::new("music", "plays");
        for (template, expected) in [
            ("{database}.{table}", "music.plays"),
            ("lake.{database}_{table}", "lake.music_plays"),
            ("a-{table}.x", "a-plays.x"),
        ] {
            assert_eq!(template.parse::<NameTemplate>().unwrap().render(&dataset).to_string(), expected);
        }
    }

    #[test]
    fn templates_of_another_form_are_refused() {
        for template in ["", "{table}", "a.b.{table}", "a.{tabel}", "a.{table", "a b.{table}", ".{table}", "a.{table}}"]
        {
            assert!(template.parse::<NameTemplate>().is_err(), "{template}");
        }
    }
}
