//! Policies as the ledger keeps them.

use serde::{Deserialize, Serialize};

use crate::hash::Hash256;
use crate::ids::{Generation, MigrationId, TableName};
use crate::ledger::entry::AppliedPolicy;
use crate::policy::Approval;

/// A policy and its migrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// As applied last, without its datasets: its migrations are what became of them.
    pub policy: AppliedPolicy,
    /// Hash of the datasets and their targets.
    pub datasets: Hash256,
    /// Grows with each change of the document.
    pub generation: Generation,
    /// Who applied it last.
    pub applied_by: String,
    /// When, milliseconds since 1970.
    pub applied_at: u64,
    /// Its migrations of all generations, in the order of their creation.
    pub migrations: Vec<MigrationId>,
}

impl PolicyRecord {
    /// What the policy wants of approvals.
    ///
    /// # Errors
    /// When the document cannot be read, which no applied one is.
    pub fn approval(&self) -> Result<Approval, serde_json::Error> {
        #[derive(Deserialize)]
        struct Document {
            #[serde(default)]
            spec: Spec,
        }
        #[derive(Default, Deserialize)]
        struct Spec {
            #[serde(default)]
            approval: Approval,
        }
        Ok(serde_json::from_str::<Document>(&self.policy.document)?.spec.approval)
    }

    /// The hash of datasets and their targets.
    #[must_use]
    pub fn hash_of(datasets: &[(TableName, TableName)]) -> Hash256 {
        let mut text = String::new();
        for (dataset, target) in datasets {
            for part in [&dataset.database, &dataset.table, &target.database, &target.table] {
                // The length keeps parts apart whatever is in them.
                text.push_str(&part.len().to_string());
                text.push(':');
                text.push_str(part);
            }
        }
        Hash256::of(text.as_bytes())
    }
}
