//! Policies as the ledger keeps them.

use serde::{Deserialize, Serialize};

use crate::ids::{Generation, MigrationId};
use crate::ledger::entry::AppliedPolicy;

/// A policy and its migrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// As applied last.
    pub policy: AppliedPolicy,
    /// Grows with each change of the document.
    pub generation: Generation,
    /// Who applied it last.
    pub applied_by: String,
    /// When, milliseconds since 1970.
    pub applied_at: u64,
    /// Its migrations of all generations, in the order of their creation.
    pub migrations: Vec<MigrationId>,
}
