//! The policy document as types.
//!
//! Holds: [`Policy`], [`Metadata`], [`Spec`]. The parts of the specification have modules of their own.
//! The documentation of types and fields becomes the JSON Schema's.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clean::CleanRule;
use super::criteria::{Approval, Run, Validate};
use super::decode::{Decode, Decoder};
use super::error::PolicyCode;
use super::names;
use super::rules::SchemaRules;
use super::selection::Source;
use super::target::Target;
use super::tree::Node;
use super::values::choice;
use crate::expr::{Expression, Kind as ExpressionKind};
use crate::ids::PolicyName;

/// How a set of datasets is migrated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Version of the document's form.
    pub api_version: ApiVersion,
    /// Kind of the document.
    pub kind: Kind,
    /// What the policy is called, and whose it is.
    pub metadata: Metadata,
    /// What the policy says.
    pub spec: Spec,
}

choice! {
    /** Version of the document's form. */
    ApiVersion {
        /** The first. */
        V1 = "skein/v1",
    } default V1
}

choice! {
    /** Kind of the document. */
    Kind {
        /** A migration policy. */
        MigrationPolicy = "MigrationPolicy",
    } default MigrationPolicy
}

/// What the policy is called, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Unique in a fleet: 1 to 63 lower-case letters, digits and inner hyphens.
    #[schemars(with = "String", regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub name: PolicyName,
    /// The team or person whose datasets these are; they approve its plans.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,127}$"))]
    pub owner: String,
    /// Labels to find it by; values are texts.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What it is for, in a sentence or two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What the policy says. Rows go this way: read, `filter`, `clean` (rule by rule), `schema`, written, `validate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Where the data comes from, and which datasets.
    pub source: Source,
    /// Where it goes.
    pub target: Target,
    /// How it is moved.
    #[serde(default)]
    pub strategy: Strategy,
    /// What happens to columns.
    #[serde(default)]
    pub schema: SchemaRules,
    /// Rules that remove duplicates, in the order in which they work.
    #[serde(default)]
    pub clean: Vec<CleanRule>,
    /// A boolean expression over the source's columns, partition columns included. Rows for which it is true are kept;
    /// those for which it is false or null are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Expression>,
    /// What must hold before a table is published.
    #[serde(default)]
    pub validate: Validate,
    /// Who approves plans.
    #[serde(default)]
    pub approval: Approval,
    /// How much may be used, and in which order.
    #[serde(default)]
    pub run: Run,
}

choice! {
    /** How the data is moved. */
    Strategy {
        /** The plan chooses for each dataset, and says why. */
        Auto = "auto",
        /** Rows and values as they are, into new files; refused together with rules that change them. */
        Copy = "copy",
        /** Rows through the policy's rules. */
        Transform = "transform",
    } default Auto
}

impl Decode for Policy {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        decoder.object(node, |fields| Self {
            api_version: fields.required("apiVersion"),
            kind: fields.required("kind"),
            metadata: fields.required("metadata"),
            spec: fields.required("spec"),
        })
    }

    fn blank() -> Self {
        Self {
            api_version: ApiVersion::default(),
            kind: Kind::default(),
            metadata: Metadata::blank(),
            spec: Spec::blank(),
        }
    }
}

impl Decode for Metadata {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        let owner = |node: &Node, decoder: &mut Decoder<'_>| {
            decoder.parse(node, PolicyCode::PolicyBadName, names::owner).unwrap_or_default()
        };
        let description =
            |node: &Node, decoder: &mut Decoder<'_>| decoder.parse(node, PolicyCode::PolicyOutOfRange, names::prose);
        decoder.object(node, |fields| Self {
            name: fields.required("name"),
            owner: fields.with("owner", owner).unwrap_or_else(|| fields.required("owner")),
            labels: fields.or("labels", BTreeMap::new()),
            description: fields.with("description", description).flatten(),
        })
    }

    fn blank() -> Self {
        Self { name: PolicyName::blank(), owner: String::new(), labels: BTreeMap::new(), description: None }
    }
}

impl Decode for Spec {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        let filter = |node: &Node, decoder: &mut Decoder<'_>| decoder.predicate(node, ExpressionKind::Row);
        decoder.object(node, |fields| Self {
            source: fields.required("source"),
            target: fields.required("target"),
            strategy: fields.or("strategy", Strategy::default()),
            schema: fields.or("schema", SchemaRules::default()),
            clean: fields.or("clean", Vec::new()),
            filter: fields.with("filter", filter).flatten(),
            validate: fields.or("validate", Validate::default()),
            approval: fields.or("approval", Approval::default()),
            run: fields.or("run", Run::default()),
        })
    }

    fn blank() -> Self {
        Self {
            source: Source::blank(),
            target: Target::blank(),
            strategy: Strategy::default(),
            schema: SchemaRules::default(),
            clean: Vec::new(),
            filter: None,
            validate: Validate::default(),
            approval: Approval::default(),
            run: Run::default(),
        }
    }
}
