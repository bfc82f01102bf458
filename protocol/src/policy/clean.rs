//! Rules that remove rows for being duplicates.
//!
//! They work on the source's rows, after the filter and before any rule about columns, in the order of the document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode::{Decode, Decoder};
use super::error::PolicyCode;
use super::rules::IfMissing;
use super::tree::Node;
use super::values::choice;

/// A rule that removes rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CleanRule {
    /// Removes rows that are duplicates of others.
    DropDuplicates(Duplicates),
    /// Keeps one row of each key.
    KeepOne(KeepOne),
}

choice! {
    /** Which rows are duplicates. */
    Duplicates {
        /** Rows that are equal in all columns of the source, partition columns included. Null equals null, NaN equals NaN; 0.0 and -0.0 differ. */
        Exact = "exact",
    } default Exact
}

/// Keeps one row of each key: the first in the given order. Nulls in the key are equal to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeepOne {
    /// Columns of the source that make the key.
    #[schemars(length(min = 1))]
    pub key: Vec<String>,
    /// The order in which the first row is the one to keep. Ties break by the row's checksum, then by file and row: the same row each time.
    /// An empty list leaves the choice to the checksum.
    pub order_by: Vec<OrderBy>,
    /// What to do when a dataset lacks one of the columns.
    #[serde(default)]
    pub if_missing: IfMissing,
}

/// One term of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderBy {
    /// A column: of the source in a rule about rows, of the target in its sort order.
    pub column: String,
    /// Least first or greatest first.
    #[serde(default)]
    pub direction: Direction,
    /// Where nulls stand, in either direction.
    #[serde(default)]
    pub nulls: Nulls,
}

choice! {
    /** The direction of an order. */
    Direction {
        /** Least first. */
        Asc = "asc",
        /** Greatest first: `desc` on a time keeps the latest. */
        Desc = "desc",
    } default Asc
}

choice! {
    /** Where nulls stand in an order. */
    Nulls {
        /** Before all values. */
        First = "first",
        /** Behind all values. */
        Last = "last",
    } default Last
}

impl Decode for CleanRule {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| {
            let duplicates = fields.optional("dropDuplicates");
            let keep_one = fields.optional("keepOne");
            let at = fields.at();
            match (duplicates, keep_one) {
                (Some(_), Some(keep_one)) => {
                    let message = "one item holds one rule, and these are two";
                    let hint = Some("write an item for each: they work in order".to_owned());
                    fields.decoder().report(at, PolicyCode::PolicyContradiction, message, hint);
                    Self::KeepOne(keep_one)
                }
                (None, Some(keep_one)) => Self::KeepOne(keep_one),
                (Some(duplicates), None) => Self::DropDuplicates(duplicates),
                (None, None) => {
                    // With a key that is unknown, that is the error.
                    if fields.holds_only(&["dropDuplicates", "keepOne"]) {
                        let message = "a rule is missing: `dropDuplicates` or `keepOne`";
                        fields.decoder().report(at, PolicyCode::PolicyMissingKey, message, None);
                    }
                    Self::blank()
                }
            }
        })
    }

    fn blank() -> Self {
        Self::KeepOne(KeepOne::blank())
    }
}

impl Decode for KeepOne {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| Self {
            key: fields.some("key"),
            order_by: fields.required("orderBy"),
            if_missing: fields.or("ifMissing", IfMissing::default()),
        })
    }

    fn blank() -> Self {
        Self { key: Vec::new(), order_by: Vec::new(), if_missing: IfMissing::default() }
    }
}

impl Decode for OrderBy {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| Self {
            column: fields.required("column"),
            direction: fields.or("direction", Direction::default()),
            nulls: fields.or("nulls", Nulls::default()),
        })
    }

    fn blank() -> Self {
        Self { column: String::new(), direction: Direction::default(), nulls: Nulls::default() }
    }
}
