//! What happens to columns: added, renamed, dropped, cast; and how types that Iceberg lacks are carried over.
//!
//! All rules name the source's columns as they are in the source and work at once, so their order means nothing.
//! Not here: rules that remove rows (`clean`), the mapping of one dataset's columns (`planner`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode::{BadText, Decode, Decoder};
use super::default_value::DefaultValue;
use super::error::PolicyCode;
use super::names;
use super::tree::{Node, Value};
use super::values::choice;
use crate::types::DataType;

/// What happens to columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchemaRules {
    /// Columns that the target has and the source has not. They are put behind the others, in this order.
    #[serde(default)]
    pub add: Vec<AddColumn>,
    /// Columns that get another name.
    #[serde(default)]
    pub rename: Vec<RenameColumn>,
    /// Columns that the target does not have.
    #[serde(default)]
    pub drop: Vec<DropColumn>,
    /// Columns that get another type. A value that does not fit stops the batch; it never becomes null.
    #[serde(default)]
    pub cast: Vec<CastColumn>,
    /// How types that Iceberg lacks are carried over, in columns without a cast.
    #[serde(default)]
    pub types: TypeRules,
}

choice! {
    /** What to do when a dataset lacks a column that a rule names. */
    IfMissing {
        /** The dataset is not migrated; its plan says why. */
        Refuse = "refuse",
        /** The rule does nothing for this dataset; its plan says so. */
        Skip = "skip",
    } default Refuse
}

choice! {
    /** What to do when a dataset has the column that a rule adds. */
    IfExists {
        /** The dataset is not migrated; its plan says why. */
        Refuse = "refuse",
        /** The dataset's own column stays as it is; its plan says so. */
        Skip = "skip",
    } default Refuse
}

/// A column that the target has and the source has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddColumn {
    /// Its name in the target.
    pub name: String,
    /// Its type: one that Iceberg has (no tinyint, smallint, char, varchar).
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// Its value in every row; null by default. Written as the type is: `0`, `1.50`, `true`, `""`, `2024-01-31`, `2024-01-31T12:00:00`.
    #[serde(default)]
    pub default: DefaultValue,
    /// Its documentation in the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// What to do when a dataset has such a column.
    #[serde(default)]
    pub if_exists: IfExists,
}

/// A column that gets another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenameColumn {
    /// Its name in the source.
    pub from: String,
    /// Its name in the target.
    pub to: String,
    /// What to do when a dataset has no such column.
    #[serde(default)]
    pub if_missing: IfMissing,
}

/// A column that the target does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "DropForm")]
pub struct DropColumn {
    /// Its name in the source.
    pub column: String,
    /// What to do when a dataset has no such column.
    pub if_missing: IfMissing,
}

/// A column to drop: its name, or its name with what to do when it is missing.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum DropForm {
    /// The column's name in the source.
    Name(String),
    /// The column, and what to do when a dataset has no such column.
    Rule(DropRule),
}

/// A column to drop.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DropRule {
    /// Its name in the source.
    column: String,
    /// What to do when a dataset has no such column.
    #[serde(default)]
    if_missing: IfMissing,
}

impl From<DropForm> for DropColumn {
    fn from(form: DropForm) -> Self {
        match form {
            DropForm::Name(column) => Self { column, if_missing: IfMissing::default() },
            DropForm::Rule(DropRule { column, if_missing }) => Self { column, if_missing },
        }
    }
}

impl JsonSchema for DropColumn {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DropColumn".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        DropForm::json_schema(generator)
    }
}

/// A column that gets another type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CastColumn {
    /// Its name in the source.
    pub column: String,
    /// Its type in the target: one without parts that Iceberg has.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// What to do when a dataset has no such column.
    #[serde(default)]
    pub if_missing: IfMissing,
}

/// How types that Iceberg lacks are carried over. varchar always becomes string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TypeRules {
    /// char(n), which becomes string.
    #[serde(default)]
    pub char: CharRule,
    /// tinyint.
    #[serde(default)]
    pub tinyint: IntegerRule,
    /// smallint.
    #[serde(default)]
    pub smallint: IntegerRule,
    /// timestamp.
    #[serde(default)]
    pub timestamp: TimestampRule,
}

choice! {
    /** How char(n) becomes string. */
    CharRule {
        /** Values keep the spaces that fill them up to their length. */
        KeepPadding = "keepPadding",
        /** Spaces at the end of values are removed. Source and target sums of the column differ then. */
        Trim = "trim",
    } default KeepPadding
}

choice! {
    /** What a small whole number becomes. */
    IntegerRule {
        /** 32 bits. */
        Int = "int",
        /** 64 bits. */
        BigInt = "bigint",
    } default Int
}

choice! {
    /** What a Hive timestamp, which has no zone, becomes. */
    TimestampRule {
        /** A timestamp without zone: what is stored is what is shown. */
        Timestamp = "timestamp",
        /** An instant: the wall-clock time is taken as UTC. */
        TimestampTz = "timestamptz",
    } default Timestamp
}

/// A type that a target column can have.
fn target_type(node: &Node, decoder: &mut Decoder<'_>) -> DataType {
    let data_type = DataType::decode(node, decoder);
    if !data_type.is_target_type() {
        let hint = match data_type {
            DataType::TinyInt | DataType::SmallInt => Some("use int".to_owned()),
            DataType::Char { .. } | DataType::Varchar { .. } => Some("use string".to_owned()),
            _ => None,
        };
        decoder.report(node.at, PolicyCode::PolicyBadType, format!("Iceberg has no type {data_type}"), hint);
    }
    data_type
}

fn doc(node: &Node, decoder: &mut Decoder<'_>) -> Option<String> {
    decoder.parse(node, PolicyCode::PolicyOutOfRange, names::prose)
}

impl Decode for SchemaRules {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| Self {
            add: fields.or("add", Vec::new()),
            rename: fields.or("rename", Vec::new()),
            drop: fields.or("drop", Vec::new()),
            cast: fields.or("cast", Vec::new()),
            types: fields.or("types", TypeRules::default()),
        })
    }

    fn blank() -> Self {
        Self::default()
    }
}

impl Decode for AddColumn {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| {
            let name = fields.required("name");
            let before = fields.decoder().errors.len();
            let data_type = fields.with("type", target_type).unwrap_or_else(|| fields.required("type"));
            let type_is_good = fields.decoder().errors.len() == before;
            let default = fields.with("default", |node, decoder| {
                // Without a type nothing can be said of the value.
                if type_is_good { DefaultValue::read(node, &data_type, decoder) } else { DefaultValue::default() }
            });
            Self {
                name,
                default: default.unwrap_or_default(),
                data_type,
                doc: fields.with("doc", doc).flatten(),
                if_exists: fields.or("ifExists", IfExists::default()),
            }
        })
    }

    fn blank() -> Self {
        Self {
            name: String::new(),
            data_type: DataType::String,
            default: DefaultValue::default(),
            doc: None,
            if_exists: IfExists::default(),
        }
    }
}

impl Decode for RenameColumn {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| Self {
            from: fields.required("from"),
            to: fields.required("to"),
            if_missing: fields.or("ifMissing", IfMissing::default()),
        })
    }

    fn blank() -> Self {
        Self { from: String::new(), to: String::new(), if_missing: IfMissing::default() }
    }
}

impl Decode for DropColumn {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        if matches!(node.value, Value::Scalar(_)) {
            return Self { column: String::decode(node, decoder), if_missing: IfMissing::default() };
        }
        decoder.object(node, |fields| Self {
            column: fields.required("column"),
            if_missing: fields.or("ifMissing", IfMissing::default()),
        })
    }

    fn blank() -> Self {
        Self { column: String::new(), if_missing: IfMissing::default() }
    }
}

impl Decode for CastColumn {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| {
            let castable = |node: &Node, decoder: &mut Decoder<'_>| {
                let data_type = target_type(node, decoder);
                if !data_type.is_primitive() {
                    let bad = BadText::new("a column can be cast to types without parts only");
                    decoder.report(node.at, PolicyCode::PolicyBadType, bad.message, None);
                }
                data_type
            };
            Self {
                column: fields.required("column"),
                data_type: fields.with("type", castable).unwrap_or_else(|| fields.required("type")),
                if_missing: fields.or("ifMissing", IfMissing::default()),
            }
        })
    }

    fn blank() -> Self {
        Self { column: String::new(), data_type: DataType::String, if_missing: IfMissing::default() }
    }
}

impl Decode for TypeRules {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| Self {
            char: fields.or("char", CharRule::default()),
            tinyint: fields.or("tinyint", IntegerRule::default()),
            smallint: fields.or("smallint", IntegerRule::default()),
            timestamp: fields.or("timestamp", TimestampRule::default()),
        })
    }

    fn blank() -> Self {
        Self::default()
    }
}
