//! Evidence: the counts and checksums that prove a migration, and the judgement over them.
//!
//! In: sums that the engine computed. Out: [`Difference`]s. Holds: the additive sums (count and sums
//! modulo 2^128, never XOR). Not here: how a row is hashed (`docs/checksum.md`, the engine).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hash::Hash256;
use crate::ids::BatchId;

pub mod judge;

/// A sum of 128-bit hashes modulo 2^128; 32 hexadecimal digits in documents.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Sum128(pub u128);

impl fmt::Display for Sum128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Sum128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Sum128 {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// A sum of signed 64-bit hashes, as a decimal number in documents (that is how SQL engines print it).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct SignedSum(pub i128);

impl fmt::Display for SignedSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SignedSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SignedSum {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

macro_rules! as_text {
    ($name:ident, $pattern:literal) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $pattern})
            }
        }
    };
}

as_text!(Sum128, "^[0-9a-f]{32}$");
as_text!(SignedSum, "^-?[0-9]+$");

/// Count and sum of a set of rows by `row128`; adding sets adds both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RowSum {
    /// Rows.
    pub rows: u64,
    /// Sum of the rows' hashes modulo 2^128.
    pub sum: Sum128,
}

impl RowSum {
    /// Adds one row.
    pub fn add(&mut self, hash: u128) {
        self.rows += 1;
        self.sum.0 = self.sum.0.wrapping_add(hash);
    }

    /// Adds another set of rows.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.sum.0 = self.sum.0.wrapping_add(other.sum.0);
    }
}

/// Count and sum of a set of rows by `spark64`, which outsiders can compute in Spark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SparkSum {
    /// Rows.
    pub rows: u64,
    /// Sum of `xxhash64(...)` over the rows, as signed numbers, wrapping at 2^127.
    pub sum: SignedSum,
}

impl SparkSum {
    /// Adds one row.
    pub fn add(&mut self, hash: i64) {
        self.rows += 1;
        self.sum.0 = self.sum.0.wrapping_add(i128::from(hash));
    }

    /// Adds another set of rows.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.sum.0 = self.sum.0.wrapping_add(other.sum.0);
    }
}

/// Rows that one rule removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    /// The rule, as the plan names it (`filter`, `clean[0]`).
    pub rule: String,
    /// The removed rows, over the source's columns.
    pub rows: RowSum,
}

/// What is known of one target column of a batch or table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ColumnEvidence {
    /// The target column.
    pub column: String,
    /// Nulls in the transformed rows.
    pub nulls_expected: u64,
    /// Nulls in the rows that were read back.
    pub nulls_found: u64,
    /// Least value of the transformed rows as text, where the type has an order and the policy asks for it.
    pub min_expected: Option<String>,
    /// Least value of the rows read back.
    pub min_found: Option<String>,
    /// Greatest value of the transformed rows.
    pub max_expected: Option<String>,
    /// Greatest value of the rows read back.
    pub max_found: Option<String>,
}

/// A rule's own check: that it did what it says, whatever the sums say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleCheck {
    /// The rule or check, as the plan names it.
    pub rule: String,
    /// What was checked, in words.
    pub checked: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was found, where it does not hold.
    pub found: String,
}

/// Everything that proves one batch. Sums are absent where the policy did not ask for them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchEvidence {
    /// Rows that the source files' footers promise, where the format has footers.
    pub footer_rows: Option<u64>,
    /// All rows as read, over the source's columns.
    pub source: RowSum,
    /// What each rule removed, over the source's columns.
    pub removed: Vec<Removed>,
    /// The rows that were kept, over the source's columns.
    pub kept: RowSum,
    /// The kept rows over the columns whose conversion loses nothing, before the conversion.
    pub lossless_source: RowSum,
    /// The read-back rows over the same columns.
    pub lossless_target: RowSum,
    /// The transformed rows, over the target's columns.
    pub expected: RowSum,
    /// The rows that were read back from the staged files, over the target's columns.
    pub found: RowSum,
    /// Column by column.
    pub columns: Vec<ColumnEvidence>,
    /// The source's rows as read, by `spark64`.
    pub spark: Option<SparkSum>,
    /// The rules' own checks.
    pub rules: Vec<RuleCheck>,
    /// The first column in which expected and found differ, where they do (found by a second reading).
    pub first_difference: Option<Difference>,
    /// Whether row sums were computed at all (false: counts only).
    pub summed: bool,
}

/// A difference between what must be and what is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The batch, unless it concerns the whole table.
    pub batch: Option<BatchId>,
    /// The column, where it is known.
    pub column: Option<String>,
    /// What was compared.
    pub compared: String,
    /// What must be.
    pub expected: String,
    /// What is.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.batch {
            Some(batch) => write!(f, "batch {batch}")?,
            None => write!(f, "the table")?,
        }
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        write!(f, ": {}: expected {}, found {}", self.compared, self.expected, self.found)
    }
}

/// What the read-back of the whole staged table, through its metadata file, found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableEvidence {
    /// The metadata file that was read.
    pub metadata_location: String,
    /// Its content hash.
    pub metadata_hash: Hash256,
    /// Data files that the manifests list.
    pub files: u64,
    /// Rows by the manifests' record counts.
    pub manifest_rows: u64,
    /// Rows in the snapshot's summary.
    pub summary_rows: u64,
    /// Data files whose length and content were compared with what the ledger recorded.
    pub files_compared: u64,
    /// Differences between the manifests' files and the ledger's, each as a sentence.
    pub file_differences: Vec<String>,
    /// Sum over all batches: the source's rows as read.
    pub source: RowSum,
    /// Sum over all batches: removed rows by rule.
    pub removed: Vec<Removed>,
    /// Sum over all batches: kept rows.
    pub kept: RowSum,
    /// Sum over all batches: expected target rows.
    pub expected: RowSum,
    /// Sum over all batches: rows read back.
    pub found: RowSum,
    /// Column by column, over the whole table.
    pub columns: Vec<ColumnEvidence>,
    /// The source's rows as read, by `spark64`.
    pub spark: Option<SparkSum>,
    /// A read through a filter on a partition, where the table has partitions.
    pub partition_read: Option<RuleCheck>,
    /// The rules' own checks and the policy's SQL checks over the whole table.
    pub checks: Vec<RuleCheck>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_order_and_count_duplicates() {
        let (mut one, mut two) = (RowSum::default(), RowSum::default());
        for hash in [1, u128::MAX, 7, 7] {
            one.add(hash);
        }
        for hash in [7, 1, 7, u128::MAX] {
            two.add(hash);
        }
        assert_eq!(one, two);
        let mut once = RowSum::default();
        for hash in [7, 1, u128::MAX] {
            once.add(hash);
        }
        assert_ne!(once, two);
    }
}
