//! What must hold before a table is published, who approves, and how much may be used.
//!
//! Holds: [`Validate`], [`Approval`], [`Run`]. Not here: the judgement of evidence (`evidence`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode::{Decode, Decoder};
use super::error::PolicyCode;
use super::names;
use super::quantity::{MemorySize, Percent};
use super::rules::IfMissing;
use super::tree::Node;
use super::values::choice;
use crate::expr::{Expression, Kind};
use crate::ids::PolicyName;

/// Highest priority.
pub const MAX_PRIORITY: u8 = 100;
/// Most approvals that a policy may want of a plan: more people than that review nothing together.
pub const MAX_APPROVALS: u8 = 10;
/// Most batches of one policy at once: more than the slots of any fleet.
pub const MAX_PARALLEL: u32 = 10_000;
/// Most attempts at a batch. The pauses between them grow to five minutes, so this is more than a working day.
pub const MAX_ATTEMPTS: u32 = 100;
/// Most policies that a policy waits for: more than a person keeps in mind.
pub const MAX_AFTER: usize = 100;

/// What is compared, and when. Any difference pauses the migration, and nothing is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Validate {
    /// Comparisons after each batch. An empty list leaves everything to the end.
    #[serde(default = "each_batch")]
    pub each_batch: Vec<BatchComparison>,
    /// Comparisons of the whole table before it is published; `count` is always among them.
    #[serde(default = "at_end", rename = "final")]
    pub at_end: Vec<FinalComparison>,
    /// SQL checks of the whole target table before it is published.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// How many rows rules may remove.
    #[serde(default)]
    pub tolerances: Tolerances,
    /// What to do when something differs.
    #[serde(default)]
    pub on_difference: OnDifference,
}

fn each_batch() -> Vec<BatchComparison> {
    vec![BatchComparison::Count, BatchComparison::Checksum]
}

fn at_end() -> Vec<FinalComparison> {
    vec![FinalComparison::Count, FinalComparison::Checksum, FinalComparison::Nulls, FinalComparison::Spark64]
}

impl Default for Validate {
    fn default() -> Self {
        Self {
            each_batch: each_batch(),
            at_end: at_end(),
            checks: Vec::new(),
            tolerances: Tolerances::default(),
            on_difference: OnDifference::default(),
        }
    }
}

choice! {
    /** A comparison after each batch. */
    BatchComparison {
        /** Rows read = rows kept + rows removed by each rule; rows kept = rows read back. */
        Count = "count",
        /** The same for checksums over all columns; the staged files are read back. */
        Checksum = "checksum",
    } default Count
}

choice! {
    /** A comparison of the whole table. */
    FinalComparison {
        /** Rows, by batches, manifests and summary. */
        Count = "count",
        /** Checksums over all columns, and the content of each staged file. */
        Checksum = "checksum",
        /** Nulls of each column. */
        Nulls = "nulls",
        /** Least and greatest value of each column that has an order. */
        MinMax = "minmax",
        /** A checksum that others can compute with Spark on the source; its query is printed in the report. */
        Spark64 = "spark64",
    } default Count
}

/// An SQL check of the whole target table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Check {
    /// Its name in reports; by default its position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A boolean expression over aggregates of the target's columns. It must be true; false and null pause the migration.
    pub sql: Expression,
    /// What to do when a target lacks one of the columns.
    #[serde(default)]
    pub if_missing: IfMissing,
}

impl Check {
    /// Its name in reports, when it is number `index` (from 0) of its policy.
    #[must_use]
    pub fn label(&self, index: usize) -> String {
        self.name.clone().unwrap_or_else(|| format!("checks[{index}]"))
    }
}

/// How many rows rules may remove. More pauses the migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tolerances {
    /// Most rows that cleaning rules may remove, in percent of the rows that they got; no limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_rows_percent: Option<Percent>,
    /// Most rows that the filter may remove, in percent of the source's rows; no limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filtered_rows_percent: Option<Percent>,
}

choice! {
    /** What to do when something differs. */
    OnDifference {
        /** The migration stops with the first differing batch and column; nothing is published. */
        Pause = "pause",
    } default Pause
}

/// Who approves plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// Whether a person must approve each plan. If not, plans are approved as they are made, in the policy's name.
    #[serde(default = "required")]
    pub required: bool,
    /// Who may approve.
    #[serde(default)]
    pub by: Approver,
    /// How many people must approve a plan.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = MAX_APPROVALS))]
    pub count: u8,
    /// Whether who applied the policy may not approve its plans.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_by_submitter: bool,
}

fn one() -> u8 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_one(count: &u8) -> bool {
    *count == 1
}

fn required() -> bool {
    true
}

impl Default for Approval {
    fn default() -> Self {
        Self { required: true, by: Approver::default(), count: 1, not_by_submitter: false }
    }
}

choice! {
    /** Who may approve. */
    Approver {
        /** The policy's owner. */
        Owner = "owner",
        /** Anyone with the role of an approver. */
        Any = "any",
    } default Owner
}

/// How much may be used, and in which order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// Migrations with a higher number go first.
    #[serde(default = "priority")]
    #[schemars(range(min = 0, max = MAX_PRIORITY))]
    pub priority: u8,
    /// Names of policies that go before this one: plans are made and approved meanwhile, and the first batch runs when all
    /// migrations of these are committed.
    #[serde(default)]
    #[schemars(length(max = MAX_AFTER))]
    pub after: Vec<PolicyName>,
    /// Most batches of this policy that run at once; by default as many as there are slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_PARALLEL))]
    pub max_parallel: Option<u32>,
    /// Attempts at a batch before its migration is put into quarantine.
    #[serde(default = "attempts")]
    #[schemars(range(min = 1, max = MAX_ATTEMPTS))]
    pub attempts: u32,
    /// Most working memory of a batch; by default the node's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemorySize>,
}

fn priority() -> u8 {
    50
}

fn attempts() -> u32 {
    5
}

impl Default for Run {
    fn default() -> Self {
        Self { priority: priority(), after: Vec::new(), max_parallel: None, attempts: attempts(), memory: None }
    }
}

impl Decode for Validate {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| {
            let each_batch = fields.set("eachBatch").unwrap_or_else(each_batch);
            let at_end = fields.with("final", |node, decoder| {
                let list: Vec<FinalComparison> = super::decode::distinct(node, decoder);
                // Broken items are read as `count`, so nothing is said twice.
                let is_list = matches!(node.value, super::tree::Value::List(_));
                if is_list && !list.contains(&FinalComparison::Count) {
                    let message = "`count` is missing: no table is published uncounted";
                    decoder.report(node.at, PolicyCode::PolicyOutOfRange, message, None);
                }
                list
            });
            Self {
                each_batch,
                at_end: at_end.unwrap_or_else(self::at_end),
                checks: fields.or("checks", Vec::new()),
                tolerances: fields.or("tolerances", Tolerances::default()),
                on_difference: fields.or("onDifference", OnDifference::default()),
            }
        })
    }

    fn blank() -> Self {
        Self::default()
    }
}

impl Decode for Check {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| {
            let name = |node: &Node, decoder: &mut Decoder<'_>| {
                decoder.parse(node, PolicyCode::PolicyBadName, names::label_value)
            };
            let sql = |node: &Node, decoder: &mut Decoder<'_>| {
                decoder.predicate(node, Kind::Aggregate).unwrap_or_else(always)
            };
            Self {
                name: fields.with("name", name).flatten(),
                sql: fields.with("sql", sql).unwrap_or_else(|| fields.required("sql")),
                if_missing: fields.or("ifMissing", IfMissing::default()),
            }
        })
    }

    fn blank() -> Self {
        Self { name: None, sql: always(), if_missing: IfMissing::default() }
    }
}

/// Stands in for a check that could not be read.
fn always() -> Expression {
    Expression::parse("count(*) >= 0", Kind::Aggregate).expect("the text is an expression of the allowed kind")
}

/// Checks read their expression themselves; this is what stands in where it is missing.
impl Decode for Expression {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.predicate(node, Kind::Aggregate).unwrap_or_else(always)
    }

    fn blank() -> Self {
        always()
    }
}

impl Decode for Tolerances {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| Self {
            removed_rows_percent: fields.optional("removedRowsPercent"),
            filtered_rows_percent: fields.optional("filteredRowsPercent"),
        })
    }

    fn blank() -> Self {
        Self::default()
    }
}

impl Decode for Approval {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| Self {
            required: fields.or("required", true),
            by: fields.or("by", Approver::default()),
            count: fields.small("count", 1..=MAX_APPROVALS).unwrap_or_else(one),
            not_by_submitter: fields.or("notBySubmitter", false),
        })
    }

    fn blank() -> Self {
        Self::default()
    }
}

/// Names of other policies, each once.
fn after(node: &Node, decoder: &mut Decoder<'_>) -> Vec<PolicyName> {
    let names: Vec<PolicyName> = super::decode::distinct(node, decoder);
    if names.len() > MAX_AFTER {
        let message = format!("{} policies are named; {MAX_AFTER} are allowed", names.len());
        decoder.report(node.at, PolicyCode::PolicyOutOfRange, message, None);
    }
    names
}

impl Decode for Run {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        let within = |most: u32, least: u32| {
            move |node: &Node, decoder: &mut Decoder<'_>| {
                let number = decoder.integer(node, i64::from(least)..=i64::from(most));
                number.and_then(|number| u32::try_from(number).ok())
            }
        };
        decoder.object(node, |fields| Self {
            priority: fields.small("priority", 0..=MAX_PRIORITY).unwrap_or_else(priority),
            after: fields.with("after", after).unwrap_or_default(),
            max_parallel: fields.with("maxParallel", within(MAX_PARALLEL, 1)).flatten(),
            attempts: fields.with("attempts", within(MAX_ATTEMPTS, 1)).flatten().unwrap_or_else(attempts),
            memory: fields.optional("memory"),
        })
    }

    fn blank() -> Self {
        Self::default()
    }
}
